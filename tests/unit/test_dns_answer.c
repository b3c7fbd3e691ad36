/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_dns_parse.h"

#include <stdio.h>

/* Records of one answer, as they may stand: CNAME from name to target, or an A record (host). */
struct line {
	const char *owner;
	const char *target;
	unsigned host;
};

static void put_lines(const struct line *lines, unsigned count)
{
	begin_response(count, 0, 0);
	for (unsigned i = 0; i < count; i++) {
		put_owner(lines[i].owner);
		if (lines[i].target)
			example_dns_cname(&bytes, 60, lines[i].target, 0);
		else
			example_dns_a(&bytes, 60, lines[i].host);
	}
}

static const struct line chain[] = {
	{"www.example.org", "b.example.org", 0},
	{"b.example.org", "C.example.net", 0},
	{"c.Example.net", "d.example.net", 0},
	{"d.example.net", NULL, 1},
	{"D.example.NET", NULL, 2},
};
#define CHAIN_LINES 5

Test(dns_answer, aliases_are_followed_in_every_order_of_the_records)
{
	unsigned order[CHAIN_LINES] = {0, 1, 2, 3, 4}, state[CHAIN_LINES] = {0}, orders = 0;

	/* All 120 orders (Heap's algorithm, without recursion). */
	for (unsigned i = 0; i < CHAIN_LINES;) {
		struct line lines[CHAIN_LINES];
		unsigned left, right;

		if (i == 0) {
			for (unsigned k = 0; k < CHAIN_LINES; k++)
				lines[k] = chain[order[k]];
			put_lines(lines, CHAIN_LINES);
			cr_assert_eq(parse(), DNS_REJECT_NONE);
			cr_assert_eq(message.address_count, 2);
			cr_assert_eq(message.addresses[0].ip[3] + message.addresses[1].ip[3], 3);
			cr_assert_not(message.chain_unresolved);
			orders++;
			i = 1;
		}
		if (state[i] >= i) {
			state[i++] = 0;
			continue;
		}
		left = i % 2 == 0 ? 0 : state[i];
		right = order[left];
		order[left] = order[i];
		order[i] = right;
		state[i]++;
		i = 0;
	}
	cr_expect_eq(orders, 120);
}

Test(dns_answer, only_addresses_at_the_end_of_the_chain_count)
{
	static const struct line aside[] = {
		{"www.example.org", NULL, 1},	       {"www.example.org", "b.example.org", 0},
		{"other.example.org", NULL, 2},	       {"b.example.org", NULL, 3},
		{"x.example.org", "b.example.org", 0}, {"b.example.or", NULL, 4},
	};
	static const struct line elsewhere[] = {{"w.example.org", NULL, 1},
						{"w.example.org", "www.example.org", 0}};

	put_lines(aside, 6);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	EXPECT_HOSTS(3);
	put_lines(elsewhere, 2);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_eq(message.address_count, 0);
	cr_expect_not(message.chain_unresolved);
}

Test(dns_answer, a_circle_of_aliases_gives_nothing)
{
	static const struct line circle[] = {
		{"www.example.org", "b.example.org", 0},
		{"b.example.org", "www.EXAMPLE.org", 0},
		{"b.example.org", NULL, 1},
		{"www.example.org", NULL, 2},
	};
	static const struct line self[] = {{"www.example.org", "www.example.org", 0},
					   {"www.example.org", NULL, 2}};

	put_lines(circle, 4);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect(message.chain_unresolved);
	cr_expect_eq(message.address_count, 0);
	put_lines(self, 2);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect(message.chain_unresolved);
	cr_expect_eq(message.address_count, 0);
}

Test(dns_answer, of_two_aliases_of_one_name_the_first_counts)
{
	static const struct line two[] = {
		{"www.example.org", "b.example.org", 0},
		{"www.example.org", "c.example.org", 0},
		{"c.example.org", NULL, 1},
		{"b.example.org", NULL, 2},
	};

	put_lines(two, 4);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	EXPECT_HOSTS(2);
}

/* www.example.org -> n1 -> n2 -> ... , so many aliases, and an address at the end. */
static void put_long_chain(unsigned aliases)
{
	char name[16];
	size_t at = EXAMPLE_DNS_QUESTION_AT;

	begin_response(aliases + 1, 0, 0);
	for (unsigned i = 1; i <= aliases; i++) {
		example_dns_pointer(&bytes, at);
		snprintf(name, sizeof(name), "n%u", i);
		at = example_dns_cname(&bytes, 60, name, 0);
	}
	example_dns_pointer(&bytes, at);
	example_dns_a(&bytes, 60, 1);
}

Test(dns_answer, a_chain_may_be_as_long_as_names_are_kept)
{
	put_long_chain(DNS_ANSWER_NAMES_MAX - 1);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_not(message.chain_unresolved);
	EXPECT_HOSTS(1);
	put_long_chain(DNS_ANSWER_NAMES_MAX);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect(message.chain_unresolved);
	cr_expect_eq(message.address_count, 0);
}

Test(dns_answer, a_dname_does_not_confuse)
{
	/* example.org DNAME example.net; www.example.org CNAME www.example.net; its address. */
	begin_response(3, 0, 0);
	example_dns_pointer(&bytes, EXAMPLE_DNS_QUESTION_AT + 4);
	example_dns_tail(&bytes, 39, 60, 13);
	example_dns_name(&bytes, "example.net");
	put_question_as_owner();
	example_dns_cname(&bytes, 0, "www.example.net", 0);
	put_owner("www.example.net");
	example_dns_a(&bytes, 60, 1);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	EXPECT_HOSTS(1);
}

