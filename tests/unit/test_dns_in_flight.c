/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_collision.h"
#include "tests/unit/example_dns_query.h"
#include "tests/unit/resident.h"
#include "worker/dns/in_flight.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define CAPACITY 16
#define S_NS 1000000000ULL
#define TIMEOUT_NS (15 * S_NS)
#define START_NS (100 * S_NS)

static struct dns_in_flight table;
static uint64_t latency_ns;

static void make_table(void)
{
	cr_assert_eq(dns_in_flight_init(&table, CAPACITY, TIMEOUT_NS, "secret"), 0);
}

static void free_table(void)
{
	dns_in_flight_fini(&table);
}

TestSuite(dns_in_flight, .init = make_table, .fini = free_table);

static enum dns_in_flight_query ask(struct dns_query query, uint64_t now_ns)
{
	return dns_in_flight_query(&table, &query, now_ns);
}

static enum dns_in_flight_answer answer(struct dns_query query, uint64_t now_ns)
{
	return dns_in_flight_answer(&table, &query, now_ns, &latency_ns);
}

static void expect_books(void)
{
	const struct dns_in_flight_counts *counts = &table.counts;

	cr_assert_eq(counts->queries,
		     counts->answers + counts->timeouts + counts->evicted + table.pool.used);
	cr_assert_leq(counts->late, counts->timeouts);
}

Test(dns_in_flight, an_answer_has_the_time_since_its_query)
{
	cr_expect_eq(ask(example_dns_query(1), START_NS), DNS_QUERY_NEW);
	cr_expect_eq(answer(example_dns_query(1), START_NS + 10000), DNS_ANSWER_MATCHED);
	cr_expect_eq(latency_ns, 10000);
	cr_expect_eq(answer(example_dns_query(1), START_NS + 20000), DNS_ANSWER_UNMATCHED,
		     "there is one answer to a query");
	cr_expect_eq(latency_ns, 0);
	cr_expect_eq(table.counts.answers, 1);
	cr_expect_eq(table.counts.unmatched, 1);
	expect_books();
}

Test(dns_in_flight, an_answer_must_agree_in_all_that_identifies_its_query)
{
	struct dns_query cases[12];

	for (unsigned i = 0; i < 12; i++)
		cases[i] = example_dns_query(1);
	cases[0].client_ip[3]++;
	cases[1].client_ip[15]++;
	cases[2].server_ip[3]++;
	cases[3].client_port++;
	cases[4].server_port++;
	cases[5].id++;
	cases[6].qtype = 28;
	cases[7].family = RECORD_FAMILY_IPV6;
	cases[8].protocol = IPPROTO_TCP;
	example_set_name(&cases[9], "example.com");
	example_set_name(&cases[10], "www.example.org");
	cases[11].name_length--;
	ask(example_dns_query(1), START_NS);
	for (unsigned i = 0; i < 12; i++)
		cr_expect_eq(answer(cases[i], START_NS), DNS_ANSWER_UNMATCHED, "%u", i);
	cr_expect_eq(table.counts.unmatched, 12);
	cr_expect_eq(answer(example_dns_query(1), START_NS), DNS_ANSWER_MATCHED);
}

Test(dns_in_flight, a_forged_answer_to_another_question_does_not_take_the_place_of_the_true_one)
{
	struct dns_query forged = example_dns_query(1);

	example_set_name(&forged, "example.net");
	ask(example_dns_query(1), START_NS);
	cr_expect_eq(answer(forged, START_NS + 1), DNS_ANSWER_UNMATCHED);
	cr_expect_eq(answer(example_dns_query(1), START_NS + 5000), DNS_ANSWER_MATCHED);
	cr_expect_eq(latency_ns, 5000);
}

Test(dns_in_flight, what_stands_behind_a_name_does_not_count)
{
	struct dns_query query = example_dns_query(1);

	ask(query, START_NS);
	memset(query.name + query.name_length, 0, (size_t)DNS_QUERY_NAME_BYTES - query.name_length);
	cr_expect_eq(answer(query, START_NS), DNS_ANSWER_MATCHED);
}

Test(dns_in_flight, the_longest_names_differ_in_their_last_byte)
{
	struct dns_query one = example_dns_query(1), two;

	one.name_length = 255;
	memset(one.name, 'a', 255);
	two = one;
	two.name[254] = 'b';
	cr_expect_eq(ask(one, START_NS), DNS_QUERY_NEW);
	cr_expect_eq(ask(two, START_NS + 1), DNS_QUERY_NEW);
	cr_expect_eq(answer(one, START_NS + 100), DNS_ANSWER_MATCHED);
	cr_expect_eq(latency_ns, 100);
	cr_expect_eq(answer(two, START_NS + 100), DNS_ANSWER_MATCHED);
	cr_expect_eq(latency_ns, 99);
}

