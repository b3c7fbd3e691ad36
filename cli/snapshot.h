/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's "snapshot" query: what is asked, page by page, and what a page holds. The options
 * that pick connections (--pid, --port, ...) become one filter expression, which the worker
 * evaluates, so that what is not wanted is never sent.
 */
#ifndef SOCKWARDEN_CLI_SNAPSHOT_H
#define SOCKWARDEN_CLI_SNAPSHOT_H

#include "cli/slice.h"
#include "common/options.h"

#define SNAPSHOT_TOKEN_BYTES 128

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

struct snapshot_page {
	struct slice connections;	 /* an array: see slice_next() */
	char more[SNAPSHOT_TOKEN_BYTES]; /* the next page's token; "" on the last page */
};

/* Makes the filter expression, "" if all are wanted. Returns heap text, NULL if out of memory. */
char *snapshot_filter(const struct snapshot_choice *choice);

/* Makes the request for a page; token "" is the first. Heap text, NULL if out of memory. */
char *snapshot_request(const char *filter, const char *token);

/* Opens an answer that client_verdict() found good; false if it is none of a snapshot. */
bool snapshot_open(struct slice answer, struct snapshot_page *page);

#endif
