/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that were seen before, on another interface: what a container sends passes its end of a
 * pair of virtual devices, then the bridge; what has a VLAN tag the device and the one above it. The
 * kernel shows each of these, and to count one packet twice would make an answer of nothing asked of it,
 * and a query a repeated one.
 *
 * Two packets are the same if all that is known of them is, within DUPLICATES_NS, and the interface is
 * another one: who asks again does so on the same. Who sends the same bytes by two interfaces within that
 * time is not told from this.
 *
 * A fixed table of sets, in which a packet takes the place of the oldest one of its set: what is forgotten
 * too early is counted twice.
 */
#ifndef SOCKWARDEN_WORKER_DNS_DUPLICATES_H
#define SOCKWARDEN_WORKER_DNS_DUPLICATES_H

#include "common/hash.h"
#include "worker/dns/frame.h"

#include <stdbool.h>
#include <stdint.h>

#define DUPLICATES_WAYS 4
#define DUPLICATES_SETS 1024
#define DUPLICATES_PLACES 4096
_Static_assert(DUPLICATES_PLACES == DUPLICATES_SETS * DUPLICATES_WAYS, "sets of places");

/*
 * A packet crosses a host's devices within some ten us, but where processors are very busy softirqs wait their
 * turn: 10 ms and more were seen. Who asks again waits for longer, and is on the same interface.
 */
#define DUPLICATES_NS 100000000

/* hash is 0 as long as it was not used. */
struct duplicates_place {
	uint64_t hash;
	uint64_t at_ns;
	uint32_t interface;
};

struct duplicates {
	struct hash_key key;
	struct duplicates_place places[DUPLICATES_PLACES];
};

/* *duplicates is zeroed memory; secret is hashed into the hash's key. */
void duplicates_init(struct duplicates *duplicates, const char *secret);

/* Whether this packet, seen at at_ns (CLOCK_MONOTONIC), is one that was; it is remembered. */
bool duplicates_find(struct duplicates *duplicates, const struct dns_frame *frame,
		     uint32_t interface, uint64_t at_ns);

/* Puts back what is remembered of a packet: a place whose hash is not 0. False if another has it. */
bool duplicates_put(struct duplicates *duplicates, const struct duplicates_place *place);

#endif