Test(dns_in_flight, queries_without_names_are_told_apart_by_the_rest)
{
	struct dns_query one = example_dns_query(1), two = example_dns_query(2);

	one.name_length = 0;
	two.name_length = 0;
	ask(one, START_NS);
	cr_expect_eq(answer(two, START_NS), DNS_ANSWER_UNMATCHED);
	cr_expect_eq(answer(one, START_NS), DNS_ANSWER_MATCHED);
}

Test(dns_in_flight, a_repeated_query_keeps_the_first_time)
{
	ask(example_dns_query(1), START_NS);
	cr_expect_eq(ask(example_dns_query(1), START_NS + 5 * S_NS), DNS_QUERY_RETRY);
	cr_expect_eq(ask(example_dns_query(1), START_NS + 10 * S_NS), DNS_QUERY_RETRY);
	cr_expect_eq(answer(example_dns_query(1), START_NS + 11 * S_NS), DNS_ANSWER_MATCHED);
	cr_expect_eq(latency_ns, 11 * S_NS);
	cr_expect_eq(table.counts.queries, 1);
	cr_expect_eq(table.counts.retries, 2);
	expect_books();
}

Test(dns_in_flight, an_answer_at_the_timeout_is_one_and_a_later_one_is_a_timeout)
{
	ask(example_dns_query(1), START_NS);
	ask(example_dns_query(2), START_NS);
	cr_expect_eq(answer(example_dns_query(1), START_NS + TIMEOUT_NS), DNS_ANSWER_MATCHED);
	cr_expect_eq(answer(example_dns_query(2), START_NS + TIMEOUT_NS + 1), DNS_ANSWER_LATE);
	cr_expect_eq(latency_ns, TIMEOUT_NS + 1);
	cr_expect_eq(table.counts.answers, 1);
	cr_expect_eq(table.counts.timeouts, 1);
	cr_expect_eq(table.counts.late, 1);
	cr_expect_null(dns_in_flight_expire(&table, START_NS + 2 * TIMEOUT_NS), "told already");
	expect_books();
}

Test(dns_in_flight, an_answer_to_a_timeout_that_was_told_is_unmatched)
{
	ask(example_dns_query(1), START_NS);
	cr_expect_not_null(dns_in_flight_expire(&table, START_NS + TIMEOUT_NS + 1));
	cr_expect_eq(answer(example_dns_query(1), START_NS + TIMEOUT_NS + 2), DNS_ANSWER_UNMATCHED);
	cr_expect_eq(table.counts.timeouts, 1);
}

Test(dns_in_flight, the_same_query_at_the_timeout_is_a_repeated_one)
{
	ask(example_dns_query(1), START_NS);
	cr_expect_eq(ask(example_dns_query(1), START_NS + TIMEOUT_NS), DNS_QUERY_RETRY);
}

Test(dns_in_flight, the_same_query_after_the_timeout_is_a_new_one)
{
	const uint64_t again_ns = START_NS + TIMEOUT_NS + 1;

	ask(example_dns_query(1), START_NS);
	cr_expect_eq(ask(example_dns_query(1), again_ns), DNS_QUERY_AFTER_TIMEOUT);
	cr_expect_eq(table.counts.timeouts, 1);
	cr_expect_eq(table.counts.queries, 2);
	cr_expect_null(dns_in_flight_expire(&table, again_ns + TIMEOUT_NS));
	cr_expect_eq(answer(example_dns_query(1), again_ns + 7), DNS_ANSWER_MATCHED);
	cr_expect_eq(latency_ns, 7);
	expect_books();
}

Test(dns_in_flight, two_answers_and_a_query_that_has_none)
{
	for (uint16_t i = 0; i < 3; i++)
		ask(example_dns_query(i), START_NS);
	cr_expect_eq(answer(example_dns_query(0), START_NS + 1), DNS_ANSWER_MATCHED);
	cr_expect_eq(answer(example_dns_query(2), START_NS + 1), DNS_ANSWER_MATCHED);
	cr_expect_null(dns_in_flight_expire(&table, START_NS + TIMEOUT_NS));
	cr_expect_eq(dns_in_flight_expire(&table, START_NS + TIMEOUT_NS + 1)->query.client_port,
		     1001);
	cr_expect_null(dns_in_flight_expire(&table, START_NS + TIMEOUT_NS + 1));
	cr_expect_eq(table.pool.used, 0);
}

