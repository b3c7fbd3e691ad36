/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_dns_query.h"
#include "worker/dns/conversations.h"

#include <criterion/criterion.h>

#include <errno.h>

#define CAPACITY 16
#define S_NS 1000000000ULL
#define START_NS (100 * S_NS)

static struct dns_conversations table;
static struct dns_conversation_numbers numbers;

static void make_table(void)
{
	cr_assert_eq(dns_conversations_init(&table, CAPACITY, "secret"), 0);
}

static void free_table(void)
{
	dns_conversations_fini(&table);
}

TestSuite(dns_conversations, .init = make_table, .fini = free_table);

static void ask(uint16_t number, uint64_t at_ns)
{
	const struct dns_query query = example_dns_query(number);

	dns_conversations_query(&table, &query, at_ns);
}

static void answer(uint16_t number, uint64_t asked_ns, uint16_t rcode, uint64_t latency_us)
{
	const struct dns_query query = example_dns_query(number);

	dns_conversations_answer(&table, &query, asked_ns, rcode, latency_us);
}

static struct dns_conversation_key key_of(uint16_t number)
{
	const struct dns_query query = example_dns_query(number);
	struct dns_conversation_key key = {
		.client_port = query.client_port,
		.server_port = query.server_port,
		.family = query.family,
		.protocol = query.protocol,
	};

	memcpy(key.client_ip, query.client_ip, sizeof(key.client_ip));
	memcpy(key.server_ip, query.server_ip, sizeof(key.server_ip));
	return key;
}

/* Whether a side is told something; then numbers is what. */
static bool find(uint16_t number, enum dns_side side)
{
	const struct dns_conversation_key key = key_of(number);

	return dns_conversations_find(&table, &key, side, &numbers);
}

static void end(uint16_t number, enum dns_side side, uint64_t end_ns)
{
	const struct dns_conversation_key key = key_of(number);

	dns_conversations_end(&table, &key, side, end_ns);
}

Test(dns_conversations, each_is_told_what_happened_on_it)
{
	const struct dns_query query = example_dns_query(1);

	ask(1, START_NS);
	dns_conversations_retry(&table, &query, START_NS + 1);
	answer(1, START_NS, 0, 300);
	ask(1, START_NS + 2);
	answer(1, START_NS + 2, 0, 200);
	ask(1, START_NS + 3);
	answer(1, START_NS + 3, 3, 70);
	ask(1, START_NS + 4);
	answer(1, START_NS + 4, 16, 5);
	ask(1, START_NS + 5);
	dns_conversations_timeout(&table, &query, START_NS + 5);
	ask(2, START_NS);

	cr_assert(find(1, DNS_SIDE_CLIENT));
	cr_expect_eq(numbers.queries, 5);
	cr_expect_eq(numbers.retries, 1);
	cr_expect_eq(numbers.timeouts, 1);
	cr_expect_eq(numbers.rcode[0], 2);
	cr_expect_eq(numbers.rcode[3], 1);
	cr_expect_eq(numbers.rcode_other, 1);
	cr_expect_eq(dns_conversation_answers(&numbers), 4);
	cr_expect_eq(numbers.latency_us, 500);
	cr_expect_eq(numbers.failure_latency_us, 75);
	cr_assert(find(2, DNS_SIDE_CLIENT));
	cr_expect_eq(numbers.queries, 1);
	cr_expect_eq(dns_conversation_answers(&numbers), 0);
	cr_expect_not(find(3, DNS_SIDE_CLIENT));
}

Test(dns_conversations, ends_tell_them_apart)
{
	struct dns_conversation_key cases[6];

	ask(1, START_NS);
	for (unsigned i = 0; i < 6; i++)
		cases[i] = key_of(1);
	cases[0].client_ip[3]++;
	cases[1].server_ip[3]++;
	cases[2].client_port++;
	cases[3].server_port++;
	cases[4].family = RECORD_FAMILY_IPV6;
	cases[5].protocol = IPPROTO_TCP;
	for (unsigned i = 0; i < 6; i++)
		cr_expect_not(dns_conversations_find(&table, &cases[i], DNS_SIDE_CLIENT, &numbers),
			      "case %u", i);
}

Test(dns_conversations, what_comes_after_an_end_is_the_next_ones)
{
	ask(1, START_NS);
	answer(1, START_NS, 0, 10);
	end(1, DNS_SIDE_CLIENT, START_NS + 100);
	cr_expect_not(find(1, DNS_SIDE_CLIENT), "it was told");
	ask(1, START_NS + 200);
	cr_assert(find(1, DNS_SIDE_CLIENT));
	cr_expect_eq(numbers.queries, 1);
	cr_expect_eq(dns_conversation_answers(&numbers), 0);
	answer(1, START_NS + 200, 0, 7);
	cr_assert(find(1, DNS_SIDE_CLIENT));
	cr_expect_eq(numbers.latency_us, 7);
}

