/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_model.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#define S 1000000000ULL

static cJSON *make(uint64_t id, uint64_t sent, uint64_t recv, uint64_t age_ns)
{
	char text[512];
	cJSON *json;

	snprintf(text, sizeof(text),
		 "{\"id\":\"%016llx\",\"state\":\"active\",\"direction\":\"outgoing\","
		 "\"local\":{\"ip\":\"10.0.0.5\",\"port\":40000},"
		 "\"remote\":{\"ip\":\"10.0.0.9\",\"port\":%llu,\"names\":[]},\"pid\":7,"
		 "\"comm\":\"Curl\",\"duration_ns\":\"%llu\",\"total\":{\"sent_bytes\":%llu,"
		 "\"recv_bytes\":%llu,\"retransmits\":1},\"rtt_us\":95,\"failure\":null,"
		 "\"close_reason\":\"fin\"}",
		 (unsigned long long)id, (unsigned long long)id, (unsigned long long)age_ns,
		 (unsigned long long)sent, (unsigned long long)recv);
	json = cJSON_Parse(text);
	cr_assert_not_null(json);
	return json;
}

static void see(struct top_model *model, uint64_t id, uint64_t sent, uint64_t age_ns, uint64_t now)
{
	cJSON *json = make(id, sent, 0, age_ns);

	top_model_see(model, json, now);
	cJSON_Delete(json);
}

static void end(struct top_model *model, uint64_t id, uint64_t sent, uint64_t age_ns, uint64_t now)
{
	cJSON *json = make(id, sent, 0, age_ns);

	top_model_close(model, json, now);
	cJSON_Delete(json);
}

static struct top_shown rows[32768];

