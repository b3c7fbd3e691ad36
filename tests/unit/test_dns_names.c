/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/record.h"
#include "tests/unit/example_collision.h"
#include "tests/unit/example_names.h"
#include "tests/unit/resident.h"
#include "worker/dns/names.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CAPACITY 8
#define PER_ADDRESS 10
#define KEEP_S 60
#define S_NS 1000000000ULL
#define START_S 1000

static struct names names;

static void make_names_of(uint32_t max_addresses, uint32_t max_per_address)
{
	const struct names_settings settings = {
		.max_addresses = max_addresses,
		.max_per_address = max_per_address,
		.keep_s = KEEP_S,
	};

	cr_assert_eq(names_init(&names, &settings, "secret"), 0);
	names_tick(&names, START_S * S_NS);
}

static void make_names(void)
{
	make_names_of(CAPACITY, PER_ADDRESS);
}

static void free_names(void)
{
	names_fini(&names);
}

TestSuite(dns_names, .init = make_names, .fini = free_names);

static enum names_added add_at(uint32_t address, const char *text, uint32_t ttl_s, uint64_t s)
{
	return example_names_add(&names, address, text, ttl_s, s * S_NS);
}

static enum names_added add(uint32_t address, const char *text)
{
	return add_at(address, text, 300, START_S);
}

/* The names alive at a second, with blanks between them. */
static const char *names_at(uint32_t address, uint64_t s)
{
	return example_names_text(&names, address, s * S_NS, 0);
}

static const char *names_of(uint32_t address)
{
	return names_at(address, START_S);
}

/* Finds names for a connection, as names_of(). */
static const char *use(uint32_t address)
{
	return example_names_text(&names, address, START_S * S_NS, UINT32_MAX);
}

static void expect_books(void)
{
	const struct names_counts *counts = &names.counts;

	cr_assert_eq(counts->added, counts->expired + counts->evicted_names + counts->dropped +
					    example_names_count(&names));
}

Test(dns_names, a_name_leads_to_several_addresses)
{
	for (uint32_t i = 0; i < 4; i++)
		cr_expect_eq(add(i, "example.org"), NAMES_NEW);
	for (uint32_t i = 0; i < 4; i++)
		cr_expect_str_eq(names_of(i), "example.org");
	cr_expect_eq(names.pool.names, 1, "its text is kept once");
	cr_expect_eq(names.entry_pool.used, 4);
	expect_books();
}

Test(dns_names, an_address_has_several_names_of_which_the_newest_comes_first)
{
	add(1, "one.example.org");
	add(1, "two.example.org");
	add(1, "three.example.org");
	cr_expect_str_eq(names_of(1), "three.example.org two.example.org one.example.org");
	cr_expect_eq(add(1, "one.example.org"), NAMES_KNOWN);
	cr_expect_str_eq(names_of(1), "one.example.org three.example.org two.example.org");
	cr_expect_eq(add(1, "three.example.org"), NAMES_KNOWN);
	cr_expect_str_eq(names_of(1), "three.example.org one.example.org two.example.org");
	cr_expect_eq(names.counts.added, 3);
	expect_books();
}

Test(dns_names, names_are_the_same_in_upper_and_in_lower_case)
{
	add(1, "Example.ORG");
	cr_expect_eq(add(1, "eXAMPLE.org"), NAMES_KNOWN);
	cr_expect_str_eq(names_of(1), "example.org");
}

Test(dns_names, bytes_that_are_no_letters_stay)
{
	static const uint8_t wire[] = {8, '@', '[', '`', '{', 0xc1, 0xda, 0, 'Z', 0};
	uint8_t ip[16] = {1}, length = 0;
	struct names_cursor cursor;
	const uint8_t *name;

	names_add(&names, RECORD_FAMILY_IPV4, ip, wire, sizeof(wire), 1, START_S * S_NS);
	cr_assert(names_find(&names, RECORD_FAMILY_IPV4, ip, START_S * S_NS, &cursor));
	name = names_next(&names, &cursor, &length);
	cr_expect_eq(length, sizeof(wire));
	cr_expect_arr_eq(name, wire, 8);
	cr_expect_eq(name[8], 'z');
}

