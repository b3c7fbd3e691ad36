/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records out of a BPF iterator's descriptor: one pass, piece by piece, in one of two ways.
 *
 *  - streamed: read(2) gives the records themselves. A read may end anywhere, so the beginning of
 *    a cut record waits for its rest. This is for short lists (control groups).
 *  - staged: read(2) only drives the pass; the records stand in a mapped struct snapshot_stage,
 *    which holds a new piece whenever read() gives EAGAIN, and the last one at the end.
 *
 * What a record must look like is its caller's to check.
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_SNAPSHOT_H
#define SOCKWARDEN_WORKER_INTAKE_SNAPSHOT_H

#include "proto/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel gives at most 8 pages per read (bpf_seq_read, since 5.8). */
#define SNAPSHOT_BUFFER_BYTES (64 * 1024)

struct snapshot {
	int fd;				    /* the caller's */
	const struct snapshot_stage *stage; /* NULL: streamed */
	size_t record_bytes;		    /* at most SNAPSHOT_BUFFER_BYTES */
	const uint8_t *piece;
	size_t at;  /* the next record in piece */
	size_t end; /* of what piece holds */
	bool over;  /* the pass has ended */
	uint8_t buffer[SNAPSHOT_BUFFER_BYTES] __attribute__((aligned(8)));
};

/* Begins a streamed pass over fd, whose records are record_bytes long (a multiple of 8). */
void snapshot_begin(struct snapshot *snapshot, int fd, size_t record_bytes);

/* Begins a staged pass over fd; stage is the mapping that its records are put in. */
void snapshot_begin_staged(struct snapshot *snapshot, int fd, const struct snapshot_stage *stage);

/*
 * Gets the next piece. Returns 1 when snapshot_next() has something (or nothing yet, for a piece
 * that holds no whole record), 0 at the end, -EBADMSG if the pass ends within a record or the
 * stage's count is impossible, or the negative errno of read(2).
 */
int snapshot_read(struct snapshot *snapshot);

/* The next whole record of the piece, aligned to 8 bytes and good until snapshot_read(), or NULL. */
const void *snapshot_next(struct snapshot *snapshot);

#endif