Test(dns_answer, records_of_other_types_classes_and_sections_do_not_count)
{
	begin_response(4, 2, 1);
	put_question_as_owner();
	example_dns_tail(&bytes, 46, 60, 18); /* RRSIG */
	for (unsigned i = 0; i < 18; i++)
		example_dns_u8(&bytes, 0xff);
	put_question_as_owner();
	example_dns_a(&bytes, 60, 1);
	bytes.bytes[bytes.length - 11] = 3; /* CHAOS */
	put_question_as_owner();
	example_dns_a(&bytes, 60, 2);
	put_question_as_owner();
	example_dns_tail(&bytes, 16, 60, 0); /* TXT without anything */
	example_dns_soa(&bytes, EXAMPLE_DNS_QUESTION_AT + 4);
	put_question_as_owner();
	example_dns_a(&bytes, 60, 3);
	put_question_as_owner();
	example_dns_a(&bytes, 60, 4);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	EXPECT_HOSTS(2);
	cr_expect_not(message.trailing);
}

Test(dns_answer, an_address_is_kept_once_with_the_smallest_ttl)
{
	static const struct {
		uint32_t ttl[3];
		uint32_t kept;
	} cases[] = {
		{{300, 60, 200}, 60},
		{{60, 60, 60}, 60},
		{{0, 60, 200}, 0},
		{{5, 0x80000000, 7}, 0},
		{{0x7fffffff, 0x7fffffff, 0xffffffff}, 0},
		{{0x7fffffff, 0x7fffffff, 0x7fffffff}, 0x7fffffff},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_response(6, 0, 0);
		for (unsigned k = 0; k < 3; k++) {
			put_question_as_owner();
			example_dns_a(&bytes, cases[i].ttl[k], 1);
			put_owner("WWW.example.org");
			example_dns_aaaa(&bytes, cases[i].ttl[k], 1);
		}
		cr_assert_eq(parse(), DNS_REJECT_NONE);
		EXPECT_HOSTS(1, 1);
		cr_expect_eq(message.addresses[0].ttl_s, cases[i].kept, "%zu", i);
		cr_expect_eq(message.addresses[1].ttl_s, cases[i].kept, "%zu", i);
		cr_expect_eq(message.addresses_left_out, 0);
	}
}

Test(dns_answer, addresses_beyond_the_room_are_counted)
{
	for (unsigned more = 0; more < 3; more++) {
		begin_response(DNS_ADDRESSES_MAX + more + 1, 0, 0);
		for (unsigned i = 0; i < DNS_ADDRESSES_MAX + more; i++) {
			put_question_as_owner();
			example_dns_a(&bytes, 60, i + 1);
		}
		/* One that is known needs no room. */
		put_question_as_owner();
		example_dns_a(&bytes, 1, 1);
		cr_assert_eq(parse(), DNS_REJECT_NONE);
		cr_expect_eq(message.address_count, DNS_ADDRESSES_MAX);
		cr_expect_eq(message.addresses_left_out, more);
		cr_expect_eq(message.addresses[0].ttl_s, 1);
	}
}

Test(dns_answer, an_address_or_alias_that_is_not_as_long_as_it_says_is_rejected)
{
	static const struct {
		unsigned type;
		unsigned length;
		enum dns_reject reject;
	} cases[] = {
		{DNS_TYPE_A, 3, DNS_REJECT_RDATA},     {DNS_TYPE_A, 4, DNS_REJECT_NONE},
		{DNS_TYPE_A, 5, DNS_REJECT_RDATA},     {DNS_TYPE_A, 0, DNS_REJECT_RDATA},
		{DNS_TYPE_AAAA, 4, DNS_REJECT_RDATA},  {DNS_TYPE_AAAA, 15, DNS_REJECT_RDATA},
		{DNS_TYPE_AAAA, 16, DNS_REJECT_NONE},  {DNS_TYPE_AAAA, 17, DNS_REJECT_RDATA},
		{DNS_TYPE_CNAME, 0, DNS_REJECT_RDATA}, {DNS_TYPE_CNAME, 1, DNS_REJECT_NONE},
		{DNS_TYPE_CNAME, 2, DNS_REJECT_RDATA},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_response(1, 0, 0);
		put_question_as_owner();
		example_dns_tail(&bytes, cases[i].type, 60, cases[i].length);
		for (unsigned k = 0; k < cases[i].length; k++)
			example_dns_u8(&bytes, 0);
		cr_expect_eq(parse(), cases[i].reject, "%zu", i);
	}
}

Test(dns_answer, an_alias_is_a_whole_name_within_its_record)
{
	static const struct {
		uint8_t rdata[8];
		unsigned length;
		enum dns_reject reject;
	} cases[] = {
		{{1, 'b', 0}, 3, DNS_REJECT_NONE},
		{{1, 'b', 0, 0}, 4, DNS_REJECT_RDATA},
		{{1, 'b'}, 2, DNS_REJECT_RDATA},
		{{7, 'b'}, 2, DNS_REJECT_RDATA},
		{{0xc0, 12}, 2, DNS_REJECT_NONE},
		{{0xc0, 12, 0}, 3, DNS_REJECT_RDATA},
		{{0xc0}, 1, DNS_REJECT_RDATA},
		{{0xff, 0xff}, 2, DNS_REJECT_NAME_POINTER},
		{{1, 'b', 0xc0, 0}, 4, DNS_REJECT_NAME_POINTER},
		{{0x80, 0}, 2, DNS_REJECT_NAME_LABEL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_response(1, 0, 0);
		put_question_as_owner();
		example_dns_tail(&bytes, DNS_TYPE_CNAME, 60, cases[i].length);
		example_dns_put(&bytes, cases[i].rdata, cases[i].length);
		cr_expect_eq(parse(), cases[i].reject, "%zu", i);
	}
}
