/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections that closed last, by id, with their final numbers. A connection has two more chances to be
 * reported (bpf/conn.bpf.c), and a snapshot may show what has closed meanwhile; whoever is
 * in here is not told twice and does not come back to life. Sets of four: what is put into a
 * full set takes the place of its oldest.
 */
#ifndef SOCKWARDEN_WORKER_CONN_CLOSED_IDS_H
#define SOCKWARDEN_WORKER_CONN_CLOSED_IDS_H

#include "worker/conn/totals.h"

#include <stdint.h>

#define CLOSED_IDS_SETS 1024
#define CLOSED_IDS_WAYS 4

struct closed_id {
	uint64_t id; /* 0: empty */
	struct conn_totals totals;
};

struct closed_ids {
	struct closed_id ways[CLOSED_IDS_SETS][CLOSED_IDS_WAYS];
	uint8_t oldest[CLOSED_IDS_SETS];
};

/* Zeroed memory is an empty one. */

/* What is known of it, good until the next put; NULL: nothing. */
struct closed_id *closed_ids_find(struct closed_ids *ids, uint64_t id);

/* Puts in one that is not in it. */
void closed_ids_put(struct closed_ids *ids, uint64_t id, const struct conn_totals *totals);

#endif
