/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_collision.h"
#include "tests/unit/example_dns_query.h"
#include "tests/unit/resident.h"
#include "worker/dns/stats.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>

#define ROWS 8

static struct dns_stats stats;
static struct dns_stats_numbers numbers;
static struct dns_stats_view view;

static void make_stats(void)
{
	const struct dns_stats_settings settings = {.max_rows = ROWS, .domains = true};

	cr_assert_eq(dns_stats_init(&stats, &settings, "secret"), 0);
}

static void free_stats(void)
{
	dns_stats_fini(&stats);
}

TestSuite(dns_stats, .init = make_stats, .fini = free_stats);

/* Queries of different rows: the server's port says which. */
static struct dns_query query_of(uint16_t row)
{
	struct dns_query query = example_dns_query(0);

	query.server_port = (uint16_t)(5000 + row);
	return query;
}

static void ask(uint16_t row)
{
	const struct dns_query query = query_of(row);

	dns_stats_query(&stats, &query);
}

static void answer(uint16_t row, uint16_t rcode, uint64_t latency_us)
{
	const struct dns_query query = query_of(row);

	dns_stats_answer(&stats, &query, rcode, latency_us);
}

static unsigned count_rows(void)
{
	unsigned count = 0;
	uint32_t row = 0;

	while ((row = dns_stats_next(&stats, row, &numbers, &view)) != DNS_STATS_NONE) {
		row++;
		count++;
	}
	return count;
}

/* The numbers of a row, total and change together; false: it is not there. */
static bool look_at(uint16_t wanted)
{
	uint32_t row = 0;

	while ((row = dns_stats_next(&stats, row, &numbers, &view)) != DNS_STATS_NONE) {
		if (view.key && view.key->server_port == 5000 + wanted)
			return true;
		row++;
	}
	return false;
}

static bool look_at_overflow(void)
{
	return dns_stats_next(&stats, ROWS, &numbers, &view) == ROWS && !view.key;
}

/* Publishes; returns how many rows were told. */
static unsigned publish(void)
{
	unsigned told = 0;

	dns_stats_publish_begin(&stats);
	while (dns_stats_publish_next(&stats, &view)) {
		dns_stats_publish_told(&stats);
		told++;
	}
	return told;
}

Test(dns_stats, latencies_of_successes_and_of_failures_are_apart)
{
	const struct dns_query query = query_of(0);

	dns_stats_query(&stats, &query);
	dns_stats_answer(&stats, &query, 0, 10);
	dns_stats_query(&stats, &query);
	dns_stats_answer(&stats, &query, 3, 70);
	dns_stats_query(&stats, &query);
	dns_stats_retry(&stats, &query);
	dns_stats_timeout(&stats, &query);
	cr_assert(look_at(0));
	cr_expect_eq(numbers.queries, 3);
	cr_expect_eq(numbers.retries, 1);
	cr_expect_eq(numbers.answers, 2);
	cr_expect_eq(numbers.timeouts, 1);
	cr_expect_eq(numbers.rcode[0], 1);
	cr_expect_eq(numbers.rcode[3], 1);
	cr_expect_eq(numbers.latency_us.count, 1);
	cr_expect_eq(numbers.latency_us.sum, 10);
	cr_expect_eq(numbers.failure_latency_us.count, 1, "NXDOMAIN is a failure");
	cr_expect_eq(numbers.failure_latency_us.min, 70);
	cr_expect_eq(numbers.failure_latency_us.max, 70);
}

Test(dns_stats, response_codes_that_are_not_assigned_are_counted_together)
{
	static const uint16_t codes[] = {0, 1, 2, 3, 15, 16, 23, 24, 255, 4095};

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		answer(0, codes[i], 1);
	cr_assert(look_at(0));
	for (unsigned i = 0; i < 7; i++)
		cr_expect_eq(numbers.rcode[codes[i]], 1, "%u", codes[i]);
	cr_expect_eq(numbers.rcode_other, 3);
	cr_expect_eq(numbers.answers, 10);
	cr_expect_eq(numbers.failure_latency_us.count, 9);
}