/* One each 300 ms is asked; timeouts are looked for once a second. */
Test(dns_in_flight, timeouts_are_told_in_order_and_within_a_second)
{
	uint16_t told = 0;

	for (uint64_t second = 0; second < 22; second++) {
		const uint64_t now_ns = START_NS + second * S_NS;
		const struct dns_in_flight_entry *entry;

		for (uint16_t i = 0; i < CAPACITY && second == 0; i++)
			ask(example_dns_query(i), START_NS + i * 300000000ULL);
		while ((entry = dns_in_flight_expire(&table, now_ns))) {
			const uint64_t due_ns = START_NS + told * 300000000ULL + TIMEOUT_NS;
			const struct dns_query expected = example_dns_query(told);

			cr_expect_arr_eq(&entry->query, &expected, dns_query_bytes(&expected));
			cr_expect_gt(now_ns, due_ns);
			cr_expect_leq(now_ns, due_ns + S_NS);
			told++;
		}
	}
	cr_expect_eq(told, CAPACITY);
	expect_books();
}

Test(dns_in_flight, the_oldest_query_makes_room_when_the_table_is_full)
{
	for (uint16_t i = 0; i <= CAPACITY; i++)
		cr_expect_eq(ask(example_dns_query(i), START_NS + i), DNS_QUERY_NEW);
	cr_expect_eq(table.counts.evicted, 1);
	cr_expect_eq(answer(example_dns_query(0), START_NS + 100), DNS_ANSWER_UNMATCHED);
	for (uint16_t i = 1; i <= CAPACITY; i++)
		cr_expect_eq(answer(example_dns_query(i), START_NS + 100), DNS_ANSWER_MATCHED);
	expect_books();
}

Test(dns_in_flight, an_answer_that_was_read_with_an_earlier_time_took_no_time)
{
	ask(example_dns_query(1), START_NS);
	cr_expect_null(dns_in_flight_expire(&table, START_NS - 50000));
	cr_expect_eq(answer(example_dns_query(1), START_NS - 50000), DNS_ANSWER_MATCHED);
	cr_expect_eq(latency_ns, 0);
}

static struct dns_query numbered(uint32_t number)
{
	struct dns_query query = example_dns_query((uint16_t)number);

	query.id = (uint16_t)(number >> 16);
	return query;
}

static uint32_t tag_of(uint32_t number)
{
	const struct dns_query query = numbered(number);

	return (uint32_t)(hash_bytes(&table.key, &query, dns_query_bytes(&query)) >> 32);
}

Test(dns_in_flight, queries_with_the_same_hash_are_two)
{
	const struct example_collision pair = example_collision(tag_of);

	cr_expect_eq(ask(numbered(pair.one), START_NS), DNS_QUERY_NEW);
	cr_assert_eq(table.entries[0].tag, tag_of(pair.two));
	cr_expect_eq(answer(numbered(pair.two), START_NS), DNS_ANSWER_UNMATCHED);
	cr_expect_eq(ask(numbered(pair.two), START_NS), DNS_QUERY_NEW);
	cr_expect_eq(answer(numbered(pair.two), START_NS), DNS_ANSWER_MATCHED);
	cr_expect_eq(answer(numbered(pair.one), START_NS), DNS_ANSWER_MATCHED);
}

Test(dns_in_flight, refuses_a_capacity_that_it_cannot_have)
{
	struct dns_in_flight none;

	cr_expect_eq(dns_in_flight_init(&none, 0, TIMEOUT_NS, "secret"), -EINVAL);
	cr_expect_eq(dns_in_flight_init(&none, DNS_IN_FLIGHT_CAPACITY_MAX + 1, TIMEOUT_NS,
					"secret"),
		     -EINVAL);
}

/* The reference: a plain list, the oldest first. */
struct model {
	unsigned used;
	struct {
		uint16_t number;
		uint64_t first_ns;
	} query[CAPACITY + 1];
};

static unsigned model_find(const struct model *model, uint16_t number)
{
	unsigned i = 0;

	while (i < model->used && model->query[i].number != number)
		i++;
	return i;
}

static void model_remove(struct model *model, unsigned i)
{
	model->used--;
	memmove(&model->query[i], &model->query[i + 1],
		(model->used - i) * sizeof(model->query[0]));
}

