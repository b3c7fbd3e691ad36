/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_scan.h"
#include "tests/unit/example_conn.h"
#include "tests/unit/example_room.h"
#include "worker/publish/query.h"
#include "worker/seccomp_rules.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A table of records in which every third place is free. */
struct world {
	size_t slots;
	unsigned refreshed;
	unsigned updated;
	int refresh_result;
	struct conn_record record;
};

static struct world world;
static struct metrics metrics;
static const struct worker_facts facts = {.version = "1", .health = {.is_good = true}};
static struct config config;
static struct query *query;

static int refresh(void *ctx)
{
	struct world *table = ctx;

	table->refreshed++;
	return table->refresh_result;
}

static size_t next_slot(void *ctx, size_t slot, struct conn_view *view)
{
	struct world *table = ctx;

	while (slot < table->slots && slot % 3 == 1)
		slot++;
	if (slot >= table->slots)
		return 0;
	table->record = example_record();
	table->record.id = slot;
	table->record.pid = (uint32_t)(slot % 10);
	*view = (struct conn_view){.record = &table->record, .cgroup = "/x"};
	return slot + 1;
}

static void update(void *ctx)
{
	struct world *table = ctx;

	table->updated++;
}

#define NOW_NS (1000 * NS_PER_S)

static struct dns dns;

static struct query_source source = {
	.ctx = &world,
	.refresh = refresh,
	.next = next_slot,
	.update = update,
	.metrics = &metrics,
	.facts = &facts,
	.config = &config,
	.dns = &dns,
	.now_ns = NOW_NS,
};

static void make_query(void)
{
	struct dns_settings settings;

	config_default(&config);
	settings = dns_settings_of(&config);
	cr_assert_eq(query_new(&query), 0);
	memset(&dns, 0, sizeof(dns));
	cr_assert_eq(dns_init(&dns, &settings, "secret"), 0);
}

static void free_query(void)
{
	query_free(query);
	dns_fini(&dns);
}

TestSuite(query, .init = make_query, .fini = free_query);

/* The parsed answer, which must be strictly valid; the caller deletes it. */
static cJSON *ask_bytes(const char *request, size_t length)
{
	struct json_scan_error wrong;
	const char *answer;
	cJSON *root;

	length = query_answer(query, &source, request, length, &example_room, &answer);
	cr_assert_leq(length, QUERY_LONGEST_BYTES);
	cr_assert_eq(json_scan_check(answer, length, &wrong), 0, "%s", wrong.message);
	root = cJSON_ParseWithLength(answer, length);
	cr_assert_not_null(root);
	return root;
}

static cJSON *ask(const char *request)
{
	return ask_bytes(request, strlen(request));
}

static bool is_ok(const cJSON *answer)
{
	return cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok"));
}

static const char *string(const cJSON *answer, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(answer, key));
}

Test(query, names_are_asked_for_by_any_kind_of_address)
{
	cJSON *answer = ask("{\"op\":\"names\",\"ips\":[\"10.0.0.9\",\"::ffff:10.0.0.9\","
			    "\"2001:DB8::1\"]}");
	const cJSON *names = cJSON_GetObjectItem(answer, "names");

	cr_assert(is_ok(answer));
	cr_assert_eq(cJSON_GetArraySize(names), 3);
	cr_expect_str_eq(string(cJSON_GetArrayItem(names, 0), "ip"), "10.0.0.9");
	cr_expect_str_eq(string(cJSON_GetArrayItem(names, 1), "ip"), "10.0.0.9");
	cr_expect_str_eq(string(cJSON_GetArrayItem(names, 2), "ip"), "2001:db8::1");
	cJSON_Delete(answer);
}

static void learn(const uint8_t ip[16], const char *wire, size_t length)
{
	cr_assert_eq(names_add(&dns.names, RECORD_FAMILY_IPV4, ip, (const uint8_t *)wire,
			       (uint8_t)length, 300, NOW_NS),
		     NAMES_NEW);
}

