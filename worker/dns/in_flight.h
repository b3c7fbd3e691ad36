/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries that have no answer yet: a table of fixed capacity, allocated once, ordered by the time at
 * which each was first seen. A query that is repeated keeps its first time, so that its latency is
 * what whoever asked has waited. One that is older than the timeout is a timeout, whether an answer still
 * comes or not, and each is told once: by the answer that came too late, by the query that takes its
 * place, or by dns_in_flight_expire(), which is to be called once a second or oftener.
 *
 *   queries = answers + timeouts + evicted + those in the table
 *
 * Whole queries are kept and compared. The hash only says where to look, and is keyed: who
 * chooses ports, ids and names cannot choose what shares a slot.
 *
 * When the table is full the oldest query makes room: its answer, if one comes, will be unmatched.
 */
#ifndef SOCKWARDEN_WORKER_DNS_IN_FLIGHT_H
#define SOCKWARDEN_WORKER_DNS_IN_FLIGHT_H

#include "common/hash.h"
#include "common/index_list.h"
#include "common/slots.h"
#include "worker/dns/query.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_IN_FLIGHT_CAPACITY_MAX (1U << 22)

struct dns_in_flight_entry {
	uint64_t first_ns;
	struct dns_query query;
	uint32_t tag;
};

struct dns_in_flight_counts {
	uint64_t queries;   /* repeated ones left out */
	uint64_t retries;   /* repeated ones */
	uint64_t answers;   /* in time */
	uint64_t timeouts;  /* of these: */
	uint64_t late;	    /* whose answer came after all, before they were told */
	uint64_t unmatched; /* answers to nothing that was asked, or that was told already */
	uint64_t evicted;   /* queries that had to make room */
};

struct dns_in_flight {
	struct dns_in_flight_entry *entries;
	struct index_link *links;
	struct slots slots;
	struct index_pool pool;
	struct index_list list; /* by first_ns, as far as they were handed in so */
	uint64_t timeout_ns;
	struct hash_key key;
	struct dns_in_flight_counts counts;
};

enum dns_in_flight_query {
	DNS_QUERY_NEW,
	DNS_QUERY_RETRY,
	DNS_QUERY_AFTER_TIMEOUT, /* new; the same was asked before, which is now a timeout */
};

enum dns_in_flight_answer {
	DNS_ANSWER_UNMATCHED,
	DNS_ANSWER_MATCHED,
	DNS_ANSWER_LATE, /* its query is a timeout */
};

/*
 * capacity is 1..DNS_IN_FLIGHT_CAPACITY_MAX; secret is hashed into the hash's key. Memory is touched
 * only when used. 0, -EINVAL or -ENOMEM.
 */
int dns_in_flight_init(struct dns_in_flight *table, uint32_t capacity, uint64_t timeout_ns,
		       const char *secret);
void dns_in_flight_fini(struct dns_in_flight *table);

/* Bytes that a table of this capacity may take. */
uint64_t dns_in_flight_bytes(uint32_t capacity);

/* A query was seen at now_ns (CLOCK_MONOTONIC, as all times here). */
enum dns_in_flight_query dns_in_flight_query(struct dns_in_flight *table,
					     const struct dns_query *query, uint64_t now_ns);

/*
 * An answer was seen: query is what it answers. *latency_ns is its time since the first query, 0 where the
 * two were seen in the wrong order, and with DNS_ANSWER_UNMATCHED.
 */
enum dns_in_flight_answer dns_in_flight_answer(struct dns_in_flight *table,
					       const struct dns_query *query, uint64_t now_ns,
					       uint64_t *latency_ns);

/*
 * Takes out the oldest query if it is older than the timeout. It is good until the next call; NULL if
 * there is none (any more).
 */
const struct dns_in_flight_entry *dns_in_flight_expire(struct dns_in_flight *table,
						       uint64_t now_ns);

/*
 * Goes over all queries in an order that dns_in_flight_put() takes them back in: after is the index given
 * last, or INDEX_NONE; returns the next one, or INDEX_NONE.
 */
uint32_t dns_in_flight_next(const struct dns_in_flight *table, uint32_t after);

/* Puts back a query that was first seen at first_ns. False: it is there already, or there is no room. */
bool dns_in_flight_put(struct dns_in_flight *table, const struct dns_query *query,
		       uint64_t first_ns);

#endif
