/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Close records out of batches, each exactly once, by (cpu, batch id, offset).
 *
 * A pass goes over all CPUs; for each it empties the perf ring (full batches, lone records), and then
 * looks at the batch that is still filling, through its mapping. batch_reader_next() hands out
 * one record after the other and remembers how far that is; batch_reader_commit() makes it
 * permanent: the positions in the resume memory, which outlives this process, and the rings' tails.
 * Who commits before he publishes never publishes twice; what was read but not committed is read
 * again by the successor.
 *
 *   full batch N by ring     N == position  from its offset on; the position becomes N+1/0
 *                            N >  position  a gap: counted as lost; then as above from N/0
 *                            N <  position  a duplicate: dropped
 *   mapped batch M           M == position  from its offset to len, if id is still M after the copy
 *                            M >  position  what is missing must be in the ring: it is read again. Still
 *                                           ahead in the next pass too: a gap
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_BATCH_H
#define SOCKWARDEN_WORKER_INTAKE_BATCH_H

#include "proto/handoff.h"
#include "proto/record.h"
#include "worker/intake/perf_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch_counts {
	uint64_t records;    /* handed out, lone ones included */
	uint64_t batches;    /* that came through a ring */
	uint64_t lone;	     /* records that came alone */
	uint64_t gaps;	     /* batches that never came */
	uint64_t lost;	     /* records in gaps, and malformed ones */
	uint64_t malformed;  /* samples, batches and records that are none of ours */
	uint64_t duplicates; /* batches that came again */
};

/* Where a CPU's records come from. */
struct batch_source {
	struct perf_ring *ring; /* NULL: this CPU was not online when rings were made */
	const void *mapped;	/* its struct conn_batch in the mapped array */
	uint64_t committable;	/* ring bytes before this were handed out completely */
	uint64_t batch_id;	/* position: the next record to hand out */
	uint64_t offset;	/* 0..RECORD_BATCH_CAPACITY */
	uint64_t ahead_id;	/* a mapped batch that was ahead of position in the last pass */
	bool ahead;
};

struct batch_reader {
	struct batch_source *sources; /* one per possible CPU, the caller's */
	unsigned cpus;
	struct handoff_resume *resume; /* positions[] has one entry per source */
	struct batch_counts counts;

	/* The pass. */
	unsigned cpu;	/* being read; == cpus: the pass is over */
	unsigned stage; /* enum in batch.c */
	bool reread;	/* this CPU's ring was read twice */
	uint64_t until_ns;

	/* What is being handed out: records[at..len) of batch. */
	struct conn_batch batch;
	uint32_t at;
	uint32_t len;
	unsigned origin; /* enum in batch.c */
};

/*
 * sources: ring and mapped are filled in by the caller, the rest is taken from resume. A position
 * there that the mapped batch rules out is counted as malformed, and reading begins at that batch.
 */
void batch_reader_init(struct batch_reader *reader, struct batch_source *sources, unsigned cpus,
		       struct handoff_resume *resume);

/*
 * Begins a pass over all CPUs. A record that is younger than until_ns, by up to a second, ends its CPU's
 * part of the pass: it is left for the next one. UINT64_MAX: all are taken.
 */
void batch_reader_begin(struct batch_reader *reader, uint64_t until_ns);

/* The next valid record, good until the next call, or NULL at the end of the pass. */
const struct conn_record *batch_reader_next(struct batch_reader *reader);

/* Makes what was handed out until now permanent. closed and inferred go to resume's totals. */
void batch_reader_commit(struct batch_reader *reader, uint64_t closed, uint64_t inferred);

#endif
