/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of a packet socket's ring (packet(7), TPACKET_V3): blocks in a row, of which the kernel fills one after
 * the other and hands each over when it is full or some time has gone by. A block is given back
 * when all of its frames were read: a worker that is killed before leaves it to the next one, which begins
 * with the oldest that was handed over.
 *
 * The ring is input: sizes that do not fit are counted, and the rest of the block is skipped.
 *
 *   frame_ring_begin(ring, now_ns, wall_offset_ns);
 *   while (frame_ring_next(ring, &frame))
 *           ...
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_FRAME_RING_H
#define SOCKWARDEN_WORKER_INTAKE_FRAME_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame_ring {
	uint8_t *memory;
	size_t block_bytes;
	uint32_t block_count;
	uint32_t block;		 /* that is read, or comes next */
	uint32_t left;		 /* of its frames: not read yet */
	size_t at;		 /* where the next one of them is in it */
	bool is_open;		 /* it is ours */
	uint64_t now_ns;	 /* as at frame_ring_begin() */
	uint64_t wall_offset_ns; /* the same */
	uint64_t last_ns;	 /* the last frame's time */
	uint64_t given_back;	 /* blocks */
	uint64_t malformed;	 /* times that the ring made no sense, since init */
};

struct ring_frame {
	const uint8_t *bytes; /* in the ring, from the network layer on; good until the next call */
	uint32_t captured;    /* of them */
	uint32_t wire;	      /* that there were; never fewer */
	uint64_t at_ns;	      /* CLOCK_MONOTONIC */
	uint32_t interface;   /* its index */
	uint16_t protocol;    /* host order, as the kernel tells it: net/ethernet.h */
	bool is_outgoing;
};

/*
 * memory: block_count blocks of block_bytes each, which the caller keeps mapped. Finds out where a predecessor
 * stood. 0, or -EINVAL where no block can be like that.
 */
int frame_ring_init(struct frame_ring *ring, void *memory, size_t block_bytes,
		    uint32_t block_count);

/* Whether fewer than half of the blocks wait to be read. */
bool frame_ring_can_wait(const struct frame_ring *ring);

/* Whether the kernel has put something into the next block, which is not handed over yet or was just now. */
bool frame_ring_has_unseen(const struct frame_ring *ring);

/*
 * The kernel dates frames by CLOCK_REALTIME; wall_offset_ns, CLOCK_REALTIME - CLOCK_MONOTONIC, makes that
 * CLOCK_MONOTONIC, of which it is now_ns. Since the clock may have been set in between, no frame becomes
 * younger than now_ns or older than the one before it.
 */
void frame_ring_begin(struct frame_ring *ring, uint64_t now_ns, uint64_t wall_offset_ns);

/* The next frame. Returns false when nothing more was handed over; all that was read is given back then. */
bool frame_ring_next(struct frame_ring *ring, struct ring_frame *frame);

#endif