Test(dns_names, addresses_of_both_families_are_different_and_mapped_ones_are_ipv4)
{
	static const uint8_t six[16] = {10, 0, 0, 5};
	static const uint8_t four[16] = {10, 0, 0, 5};
	static const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 5};
	static const uint8_t root[] = {0};
	struct names_cursor cursor;

	names_add(&names, RECORD_FAMILY_IPV6, mapped, root, 1, 1, START_S * S_NS);
	cr_expect(names_find(&names, RECORD_FAMILY_IPV4, four, START_S * S_NS, &cursor));
	cr_expect(names_find(&names, RECORD_FAMILY_IPV6, mapped, START_S * S_NS, &cursor));
	cr_expect_not(names_find(&names, RECORD_FAMILY_IPV6, six, START_S * S_NS, &cursor));
}

Test(dns_names, lookups_and_hits_are_counted)
{
	add(1, "example.org");
	names_of(1);
	names_of(2);
	names_at(1, START_S + 301);
	cr_expect_eq(names.counts.lookups, 3);
	cr_expect_eq(names.counts.hits, 1);
}

Test(dns_names, a_name_lives_as_long_as_its_answer_says_within_bounds)
{
	static const struct {
		uint32_t ttl_s, lives_s;
	} cases[] = {{0, 60},	 {1, 60},	 {60, 60},	 {61, 61},
		     {300, 300}, {86400, 86400}, {86401, 86400}, {UINT32_MAX, 86400}};

	for (uint32_t i = 0; i < 8; i++) {
		add_at(i, "example.org", cases[i].ttl_s, START_S);
		cr_expect_str_eq(names_at(i, START_S + cases[i].lives_s - 1), "example.org", "%u",
				 i);
		cr_expect_str_eq(names_at(i, START_S + cases[i].lives_s), "", "%u", i);
	}
}

Test(dns_names, a_deadline_is_moved_forward_only)
{
	add_at(1, "example.org", 300, START_S);
	add_at(1, "example.org", 100, START_S + 10);
	cr_expect_str_eq(names_at(1, START_S + 299), "example.org");
	add_at(1, "example.org", 300, START_S + 10);
	cr_expect_str_eq(names_at(1, START_S + 309), "example.org");
	cr_expect_str_eq(names_at(1, START_S + 310), "");
}

Test(dns_names, of_several_names_those_are_given_that_are_alive)
{
	add_at(1, "long.example.org", 500, START_S);
	add_at(1, "short.example.org", 100, START_S);
	add_at(1, "middle.example.org", 300, START_S);
	cr_expect_str_eq(names_at(1, START_S + 99),
			 "middle.example.org short.example.org long.example.org");
	cr_expect_str_eq(names_at(1, START_S + 100), "middle.example.org long.example.org");
	cr_expect_str_eq(names_at(1, START_S + 300), "long.example.org");
	cr_expect_str_eq(names_at(1, START_S + 500), "");
}

/* Told at the end of a publishing interval, when the name is not alive any more. */
Test(dns_names, a_connection_finds_the_name_that_was_alive_when_it_was_opened)
{
	add_at(1, "example.org", 60, START_S);
	names_tick(&names, (START_S + 60 + KEEP_S) * S_NS);
	cr_expect_str_eq(names_at(1, START_S + 60 + KEEP_S), "", "a new connection");
	cr_expect_str_eq(names_at(1, START_S + 59), "example.org", "one of that time");
	names_tick(&names, (START_S + 60 + KEEP_S + 1) * S_NS);
	cr_expect_str_eq(names_at(1, START_S + 59), "");
	cr_expect_eq(names.entry_pool.used, 0);
	cr_expect_eq(names.counts.expired, 1);
	expect_books();
}

