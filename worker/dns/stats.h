/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of DNS: a row for each (client, server, server's port, protocol, domain, type), in a table of
 * fixed capacity, allocated once.
 *
 * A row has two sets of numbers: the total since the row began, without what was not published yet, and
 * that, its change. Only rows that something happened to have a change, in the order in which it
 * began; to publish a row is to add its change to its total. So publishing costs what has changed,
 * what was not asked for in time is not lost, and to look at rows (total and change together) resets
 * nothing.
 *
 *   publish:  dns_stats_publish_begin(); while dns_stats_publish_next(): dns_stats_publish_told()
 *   look:     row = 0; while (row = dns_stats_next(row)) != DNS_STATS_NONE: row++
 *
 * Both may go on in steps, with new numbers coming in between: a round of publishing ends with what
 * had changed when it began.
 *
 * When the table is full a new row takes the place of the one to which nothing has happened for the longest
 * time. That one's numbers go to the overflow row, its change too, so that sums over all rows are
 * always complete. The overflow row is not counted by the capacity, is looked at last, and shows only
 * once it has something.
 */
#ifndef SOCKWARDEN_WORKER_DNS_STATS_H
#define SOCKWARDEN_WORKER_DNS_STATS_H

#include "common/hash.h"
#include "common/histogram.h"
#include "common/index_list.h"
#include "common/slots.h"
#include "worker/dns/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_STATS_NONE UINT32_MAX
#define DNS_STATS_CAPACITY_MAX (1U << 22)
/* Those of a header (0..15), and the eight that are assigned beyond (RFC 6895 2.3, IANA: 16..23). */
#define DNS_STATS_RCODES 24

/* Compared and hashed as its first dns_stats_key_bytes(); see struct dns_query. */
struct dns_stats_key {
	uint8_t client_ip[16];
	uint8_t server_ip[16];
	uint16_t server_port;
	uint16_t qtype;
	uint8_t family;
	uint8_t protocol;
	uint8_t name_length; /* 0: domains are not told apart */
	uint8_t name[DNS_QUERY_NAME_BYTES];
};

_Static_assert(offsetof(struct dns_stats_key, name) == 39, "no padding");

struct dns_stats_numbers {
	struct histogram latency_us; /* of answers with rcode 0 */
	struct histogram failure_latency_us;
	uint64_t queries;		  /* repeated ones left out */
	uint64_t retries;		  /* repeated ones */
	uint64_t answers;		  /* in time: as many as all rcodes together */
	uint64_t timeouts;		  /* answered too late, or not at all */
	uint64_t rcode[DNS_STATS_RCODES]; /* answers by response code */
	uint64_t rcode_other;		  /* all that are DNS_STATS_RCODES or more */
};

struct dns_stats_row {
	uint32_t tag;
	uint32_t change; /* index, or INDEX_NONE */
	struct dns_stats_key key;
	struct dns_stats_numbers total;
};

/* By cache lines: an answer is counted in one, and in the two of a histogram. */
struct dns_stats_change {
	_Alignas(64) struct dns_stats_numbers numbers;
	uint32_t row;
	uint32_t round; /* of publishing, in which it began */
};

struct dns_stats_counts {
	uint64_t added;	  /* rows */
	uint64_t evicted; /* rows that had to make room */
	uint64_t folded;  /* of these, those with numbers that were not published yet */
};

struct dns_stats_settings {
	uint32_t max_rows; /* 1..DNS_STATS_CAPACITY_MAX */
	bool domains;	   /* tell them apart */
};

struct dns_stats {
	struct dns_stats_row *rows; /* max_rows, and the overflow */
	struct index_link *row_links;
	struct dns_stats_change *changes; /* as many */
	struct index_link *change_links;
	struct slots slots;
	struct index_pool change_pool;
	struct index_list by_update; /* rows, the overflow left out */
	struct index_list changed;   /* changes, by their beginning */
	uint32_t used;		     /* rows, the overflow left out */
	uint32_t round;
	struct dns_stats_settings settings;
	struct hash_key key;
	struct dns_stats_counts counts;
};

/* What is told of a row: good until anything is handed in. */
struct dns_stats_view {
	const struct dns_stats_key *key; /* NULL: the overflow row */
	const struct dns_stats_numbers *numbers;
};

/* secret is hashed into the hash's key. Memory is touched only when used. 0, -EINVAL or -ENOMEM. */
int dns_stats_init(struct dns_stats *stats, const struct dns_stats_settings *settings,
		   const char *secret);
void dns_stats_fini(struct dns_stats *stats);

/* Bytes that a table of so many rows may take. */
uint64_t dns_stats_bytes(uint32_t max_rows);

/* What happened to a query. Its client_port and id do not matter, nor its name without domains. */
void dns_stats_query(struct dns_stats *stats, const struct dns_query *query);
void dns_stats_retry(struct dns_stats *stats, const struct dns_query *query);
void dns_stats_timeout(struct dns_stats *stats, const struct dns_query *query);
/* rcode with the bits of EDNS, 0..4095; whatever is not 0, NXDOMAIN too, is a failure. */
void dns_stats_answer(struct dns_stats *stats, const struct dns_query *query, uint16_t rcode,
		      uint64_t latency_us);

/* Begins a round of publishing. What is left of the one before is in it. */
void dns_stats_publish_begin(struct dns_stats *stats);

/* The next row of the round, and what of it was not published yet; false at the end. */
bool dns_stats_publish_next(const struct dns_stats *stats, struct dns_stats_view *view);

/* The row that dns_stats_publish_next() gave was told, or nobody listens. Nothing was handed in between. */
void dns_stats_publish_told(struct dns_stats *stats);

/*
 * Looks at a row: the first at row or behind it; returns which, or DNS_STATS_NONE. *sum, to which the view
 * points, is all that its numbers are by now. A row stays where it is until it is evicted.
 */
uint32_t dns_stats_next(const struct dns_stats *stats, uint32_t row, struct dns_stats_numbers *sum,
			struct dns_stats_view *view);

/* Where a key's row is, or DNS_STATS_NONE; *tag is its hash's. */
uint32_t dns_stats_find(const struct dns_stats *stats, const struct dns_stats_key *key,
			uint32_t *tag);

/* Adds numbers to others, as for a row of several. */
void dns_stats_merge(struct dns_stats_numbers *to, const struct dns_stats_numbers *from);

static inline size_t dns_stats_key_bytes(const struct dns_stats_key *key)
{
	return offsetof(struct dns_stats_key, name) + key->name_length;
}

#endif
