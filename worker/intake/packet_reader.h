/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packets of all rings as one sequence in the order of their time. A question and its answer are
 * often seen by different CPUs, and must not change places: so the oldest of what each ring holds comes
 * next, and what is younger than the pass waits for the next one, since another CPU may still be
 * writing something older.
 *
 *   packet_reader_begin(reader, now_ns, 0);
 *   while (packet_reader_next(reader, &packet))
 *           ...
 *   packet_reader_end(reader);
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_PACKET_READER_H
#define SOCKWARDEN_WORKER_INTAKE_PACKET_READER_H

#include "worker/intake/packet.h"

#include <stdbool.h>
#include <stdint.h>

/* So long, at most, between a packet's time and its being in the ring, where nothing interrupts. */
#define PACKET_READER_SETTLE_NS 50000

struct packet_source {
	struct perf_ring ring;
	struct packet packet; /* the ring's next one */
	uint64_t at;	      /* its position in the ring */
};

struct packet_reader {
	struct packet_source *sources;
	uint32_t count;
	uint32_t *heap; /* sources that have a packet, the oldest first */
	uint32_t heap_count;
	bool given;	   /* the first one's packet was */
	uint64_t until_ns; /* what is younger is for the next pass */
	uint64_t malformed;
	uint64_t packets;
};

/* sources: count of them, whose rings were initialised; they stay the caller's. 0 or -ENOMEM. */
int packet_reader_init(struct packet_reader *reader, struct packet_source *sources, uint32_t count);
void packet_reader_fini(struct packet_reader *reader);

/*
 * Begins a pass over what is there at now_ns (CLOCK_MONOTONIC, read before this call), and was there
 * at seen_ns: what led to something that was seen already is in the rings, however short ago it was.
 */
void packet_reader_begin(struct packet_reader *reader, uint64_t now_ns, uint64_t seen_ns);

/* The next packet, good until the next call; NULL at the end of the pass. */
const struct packet *packet_reader_next(struct packet_reader *reader);

/* Ends a pass, which may be anywhere: gives the kernel back what packet_reader_next() has given. */
void packet_reader_end(struct packet_reader *reader);

#endif
