/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rolls up short connections: those of one process to one service, and those that one client made to
 * one local service, become one row when all that differs is the ephemeral port. A row is a
 * connection like any other, with sums for numbers; where two or more went into it that port is 0
 * (told as null), round trips are averages, and it lasts from the first opening to the last close.
 * What ended differently is not mixed, and what is translated to something else is not either; the
 * translated ephemeral port goes with the other one.
 *
 * A rollup is good for one piece of an answer: it begins empty, and whoever finds no row begins
 * the next piece.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_ROLLUP_H
#define SOCKWARDEN_WORKER_PUBLISH_ROLLUP_H

#include "worker/conn/view.h"

#include <stdbool.h>
#include <stdint.h>

#define ROLLUP_ROWS_MAX 1024
#define ROLLUP_SLOTS 2048
/* Connections that lasted longer stand for themselves. */
#define ROLLUP_DURATION_NS 120000000000ULL

struct rollup_row {
	struct conn_record record;
	struct conn_totals delta;    /* sums, as record's totals are */
	struct conn_totals previous; /* what makes delta out of these; set by rollup_view() */
	struct conn_nat nat;	     /* if has_nat */
	struct dns_conversation_numbers dns; /* sums, if has_dns */
	uint64_t srtt_us;		     /* sums over the connections that have them */
	uint64_t rttvar_us;
	uint64_t handshake_us;
	uint32_t measured; /* connections with a round trip */
	uint32_t shaken;   /* with a handshake */
	uint32_t count;
	bool has_previous;
	bool has_nat;
	bool has_dns;
	bool inferred;
};

struct rollup {
	uint32_t used;
	uint32_t limit; /* rows that may be used, at most ROLLUP_ROWS_MAX */
	struct rollup_row rows[ROLLUP_ROWS_MAX];
	uint16_t slots[ROLLUP_SLOTS]; /* row + 1, 0: empty */
};

/* Empty, with room for limit rows. */
void rollup_init(struct rollup *rollup, uint32_t limit);

/*
 * Adds a connection, to a row of its like or as a new one. Its direction, if that is fixed, is the row's
 * from here on. False if there is no row left.
 */
bool rollup_add(struct rollup *rollup, const struct conn_view *view);

/* The row with this number, below used, as a view that is good while the row is. */
struct conn_view rollup_view(struct rollup *rollup, uint32_t number);

#endif