Test(dns_conversations, what_was_asked_before_an_end_belongs_to_it_whenever_it_is_known)
{
	const struct dns_query query = example_dns_query(1);

	ask(1, START_NS);
	end(1, DNS_SIDE_CLIENT, START_NS + 100);
	dns_conversations_timeout(&table, &query, START_NS);
	answer(1, START_NS + 100, 0, 10);
	ask(1, START_NS + 50);
	cr_expect_not(find(1, DNS_SIDE_CLIENT));
}

Test(dns_conversations, the_two_sides_end_each_for_itself)
{
	ask(1, START_NS);
	answer(1, START_NS, 0, 10);
	end(1, DNS_SIDE_CLIENT, START_NS + 100);
	ask(1, START_NS + 200);
	cr_assert(find(1, DNS_SIDE_SERVER));
	cr_expect_eq(numbers.queries, 2);
	cr_assert(find(1, DNS_SIDE_CLIENT));
	cr_expect_eq(numbers.queries, 1);
	end(1, DNS_SIDE_SERVER, START_NS + 300);
	cr_expect_not(find(1, DNS_SIDE_SERVER));
	cr_assert(find(1, DNS_SIDE_CLIENT));
	cr_expect_eq(numbers.queries, 1);
}

Test(dns_conversations, ended_ones_make_room_first_and_living_ones_by_their_silence)
{
	for (uint16_t i = 0; i < CAPACITY; i++)
		ask(i, START_NS + i);
	end(5, DNS_SIDE_CLIENT, START_NS + 50);
	ask(0, START_NS + 60);
	ask(100, START_NS + 61);
	cr_expect_eq(table.counts.evicted, 0);
	cr_expect_not(find(5, DNS_SIDE_SERVER), "it had ended");
	ask(101, START_NS + 62);
	cr_expect_eq(table.counts.evicted, 1);
	cr_expect_not(find(1, DNS_SIDE_CLIENT), "silent for the longest time");
	cr_expect(find(0, DNS_SIDE_CLIENT));
	cr_expect_eq(table.pool.used, CAPACITY);
	answer(1, START_NS + 1, 0, 10);
	cr_expect_not(find(1, DNS_SIDE_CLIENT), "only a query begins one");
}

Test(dns_conversations, ended_ones_are_forgotten_in_time)
{
	ask(1, START_NS);
	ask(2, START_NS);
	end(1, DNS_SIDE_CLIENT, START_NS);
	dns_conversations_tick(&table, START_NS + DNS_CONVERSATION_KEEP_NS);
	cr_expect(find(1, DNS_SIDE_SERVER));
	dns_conversations_tick(&table, START_NS + DNS_CONVERSATION_KEEP_NS + 1);
	cr_expect_not(find(1, DNS_SIDE_SERVER));
	cr_expect(find(2, DNS_SIDE_SERVER), "it lives");
	cr_expect_eq(table.pool.used, 1);
}

Test(dns_conversations, are_put_back_as_they_were)
{
	struct dns_conversations copy;
	uint32_t index = INDEX_NONE;

	for (uint16_t i = 0; i < CAPACITY; i++)
		ask(i, START_NS + i);
	for (uint16_t i = 0; i < CAPACITY; i += 3)
		end(i, DNS_SIDE_SERVER, START_NS + 50);
	ask(6, START_NS + 100);
	cr_assert_eq(dns_conversations_init(&copy, CAPACITY, "another"), 0);
	while ((index = dns_conversations_next(&table, index)) != INDEX_NONE) {
		cr_expect(dns_conversations_put(&copy, &table.entries[index]));
		cr_expect_not(dns_conversations_put(&copy, &table.entries[index]), "it is there");
	}
	cr_expect_eq(copy.pool.used, CAPACITY);
	for (uint16_t i = 0; i < 2 * CAPACITY; i++) {
		const struct dns_query query = example_dns_query((uint16_t)(500 + i));

		/* The same one goes. */
		dns_conversations_query(&table, &query, START_NS + 200);
		dns_conversations_query(&copy, &query, START_NS + 200);
		for (uint16_t j = 0; j < CAPACITY; j++) {
			const struct dns_conversation_key key = key_of(j);
			struct dns_conversation_numbers of_copy;
			const bool is_there = find(j, DNS_SIDE_SERVER);

			cr_assert_eq(dns_conversations_find(&copy, &key, DNS_SIDE_SERVER, &of_copy),
				     is_there);
			if (is_there)
				cr_assert_arr_eq(&of_copy, &numbers, sizeof(numbers));
		}
	}
	dns_conversations_fini(&copy);
}

Test(dns_conversations, no_table_is_of_no_size)
{
	struct dns_conversations other;

	cr_expect_eq(dns_conversations_init(&other, 0, ""), -EINVAL);
	cr_expect_eq(dns_conversations_init(&other, DNS_CONVERSATIONS_CAPACITY_MAX + 1, ""),
		     -EINVAL);
}