Test(dns_names, a_name_in_use_is_kept_until_its_connection_was_told)
{
	add_at(1, "example.org", 60, START_S);
	add_at(2, "example.org", 60, START_S);
	cr_expect_str_eq(use(1), "example.org");
	names_tick(&names, (START_S + 1000) * S_NS);
	cr_expect_str_eq(names_of(2), "", "nobody looked");
	names_interval(&names);
	names_tick(&names, (START_S + 1001) * S_NS);
	cr_expect_str_eq(use(1), "example.org", "used in the interval before");
	names_interval(&names);
	names_tick(&names, (START_S + 1002) * S_NS);
	cr_expect_str_eq(names_of(1), "example.org", "used again");
	names_interval(&names);
	names_tick(&names, (START_S + 1003) * S_NS);
	cr_expect_str_eq(names_of(1), "", "to look alone is no use");
	cr_expect_eq(names.entry_pool.used, 0);
	cr_expect_eq(names.pool.names, 0);
	expect_books();
}

Test(dns_names, a_used_name_may_be_asked_for_later_and_makes_room_all_the_same)
{
	names.settings.late_intervals = 3;
	for (uint32_t i = 0; i < CAPACITY; i++)
		add_at(i, "example.org", 60, START_S);
	cr_expect_str_eq(use(0), "example.org");
	for (unsigned i = 1; i <= 4; i++) {
		names_interval(&names);
		names_tick(&names, (START_S + 1000 + i) * S_NS);
		cr_expect_eq(names.entry_pool.used, 1, "%u", i);
		cr_expect_str_eq(names_at(0, START_S), "example.org", "%u", i);
	}
	for (uint32_t i = 1; i <= CAPACITY; i++)
		cr_expect_eq(add_at(i, "example.org", 60, START_S + 1000), NAMES_NEW);
	cr_expect_str_eq(names_at(0, START_S), "");
	cr_expect_eq(names.counts.expired, CAPACITY - 1);
	expect_books();
}

Test(dns_names, use_keeps_the_names_that_were_used_and_no_others_of_the_address)
{
	add_at(1, "old.example.org", 60, START_S);
	add_at(1, "new.example.org", 60, START_S);
	add_at(1, "newest.example.org", 60, START_S);
	cr_expect_str_eq(example_names_text(&names, 1, START_S * S_NS, 2),
			 "newest.example.org new.example.org old.example.org");
	names_tick(&names, (START_S + 1000) * S_NS);
	cr_expect_str_eq(names_of(1), "newest.example.org new.example.org");
	cr_expect_eq(names.counts.expired, 1);
}

Test(dns_names, an_older_name_takes_the_place_of_the_newest_when_that_expires_first)
{
	add_at(1, "long.example.org", 1000, START_S);
	add_at(1, "short.example.org", 60, START_S);
	names_tick(&names, (START_S + 60 + KEEP_S + 1) * S_NS);
	cr_expect_str_eq(names_of(1), "long.example.org");
	cr_expect_eq(names.counts.expired, 1);
	cr_expect_eq(example_names_count(&names), 1);
	cr_expect_eq(add(1, "short.example.org"), NAMES_NEW);
	expect_books();
}

Test(dns_names, the_oldest_name_of_an_address_makes_room_when_it_has_too_many)
{
	char text[32], expected[512] = "";

	for (unsigned i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "n%u.example", i);
		add(1, text);
	}
	cr_expect_str_eq(names_of(1), "n4.example n3.example n2.example n1.example n0.example");
	for (unsigned i = 5; i < 100; i++) {
		snprintf(text, sizeof(text), "n%u.example", i);
		cr_expect_eq(add(1, text), NAMES_NEW);
	}
	for (unsigned i = 99; i >= 90; i--)
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
			 "%sn%u.example", i == 99 ? "" : " ", i);
	cr_expect_str_eq(names_of(1), expected, "not none at all");
	cr_expect_eq(names.counts.dropped, 90);
	expect_books();
}

