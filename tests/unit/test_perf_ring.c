/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/perf_ring.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define DATA 8192

/* A ring in ordinary memory, and a writer that does what the kernel does. */
struct fake {
	uint8_t *memory;
	struct perf_event_mmap_page *page;
	struct perf_ring ring;
};

static void fake_open(struct fake *fake, uint64_t start)
{
	fake->memory = aligned_alloc(PAGE, PAGE + DATA);
	cr_assert_not_null(fake->memory);
	memset(fake->memory, 0, PAGE + DATA);
	fake->page = (void *)fake->memory;
	fake->page->data_head = start;
	fake->page->data_tail = start;
	cr_assert_eq(perf_ring_init(&fake->ring, fake->memory, PAGE, DATA), 0);
}

static void fake_close(struct fake *fake)
{
	free(fake->memory);
}

static void put(struct fake *fake, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < length; i++)
		fake->memory[PAGE + (fake->page->data_head + i) % DATA] = from[i];
	fake->page->data_head += length;
}

static void put_record(struct fake *fake, uint32_t type, uint16_t size, const void *body,
		       size_t length)
{
	struct perf_event_header header = {.type = type, .size = size};

	put(fake, &header, sizeof(header));
	put(fake, body, length);
}

/* A sample whose payload is length bytes of value, padded as the kernel does it. */
static void put_sample(struct fake *fake, uint8_t value, uint32_t length)
{
	uint8_t body[8192] = {0};
	const uint32_t raw = (length + 4 + 7) / 8 * 8 - 4;

	memcpy(body, &raw, sizeof(raw));
	memset(body + 4, value, length);
	put_record(fake, PERF_RECORD_SAMPLE, (uint16_t)(8 + 4 + raw), body, 4 + raw);
}

static void put_lost(struct fake *fake, uint64_t lost)
{
	const uint64_t body[2] = {7, lost};

	put_record(fake, PERF_RECORD_LOST, 24, body, sizeof(body));
}

/* The first payload byte of the next sample, or -1. */
static int next_value(struct fake *fake, size_t least)
{
	struct perf_sample sample;

	if (!perf_ring_next(&fake->ring, &sample))
		return -1;
	cr_assert_geq(sample.length, least);
	for (size_t i = 1; i < least; i++)
		cr_assert_eq(sample.payload[i], sample.payload[0]);
	return sample.payload[0];
}

Test(perf_ring, refuses_sizes_that_no_ring_has)
{
	static uint8_t memory[PAGE * 2] __attribute__((aligned(8)));
	static const struct {
		size_t page;
		size_t data;
	} cases[] = {{PAGE, 0}, {PAGE, 12288}, {PAGE, 2048}, {64, 4096}};
	struct perf_ring ring;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(perf_ring_init(&ring, memory, cases[i].page, cases[i].data), -EINVAL);
	cr_expect_eq(perf_ring_init(&ring, NULL, PAGE, PAGE), -EINVAL);
}

Test(perf_ring, gives_samples_in_order_and_then_ends)
{
	struct fake fake;

	fake_open(&fake, 0);
	put_sample(&fake, 1, 16);
	put_sample(&fake, 2, 168);
	perf_ring_begin(&fake.ring);
	put_sample(&fake, 3, 16);
	cr_expect_eq(next_value(&fake, 16), 1);
	cr_expect_eq(next_value(&fake, 168), 2);
	cr_expect_eq(next_value(&fake, 0), -1, "what came after begin is for the next pass");
	perf_ring_begin(&fake.ring);
	cr_expect_eq(next_value(&fake, 16), 3);
	fake_close(&fake);
}

Test(perf_ring, joins_a_record_that_wraps_around_at_every_offset)
{
	for (uint64_t start = DATA - 4800; start <= DATA; start += 8) {
		struct fake fake;

		fake_open(&fake, start);
		put_sample(&fake, 9, PERF_RING_PAYLOAD_MAX);
		perf_ring_begin(&fake.ring);
		cr_assert_eq(next_value(&fake, PERF_RING_PAYLOAD_MAX), 9);
		cr_assert_eq(next_value(&fake, 0), -1);
		cr_assert_eq(fake.ring.malformed, 0);
		fake_close(&fake);
	}
}

Test(perf_ring, goes_on_when_positions_pass_the_end_of_their_type)
{
	struct fake fake;

	fake_open(&fake, UINT64_MAX - 63);
	put_sample(&fake, 4, 100);
	perf_ring_begin(&fake.ring);
	cr_expect_eq(next_value(&fake, 100), 4);
	fake_close(&fake);
}