Test(query, an_address_has_its_names_the_newest_first)
{
	static const uint8_t ip[16] = {10, 0, 0, 9};
	const cJSON *item, *names;
	cJSON *answer;

	learn(ip, "\3Www\7example\3org", sizeof("\3www\7example\3org"));
	learn(ip, "\4a.\"b\3org", sizeof("\4a.\"b\3org"));
	answer = ask("{\"op\":\"names\",\"ips\":[\"10.0.0.9\",\"10.0.0.8\"]}");
	cr_assert(is_ok(answer));
	item = cJSON_GetObjectItem(answer, "names")->child;
	names = cJSON_GetObjectItem(item, "names");
	cr_assert_eq(cJSON_GetArraySize(names), 2);
	cr_expect_str_eq(cJSON_GetArrayItem(names, 0)->valuestring, "a\\.\"b.org");
	cr_expect_str_eq(cJSON_GetArrayItem(names, 1)->valuestring, "www.example.org");
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(item->next, "names")), 0);
	cJSON_Delete(answer);
}

Test(query, all_addresses_with_the_longest_names_fit_into_one_answer)
{
	static const uint8_t ip[16] = {10, 0, 0, 9};
	char request[16 + QUERY_ADDRESSES_MAX * 12] = "{\"op\":\"names\",\"ips\":[", *at;
	char wire[255];
	cJSON *answer;

	memset(wire, 1, sizeof(wire));
	for (unsigned i = 0; i < 4; i++)
		wire[i * 63] = i < 3 ? 62 : 64 - 1;
	wire[3 * 63] = 255 - 3 * 63 - 2;
	wire[254] = 0;
	learn(ip, wire, sizeof(wire));
	at = request + strlen(request);
	for (unsigned i = 0; i < QUERY_ADDRESSES_MAX; i++)
		at += sprintf(at, "%s\"10.0.0.9\"", i > 0 ? "," : "");
	strcpy(at, "]}");
	answer = ask(request);
	cr_assert(is_ok(answer));
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "names")), QUERY_ADDRESSES_MAX);
	cr_expect_eq(
		strlen(cJSON_GetObjectItem(answer, "names")->child->child->next->child->valuestring),
		250 * 4 + 3);
	cJSON_Delete(answer);
}

Test(query, statistics_come_in_pages_and_are_not_reset)
{
	struct dns_query asked = {
		.client_ip = {10, 0, 0, 5},
		.server_ip = {10, 0, 0, 1},
		.server_port = 53,
		.family = RECORD_FAMILY_IPV4,
		.protocol = IPPROTO_UDP,
		.qtype = 1,
		.name_length = 5,
		.name = "\3a00",
	};
	unsigned rows = 0, pages = 0;

	for (unsigned i = 0; i < 2000; i++) {
		asked.name[2] = (uint8_t)('0' + i % 50);
		asked.client_port = (uint16_t)i;
		asked.server_ip[3] = (uint8_t)(i / 50);
		dns_stats_query(&dns.stats, &asked);
		dns_stats_answer(&dns.stats, &asked, i % 3 == 0 ? 3 : 0, 100 + i);
	}
	for (unsigned round = 0; round < 2; round++) {
		char request[128] = "{\"op\":\"dns\"}";
		bool more = true;

		for (rows = 0, pages = 0; more; pages++) {
			cJSON *answer = ask(request);
			const cJSON *list = cJSON_GetObjectItem(answer, "dns");
			const cJSON *token = cJSON_GetObjectItem(answer, "more");

			cr_assert(is_ok(answer));
			cr_assert_gt(cJSON_GetArraySize(list), 0);
			rows += (unsigned)cJSON_GetArraySize(list);
			cr_expect_str_eq(string(list->child, "client"), "10.0.0.5");
			cr_expect_str_eq(string(list->child, "type"), "A");
			cr_expect_eq(cJSON_GetObjectItem(list->child, "queries")->valueint, 1);
			more = token != NULL;
			if (more)
				snprintf(request, sizeof(request),
					 "{\"op\":\"dns\",\"page\":\"%s\"}", token->valuestring);
			cJSON_Delete(answer);
		}
		cr_expect_eq(rows, 2000);
		cr_expect_gt(pages, 5);
	}
}