Test(dns_names, where_one_name_is_allowed_it_is_the_newest)
{
	names_fini(&names);
	make_names_of(CAPACITY, 1);
	add(1, "one.example.org");
	cr_expect_eq(add(1, "two.example.org"), NAMES_NEW);
	cr_expect_str_eq(names_of(1), "two.example.org");
	cr_expect_eq(names.counts.dropped, 1);
	cr_expect_eq(names.pool.names, 1);
	expect_books();
}

static void fill(void)
{
	for (uint32_t i = 0; i < CAPACITY; i++)
		cr_assert_eq(add(i, "example.org"), NAMES_NEW);
}

Test(dns_names, a_new_address_takes_the_place_of_the_least_recently_used)
{
	fill();
	add(0, "www.example.org");
	use(1);
	names_interval(&names);
	names_interval(&names);
	cr_expect_eq(add(100, "example.org"), NAMES_NEW);
	cr_expect_str_eq(names_of(2), "", "neither added to nor used since");
	cr_expect_neq(strlen(names_of(0)), 0);
	cr_expect_neq(strlen(names_of(1)), 0);
	cr_expect_eq(names.counts.evicted, 1);
	for (uint32_t i = 101; i < 106; i++)
		add(i, "example.org");
	cr_expect_neq(strlen(names_of(0)), 0);
	add(106, "example.org");
	cr_expect_str_eq(names_of(0), "", "added to before 1 was used");
	cr_expect_neq(strlen(names_of(1)), 0);
	add(107, "example.org");
	cr_expect_str_eq(names_of(1), "");
	cr_expect_eq(names.counts.evicted_names, 9);
	expect_books();
}

Test(dns_names, what_is_in_use_does_not_make_room)
{
	fill();
	use(0);
	for (uint32_t i = 100; i < 200; i++)
		cr_expect_eq(add(i, "example.org"), NAMES_NEW);
	cr_expect_str_eq(names_of(0), "example.org");
	names_interval(&names);
	for (uint32_t i = 200; i < 300; i++)
		cr_expect_eq(add(i, "example.org"), NAMES_NEW);
	cr_expect_str_eq(names_of(0), "example.org");
	names_interval(&names);
	add(300, "example.org");
	cr_expect_str_eq(names_of(0), "");
	expect_books();
}

Test(dns_names, a_new_address_is_refused_and_counted_if_all_are_in_use)
{
	fill();
	for (uint32_t i = 0; i < CAPACITY; i++)
		use(i);
	cr_expect_eq(add(100, "other.example.org"), NAMES_REFUSED);
	cr_expect_eq(names.counts.refused, 1);
	cr_expect_eq(names.pool.names, 1, "nothing is left of it");
	cr_expect_eq(add(3, "other.example.org"), NAMES_NEW, "a known address");
	cr_expect_str_eq(names_of(3), "other.example.org example.org");
	names_interval(&names);
	names_interval(&names);
	cr_expect_eq(add(100, "other.example.org"), NAMES_NEW);
	expect_books();
}

Test(dns_names, known_addresses_are_updated_when_the_table_is_full)
{
	fill();
	for (uint32_t i = 0; i < CAPACITY; i++) {
		cr_expect_eq(add(i, "www.example.org"), NAMES_NEW);
		cr_expect_eq(add_at(i, "example.org", 500, START_S), NAMES_KNOWN);
		cr_expect_str_eq(names_at(i, START_S + 499), "example.org");
	}
	cr_expect_eq(names.counts.evicted, 0);
}

Test(dns_names, what_had_expired_is_not_counted_as_evicted)
{
	fill();
	/* The walk has no time to come to it: the time is told without a second that begins. */
	names.now_s = START_S + 1000;
	add_at(100, "www.example.org", 60, START_S + 1000);
	cr_expect_eq(names.counts.evicted, 0);
	cr_expect_eq(names.counts.expired, 1);
	cr_expect_eq(names.entry_pool.used, CAPACITY);
	expect_books();
}

