/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection as it is about to be told: the kernel's record, and what the worker adds to it.
 * The connection table and the intake give it, the publishing stage writes it; it owns nothing
 * and is good only for the duration of a call.
 */
#ifndef SOCKWARDEN_WORKER_CONN_VIEW_H
#define SOCKWARDEN_WORKER_CONN_VIEW_H

#include "proto/record.h"

#include <stdbool.h>
#include <stdint.h>

/* The counters that are told as a total and as a delta. */
struct conn_totals {
	uint64_t sent_bytes;
	uint64_t recv_bytes;
	uint32_t sent_packets;
	uint32_t recv_packets;
	uint32_t retransmits;
};

struct conn_view {
	const struct conn_record *record;
	const struct conn_totals *previous; /* as last published; NULL: never, delta = total */
	const char *cgroup;		    /* path, NUL-terminated; NULL: not known */
	const char *container;		    /* its id, NUL-terminated; NULL: none is known */
	bool closed;
	bool inferred; /* closed without a close record */
};

#endif
