/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS conversations: numbers for each pair of ends, ports included, so that a connection can tell what was asked
 * and answered on it. A table of fixed capacity, allocated once.
 *
 * A connection has two ends, and both may be of this host; each is a connection of its own, which may
 * end and begin anew without the other. So a conversation's numbers only grow, and of each side it is
 * known what they were when that side's connection ended: what a connection is told is the
 * difference. What is asked before an end counts to that end, though its answer or timeout comes later.
 *
 * When the table is full the conversation whose side has ended first makes room, or else the one that
 * has been silent for the longest time; the latter counts as evicted, and if its connection still
 * lives, that is told only what comes after.
 */
#ifndef SOCKWARDEN_WORKER_DNS_CONVERSATIONS_H
#define SOCKWARDEN_WORKER_DNS_CONVERSATIONS_H

#include "common/hash.h"
#include "common/index_list.h"
#include "common/slots.h"
#include "worker/dns/query.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_CONVERSATIONS_CAPACITY_MAX (1U << 24)
/* Ended ones are kept for the other side's end: UDP's longest silence, and the look for such flows. */
#define DNS_CONVERSATION_KEEP_NS 150000000000ULL
/* NOERROR to REFUSED (RFC 1035 4.1.1); all others together are one number. */
#define DNS_CONVERSATION_RCODES 6

enum dns_side {
	DNS_SIDE_CLIENT,
	DNS_SIDE_SERVER,
	DNS_SIDES,
};

/* Compared and hashed in one piece. */
struct dns_conversation_key {
	uint8_t client_ip[16]; /* network order; IPv4: the first four bytes, the rest 0 */
	uint8_t server_ip[16];
	uint16_t client_port; /* host order */
	uint16_t server_port;
	uint8_t family;	  /* enum record_family */
	uint8_t protocol; /* IPPROTO_UDP or IPPROTO_TCP */
	uint8_t pad[2];
};

_Static_assert(sizeof(struct dns_conversation_key) == 40, "no padding");

struct dns_conversation_numbers {
	uint64_t latency_us; /* sum, of answers with rcode 0 */
	uint64_t failure_latency_us;
	uint32_t queries; /* repeated ones left out */
	uint32_t retries; /* repeated ones */
	uint32_t timeouts;
	uint32_t rcode[DNS_CONVERSATION_RCODES]; /* answers by response code */
	uint32_t rcode_other;
};

_Static_assert(sizeof(struct dns_conversation_numbers) == 56, "no padding");

struct dns_conversation {
	struct dns_conversation_key key;
	struct dns_conversation_numbers total;
	struct dns_conversation_numbers ended[DNS_SIDES]; /* what total was at the last end */
	uint64_t end_ns[DNS_SIDES];			  /* 0: none yet */
	uint32_t tag;
	uint32_t is_ended; /* 1: a side ended, and nothing was asked since */
};

struct dns_conversations_counts {
	uint64_t added;
	uint64_t evicted; /* of those that had not ended */
};

struct dns_conversations {
	struct dns_conversation *entries;
	struct index_link *links;
	struct slots slots;
	struct index_pool pool;
	struct index_list live;	 /* by the time of the last query */
	struct index_list ended; /* by the time of the last end */
	struct hash_key key;
	struct dns_conversations_counts counts;
};

/* secret is hashed into the hash's key. Memory is touched only when used. 0, -EINVAL or -ENOMEM. */
int dns_conversations_init(struct dns_conversations *table, uint32_t capacity, const char *secret);
void dns_conversations_fini(struct dns_conversations *table);

/* Bytes that a table of this capacity may take. */
uint64_t dns_conversations_bytes(uint32_t capacity);

/* What happened to a query; times are CLOCK_MONOTONIC. A query's id and question do not matter. */
void dns_conversations_query(struct dns_conversations *table, const struct dns_query *query,
			     uint64_t at_ns);
void dns_conversations_retry(struct dns_conversations *table, const struct dns_query *query,
			     uint64_t at_ns);
/* The same, of one that was asked at asked_ns; rcode with the bits of EDNS. */
void dns_conversations_answer(struct dns_conversations *table, const struct dns_query *query,
			      uint64_t asked_ns, uint16_t rcode, uint64_t latency_us);
void dns_conversations_timeout(struct dns_conversations *table, const struct dns_query *query,
			       uint64_t asked_ns);

/* Tells the time: what has ended long ago is forgotten. */
void dns_conversations_tick(struct dns_conversations *table, uint64_t now_ns);

/* What a side's connection is to be told; false if that is nothing. */
bool dns_conversations_find(const struct dns_conversations *table,
			    const struct dns_conversation_key *key, enum dns_side side,
			    struct dns_conversation_numbers *numbers);

/* That connection was told for the last time, and ended at end_ns. */
void dns_conversations_end(struct dns_conversations *table, const struct dns_conversation_key *key,
			   enum dns_side side, uint64_t end_ns);

/*
 * Goes over all conversations in an order that dns_conversations_put() takes them back in: after is the index
 * given last, or INDEX_NONE; returns the next one, or INDEX_NONE.
 */
uint32_t dns_conversations_next(const struct dns_conversations *table, uint32_t after);

/* Puts a conversation back; its tag does not count. False: it can't be, is there, or there is no room. */
bool dns_conversations_put(struct dns_conversations *table,
			   const struct dns_conversation *conversation);

/* Adds numbers to others. */
void dns_conversation_add(struct dns_conversation_numbers *to,
			  const struct dns_conversation_numbers *more);

/* In time: as many as all rcodes together. */
static inline uint64_t dns_conversation_answers(const struct dns_conversation_numbers *numbers)
{
	uint64_t sum = numbers->rcode_other;

	for (unsigned i = 0; i < DNS_CONVERSATION_RCODES; i++)
		sum += numbers->rcode[i];
	return sum;
}

#endif
