/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One dns_stream, a stream of bytes with messages in it, and segments of it that arrive a millisecond
 * apart; what was given is looked at by the messages' ids.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_STREAM_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_STREAM_H

#include "proto/record.h"
#include "tests/unit/example_dns.h"
#include "worker/dns/stream.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>

#define BUDGET (1 << 20)
#define MS 1000000ULL
#define GIVEN_MAX 512
#define FIRST_SEQ 0xfffffff0U /* so that numbers wrap around soon */
#define HEADER_BYTES 12

static struct dns_stream stream;
static uint64_t now_ns;

/* What was given: each message begins with its id. */
static struct {
	uint16_t id;
	uint16_t port;
	bool cut;
	uint32_t length;
	uint64_t at_ns;
} given[GIVEN_MAX];
static unsigned given_count;

/* Bytes of a stream, whose first has the number FIRST_SEQ. */
static struct example_dns bytes;
static uint16_t client_port;

static inline void take_message(void *ctx, const struct dns_stream_message *message)
{
	cr_assert_eq(ctx, &given);
	cr_assert_lt(given_count, GIVEN_MAX);
	cr_assert_geq(message->length, HEADER_BYTES);
	given[given_count].id = (uint16_t)(message->bytes[0] << 8 | message->bytes[1]);
	given[given_count].port = message->ends->source_port;
	given[given_count].cut = message->cut;
	given[given_count].length = message->length;
	given[given_count++].at_ns = message->at_ns;
}

static const struct dns_stream_sink sink = {.message = take_message, .ctx = &given};

static inline void begin_within(uint64_t budget)
{
	cr_assert_eq(dns_stream_init(&stream, budget, "test"), 0);
	now_ns = 1000 * MS;
	given_count = 0;
	bytes.length = 0;
	client_port = 40000;
}

static inline void begin(void)
{
	begin_within(BUDGET);
}

static inline void end(void)
{
	const struct dns_flows *flows = &stream.flows;
	uint32_t used = 0;

	/* Every block in use is in one of the lists. */
	for (uint32_t at = flows->filling.oldest; at != INDEX_NONE; used++)
		at = flows->block_links[at].newer;
	for (uint32_t at = flows->held.oldest; at != INDEX_NONE; used++)
		at = flows->block_links[at].newer;
	cr_expect_eq(used, flows->block_pool.used);
	dns_stream_fini(&stream);
}

/* The bytes from..to of the stream; of which so many were captured. */
static inline void arrive_cut(size_t from, size_t to, uint8_t flags, size_t captured)
{
	/* Of its exact size, so that a sanitizer sees a look beyond its end. */
	uint8_t *exact = malloc(captured);
	struct dns_frame frame = {
		.source_ip = {10, 0, 0, 5},
		.destination_ip = {10, 0, 0, 1},
		.source_port = client_port,
		.destination_port = 53,
		.family = RECORD_FAMILY_IPV4,
		.protocol = IPPROTO_TCP,
		.tcp_flags = flags,
		.tcp_seq = FIRST_SEQ + (uint32_t)from - (flags & DNS_FRAME_SYN ? 1 : 0),
		.payload = exact,
		.payload_bytes = (uint32_t)captured,
		.whole_bytes = (uint32_t)(to - from),
		.cut = captured < to - from,
	};

	memcpy(exact, bytes.bytes + from, captured);
	now_ns += MS;
	dns_stream_take(&stream, &frame, now_ns, &sink);
	free(exact);
}

static inline void arrive(size_t from, size_t to)
{
	arrive_cut(from, to, 0, to - from);
}

static inline void arrive_empty(size_t at, uint8_t flags)
{
	arrive_cut(at, at, flags, 0);
}

static inline void open_flow(void)
{
	arrive_empty(0, DNS_FRAME_SYN);
}

/* Appends a query of id, made so long by zeros behind it; returns where it begins. */
static inline size_t put(unsigned id, size_t length)
{
	const size_t at = bytes.length;

	example_dns_u16(&bytes, (unsigned)length);
	example_dns_u16(&bytes, id);
	example_dns_u16(&bytes, EXAMPLE_DNS_QUERY);
	example_dns_u16(&bytes, 1);
	while (bytes.length < at + 2 + length)
		example_dns_u8(&bytes, 0);
	return at;
}

/* Ids of whole messages, in their order; 0 ends the list. Begins anew. */
static inline void expect_ids(const unsigned *ids)
{
	unsigned count = 0;

	for (; ids[count] != 0; count++) {
		cr_assert_lt(count, given_count, "%u is missing", ids[count]);
		cr_expect_eq(given[count].id, ids[count], "%u, not %u", given[count].id,
			     ids[count]);
		cr_expect_not(given[count].cut);
	}
	cr_expect_eq(given_count, count);
	given_count = 0;
}

#define EXPECT_IDS(...) expect_ids((const unsigned[]){__VA_ARGS__, 0})
#define EXPECT_NOTHING() expect_ids((const unsigned[]){0})

static inline void expect_cut(unsigned id, uint32_t length)
{
	cr_assert_eq(given_count, 1);
	cr_expect_eq(given[0].id, id);
	cr_expect(given[0].cut);
	cr_expect_eq(given[0].length, length);
	given_count = 0;
}

#endif