Test(perf_ring, gives_back_only_what_is_committed)
{
	struct fake fake;
	uint64_t between;

	fake_open(&fake, 0);
	put_sample(&fake, 1, 16);
	put_sample(&fake, 2, 16);
	perf_ring_begin(&fake.ring);
	cr_expect_eq(next_value(&fake, 16), 1);
	between = fake.ring.next;
	cr_expect_eq(next_value(&fake, 16), 2);
	cr_expect_eq(fake.page->data_tail, 0);
	perf_ring_commit(&fake.ring, between);
	cr_expect_eq(fake.page->data_tail, between);

	cr_assert_eq(perf_ring_init(&fake.ring, fake.memory, PAGE, DATA), 0);
	perf_ring_begin(&fake.ring);
	cr_expect_eq(next_value(&fake, 16), 2, "the successor reads what was not committed");
	fake_close(&fake);
}

Test(perf_ring, sums_what_the_kernel_reports_as_lost)
{
	struct fake fake;

	fake_open(&fake, 0);
	put_lost(&fake, 5);
	put_sample(&fake, 1, 16);
	put_lost(&fake, 37);
	perf_ring_begin(&fake.ring);
	cr_expect_eq(next_value(&fake, 16), 1);
	cr_expect_eq(next_value(&fake, 0), -1);
	cr_expect_eq(fake.ring.lost, 42);
	cr_expect_eq(fake.ring.malformed, 0);
	fake_close(&fake);
}

Test(perf_ring, passes_over_records_of_other_types)
{
	const uint64_t body[3] = {0};
	struct fake fake;

	fake_open(&fake, 0);
	put_record(&fake, PERF_RECORD_THROTTLE, 32, body, sizeof(body));
	put_sample(&fake, 6, 16);
	perf_ring_begin(&fake.ring);
	cr_expect_eq(next_value(&fake, 16), 6);
	cr_expect_eq(fake.ring.malformed, 0);
	fake_close(&fake);
}

/* A header whose size makes no sense, and whether what stands behind it can still be found. */
struct broken_case {
	const char *what;
	uint16_t size;	/* as the header says */
	uint32_t raw;	/* as the sample says */
	size_t written; /* bytes that really are there */
	bool next_is_found;
};

static const struct broken_case broken_cases[] = {
	{"size 0", 0, 4, 16, false},
	{"size below a header", 7, 4, 16, false},
	{"size beyond what was written", 4000, 4, 16, false},
	{"no room for the raw size", 8, 4, 8, true},
	{"raw size beyond the record", 16, 5, 16, true},
	{"raw size of all ones", 16, UINT32_MAX, 16, true},
	{"larger than any of ours", 6144, 6132, 6144, true},
};

Test(perf_ring, counts_what_makes_no_sense_and_never_reads_beyond_it)
{
	for (size_t i = 0; i < sizeof(broken_cases) / sizeof(broken_cases[0]); i++) {
		const struct broken_case *c = &broken_cases[i];
		uint8_t body[8192] = {0};
		struct fake fake;

		fake_open(&fake, 8);
		memcpy(body, &c->raw, sizeof(c->raw));
		put_record(&fake, PERF_RECORD_SAMPLE, c->size, body, c->written - 8);
		if (c->next_is_found)
			put_sample(&fake, 3, 16);
		perf_ring_begin(&fake.ring);
		cr_expect_eq(next_value(&fake, 0), c->next_is_found ? 3 : -1, "%s", c->what);
		cr_expect_eq(fake.ring.malformed, 1, "%s", c->what);

		/* What comes later is found in any case. */
		put_sample(&fake, 5, 16);
		perf_ring_begin(&fake.ring);
		cr_expect_eq(next_value(&fake, 16), 5, "%s", c->what);
		fake_close(&fake);
	}
}

Test(perf_ring, skips_everything_when_the_head_is_further_than_the_ring_is_long)
{
	struct fake fake;

	fake_open(&fake, 0);
	fake.page->data_head = DATA + 8;
	perf_ring_begin(&fake.ring);
	cr_expect_eq(next_value(&fake, 0), -1);
	cr_expect_eq(fake.ring.malformed, 1);
	cr_expect_eq(fake.ring.next, DATA + 8);
	fake_close(&fake);
}

Test(perf_ring, stays_within_bounds_whatever_the_bytes_are)
{
	struct fake fake;

	srand(20);
	for (unsigned round = 0; round < 20000; round++) {
		struct perf_sample sample;
		uint64_t sum = 0;

		fake_open(&fake, (uint64_t)(rand() % (DATA / 8)) * 8);
		for (size_t i = 0; i < DATA; i += 2)
			fake.memory[PAGE + i] = (uint8_t)(rand() % 4 ? rand() % 48 : rand());
		fake.page->data_head += (unsigned)rand() % (DATA + 1);
		perf_ring_begin(&fake.ring);
		while (perf_ring_next(&fake.ring, &sample)) {
			for (size_t i = 0; i < sample.length; i++)
				sum += sample.payload[i];
		}
		cr_assert_eq(fake.ring.next, fake.page->data_head, "%lu", (unsigned long)sum);
		fake_close(&fake);
	}
}