Test(query, the_audit_lists_every_system_call_with_its_reason)
{
	cJSON *answer = ask("{\"op\":\"audit\"}");
	const cJSON *worker = cJSON_GetObjectItem(answer, "worker");
	const cJSON *calls = cJSON_GetObjectItem(worker, "system_calls");

	cr_assert(is_ok(answer));
	cr_expect_str_eq(string(worker, "capabilities"), "0000000000000000");
	cr_assert_eq((size_t)cJSON_GetArraySize(calls), seccomp_rules_count);
	cr_expect_str_eq(string(calls->child, "name"), seccomp_rules[0].name);
	cr_expect_str_eq(string(calls->child, "reason"), seccomp_rules[0].reason);
	cJSON_Delete(answer);
}

Test(query, refuses_what_is_not_a_request_and_says_why)
{
	static const struct {
		const char *request;
		const char *error;
		const char *message;
	} cases[] = {
		{"", "bad_request", "byte 1: the text ends too early"},
		{"{", "bad_request", "byte 2: the text ends too early"},
		{"{} {}", "bad_request", "byte 4: more text behind the end"},
		{"// c\n{}", "bad_request", "byte 1: a value is expected here"},
		{"[]", "bad_request", "a request is a JSON object"},
		{"{}", "bad_request", "\"op\" is missing"},
		{"{\"op\":1}", "bad_request", "\"op\" must be a string"},
		{"{\"op\":null}", "bad_request", "\"op\" must be a string"},
		{"{\"op\":\"status\",\"op\":\"status\"}", "bad_request", "\"op\" is there twice"},
		{"{\"op\":\"nothing\"}", "unknown_op", "unknown op \"nothing\""},
		{"{\"op\":\"STATUS\"}", "unknown_op", "unknown op \"STATUS\""},
		{"{\"op\":\"http\",\"x\":[1]}", "unknown_op", "unknown op \"http\""},
		{"{\"op\":\"connections\"}", "bad_request", "\"client\" is missing"},
		{"{\"op\":\"connections\",\"client\":\"\"}", "bad_request",
		 "a client's name is 1 to 64 letters, digits and . _ : @ -"},
		{"{\"op\":\"connections\",\"client\":\"a b\"}", "bad_request",
		 "a client's name is 1 to 64 letters, digits and . _ : @ -"},
		{"{\"op\":\"connections\",\"client\":7}", "bad_request",
		 "\"client\" must be a string"},
		{"{\"op\":\"connections\",\"client\":\"a\",\"ack\":\"1\"}", "bad_request",
		 "\"ack\" must be a number"},
		{"{\"op\":\"connections\",\"client\":\"a\",\"ack\":0}", "bad_request",
		 "\"ack\" is the number of a batch, from 1"},
		{"{\"op\":\"connections\",\"client\":\"a\",\"ack\":1.5}", "bad_request",
		 "\"ack\" is the number of a batch, from 1"},
		{"{\"op\":\"connections\",\"client\":\"a\",\"ack\":1e300}", "bad_request",
		 "\"ack\" is the number of a batch, from 1"},
		{"{\"op\":\"connections\",\"client\":\"a\",\"page\":\"x\"}", "bad_request",
		 "the page is not one that was given"},
		{"{\"op\":\"unregister\",\"client\":\"a\",\"ack\":1}", "bad_request",
		 "\"unregister\" has no key \"ack\""},
		{"{\"op\":\"names\"}", "bad_request", "\"ips\" is missing"},
		{"{\"op\":\"names\",\"ips\":\"::1\"}", "bad_request", "\"ips\" must be a list"},
		{"{\"op\":\"names\",\"ips\":[\"10.0.0\"]}", "bad_request",
		 "\"ips\" is a list of addresses"},
		{"{\"op\":\"names\",\"ips\":[[]]}", "bad_request",
		 "\"ips\" is a list of addresses"},
		{"{\"op\":\"status\\u0000\"}", "bad_request", "byte 20: \\u0000 is not allowed"},
		{"{\"op\":\"status\",\"filter\":\"\"}", "bad_request",
		 "\"status\" has no key \"filter\""},
		{"{\"op\":\"snapshot\",\"filtre\":\"\"}", "bad_request",
		 "\"snapshot\" has no key \"filtre\""},
		{"{\"op\":\"snapshot\",\"filter\":3}", "bad_request",
		 "\"filter\" must be a string"},
		{"{\"op\":\"snapshot\",\"filter\":\"pid = 3\"}", "bad_request",
		 "filter, character 5: \"=\" is not an operator, \"==\" is"},
		{"{\"op\":\"snapshot\",\"page\":\"1\"}", "bad_request",
		 "the page is not one that was given for this filter"},
		{"{\"op\":\"snapshot\",\"page\":\"00000000000000010000000\"}", "bad_request",
		 "the page is not one that was given for this filter"},
		{"{\"op\":\"snapshot\",\"page\":\"-000000000000001811c9dc5\"}", "bad_request",
		 "the page is not one that was given for this filter"},
		{"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "bad_request", "byte 17: nested too deep"},
	};

	world.slots = 3;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *answer = ask(cases[i].request);

		cr_expect_not(is_ok(answer), "%s", cases[i].request);
		cr_expect_str_eq(string(answer, "error"), cases[i].error);
		cr_expect_str_eq(string(answer, "message"), cases[i].message);
		cJSON_Delete(answer);
	}
	cr_expect_eq(world.refreshed, 0);
	cr_expect_eq(world.updated, 0);
	cr_expect_eq(metrics.value[METRIC_QUERY_REQUESTS], sizeof(cases) / sizeof(cases[0]));
	cr_expect_eq(metrics.value[METRIC_QUERY_REFUSED], sizeof(cases) / sizeof(cases[0]));
}

