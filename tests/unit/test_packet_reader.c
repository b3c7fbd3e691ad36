/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/packet_reader.h"

#include <criterion/criterion.h>

#include <linux/perf_event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096U
#define DATA 65536U
#define RINGS 5
#define START_NS 1000000000ULL

static struct packet_source sources[RINGS];
static struct packet_reader reader;
static uint8_t *memory[RINGS];

static void open_rings(void)
{
	for (unsigned i = 0; i < RINGS; i++) {
		memory[i] = aligned_alloc(PAGE, PAGE + DATA);
		cr_assert_not_null(memory[i]);
		memset(memory[i], 0, PAGE + DATA);
		cr_assert_eq(perf_ring_init(&sources[i].ring, memory[i], PAGE, DATA), 0);
	}
	cr_assert_eq(packet_reader_init(&reader, sources, RINGS), 0);
}

static void close_rings(void)
{
	packet_reader_fini(&reader);
	for (unsigned i = 0; i < RINGS; i++)
		free(memory[i]);
}

TestSuite(packet_reader, .init = open_rings, .fini = close_rings);

/* A packet without payload, in that ring. */
static void put(unsigned ring, uint64_t at_ns, uint32_t number)
{
	struct perf_event_mmap_page *page = (void *)memory[ring];
	const struct {
		struct perf_event_header header;
		uint32_t raw;
		struct packet_record record;
		uint32_t padding;
	} __attribute__((packed)) sample = {
		.header = {.type = PERF_RECORD_SAMPLE, .size = sizeof(sample)},
		.raw = sizeof(struct packet_record) + 4,
		.record =
			{
				.kind = RECORD_KIND_PACKET,
				.version = RECORD_VERSION,
				.family = RECORD_FAMILY_IPV4,
				.protocol = IPPROTO_UDP,
				.at_ns = at_ns,
				.sequence = number,
			},
	};
	const uint8_t *bytes = (const uint8_t *)&sample;

	_Static_assert(sizeof(sample) % 8 == 0, "as the kernel pads it");
	for (size_t i = 0; i < sizeof(sample); i++)
		memory[ring][PAGE + (page->data_head + i) % DATA] = bytes[i];
	page->data_head += sizeof(sample);
}

static uint64_t unread(unsigned ring)
{
	const struct perf_event_mmap_page *page = (const void *)memory[ring];

	return page->data_head - page->data_tail;
}

Test(packet_reader, gives_the_oldest_of_all_rings_first)
{
	uint64_t state = 88172645463325252ULL, at_ns = START_NS, last = 0;
	uint32_t given = 0;
	const struct packet *packet;

	for (uint32_t i = 0; i < 2000; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		at_ns += state % 1000;
		put((unsigned)(state >> 20) % RINGS, at_ns, i);
	}
	packet_reader_begin(&reader, at_ns + PACKET_READER_SETTLE_NS, 0);
	while ((packet = packet_reader_next(&reader))) {
		cr_assert_geq(packet->record.at_ns, last);
		last = packet->record.at_ns;
		given++;
	}
	packet_reader_end(&reader);
	cr_expect_eq(given, 2000);
	for (unsigned i = 0; i < RINGS; i++)
		cr_expect_eq(unread(i), 0);
}

Test(packet_reader, what_is_younger_than_the_pass_waits_for_the_next_one)
{
	const struct packet *packet;

	put(0, START_NS, 1);
	put(0, START_NS + 10, 3);
	put(1, START_NS + 5, 2);
	packet_reader_begin(&reader, START_NS + 5 + PACKET_READER_SETTLE_NS, 0);
	cr_assert_eq(packet_reader_next(&reader)->record.sequence, 1);
	cr_assert_eq(packet_reader_next(&reader)->record.sequence, 2);
	cr_assert_null(packet_reader_next(&reader));
	packet_reader_end(&reader);
	cr_expect_gt(unread(0), 0);
	cr_expect_eq(unread(1), 0);
	/* Another CPU was late: what it wrote is older, and comes first. */
	put(1, START_NS + 7, 4);
	packet_reader_begin(&reader, START_NS + 10 + PACKET_READER_SETTLE_NS, 0);
	packet = packet_reader_next(&reader);
	cr_assert_eq(packet->record.sequence, 4);
	cr_assert_eq(packet_reader_next(&reader)->record.sequence, 3);
	cr_assert_null(packet_reader_next(&reader));
	packet_reader_end(&reader);
	cr_expect_eq(unread(0), 0);
}

Test(packet_reader, a_pass_that_is_ended_early_leaves_the_rest)
{
	for (uint32_t i = 0; i < 30; i++)
		put(i % 3, START_NS + i, i);
	for (uint32_t next = 0; next < 30; next += 4) {
		packet_reader_begin(&reader, START_NS + 30 + PACKET_READER_SETTLE_NS, 0);
		for (uint32_t i = next; i < next + 4 && i < 30; i++)
			cr_assert_eq(packet_reader_next(&reader)->record.sequence, i);
		packet_reader_end(&reader);
	}
	packet_reader_begin(&reader, START_NS + 30 + PACKET_READER_SETTLE_NS, 0);
	cr_expect_null(packet_reader_next(&reader));
	packet_reader_end(&reader);
	cr_expect_eq(reader.packets, 30);
}

Test(packet_reader, what_is_none_is_counted_and_passed_over)
{
	put(0, START_NS, 1);
	/* The record's version. */
	memory[0][PAGE + 12 + 1] = RECORD_VERSION + 1;
	put(0, START_NS + 1, 2);
	/* No ring may be held up by what has a time that will not come. */
	put(0, UINT64_MAX, 3);
	put(0, START_NS + 2, 4);
	packet_reader_begin(&reader, START_NS + 2 + PACKET_READER_SETTLE_NS, 0);
	cr_assert_eq(packet_reader_next(&reader)->record.sequence, 2);
	cr_assert_eq(packet_reader_next(&reader)->record.sequence, 4);
	cr_assert_null(packet_reader_next(&reader));
	packet_reader_end(&reader);
	cr_expect_eq(reader.malformed, 2);
	cr_expect_eq(unread(0), 0);
}