Test(dns_stats, rows_differ_in_client_server_port_protocol_domain_and_type)
{
	struct dns_query cases[8];

	for (unsigned i = 0; i < 8; i++)
		cases[i] = example_dns_query(0);
	cases[1].client_ip[3]++;
	cases[2].server_ip[3]++;
	cases[3].server_port++;
	cases[4].protocol = IPPROTO_TCP;
	cases[5].qtype = 28;
	cases[6].family = RECORD_FAMILY_IPV6;
	example_set_name(&cases[7], "example.com");
	for (unsigned i = 0; i < 8; i++)
		dns_stats_query(&stats, &cases[i]);
	cr_expect_eq(count_rows(), 8);
	for (unsigned i = 0; i < 8; i++) {
		cr_expect_eq(dns_stats_next(&stats, i, &numbers, &view), i);
		cr_expect_arr_eq(view.key->client_ip, cases[i].client_ip, 16);
		cr_expect_arr_eq(view.key->server_ip, cases[i].server_ip, 16);
		cr_expect_eq(view.key->server_port, cases[i].server_port);
		cr_expect_eq(view.key->protocol, cases[i].protocol);
		cr_expect_eq(view.key->family, cases[i].family);
		cr_expect_eq(view.key->qtype, cases[i].qtype);
		cr_expect_eq(view.key->name_length, cases[i].name_length);
		cr_expect_arr_eq(view.key->name, cases[i].name, cases[i].name_length);
		cr_expect_eq(numbers.queries, 1);
	}
}

Test(dns_stats, ports_of_clients_and_ids_do_not_matter)
{
	struct dns_query query = example_dns_query(0);

	for (uint16_t i = 0; i < 5; i++) {
		query.client_port = i;
		query.id = i;
		query.name[DNS_QUERY_NAME_BYTES - 1] = (uint8_t)i;
		dns_stats_query(&stats, &query);
	}
	cr_expect_eq(count_rows(), 1);
}

Test(dns_stats, without_domains_names_do_not_matter)
{
	const struct dns_stats_settings settings = {.max_rows = ROWS, .domains = false};
	struct dns_query query = example_dns_query(0);

	dns_stats_fini(&stats);
	cr_assert_eq(dns_stats_init(&stats, &settings, "secret"), 0);
	dns_stats_query(&stats, &query);
	example_set_name(&query, "example.com");
	dns_stats_query(&stats, &query);
	cr_expect_eq(dns_stats_next(&stats, 0, &numbers, &view), 0);
	cr_expect_eq(view.key->name_length, 0);
	cr_expect_eq(numbers.queries, 2);
	cr_expect_eq(count_rows(), 1);
}

Test(dns_stats, what_was_published_is_not_published_again)
{
	ask(0);
	answer(0, 0, 10);
	dns_stats_publish_begin(&stats);
	cr_assert(dns_stats_publish_next(&stats, &view));
	cr_expect_eq(view.key->server_port, 5000);
	cr_expect_eq(view.numbers->queries, 1);
	cr_expect_eq(view.numbers->latency_us.max, 10);
	cr_assert(dns_stats_publish_next(&stats, &view), "not told yet");
	dns_stats_publish_told(&stats);
	cr_expect_not(dns_stats_publish_next(&stats, &view));
	cr_expect_eq(publish(), 0);
	answer(0, 0, 5);
	dns_stats_publish_begin(&stats);
	cr_assert(dns_stats_publish_next(&stats, &view));
	cr_expect_eq(view.numbers->queries, 0);
	cr_expect_eq(view.numbers->answers, 1);
	cr_expect_eq(view.numbers->latency_us.max, 5, "of what is new only");
}

Test(dns_stats, looking_at_rows_shows_all_and_changes_nothing)
{
	ask(0);
	answer(0, 0, 10);
	publish();
	answer(0, 0, 5);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert(look_at(0));
		cr_expect_eq(numbers.queries, 1);
		cr_expect_eq(numbers.answers, 2);
		cr_expect_eq(numbers.latency_us.min, 5);
		cr_expect_eq(numbers.latency_us.max, 10);
	}
	cr_expect_eq(publish(), 1, "still to be published");
	cr_assert(look_at(0));
	cr_expect_eq(numbers.answers, 2);
}

Test(dns_stats, a_round_ends_with_what_had_changed_when_it_began)
{
	ask(0);
	ask(1);
	dns_stats_publish_begin(&stats);
	cr_assert(dns_stats_publish_next(&stats, &view));
	cr_expect_eq(view.key->server_port, 5000);
	dns_stats_publish_told(&stats);
	ask(0);
	ask(1);
	ask(2);
	cr_assert(dns_stats_publish_next(&stats, &view));
	cr_expect_eq(view.key->server_port, 5001);
	cr_expect_eq(view.numbers->queries, 2, "what came before it was told goes along");
	dns_stats_publish_told(&stats);
	cr_expect_not(dns_stats_publish_next(&stats, &view));
	cr_expect_eq(publish(), 2, "rows 0 and 2");
}

