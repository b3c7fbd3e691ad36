/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the records mean: which connections live, which have ended, and which must have ended
 * although nobody said so.
 *
 * A close record ends its connection at once. A snapshot pass says which connections live. One pass may
 * miss a live one: the kernel's iterator counts its way back into a list that has changed
 * meanwhile. So a connection that two complete passes in a row have missed, and whose last sight is
 * CONN_INFER_AGE_NS old, is a suspect: more passes are to be taken soon, and who is in none of
 * CONN_DOOM_PASSES has lost its close record on the way. It is doomed, told as closed from its last
 * snapshot, and counted as inferred. It stays as a tombstone for one more interval, so that a late
 * close record is recognised and not told again.
 *
 * The books balance at a mark, the moment at which the programs' counter of opened connections was read:
 * closes of connections that opened later are counted apart, and so are such live ones.
 *
 * Time is a parameter everywhere: CLOCK_MONOTONIC in ns, as in the records.
 */
#ifndef SOCKWARDEN_WORKER_CONN_STATE_H
#define SOCKWARDEN_WORKER_CONN_STATE_H

#include "worker/conn/table.h"
#include "worker/conn/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_INFER_AGE_NS 2000000000ULL
#define CONN_SUSPECT_PASSES 2
#define CONN_DOOM_PASSES 5

/* struct conn_meta.phase */
enum conn_phase {
	CONN_PHASE_LIVE = 0,
	CONN_PHASE_DOOMED = 1,	  /* to be told as closed by inference */
	CONN_PHASE_TOMBSTONE = 2, /* was told so */
};

struct conn_counts {
	uint64_t closed;     /* close records, but for late ones; by all workers */
	uint64_t inferred;   /* by all workers */
	uint64_t late_close; /* close records that came after their inference */
	uint64_t table_full; /* snapshot records that found no place */
	uint64_t live;	     /* in the last complete pass, with and without a place */
};

/* At the mark: opened = closed + live + inferred + lost. */
struct conn_books {
	uint64_t mark_ns;
	uint64_t opened;
	uint64_t closed;
	uint64_t live;
};

struct conn_state {
	struct conn_table table;
	struct conn_counts counts;
	struct conn_books books; /* of the last complete pass */
	uint64_t interval_ns;
	uint32_t pass;	   /* serial number of the running or last pass */
	uint32_t suspects; /* after the last complete pass: take another one soon */
	uint32_t doomed;   /* entries that wait for conn_state_infer_next() */
	uint32_t infer_at;
	uint32_t active_at; /* cursor of conn_state_active_next() */
	uint64_t mark_ns;   /* of the running pass */
	uint64_t opened_at_mark;
	uint64_t closed_after_mark;  /* of connections that opened after it */
	uint64_t unplaced;	     /* seen in the running pass, without a place */
	uint64_t unplaced_old;	     /* of these: opened before the mark */
	struct conn_totals previous; /* what a view of a removed entry points to */
};

/* closed and inferred are the totals so far; interval_ns is between two regular passes. */
int conn_state_init(struct conn_state *state, uint32_t capacity, uint64_t interval_ns,
		    uint64_t closed, uint64_t inferred);
void conn_state_fini(struct conn_state *state);

/*
 * A valid close record. Returns true and fills in *view (its cgroup is left to the caller), which is good until
 * the next call; false for one that is late. view->index is where it was until now.
 */
bool conn_state_close(struct conn_state *state, const struct conn_record *record,
		      struct conn_view *view);

/* Begins a pass: opened is the sum of conn_counters.opened, read at now_ns. */
void conn_state_pass_begin(struct conn_state *state, uint64_t now_ns, uint64_t opened);

/* A valid snapshot record. */
void conn_state_seen(struct conn_state *state, const struct conn_record *record);

/* Ends a complete pass, after everything that was closed before it has been read. */
void conn_state_pass_end(struct conn_state *state, uint64_t now_ns);

/* The next connection that is closed by inference. It is counted. */
bool conn_state_infer_next(struct conn_state *state, uint64_t now_ns, struct conn_view *view);

/*
 * The next live connection, at or after active_at. One that has changed since it was told last counts as told
 * from here on. Begin with conn_state_active_begin(). At most budget entries are looked at: -EAGAIN if there may
 * be more, CONN_ACTIVE_END at the end, else *view and what it is.
 */
enum conn_active {
	CONN_ACTIVE_END = 0,
	CONN_ACTIVE_CHANGED = 1, /* or never told */
	CONN_ACTIVE_SAME = 2,
};
void conn_state_active_begin(struct conn_state *state);
int conn_state_active_next(struct conn_state *state, uint32_t *budget, struct conn_view *view);

/* The first live connection at or after slot: returns its slot + 1, or 0 if there is none. */
size_t conn_state_live_next(const struct conn_state *state, size_t slot, struct conn_view *view);

#endif
