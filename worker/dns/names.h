/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reverse names: what name led to an address, learnt from DNS answers. A table of fixed capacity,
 * allocated once; an address has one or several names, each kept once in a pool (name_pool.h).
 *
 * How long. A name is alive until its deadline: the answer's TTL, at least NAMES_TTL_MIN_S and at most
 * NAMES_TTL_MAX_S, counted from the last answer that gave it; a deadline never moves back. It is kept for
 * keep_s more, so that a connection that was opened while it was alive finds it when it is told: one is
 * looked up as of the time at which it was opened. A name that is found for a connection is marked as
 * used (names_use()), and then is kept as long as it is marked anew in each publishing interval
 * (names_interval()): what was used in this interval or the one before neither expires nor makes room. So
 * a mark is one number, and nothing has to be taken back when a connection ends. For late_intervals more a
 * used name does not expire, but makes room: there are programs that are told of the connection when
 * they ask.
 *
 * What makes room. A new address takes the place of the one that was touched (used, or, while it was
 * not in use, added to) the longest time ago and is not in use; if all are, it is refused and counted. A
 * known address always takes a new name: if it has max_per_address its oldest is dropped. The newest name of an
 * address has its place; for all others there are NAMES_OTHERS_PER_ADDRESS for each address, and
 * when they are taken the name is dropped that was superseded as the newest the longest time ago and is not
 * in use, or else the address's own oldest. If there is no room for the text of a name, such
 * superseded names make room first and addresses then, NAMES_DROPPED_PER_ADD of both at most; only if all that
 * there is is in use a text is refused.
 *
 * All hashes are keyed: who chooses names and addresses cannot choose where they collide. What is
 * found does not depend on the key. Only who looks at the names of an address, or removes it, takes time
 * by their number.
 */
#ifndef SOCKWARDEN_WORKER_DNS_NAMES_H
#define SOCKWARDEN_WORKER_DNS_NAMES_H

#include "common/hash.h"
#include "common/index_list.h"
#include "common/slots.h"
#include "worker/dns/name_pool.h"

#include <stdbool.h>
#include <stdint.h>

#define NAMES_CAPACITY_MAX (1U << 23)
/*
 * Who asked goes on using an address when its TTL is over: programs resolve once for many connections,
 * and browsers keep what they were told for a minute (Firefox, network.dnsCacheExpiration).
 */
#define NAMES_TTL_MIN_S 60
/*
 * Strangers choose up to 68 years (RFC 2181 8). Resolvers believe no more than this (unbound,
 * cache-max-ttl).
 */
#define NAMES_TTL_MAX_S 86400
/* On average; one address may have many more. */
#define NAMES_OTHERS_PER_ADDRESS 2
#define NAMES_DROPPED_PER_ADD 64

struct names_name {
	uint32_t deadline_s; /* CLOCK_MONOTONIC */
	uint32_t used;	     /* the interval in which it was; 0: never */
	uint32_t name;	     /* of the pool */
};

/* An address and its newest name: one cache line, so that a look-up has one to get. */
struct names_entry {
	uint8_t ip[16];
	uint64_t touched; /* counts up with each touch */
	struct names_name newest;
	struct index_list others; /* names that were told before */
	uint32_t count;		  /* of names; 0: this place is free */
	uint32_t used;		  /* the interval in which one of them was */
	uint32_t tag;
	uint8_t family;
	bool was_used; /* which list it is in */
	uint8_t padding[6];
};

_Static_assert(sizeof(struct names_entry) == 64, "one cache line");

/* A name that is not its address's newest. */
struct names_other {
	struct names_name name;
	uint32_t address; /* INDEX_NONE: this place is free */
};

struct names_counts {
	uint64_t lookups;
	uint64_t hits;	  /* with a name that was alive */
	uint64_t added;	  /* names, to an address that did not have them */
	uint64_t expired; /* names */
	uint64_t evicted; /* addresses that had to make room, with names that had not expired */
	uint64_t evicted_names; /* theirs */
	uint64_t dropped;	/* names: too many of an address, or of all */
	uint64_t refused;	/* names: no room, and all that there is is in use */
};

struct names_settings {
	uint32_t max_addresses;	  /* 1..NAMES_CAPACITY_MAX */
	uint32_t max_per_address; /* 1.. */
	uint32_t keep_s;	  /* beyond the deadline: two publishing intervals or more */
	uint32_t late_intervals;  /* in which a used name may still be asked for, beyond the next */
};

struct names {
	struct names_entry *entries;
	struct index_link *links;
	struct names_other *others;
	struct index_link *other_links; /* within an address, by age */
	struct index_link *age_links;	/* of all others */
	struct slots slots;		/* addresses */
	struct slots other_slots;	/* (address, name) */
	struct name_pool pool;
	struct index_pool entry_pool; /* .used: addresses */
	struct index_pool other_pool;
	struct index_list idle;	  /* never used since they were added to, by touch */
	struct index_list in_use; /* or were once, by touch */
	struct index_list superseded;
	uint64_t touches;
	uint64_t now_s;
	uint32_t interval;
	uint32_t entry_at; /* where the walks for what has expired stand */
	uint32_t other_at;
	struct names_settings settings;
	struct hash_key key;
	struct names_counts counts;
};

/* Goes over the names of an address. Good until the next call that adds or tells the time. */
struct names_cursor {
	uint64_t at_s;
	uint32_t address;
	uint32_t next;	  /* the name to give next */
	uint32_t current; /* the one given last */
	uint8_t buffer[NAME_POOL_NAME_BYTES];
};

enum names_added {
	NAMES_NEW,     /* the address did not have this name */
	NAMES_KNOWN,   /* its deadline is as late as the answer says, or later */
	NAMES_REFUSED, /* counted */
};

/* secret is hashed into the hashes' key. Memory is touched only when used. 0, -EINVAL or -ENOMEM. */
int names_init(struct names *names, const struct names_settings *settings, const char *secret);
void names_fini(struct names *names);

/* Bytes that a table of so many addresses may take. */
uint64_t names_bytes(uint32_t max_addresses);

/* Tells the time (CLOCK_MONOTONIC); once in a second lets a bounded number of old names go. */
void names_tick(struct names *names, uint64_t now_ns);

/* A publishing interval begins. */
void names_interval(struct names *names);

/*
 * An answer, seen at now_ns, gave this address for a name: in wire form, 1..255 bytes; letters are
 * taken in lower case. family is an enum record_family; ip is in network order, IPv4 in the first four bytes,
 * the rest 0. IPv4-mapped IPv6 is IPv4, as with connections.
 */
enum names_added names_add(struct names *names, uint8_t family, const uint8_t ip[static 16],
			   const uint8_t *name, uint8_t length, uint32_t ttl_s, uint64_t now_ns);

/*
 * Looks up the names of an address that were alive at at_ns or later: the time at which a connection
 * was opened, or now. True if there are any; names_next() then gives them.
 */
bool names_find(struct names *names, uint8_t family, const uint8_t ip[static 16], uint64_t at_ns,
		struct names_cursor *cursor);

/*
 * The next name, *length bytes of wire form, the one that was told last first; NULL: no more. Good as long as
 * the cursor, until its next call.
 */
const uint8_t *names_next(const struct names *names, struct names_cursor *cursor, uint8_t *length);

/* The name that names_next() gave last is used for a connection. */
void names_use(struct names *names, const struct names_cursor *cursor);

#endif
