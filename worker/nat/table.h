/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translations that are known: a table of fixed capacity, allocated once, in which each is found
 * by either of its tuples. A connection's ends are one tuple, seen from its own side; what the
 * other tuple says, turned round, is how the connection looks on the other side of the translation.
 *
 *   client 10.0.0.5:1000 --> gateway, masquerades as 192.0.2.1:7000 --> server 198.51.100.9:80
 *   original 10.0.0.5:1000 -> 198.51.100.9:80        reply 198.51.100.9:80 -> 192.0.2.1:7000
 *   client's connection: local 10.0.0.5:1000         nat.local 192.0.2.1:7000
 *   server's connection: remote 192.0.2.1:7000       nat.remote 10.0.0.5:1000
 *
 * Whose translation applies. A connection and the translation on its way are often in different
 * network namespaces, and of a translation's namespace only an id is known, of a connection's only the
 * inode: nothing that an unprivileged process may ask for joins the two. So a tuple of the root namespace
 * counts first, then one of any other namespace, if all that have this tuple say the same; where
 * they do not, nothing is told, and counted.
 *
 * When it applies. An entry whose end was told (destroy) is kept for a while, since a connection's
 * close record may come later, and counts for connections that began before that. It goes when its time
 * is over, or when room is needed: ended ones first, the oldest before the others, then the one
 * that has not been told with a connection for the longest time.
 *
 * The hash is keyed: who chooses addresses and ports cannot choose where they collide.
 */
#ifndef SOCKWARDEN_WORKER_NAT_TABLE_H
#define SOCKWARDEN_WORKER_NAT_TABLE_H

#include "proto/record.h"
#include "worker/conn/view.h"
#include "worker/nat/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAT_TABLE_NONE UINT32_MAX
#define NAT_TABLE_CAPACITY_MAX (1U << 22)

struct nat_entry {
	struct nat_event event; /* the last that told of it; its kind is not used */
	uint64_t destroyed_ns;	/* CLOCK_MONOTONIC: its end had been read by then; 0: it lives */
	uint32_t older;		/* in its list; NAT_TABLE_NONE: the oldest */
	uint32_t newer;		/* in a free entry: the next free one */
};

/* One of an entry's two keys. */
struct nat_slot {
	uint32_t tag; /* of the key's hash: its top bits say where the slot would best be */
	uint32_t key; /* 1 + 2 * index of the entry, + 1 for its reply tuple; 0: empty */
};

struct nat_list {
	uint32_t oldest;
	uint32_t newest;
};

struct nat_counts {
	uint64_t registered; /* translations that came into the table */
	uint64_t destroyed;  /* their ends that were told */
	uint64_t evicted;    /* of these that live: given up for want of room */
	uint64_t unmatched;  /* ends of another entry than the one with this tuple */
	uint64_t ambiguous;  /* look-ups that found several, which do not agree */
};

struct nat_table {
	struct nat_entry *entries;
	struct nat_slot *slots;
	uint32_t capacity; /* 0: nothing is kept */
	uint32_t slot_bits;
	uint32_t used;	/* entries, those whose end was told included */
	uint32_t ended; /* of these */
	uint32_t high;	/* indices from here on were never used */
	uint32_t free;	/* a chain, or NAT_TABLE_NONE */
	struct nat_list live;
	struct nat_list gone; /* by the time of their end */
	uint64_t keep_ns;
	uint64_t now_ns;
	uint64_t hash_key[2];
	struct nat_counts counts;
};

/*
 * capacity is 0..NAT_TABLE_CAPACITY_MAX; keep_ns is how long an entry is kept after its end; secret
 * is hashed into the hash's key. Memory is touched only when used. 0, -EINVAL or -ENOMEM.
 */
int nat_table_init(struct nat_table *table, uint32_t capacity, uint64_t keep_ns,
		   const char *secret);
void nat_table_fini(struct nat_table *table);

/* Bytes that a table of this capacity may take. */
uint64_t nat_table_bytes(uint32_t capacity);

/* Tells the time (CLOCK_MONOTONIC) for what follows; lets a bounded number of old entries go. */
void nat_table_tick(struct nat_table *table, uint64_t now_ns);

/* A valid event. */
void nat_table_take(struct nat_table *table, const struct nat_event *event);

/*
 * The translation of a connection: true with *nat, and in *index the entry that says so, or
 * NAT_TABLE_NONE if several do. Changes nothing that has an influence on what is found later.
 */
bool nat_table_find(struct nat_table *table, const struct conn_record *record, struct conn_nat *nat,
		    uint32_t *index);

/* Notes that an entry (NAT_TABLE_NONE: none) was told: it is the youngest now, if it lives. */
void nat_table_use(struct nat_table *table, uint32_t index);

/*
 * Goes over all entries in an order that nat_table_put() takes them back in: after is the index
 * given last, or NAT_TABLE_NONE; returns the next one, or NAT_TABLE_NONE.
 */
uint32_t nat_table_next(const struct nat_table *table, uint32_t after);

/* Puts back an entry: its valid event and its end (0: it lives). False if it cannot be next. */
bool nat_table_put(struct nat_table *table, const struct nat_event *event, uint64_t destroyed_ns);

#endif