static size_t order(const struct top_model *model, enum top_sort sort, const char *filter)
{
	return top_model_order(model, sort, filter, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(cli_top_model, a_rate_is_growth_per_second)
{
	cr_expect_eq(top_rate(100, 300, S), 200);
	cr_expect_eq(top_rate(100, 300, 2 * S), 100);
	cr_expect_eq(top_rate(0, 1000, S / 2), 2000);
	cr_expect_eq(top_rate(300, 100, S), 0, "a counter that went back");
	cr_expect_eq(top_rate(0, 100, 0), 0, "no time");
}

Test(cli_top_model, rates_come_from_two_looks_at_the_same_connection)
{
	struct top_model model;

	top_model_init(&model);
	top_model_begin(&model, 10 * S);
	see(&model, 1, 5000, 100 * S, 10 * S);
	top_model_end(&model, 10 * S);
	cr_assert_eq(order(&model, TOP_SORT_RATE, ""), 1);
	cr_expect_eq(rows[0].row->sent_rate, 0,
		     "what an old connection had sent before says nothing");
	top_model_begin(&model, 12 * S);
	see(&model, 1, 7000, 102 * S, 12 * S);
	top_model_end(&model, 12 * S);
	cr_assert_eq(order(&model, TOP_SORT_RATE, ""), 1);
	cr_expect_eq(rows[0].row->sent_rate, 1000);
	cr_expect_eq(model.bytes_per_s, 1000);
	top_model_fini(&model);
}

Test(cli_top_model, all_bytes_of_a_young_connection_are_new_but_not_those_of_an_old_one)
{
	struct top_model model;

	top_model_init(&model);
	top_model_begin(&model, 10 * S);
	top_model_end(&model, 10 * S);
	top_model_begin(&model, 12 * S);
	see(&model, 1, 4000, S, 12 * S);
	see(&model, 2, 4000, 9 * S, 12 * S);
	top_model_end(&model, 12 * S);
	cr_assert_eq(order(&model, TOP_SORT_RATE, ""), 2);
	cr_expect_eq(rows[0].row->id, 1);
	cr_expect_eq(rows[0].row->sent_rate, 2000);
	cr_expect_eq(rows[1].row->sent_rate, 0);
	top_model_fini(&model);
}

Test(cli_top_model, a_connection_that_only_closed_is_seen_for_a_few_seconds)
{
	struct top_model model;

	top_model_init(&model);
	top_model_begin(&model, 10 * S);
	top_model_end(&model, 10 * S);
	end(&model, 5, 123, S / 1000, 10 * S + S / 2);
	cr_assert_eq(order(&model, TOP_SORT_RATE, ""), 1);
	cr_expect_eq(rows[0].row->closed_ns, 10 * S + S / 2);
	cr_expect_str_eq(rows[0].row->end, "fin");
	top_model_begin(&model, 14 * S);
	top_model_end(&model, 14 * S);
	cr_expect_eq(order(&model, TOP_SORT_RATE, ""), 1);
	top_model_begin(&model, 16 * S);
	top_model_end(&model, 16 * S);
	cr_expect_eq(order(&model, TOP_SORT_RATE, ""), 0);
	top_model_fini(&model);
}

Test(cli_top_model, a_close_is_not_undone_by_an_older_snapshot)
{
	struct top_model model;

	top_model_init(&model);
	top_model_begin(&model, 10 * S);
	end(&model, 5, 123, S, 10 * S);
	see(&model, 5, 100, S, 10 * S + 1);
	top_model_end(&model, 10 * S + 2);
	cr_assert_eq(order(&model, TOP_SORT_RATE, ""), 1);
	cr_expect_neq(rows[0].row->closed_ns, 0);
	cr_expect_eq(rows[0].row->sent_bytes, 123);
	top_model_fini(&model);
}

Test(cli_top_model, a_connection_that_no_snapshot_has_any_more_goes)
{
	struct top_model model;

	top_model_init(&model);
	top_model_begin(&model, 10 * S);
	see(&model, 1, 1, S, 10 * S);
	top_model_end(&model, 10 * S);
	for (uint64_t t = 11; t <= 12; t++) {
		top_model_begin(&model, t * S);
		top_model_end(&model, t * S);
		cr_expect_eq(order(&model, TOP_SORT_RATE, ""), 1, "its close may be on its way");
	}
	top_model_begin(&model, 13 * S);
	top_model_end(&model, 13 * S);
	cr_expect_eq(order(&model, TOP_SORT_RATE, ""), 0);
	top_model_fini(&model);
}

Test(cli_top_model, many_connections_are_found_again_by_their_ids)
{
	struct top_model model;

	top_model_init(&model);
	for (uint64_t t = 1; t <= 2; t++) {
		top_model_begin(&model, t * S);
		for (uint64_t id = 1; id <= 5000; id++)
			see(&model, id << 20, id * t, 100 * S, t * S);
		top_model_end(&model, t * S);
	}
	cr_assert_eq(order(&model, TOP_SORT_RATE, ""), 5000);
	for (uint64_t i = 0; i < 5000; i++) {
		cr_assert_eq(rows[i].row->id >> 20, 5000 - i);
		cr_assert_eq(rows[i].row->sent_rate, 5000 - i);
	}
	top_model_fini(&model);
}

Test(cli_top_model, a_storm_of_closes_is_bounded_and_leaves_the_newest)
{
	struct top_model model;

	top_model_init(&model);
	top_model_begin(&model, S);
	see(&model, 1, 1, S, S);
	for (uint64_t i = 0; i < 20000; i++)
		end(&model, 1000 + i, 1, 1, S + i * 1000);
	cr_expect_eq(order(&model, TOP_SORT_RATE, ""), TOP_CLOSED_MAX + 1);
	top_model_end(&model, S + 20000 * 1000);
	cr_expect_leq(order(&model, TOP_SORT_RATE, ""), TOP_CLOSED_KEPT + 1);
	cr_expect_eq(order(&model, TOP_SORT_RATE, ":1 "), 1, "the live one is still there");
	end(&model, 60000, 1, 1, S + 20001 * 1000);
	cr_expect_eq(order(&model, TOP_SORT_RATE, ":60000 "), 1, "there is room for a new one");
	top_model_fini(&model);
}

Test(cli_top_model, the_filter_finds_text_in_either_case_and_the_sort_has_its_order)
{
	struct top_model model;

	top_model_init(&model);
	top_model_begin(&model, S);
	see(&model, 443, 10, 5 * S, S);
	see(&model, 80, 20, 9 * S, S);
	see(&model, 25, 5, 7 * S, S);
	top_model_end(&model, S);
	cr_expect_eq(order(&model, TOP_SORT_RATE, "curl"), 3);
	cr_expect_eq(order(&model, TOP_SORT_RATE, "10.0.0.9:443"), 1);
	cr_expect_eq(order(&model, TOP_SORT_RATE, "nginx"), 0);
	cr_expect_eq(order(&model, TOP_SORT_TOTAL, ""), 3);
	cr_expect_eq(rows[0].row->id, 80);
	cr_expect_eq(rows[2].row->id, 25);
	order(&model, TOP_SORT_NEWEST, "");
	cr_expect_eq(rows[0].row->id, 443);
	order(&model, TOP_SORT_REMOTE, "");
	cr_expect_str_eq(rows[0].row->remote, "10.0.0.9:25");
	top_model_fini(&model);
}

Test(cli_top_model, what_has_no_id_is_counted_as_not_shown)
{
	struct top_model model;
	cJSON *json = cJSON_Parse("{\"comm\":\"x\"}");

	top_model_init(&model);
	top_model_begin(&model, S);
	top_model_see(&model, json, S);
	top_model_close(&model, json, S);
	top_model_end(&model, S);
	cr_expect_eq(model.not_shown, 1);
	cr_expect_eq(order(&model, TOP_SORT_RATE, ""), 0);
	cJSON_Delete(json);
	top_model_fini(&model);
}

Test(cli_top_model, a_name_that_is_learnt_later_is_shown_and_found_beside_the_address)
{
	struct top_model model;
	cJSON *json = make(80, 1, 1, S);
	cJSON *remote = cJSON_GetObjectItemCaseSensitive(json, "remote");

	top_model_init(&model);
	top_model_begin(&model, 10 * S);
	top_model_see(&model, json, 10 * S);
	cr_assert_eq(order(&model, TOP_SORT_REMOTE, ""), 1);
	cr_expect_str_eq(rows[0].row->named, "10.0.0.9:80");
	cJSON_ReplaceItemInObjectCaseSensitive(remote, "names",
					       cJSON_Parse("[\"db.example.org\"]"));
	top_model_see(&model, json, 11 * S);
	see(&model, 81, 1, S, 11 * S);
	cr_assert_eq(order(&model, TOP_SORT_REMOTE, "DB.exam"), 1);
	cr_expect_str_eq(rows[0].row->named, "db.example.org:80");
	cr_expect_str_eq(rows[0].row->remote, "10.0.0.9:80");
	cr_expect_eq(order(&model, TOP_SORT_REMOTE, "10.0.0.9:80"), 1);
	cr_assert_eq(order(&model, TOP_SORT_REMOTE, ""), 2);
	cr_expect_eq(rows[0].row->id, 81, "10.0.0.9:81 before db.example.org:80");
	cr_assert_eq(order(&model, TOP_SORT_ADDRESS, ""), 2);
	cr_expect_eq(rows[0].row->id, 80, "10.0.0.9:80 before 10.0.0.9:81");
	top_model_end(&model, 12 * S);
	top_model_fini(&model);
	cJSON_Delete(json);
}
