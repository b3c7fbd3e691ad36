/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of this host, in all of its network namespaces, as far as they are known: each
 * connection's local end has one. Who speaks to one of these speaks to this host. An address that no
 * connection has had for LOCAL_ADDRESS_AGE_NS is forgotten: it may be another host's by now. Sets
 * of four: what is put into a full set takes the place of who was there longest.
 */
#ifndef SOCKWARDEN_WORKER_CONN_LOCAL_ADDRESSES_H
#define SOCKWARDEN_WORKER_CONN_LOCAL_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

#define LOCAL_ADDRESS_SETS 1024
#define LOCAL_ADDRESS_WAYS 4
#define LOCAL_ADDRESS_AGE_NS 600000000000ULL

struct local_address {
	uint8_t ip[16]; /* as in records */
	uint8_t family; /* enum record_family; 0: empty */
	uint8_t pad0[7];
	uint64_t seen_ns;
};

struct local_addresses {
	struct local_address ways[LOCAL_ADDRESS_SETS][LOCAL_ADDRESS_WAYS];
};

/* Zeroed memory is an empty one. */

/* A connection has it at its local end. Group and broadcast addresses belong to no host: they are ignored. */
void local_addresses_note(struct local_addresses *addresses, uint8_t family, const uint8_t *ip,
			  uint64_t now_ns);

/* Whether it is one of this host's. */
bool local_addresses_has(const struct local_addresses *addresses, uint8_t family, const uint8_t *ip,
			 uint64_t now_ns);

#endif