/* Two further names for each address: 16. */
Test(dns_names, the_name_superseded_longest_ago_makes_room_if_there_are_too_many_in_all)
{
	char text[32];

	for (unsigned i = 0; i < 18; i++) {
		snprintf(text, sizeof(text), "n%u", i < 10 ? i : i - 10);
		add(i < 10 ? 1 : 2, text);
	}
	cr_expect_eq(names.other_pool.used, 16);
	cr_expect_eq(names.counts.dropped, 0);
	add(3, "n0");
	add(3, "n1");
	cr_expect_str_eq(names_of(3), "n1 n0");
	cr_expect_str_eq(names_of(1), "n9 n8 n7 n6 n5 n4 n3 n2 n1");
	cr_expect_str_eq(names_of(2), "n7 n6 n5 n4 n3 n2 n1 n0");
	cr_expect_eq(names.counts.dropped, 1);
	use(1);
	add(3, "n2");
	cr_expect_str_eq(names_of(1), "n9 n8 n7 n6 n5 n4 n3 n2 n1", "in use");
	cr_expect_str_eq(names_of(2), "n7 n6 n5 n4 n3 n2 n1");
	use(2);
	use(3);
	add(3, "n3");
	cr_expect_str_eq(names_of(3), "n3 n2 n1", "all are in use: its own oldest");
	add(4, "n4");
	add(4, "n5");
	cr_expect_str_eq(names_of(4), "n5", "its only one");
	expect_books();
}

Test(dns_names, superseded_names_make_room_for_text_before_addresses_do)
{
	fill();
	example_names_add_long(&names, 1, 1, START_S * S_NS);
	example_names_add_long(&names, 1, 2, START_S * S_NS);
	example_names_add_long(&names, 1, 3, START_S * S_NS);
	cr_expect_eq(names.counts.dropped, 0);
	cr_expect_eq(example_names_add_long(&names, 2, 4, START_S * S_NS), NAMES_NEW);
	cr_expect_eq(names.counts.dropped, 2, "the text that is shared, and one that is not");
	cr_expect_eq(names.counts.evicted, 0);
	cr_expect_eq(names.entry_pool.used, CAPACITY);
	expect_books();
}

/* 8 + 4 + 5 blocks: three names of 255 bytes. */
Test(dns_names, addresses_make_room_for_the_text_of_a_name)
{
	for (uint32_t i = 0; i < 3; i++)
		cr_expect_eq(example_names_add_long(&names, i, (uint8_t)i, START_S * S_NS),
			     NAMES_NEW);
	cr_expect_eq(names.counts.evicted, 0);
	cr_expect_eq(example_names_add_long(&names, 3, 3, START_S * S_NS), NAMES_NEW);
	cr_expect_eq(names.counts.evicted, 1);
	cr_expect_str_eq(names_of(0), "");
	use(1);
	use(2);
	use(3);
	cr_expect_eq(example_names_add_long(&names, 4, 4, START_S * S_NS), NAMES_REFUSED);
	cr_expect_eq(names.counts.refused, 1);
	cr_expect_eq(add(4, "short.example"), NAMES_NEW, "two blocks are left");
	cr_expect_eq(example_names_add_long(&names, 4, 1, START_S * S_NS), NAMES_NEW, "known text");
	cr_expect_eq(example_names_add_long(&names, 1, 4, START_S * S_NS), NAMES_REFUSED);
	expect_books();
}

Test(dns_names, an_address_in_use_gives_up_its_older_names_for_the_text_of_a_new_one)
{
	for (uint32_t i = 0; i < 3; i++)
		cr_expect_eq(example_names_add_long(&names, 1, (uint8_t)i, START_S * S_NS),
			     NAMES_NEW);
	use(1);
	cr_expect_eq(example_names_add_long(&names, 1, 3, START_S * S_NS), NAMES_NEW);
	cr_expect_eq(names.counts.dropped, 1);
	cr_expect_eq(example_names_count(&names), 3);
	expect_books();
}