Test(dns_stats, what_a_round_did_not_come_to_is_in_the_next)
{
	ask(0);
	ask(1);
	dns_stats_publish_begin(&stats);
	cr_assert(dns_stats_publish_next(&stats, &view));
	dns_stats_publish_told(&stats);
	ask(2);
	cr_expect_eq(publish(), 2);
	cr_expect_eq(publish(), 0);
}

Test(dns_stats, a_new_row_takes_the_place_of_the_one_without_news_for_the_longest_time)
{
	for (uint16_t i = 0; i < ROWS; i++)
		ask(i);
	cr_expect_not(look_at_overflow(), "nothing made room yet");
	answer(0, 2, 100);
	ask(100);
	cr_expect_eq(stats.counts.evicted, 1);
	cr_expect_eq(stats.counts.folded, 1);
	cr_expect(look_at(0), "it had news");
	cr_expect_not(look_at(1));
	cr_expect(look_at(100));
	cr_assert(look_at_overflow());
	cr_expect_eq(numbers.queries, 1);
	cr_expect_eq(count_rows(), ROWS + 1);
}

Test(dns_stats, what_made_room_is_published_with_the_overflow)
{
	for (uint16_t i = 0; i < ROWS; i++)
		answer(i, 0, 10 + i);
	publish();
	answer(0, 0, 50);
	for (uint16_t i = 100; i < 100 + ROWS; i++)
		ask(i);
	cr_expect_eq(stats.counts.evicted, ROWS);
	cr_expect_eq(stats.counts.folded, 1, "what was published is not told again");
	dns_stats_publish_begin(&stats);
	while (dns_stats_publish_next(&stats, &view) && view.key) {
		cr_expect_eq(view.numbers->answers, 0);
		dns_stats_publish_told(&stats);
	}
	cr_assert(dns_stats_publish_next(&stats, &view));
	cr_expect_eq(view.numbers->answers, 1);
	cr_expect_eq(view.numbers->latency_us.max, 50);
	dns_stats_publish_told(&stats);
	cr_assert(look_at_overflow());
	cr_expect_eq(numbers.answers, ROWS + 1);
	cr_expect_eq(numbers.latency_us.count, ROWS + 1);
	cr_expect_eq(numbers.latency_us.min, 10);
}

static struct dns_query numbered(uint32_t number)
{
	struct dns_query query = query_of((uint16_t)number);

	query.qtype = (uint16_t)(number >> 16);
	return query;
}

static uint32_t tag_of(uint32_t number)
{
	const struct dns_query query = numbered(number);
	struct dns_stats_key key = {
		.server_port = query.server_port,
		.qtype = query.qtype,
		.family = query.family,
		.protocol = query.protocol,
		.name_length = query.name_length,
	};

	memcpy(key.client_ip, query.client_ip, sizeof(key.client_ip));
	memcpy(key.server_ip, query.server_ip, sizeof(key.server_ip));
	memcpy(key.name, query.name, query.name_length);
	return (uint32_t)(hash_bytes(&stats.key, &key, dns_stats_key_bytes(&key)) >> 32);
}

Test(dns_stats, rows_with_the_same_hash_are_two)
{
	const struct example_collision pair = example_collision(tag_of);
	const struct dns_query one = numbered(pair.one), two = numbered(pair.two);

	dns_stats_query(&stats, &one);
	cr_assert_eq(stats.rows[0].tag, tag_of(pair.two));
	dns_stats_query(&stats, &two);
	cr_expect_eq(count_rows(), 2);
}

Test(dns_stats, refuse_a_capacity_that_they_cannot_have)
{
	struct dns_stats none;

	for (uint32_t rows = 0; rows < 2; rows++) {
		const struct dns_stats_settings settings = {
			.max_rows = rows == 0 ? 0 : DNS_STATS_CAPACITY_MAX + 1,
		};

		cr_expect_eq(dns_stats_init(&none, &settings, "secret"), -EINVAL);
	}
}

#define KEYS (3 * ROWS)

/* The reference: what happened to each key since it has its row, and to all; and in which order. */
struct model {
	struct dns_stats_numbers row[KEYS];
	struct dns_stats_numbers all;
	struct dns_stats_numbers told;
	uint64_t touched[KEYS]; /* 0: no row */
	uint64_t touches;
};

static void model_touch(struct model *model, uint16_t key)
{
	unsigned rows = 0, oldest = KEYS;

	if (model->touched[key] == 0) {
		memset(&model->row[key], 0, sizeof(model->row[key]));
		for (unsigned i = 0; i < KEYS; i++) {
			if (model->touched[i] == 0)
				continue;
			rows++;
			if (oldest == KEYS || model->touched[i] < model->touched[oldest])
				oldest = i;
		}
		if (rows == ROWS)
			model->touched[oldest] = 0;
	}
	model->touched[key] = ++model->touches;
}

