/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection as it is about to be told: the kernel's record, and what the worker adds to it.
 * The connection table and the intake give it, the publishing stage writes it; it owns nothing
 * and is good only for the duration of a call.
 */
#ifndef SOCKWARDEN_WORKER_CONN_VIEW_H
#define SOCKWARDEN_WORKER_CONN_VIEW_H

#include "proto/record.h"
#include "worker/conn/totals.h"
#include "worker/dns/conversations.h"
#include "worker/dns/names.h"

#include <stdbool.h>
#include <stdint.h>

/* A connection's ends as they are on the other side of an address translation. */
struct conn_nat {
	uint8_t local_ip[16]; /* as in struct conn_record, and of the record's family */
	uint8_t remote_ip[16];
	uint16_t local_port;
	uint16_t remote_port;
};

struct conn_view {
	const struct conn_record *record;
	uint32_t index; /* where it is, or was, in the table; CONN_TABLE_NONE. Only of conn_state's */
	uint32_t rolled_up; /* connections that record and previous are the sums of; 0: it is one */
	const struct conn_totals *previous; /* as last published; NULL: never, delta = total */
	const char *cgroup;		    /* path, NUL-terminated; NULL: not known */
	const char *container;		    /* its id, NUL-terminated; NULL: none is known */
	const struct conn_nat *nat;	    /* NULL: no translation is known */
	/* Names of the remote end, which a copy of the cursor goes over; NULL: none is known. */
	const struct names *names;
	struct names_cursor *names_found;
	const struct dns_conversation_numbers
		*dns; /* that it is; NULL: it is none, or nothing is known */
	bool closed;
	bool inferred;	 /* closed without a close record */
	bool intra_host; /* the other end is known to be this host's, whatever the addresses say */
	uint8_t direction; /* enum record_direction where the record's is known to be wrong; 0: it is not */
};

#endif