static void model_add(struct model *model, uint16_t number, uint64_t now_ns)
{
	if (model->used == CAPACITY)
		model_remove(model, 0);
	model->query[model->used].number = number;
	model->query[model->used++].first_ns = now_ns;
}

static void model_query(struct model *model, uint16_t number, uint64_t now_ns)
{
	const unsigned i = model_find(model, number);
	enum dns_in_flight_query expected = DNS_QUERY_NEW;

	if (i < model->used && now_ns - model->query[i].first_ns <= TIMEOUT_NS)
		expected = DNS_QUERY_RETRY;
	else if (i < model->used)
		expected = DNS_QUERY_AFTER_TIMEOUT;
	if (expected == DNS_QUERY_AFTER_TIMEOUT)
		model_remove(model, i);
	if (expected != DNS_QUERY_RETRY)
		model_add(model, number, now_ns);
	cr_assert_eq(ask(example_dns_query(number), now_ns), expected);
}

static void model_answer(struct model *model, uint16_t number, uint64_t now_ns)
{
	const unsigned i = model_find(model, number);
	const enum dns_in_flight_answer got = answer(example_dns_query(number), now_ns);
	uint64_t age_ns;

	if (i == model->used) {
		cr_assert_eq(got, DNS_ANSWER_UNMATCHED);
		return;
	}
	age_ns = now_ns - model->query[i].first_ns;
	cr_assert_eq(got, age_ns <= TIMEOUT_NS ? DNS_ANSWER_MATCHED : DNS_ANSWER_LATE);
	cr_assert_eq(latency_ns, age_ns);
	model_remove(model, i);
}

static void model_expire(struct model *model, uint64_t now_ns)
{
	const struct dns_in_flight_entry *entry;

	while ((entry = dns_in_flight_expire(&table, now_ns))) {
		cr_assert_gt(model->used, 0);
		cr_assert_gt(now_ns - model->query[0].first_ns, TIMEOUT_NS);
		cr_assert_eq(entry->first_ns, model->query[0].first_ns);
		cr_assert_eq(entry->query.client_port, 1000 + model->query[0].number);
		model_remove(model, 0);
	}
	cr_assert(model->used == 0 || now_ns - model->query[0].first_ns <= TIMEOUT_NS);
}

Test(dns_in_flight, does_what_a_plain_list_does_whatever_comes)
{
	struct model model = {.used = 0};
	uint64_t now_ns = START_NS;

	for (unsigned step = 0; step < 200000; step++) {
		const uint16_t number = (uint16_t)(random() % (2 * CAPACITY));

		now_ns += (uint64_t)random() % (step / 1000 % 2 ? 2 * S_NS : S_NS / 10);
		if (random() % 2)
			model_query(&model, number, now_ns);
		else
			model_answer(&model, number, now_ns);
		if (random() % 20 == 0)
			model_expire(&model, now_ns);
		cr_assert_eq(table.pool.used, model.used);
		expect_books();
	}
	cr_expect_gt(table.counts.answers, 1000);
	cr_expect_gt(table.counts.retries, 1000);
	cr_expect_gt(table.counts.late, 1000);
	cr_expect_gt(table.counts.timeouts, table.counts.late + 1000);
	cr_expect_gt(table.counts.unmatched, 1000);
	cr_expect_gt(table.counts.evicted, 1000);
}

Test(dns_in_flight, takes_no_more_memory_than_its_formula_says)
{
	const uint64_t before = resident_bytes();
	struct dns_in_flight large;
	uint64_t taken;

	cr_assert_eq(dns_in_flight_init(&large, 60000, TIMEOUT_NS, "secret"), 0);
	cr_expect_lt(resident_bytes() - before, 2 * RESIDENT_SLACK_BYTES, "touched only when used");
	for (unsigned i = 0; i < 130000; i++) {
		struct dns_query query = example_dns_query((uint16_t)i);

		query.id = (uint16_t)(i >> 16);
		query.name_length = 255;
		dns_in_flight_query(&large, &query, START_NS + i);
	}
	cr_expect_eq(large.pool.used, 60000);
	cr_expect_eq(large.counts.evicted, 70000);
	taken = resident_bytes() - before;
	cr_expect_leq(taken, dns_in_flight_bytes(60000) + RESIDENT_SLACK_BYTES, "%lu", taken);
	cr_expect_gt(taken, dns_in_flight_bytes(60000) / 10 * 9, "%lu", taken);
	dns_in_flight_fini(&large);
}