Test(dns_names, one_tick_looks_at_a_bounded_number_and_all_are_looked_at_in_time)
{
	names_fini(&names);
	make_names_of(10000, PER_ADDRESS);
	for (uint32_t i = 0; i < 10000; i++) {
		add_at(i, "a.example", 60, START_S);
		add_at(i, "b.example", 60, START_S);
	}
	names_tick(&names, (START_S + 1000) * S_NS);
	cr_expect_eq(names.counts.expired, 8192, "%lu", names.counts.expired);
	names_tick(&names, (START_S + 1000) * S_NS + 1);
	cr_expect_eq(names.counts.expired, 8192, "the same second");
	for (uint32_t s = 1; s < 10; s++)
		names_tick(&names, (START_S + 1000 + s) * S_NS);
	cr_expect_eq(names.entry_pool.used, 0);
	cr_expect_eq(names.other_pool.used, 0);
	cr_expect_eq(names.pool.names, 0);
	expect_books();
}

static uint32_t tag_of(uint32_t number)
{
	uint64_t words[2];
	uint8_t ip[16];
	const uint8_t family = example_address(number, ip);

	memcpy(words, ip, sizeof(words));
	return (uint32_t)(hash_words(&names.key, words[0], words[1], family) >> 32);
}

Test(dns_names, addresses_with_the_same_hash_are_two)
{
	const struct example_collision pair = example_collision(tag_of);

	add(pair.one, "one.example.org");
	cr_assert_eq(names.entries[0].tag, tag_of(pair.two));
	cr_expect_str_eq(names_of(pair.two), "");
	add(pair.two, "two.example.org");
	cr_expect_str_eq(names_of(pair.one), "one.example.org");
	cr_expect_str_eq(names_of(pair.two), "two.example.org");
}

Test(dns_names, refuse_settings_that_they_cannot_have)
{
	static const struct names_settings cases[] = {
		{.max_addresses = 0, .max_per_address = 1},
		{.max_addresses = NAMES_CAPACITY_MAX + 1, .max_per_address = 1},
		{.max_addresses = 1, .max_per_address = 0},
	};
	struct names none;

	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(names_init(&none, &cases[i], "secret"), -EINVAL, "%u", i);
}

Test(dns_names, full_of_names_of_30_characters_they_take_less_than_their_formula_says)
{
	const uint64_t before = resident_bytes();
	uint64_t taken;
	char text[32];

	names_fini(&names);
	make_names_of(100000, 1000);
	cr_expect_lt(resident_bytes() - before, 2 * RESIDENT_SLACK_BYTES, "touched only when used");
	for (uint32_t i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "service-%06u.zone.example.org", i);
		cr_assert_eq(add(i, text), NAMES_NEW);
	}
	cr_expect_eq(names.entry_pool.used, 100000);
	taken = resident_bytes() - before;
	cr_expect_leq(taken, (20U << 20) + RESIDENT_SLACK_BYTES, "%lu", taken);
	cr_expect_leq(names_bytes(100000), 32 << 20);
}

/* As many names as there can be, of 255 bytes, and what makes room for them. */
Test(dns_names, take_no_more_memory_than_their_formula_says)
{
	const uint64_t before = resident_bytes();
	uint64_t taken;
	char text[32];

	names_fini(&names);
	make_names_of(30000, 1000);
	for (uint32_t i = 0; i < 200000; i++) {
		snprintf(text, sizeof(text), "n%u", i / 4);
		add(i % 30000, text);
	}
	for (uint32_t i = 0; i < 60000; i++)
		example_names_add_long(&names, i, (uint8_t)i, START_S * S_NS);
	for (uint32_t i = 0; i < 200000; i++) {
		snprintf(text, sizeof(text), "m%u", i / 4);
		add(i % 40000, text);
	}
	taken = resident_bytes() - before;
	cr_expect_leq(taken, names_bytes(30000) + RESIDENT_SLACK_BYTES, "%lu of %lu", taken,
		      names_bytes(30000));
	cr_expect_gt(taken, names_bytes(30000) / 10 * 8, "%lu of %lu", taken, names_bytes(30000));
	expect_books();
}