Test(query, refuses_a_request_that_is_too_large)
{
	static char request[QUERY_REQUEST_BYTES_MAX + 1];
	cJSON *answer;

	memset(request, ' ', sizeof(request));
	memcpy(request, "{\"op\":\"status\"}", 15);
	answer = ask_bytes(request, sizeof(request));
	cr_expect_str_eq(string(answer, "error"), "too_large");
	cJSON_Delete(answer);
	answer = ask_bytes(request, sizeof(request) - 1);
	cr_expect(is_ok(answer));
	cJSON_Delete(answer);
}

Test(query, repeats_any_bytes_of_an_unknown_op_as_valid_json)
{
	/* 64 bytes are repeated, and the cut falls into a character. */
	char request[256] = "{\"op\":\"x";
	cJSON *answer;

	for (unsigned i = 0; i < 40; i++)
		strcat(request, "\xc3\xa9");
	strcat(request, "\"}");
	answer = ask(request);
	cr_expect_str_eq(string(answer, "error"), "unknown_op");
	cJSON_Delete(answer);
}

Test(query, says_busy_if_no_snapshot_can_be_had)
{
	cJSON *answer;

	world.refresh_result = -EAGAIN;
	answer = ask("{\"op\":\"snapshot\"}");
	cr_expect_str_eq(string(answer, "error"), "busy");
	cJSON_Delete(answer);
}

Test(query, brings_the_numbers_up_to_date_for_status)
{
	cJSON *answer = ask("{\"op\":\"status\"}");

	cr_expect(is_ok(answer));
	cr_expect_eq(world.updated, 1);
	cr_expect_str_eq(string(answer, "health"), "good");
	cJSON_Delete(answer);
}

/* The configuration that the worker says it has; it must be the one that it was given. */
static size_t expect_config(void)
{
	static const char head[] = "{\"ok\":true,\"config\":";
	const char request[] = "{\"op\":\"config\"}";
	char error[CONFIG_ERROR_BYTES];
	struct config again;
	const char *answer;
	const size_t length =
		query_answer(query, &source, request, strlen(request), &example_room, &answer);

	cr_assert_gt(length, sizeof(head));
	cr_assert_leq(length, QUERY_CONFIG_BYTES_MAX);
	cr_assert_eq(strncmp(answer, head, sizeof(head) - 1), 0);
	cr_assert_eq(answer[length - 1], '}');
	config_default(&again);
	cr_assert_eq(config_apply(&again, "answer", answer + sizeof(head) - 1,
				  length - sizeof(head), error, sizeof(error)),
		     0, "%s", error);
	cr_expect_arr_eq((const char *)&again, (const char *)&config, sizeof(config));
	return length;
}

