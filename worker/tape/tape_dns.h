/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DNS has in it at the beginning of a tape: entries of the types TAPE_STATE_DNS and those behind it,
 * in the order of their numbers, but that each address is followed by its further names. Where an entry
 * ends with a name or with bytes, it is as long as these are.
 *
 * All of it is there, segments that wait for others and packets that were seen on one interface too, so a
 * recording needs nothing of the running engine but to be looked at.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_TAPE_DNS_H
#define SOCKWARDEN_WORKER_TAPE_TAPE_DNS_H

#include "worker/dns/conversations.h"
#include "worker/dns/names_save.h"
#include "worker/dns/query.h"
#include "worker/dns/stats_save.h"
#include "worker/dns/stream_save.h"
#include "worker/tape/tape.h"

#include <stddef.h>
#include <stdint.h>

struct tape_state_dns {
	uint64_t stats_seq; /* of the next dns.v1 message */
	uint64_t names_seq; /* of the next names.v1 message */
	uint64_t names_told_ns;
	struct dns_stats_saved stats;
	struct names_saved names;
};

/* Of an enum names_order: u32 places follow, from 1 to TAPE_FREE_MAX. */
struct tape_state_dns_order {
	uint32_t order;
	uint32_t places[TAPE_FREE_MAX];
};

/* A query without an answer; of the name name_length bytes. */
struct tape_state_dns_query {
	uint64_t first_ns;
	struct dns_query query;
};

/* A name that was not told yet; of wire length bytes. */
struct tape_state_dns_news {
	uint32_t ttl_s;
	uint8_t ip[16];
	uint8_t family;
	uint8_t length;
	uint8_t wire[DNS_QUERY_NAME_BYTES];
};

/* Of struct duplicates. */
struct tape_state_dns_seen {
	uint64_t hash;
	uint64_t at_ns;
	uint32_t interface;
	uint32_t pad0;
};

struct tape_state_dns_conversation {
	struct dns_conversation_key key;
	struct dns_conversation_numbers total;
	struct dns_conversation_numbers ended[DNS_SIDES];
	uint64_t end_ns[DNS_SIDES];
	uint64_t is_ended; /* 0 or 1 */
};

#define TAPE_DNS_QUERY_BYTES offsetof(struct tape_state_dns_query, query.name)
#define TAPE_DNS_NEWS_BYTES offsetof(struct tape_state_dns_news, wire)
#define TAPE_DNS_TEXT_BYTES offsetof(struct names_saved_text, wire)
#define TAPE_DNS_ROW_BYTES offsetof(struct dns_stats_saved_row, key.name)
#define TAPE_DNS_BLOCK_BYTES offsetof(struct dns_stream_saved_block, bytes)

_Static_assert(sizeof(struct tape_state_dns) == 80, "no padding");
_Static_assert(TAPE_DNS_QUERY_BYTES == 51, "no padding before the name");
_Static_assert(TAPE_DNS_NEWS_BYTES == 22, "no padding before the name");
_Static_assert(TAPE_DNS_ROW_BYTES == 531, "no padding before the name");
_Static_assert(sizeof(struct tape_state_dns_seen) == 24, "no padding");
_Static_assert(sizeof(struct tape_state_dns_conversation) == 232, "no padding");

#endif
