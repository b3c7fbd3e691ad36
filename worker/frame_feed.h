/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets out of a packet socket's ring, where a classic filter captures them: frames are judged
 * and become what comes out of the perf rings where an eBPF filter does it.
 *
 *   frame_feed_begin(feed);
 *   while ((packet = frame_feed_next(feed)))
 *           ...
 */
#ifndef SOCKWARDEN_WORKER_FRAME_FEED_H
#define SOCKWARDEN_WORKER_FRAME_FEED_H

#include "worker/dns/raw.h"
#include "worker/handoff_grants.h"
#include "worker/intake/frame_ring.h"
#include "worker/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct frame_feed {
	int fd; /* -1: there is none */
	struct frame_ring ring;
	struct packet packet;
	uint32_t budget;     /* frames that this pass may still read */
	uint64_t covered_ns; /* what was captured until then was given */
	uint64_t unseen_ns;  /* will be it when block number unseen_block is given back */
	uint64_t unseen_block;
	uint64_t packets;   /* these and the next, since this worker's start */
	uint64_t lost;	    /* the ring had no room */
	uint64_t fragments; /* second and further ones */
	uint64_t malformed;
};

/* socket stays the caller's; it may be one that is not there. 0 or -EINVAL. */
int frame_feed_init(struct frame_feed *feed, const struct handoff_socket *socket);

/* Whether reading may still wait: the ring is not filling up. */
bool frame_feed_can_wait(const struct frame_feed *feed);

/* Begins a pass over at most so many frames. */
void frame_feed_begin(struct frame_feed *feed, uint32_t frames);

/* The next packet, good until the next call; NULL at the end of the pass. */
const struct packet *frame_feed_next(struct frame_feed *feed);

/* Whether the pass ended before the ring did. */
bool frame_feed_has_more(const struct frame_feed *feed);

/*
 * Until when (CLOCK_MONOTONIC) everything that was captured was given; UINT64_MAX where nothing is captured here. The
 * kernel keeps the last packets to itself for some ms, and what follows from them should wait as long.
 */
uint64_t frame_feed_covered_ns(const struct frame_feed *feed);

/* Adds what was captured and what was lost to metrics that have other filters' numbers, or 0. */
void frame_feed_measure(struct frame_feed *feed, struct metrics *metrics);

#endif