Test(query, tells_the_configuration_that_it_runs_with)
{
	struct exclude_item *items = config.exclude_source.item;

	expect_config();
	config.publish_queue = 7;
	for (uint32_t i = 0; i < CONFIG_EXCLUDES_MAX; i++) {
		items[i].prefix = (struct exclude_prefix){.family = EXCLUDE_IPV6, .bits = 128};
		memset(items[i].prefix.ip, 0xee, sizeof(items[i].prefix.ip));
		items[i].prefix.ip[0] = (uint8_t)(0x10 + i / 16);
		items[i].prefix.ip[2] = (uint8_t)(0x10 + i % 16);
		items[i].ports = (struct exclude_ports){10000, 20000, EXCLUDE_UDP, 0};
	}
	config.exclude_source.count = CONFIG_EXCLUDES_MAX;
	config.exclude_destination = config.exclude_source;
	/* Longer than other answers may be. */
	cr_expect_gt(expect_config(), QUERY_ANSWER_BYTES_MAX);
}

Test(query, gives_an_empty_list_where_nothing_lives)
{
	const char *answer;
	size_t length =
		query_answer(query, &source, "{\"op\":\"snapshot\"}", 17, &example_room, &answer);

	cr_expect_eq(length, 28);
	cr_expect_eq(memcmp(answer, "{\"ok\":true,\"connections\":[]}", 28), 0, "%.*s", (int)length,
		     answer);
}

/* Asks for all pages; returns their number, and each connection's count in seen[slot]. */
static unsigned ask_all(const char *filter, unsigned char *seen)
{
	char request[256];
	unsigned pages = 0;
	char more[64] = "";

	do {
		cJSON *answer;
		const cJSON *item;

		snprintf(request, sizeof(request), "{\"op\":\"snapshot\",\"filter\":\"%s\"%s%s%s}",
			 filter, more[0] ? ",\"page\":\"" : "", more, more[0] ? "\"" : "");
		answer = ask(request);
		cr_assert(is_ok(answer), "%s", string(answer, "message"));
		cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "connections"))
			seen[strtoul(string(item, "id"), NULL, 16)]++;
		snprintf(more, sizeof(more), "%s",
			 string(answer, "more") ? string(answer, "more") : "");
		cJSON_Delete(answer);
		pages++;
	} while (more[0]);
	return pages;
}

Test(query, gives_every_connection_once_over_pages_and_asks_the_kernel_once)
{
	static unsigned char seen[1000];

	world.slots = sizeof(seen);
	cr_expect_gt(ask_all("", seen), 3);
	for (size_t i = 0; i < sizeof(seen); i++)
		cr_expect_eq(seen[i], i % 3 == 1 ? 0 : 1, "slot %zu: %u", i, seen[i]);
	cr_expect_eq(world.refreshed, 1);
}

Test(query, gives_only_what_the_filter_lets_through)
{
	static unsigned char seen[3000];

	world.slots = sizeof(seen);
	ask_all("pid == 7 or pid == 8", seen);
	for (size_t i = 0; i < sizeof(seen); i++)
		cr_expect_eq(seen[i], i % 3 != 1 && (i % 10 == 7 || i % 10 == 8), "slot %zu", i);
}

Test(query, ends_a_page_after_a_bounded_search_and_goes_on_where_it_was)
{
	static unsigned char seen[100000];

	world.slots = sizeof(seen);
	cr_expect_eq(ask_all("id == 1869e", seen), 5); /* 66,667 connections, 16,384 a page */
	cr_expect_eq(seen[0x1869e], 1);
}

Test(query, does_not_take_a_page_for_another_filter)
{
	cJSON *answer;
	char request[256];

	world.slots = 1000;
	answer = ask("{\"op\":\"snapshot\",\"filter\":\"pid < 9\"}");
	cr_assert_not_null(string(answer, "more"));
	snprintf(request, sizeof(request), "{\"op\":\"snapshot\",\"page\":\"%s\"}",
		 string(answer, "more"));
	cJSON_Delete(answer);
	answer = ask(request);
	cr_expect_str_eq(string(answer, "error"), "bad_request");
	cJSON_Delete(answer);
}

Test(query, takes_a_page_behind_the_end_as_the_end)
{
	cJSON *answer = ask("{\"op\":\"snapshot\",\"page\":\"ffffffffffffffff811c9dc5\"}");

	cr_expect(is_ok(answer));
	cr_expect_null(string(answer, "more"));
	cJSON_Delete(answer);
}