static void apply(struct dns_stats_numbers *to, unsigned what, uint16_t rcode, uint64_t us)
{
	to->queries += what == 0;
	to->retries += what == 1;
	to->timeouts += what == 2;
	if (what < 3)
		return;
	to->answers++;
	if (rcode < DNS_STATS_RCODES)
		to->rcode[rcode]++;
	else
		to->rcode_other++;
	histogram_add(rcode == 0 ? &to->latency_us : &to->failure_latency_us, us);
}

static void model_step(struct model *model)
{
	const uint16_t key = (uint16_t)(random() % (random() % KEYS + 1));
	const unsigned what = (unsigned)random() % 4;
	const uint16_t rcode = (uint16_t)(random() % 3 ? 0 : random() % 30);
	const uint64_t us = (uint64_t)random() >> random() % 31;
	const struct dns_query query = query_of(key);

	if (what == 0)
		dns_stats_query(&stats, &query);
	else if (what == 1)
		dns_stats_retry(&stats, &query);
	else if (what == 2)
		dns_stats_timeout(&stats, &query);
	else
		dns_stats_answer(&stats, &query, rcode, us);
	model_touch(model, key);
	apply(&model->row[key], what, rcode, us);
	apply(&model->all, what, rcode, us);
}

static void model_publish(struct model *model)
{
	unsigned left = (unsigned)random() % ROWS;

	if (random() % 3 == 0)
		dns_stats_publish_begin(&stats);
	while (left-- > 0 && dns_stats_publish_next(&stats, &view)) {
		dns_stats_merge(&model->told, view.numbers);
		dns_stats_publish_told(&stats);
	}
}

static void model_compare(const struct model *model)
{
	struct dns_stats_numbers sum = {0};
	unsigned rows = 0;
	uint32_t row = 0;

	while ((row = dns_stats_next(&stats, row, &numbers, &view)) != DNS_STATS_NONE) {
		row++;
		dns_stats_merge(&sum, &numbers);
		if (!view.key)
			continue;
		rows++;
		cr_assert_neq(model->touched[view.key->server_port - 5000], 0);
		cr_assert_arr_eq(&numbers, &model->row[view.key->server_port - 5000],
				 sizeof(numbers));
	}
	for (unsigned i = 0; i < KEYS; i++)
		rows -= model->touched[i] != 0;
	cr_assert_eq(rows, 0);
	cr_assert_arr_eq(&sum, &model->all, sizeof(sum), "sums are complete");
}

Test(dns_stats, do_what_a_plain_list_does_whatever_comes)
{
	static struct model model;

	for (unsigned step = 0; step < 30000; step++) {
		model_step(&model);
		if (random() % 10 == 0)
			model_publish(&model);
		if (random() % 20 == 0)
			model_compare(&model);
	}
	dns_stats_publish_begin(&stats);
	while (dns_stats_publish_next(&stats, &view)) {
		dns_stats_merge(&model.told, view.numbers);
		dns_stats_publish_told(&stats);
	}
	cr_expect_arr_eq(&model.told, &model.all, sizeof(model.all), "each was published once");
	cr_expect_gt(stats.counts.evicted, 1000);
	cr_expect_gt(stats.counts.folded, 100);
	cr_expect_lt(stats.counts.folded, stats.counts.evicted);
}

static void fill_with(struct dns_stats *table, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct dns_query query = query_of((uint16_t)i);

		query.name_length = 255;
		dns_stats_answer(table, &query, 0, i);
	}
}

/* What is touched beside the table: stack and code, which the small table has touched before. */
Test(dns_stats, take_no_more_memory_than_their_formula_says)
{
	const struct dns_stats_settings settings = {.max_rows = 20000, .domains = true};
	uint64_t before, taken;
	struct dns_stats large;

	fill_with(&stats, 1000);
	cr_expect_eq(stats.used, ROWS);
	before = resident_bytes();
	cr_assert_eq(dns_stats_init(&large, &settings, "secret"), 0);
	cr_expect_lt(resident_bytes() - before, 2 * RESIDENT_SLACK_BYTES, "touched only when used");
	fill_with(&large, 50000);
	cr_expect_eq(large.used, 20000);
	taken = resident_bytes() - before;
	cr_expect_leq(taken, dns_stats_bytes(20000) + RESIDENT_SLACK_BYTES, "%lu", taken);
	cr_expect_gt(taken, dns_stats_bytes(20000) / 10 * 9, "%lu", taken);
	cr_expect_lt(dns_stats_bytes(20000), 27 << 20);
	dns_stats_fini(&large);
}
