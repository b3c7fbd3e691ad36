/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of one perf event ring (perf_event_open(2), "mmap layout"): a header page, then a power
 * of two of data bytes that the kernel fills and we empty. Reading and giving back are apart:
 * perf_ring_next() walks over what is there, perf_ring_commit() tells the kernel how much of it may
 * be overwritten. What was read and not committed is read again by the next reader of this ring.
 *
 * The ring is input: sizes that do not fit are counted, and the rest of what is there is skipped.
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_PERF_RING_H
#define SOCKWARDEN_WORKER_INTAKE_PERF_RING_H

#include "proto/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest payload: a packet's; a batch is smaller. */
#define PERF_RING_PAYLOAD_MAX \
	(sizeof(struct packet_record) + PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX)
_Static_assert(sizeof(struct conn_batch) <= PERF_RING_PAYLOAD_MAX, "the largest payload");

/* perf_event_header, the u32 size of PERF_SAMPLE_RAW, the payload, padding to 8 bytes. */
#define PERF_RING_RECORD_MAX (8 + 4 + PERF_RING_PAYLOAD_MAX + 8)

struct perf_event_mmap_page;

struct perf_ring {
	struct perf_event_mmap_page *page;
	const uint8_t *data;
	uint64_t data_bytes; /* a power of two */
	uint64_t head;	     /* as read at perf_ring_begin() */
	uint64_t next;	     /* the first byte that was not read */
	uint64_t room;	     /* bytes that the kernel could still write at perf_ring_init() */
	uint64_t lost;	     /* perf outputs that the kernel reports as lost, since init */
	uint64_t malformed;  /* times that the ring made no sense, since init */
	uint8_t bounce[PERF_RING_RECORD_MAX] __attribute__((aligned(8)));
};

struct perf_sample {
	const uint8_t *payload; /* in the ring or in its bounce buffer; good until the next call */
	size_t length;		/* payload bytes, padding included */
};

/*
 * memory is the whole mapping: one page of page_bytes, then data_bytes (a power of two, at least
 * 4096) of data. The caller keeps the mapping alive. Returns 0, or -EINVAL for other sizes.
 */
int perf_ring_init(struct perf_ring *ring, void *memory, size_t page_bytes, size_t data_bytes);

/*
 * Whether the kernel has used less than half of the room that there was at perf_ring_init(), so
 * that reading may wait as long again.
 */
bool perf_ring_can_wait(const struct perf_ring *ring);

/* Takes note of how far the kernel has written; perf_ring_next() goes up to there. */
void perf_ring_begin(struct perf_ring *ring);

/* Finds the next sample. Returns 1 with *sample, or 0 at the end of what perf_ring_begin() saw. */
int perf_ring_next(struct perf_ring *ring, struct perf_sample *sample);

/* Gives the bytes before position back to the kernel; position is some earlier ring->next. */
void perf_ring_commit(struct perf_ring *ring, uint64_t position);

#endif
