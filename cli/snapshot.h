/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the worker's "snapshot" is wanted: the options that pick connections (--pid, --port, ...)
 * become one filter expression, which the worker evaluates, so that what is not wanted is never sent.
 */
#ifndef SOCKWARDEN_CLI_SNAPSHOT_H
#define SOCKWARDEN_CLI_SNAPSHOT_H

#include "common/options.h"

#include <stdbool.h>

/* What to pick; what is NULL, false or not given picks nothing out. */
struct snapshot_choice {
	const char *filter; /* an expression of the user's */
	bool ipv4;
	bool ipv6;
	struct option_number pid;
	const char *comm;
	struct option_number port; /* local or remote */
	struct option_number netns;
	const char *container; /* a part of the id */
};

/* Makes the filter expression, "" if all are wanted. Returns heap text, NULL if out of memory. */
char *snapshot_filter(const struct snapshot_choice *choice);

#endif
