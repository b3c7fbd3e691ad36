/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients' requests as text, with their answers as text: every answer here is checked to be strict JSON
 * within its bound.
 */
#include "common/json_scan.h"
#include "tests/unit/example_conn.h"
#include "tests/unit/example_room.h"
#include "worker/conn/state.h"
#include "worker/publish/query.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ULL
#define MAX_CLOSED 4096
#define MAX_CONNECTIONS 1024

static struct clients clients;
static struct conn_state state;
static struct metrics metrics;
static struct query *query;
static struct query_source source;
static unsigned refreshed;
static int refresh_result;
static const char *long_cgroup; /* of every connection; NULL: none */
static uint64_t untold_id;	/* of a live connection that the configuration leaves out */

static int refresh(void *ctx)
{
	(void)ctx;
	refreshed++;
	return refresh_result;
}

static void complete(void *ctx, struct conn_view *view)
{
	(void)ctx;
	view->cgroup = long_cgroup;
	view->container = long_cgroup ? "0123456789abcdef" : NULL;
}

static bool is_told(void *ctx, const struct conn_record *record)
{
	(void)ctx;
	return record->id != untold_id;
}

static void open_world(void)
{
	const struct clients_settings settings = {
		.max_clients = 2,
		.max_connections = MAX_CONNECTIONS,
		.max_closed = MAX_CLOSED,
		.expiry_ns = 120 * NS_PER_S,
	};

	cr_assert_eq(clients_init(&clients, &settings), 0);
	cr_assert_eq(conn_state_init(&state, MAX_CONNECTIONS, 30 * NS_PER_S, 0, 0), 0);
	cr_assert_eq(query_new(&query), 0);
	source = (struct query_source){
		.metrics = &metrics,
		.batches =
			{
				.clients = &clients,
				.table = &state.table,
				.refresh = refresh,
				.complete = complete,
				.is_told = is_told,
			},
		.now_ns = 1000 * NS_PER_S,
	};
}

static void close_world(void)
{
	query_free(query);
	conn_state_fini(&state);
	clients_fini(&clients);
}

TestSuite(query_batch, .init = open_world, .fini = close_world);

static struct conn_record make(uint64_t id, uint64_t bytes)
{
	struct conn_record record = example_record();

	record.id = id;
	record.sent_bytes = bytes;
	record.local_port = (uint16_t)(1 + id % 60000);
	return record;
}

static void finish_record(const struct conn_record *record)
{
	struct conn_view view;

	cr_assert(conn_state_close(&state, record, &view));
	clients_close(&clients, &view, view.index);
}

static void finish(uint64_t id, uint64_t bytes)
{
	const struct conn_record record = make(id, bytes);

	finish_record(&record);
}

static void see(uint64_t id, uint64_t bytes)
{
	const struct conn_record record = make(id, bytes);

	conn_state_seen(&state, &record);
}

/* The parsed answer; the caller deletes it. */
static cJSON *ask(const char *request)
{
	struct json_scan_error wrong;
	const char *answer;
	cJSON *root;
	const size_t length =
		query_answer(query, &source, request, strlen(request), &example_room, &answer);

	cr_assert_leq(length, QUERY_BATCH_BYTES_MAX);
	cr_assert_eq(json_scan_check(answer, length, &wrong), 0, "%s", wrong.message);
	root = cJSON_ParseWithLength(answer, length);
	cr_assert_not_null(root);
	return root;
}

static const char *text(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
}

static double number(const cJSON *object, const char *key)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItem(object, key));
}

static int size(const cJSON *answer, const char *key)
{
	return cJSON_GetArraySize(cJSON_GetObjectItem(answer, key));
}

/* A request for the next batch (ack 0: none), or for a page of the running one. */
static cJSON *begin(const char *name, unsigned ack)
{
	char request[256];

	if (ack)
		snprintf(request, sizeof(request),
			 "{\"op\":\"connections\",\"client\":\"%s\",\"ack\":%u}", name, ack);
	else
		snprintf(request, sizeof(request), "{\"op\":\"connections\",\"client\":\"%s\"}",
			 name);
	return ask(request);
}

static void just_begin(const char *name, unsigned ack)
{
	cJSON_Delete(begin(name, ack));
}

static cJSON *page(const char *name, const char *token)
{
	char request[256];

	snprintf(request, sizeof(request),
		 "{\"op\":\"connections\",\"client\":\"%s\",\"page\":\"%s\"}", name, token);
	return ask(request);
}

static void expect_batch(cJSON *answer, int batch, int connections)
{
	cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")));
	cr_expect_eq((int)number(answer, "batch"), batch);
	cr_expect_eq(size(answer, "connections"), connections, "%d", size(answer, "connections"));
	cJSON_Delete(answer);
}

static void expect_refused(cJSON *answer, const char *error)
{
	cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(answer, "ok")));
	cr_expect_str_eq(text(answer, "error"), error);
	cr_expect_gt(strlen(text(answer, "message")), 0);
	cJSON_Delete(answer);
}

/* A whole batch that takes several pieces. */
struct fetched {
	unsigned pieces;
	unsigned connections;
	unsigned overflow;	 /* rows */
	unsigned overflow_later; /* of these, in other pieces than the first */
	double bytes;
	int batch;
};

static void add_answer(struct fetched *fetched, const cJSON *answer)
{
	const cJSON *connection;
	const unsigned rows = (unsigned)size(answer, "overflow");

	cJSON_ArrayForEach(connection, cJSON_GetObjectItem(answer, "connections"))
	{
		fetched->connections++;
		fetched->bytes += number(cJSON_GetObjectItem(connection, "delta"), "sent_bytes");
	}
	cJSON_ArrayForEach(connection, cJSON_GetObjectItem(answer, "overflow"))
	{
		fetched->bytes += number(cJSON_GetObjectItem(connection, "delta"), "sent_bytes");
	}
	fetched->overflow += rows;
	fetched->overflow_later += fetched->pieces > 0 ? rows : 0;
	fetched->pieces++;
	fetched->batch = (int)number(answer, "batch");
}

static struct fetched fetch(const char *name, unsigned ack)
{
	cJSON *answer = begin(name, ack);
	struct fetched fetched = {0};
	char token[QUERY_PAGE_BYTES + 1];

	for (;;) {
		cr_assert(cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")), "%s",
			  text(answer, "message"));
		add_answer(&fetched, answer);
		if (!text(answer, "more"))
			break;
		snprintf(token, sizeof(token), "%s", text(answer, "more"));
		cJSON_Delete(answer);
		answer = page(name, token);
	}
	cJSON_Delete(answer);
	return fetched;
}

Test(query_batch, the_first_request_registers_and_numbers_count_up)
{
	see(1, 10);
	expect_batch(begin("a", 0), 1, 1);
	finish(2, 5);
	expect_batch(begin("a", 1), 2, 1);
	expect_batch(begin("a", 2), 3, 0);
	cr_expect_eq(clients.count, 1);
	cr_expect_eq(refreshed, 3);
}

Test(query_batch, a_batch_that_is_not_acknowledged_comes_again_under_a_new_number)
{
	just_begin("a", 0);
	finish(1, 10);
	expect_batch(begin("a", 1), 2, 1);
	finish(2, 10);
	expect_batch(begin("a", 0), 3, 2);
	expect_refused(begin("a", 2), "bad_request");
	expect_batch(begin("a", 1), 4, 2);
	expect_batch(begin("a", 4), 5, 0);
}

Test(query_batch, pieces_hold_everything_once_and_live_ones_come_last)
{
	struct fetched fetched;

	just_begin("a", 0);
	for (uint64_t id = 1; id <= 1000; id++)
		finish(id, 1);
	for (uint64_t id = 2001; id <= 2500; id++)
		see(id, 2);
	fetched = fetch("a", 1);
	cr_expect_gt(fetched.pieces, 2);
	cr_expect_eq(fetched.connections, 1500);
	cr_expect_eq(fetched.bytes, 2000);
	fetched = fetch("a", (unsigned)fetched.batch);
	cr_expect_eq(fetched.pieces, 1);
	cr_expect_eq(fetched.connections, 0);
}

Test(query_batch, only_the_next_page_of_the_running_batch_is_one)
{
	cJSON *first, *second;
	const char *wrong[] = {
		"000000000000000200000000",
		"000000000000000200000002",
		"000000000000000100000001",
		"000000000000000300000001",
	};

	just_begin("a", 0);
	just_begin("b", 0);
	for (uint64_t id = 1; id <= 1000; id++)
		finish(id, 1);
	first = begin("a", 1);
	cr_assert_str_eq(text(first, "more"), "000000000000000200000001");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_refused(page("a", wrong[i]), "bad_request");
	expect_refused(page("b", text(first, "more")), "bad_request");
	expect_refused(page("nobody", text(first, "more")), "bad_request");
	second = page("a", text(first, "more"));
	cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(second, "ok")));
	/* A piece is given once: whoever lost it begins again and gets all of it. */
	expect_refused(page("a", text(first, "more")), "bad_request");
	cr_expect_eq(fetch("a", 0).connections, 1000);
	expect_refused(page("a", text(second, "more") ? text(second, "more") : wrong[0]),
		       "bad_request");
	cJSON_Delete(first);
	cJSON_Delete(second);
}

Test(query_batch, a_batch_of_which_pieces_are_missing_cannot_be_acknowledged)
{
	just_begin("a", 0);
	for (uint64_t id = 1; id <= 1000; id++)
		finish(id, 1);
	cJSON_Delete(begin("a", 1));
	expect_refused(begin("a", 2), "bad_request");
	cr_expect_eq(fetch("a", 0).connections, 1000);
}

Test(query_batch, what_closes_between_two_pieces_is_neither_lost_nor_told_twice)
{
	struct fetched fetched = {0};
	char token[QUERY_PAGE_BYTES + 1];
	cJSON *answer;

	for (uint64_t id = 1; id <= 1000; id++)
		see(id, 10);
	answer = begin("a", 0);
	for (uint64_t id = 1; text(answer, "more"); id += 100) {
		add_answer(&fetched, answer);
		for (uint64_t closed = id; closed < id + 50; closed++)
			finish(closed, 11);
		snprintf(token, sizeof(token), "%s", text(answer, "more"));
		cJSON_Delete(answer);
		answer = page("a", token);
	}
	add_answer(&fetched, answer);
	cJSON_Delete(answer);
	cr_assert_gt(fetched.pieces, 2);
	answer = begin("a", 1);
	add_answer(&fetched, answer);
	cJSON_Delete(answer);
	cr_expect_eq(fetched.bytes, 1000 * 10 + 50 * (fetched.pieces - 2));
}

Test(query_batch, who_is_one_too_many_is_told_so_and_a_place_is_free_after_unregister)
{
	just_begin("a", 0);
	just_begin("b", 0);
	expect_refused(begin("c", 0), "too_many_clients");
	cr_expect_eq(refreshed, 2, "the kernel was asked for who was refused");
	expect_refused(ask("{\"op\":\"unregister\",\"client\":\"c\"}"), "bad_request");
	cJSON_Delete(ask("{\"op\":\"unregister\",\"client\":\"a\"}"));
	cr_expect_eq(clients.count, 1);
	finish(1, 10);
	expect_batch(begin("c", 0), 1, 0);
	expect_batch(begin("b", 1), 2, 1);
	expect_refused(begin("a", 0), "too_many_clients");
}

Test(query_batch, who_unregistered_is_not_known_any_more)
{
	cJSON *answer;

	just_begin("a", 0);
	answer = ask("{\"op\":\"unregister\",\"client\":\"a\"}");
	cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")));
	cJSON_Delete(answer);
	expect_refused(begin("a", 1), "bad_request");
	expect_refused(ask("{\"op\":\"unregister\",\"client\":\"a\"}"), "bad_request");
	expect_batch(begin("a", 0), 1, 0);
}

Test(query_batch, the_overflow_is_in_the_first_piece_only)
{
	struct fetched fetched;

	just_begin("a", 0);
	for (uint64_t id = 1; id <= MAX_CLOSED + 500; id++)
		finish(id, 1);
	fetched = fetch("a", 1);
	cr_expect_gt(fetched.pieces, 5);
	cr_expect_eq(fetched.overflow, 1);
	cr_expect_eq(fetched.overflow_later, 0);
	cr_expect_eq(fetched.connections, MAX_CLOSED);
	cr_expect_eq(fetched.bytes, MAX_CLOSED + 500);
	fetched = fetch("a", (unsigned)fetched.batch);
	cr_expect_eq(fetched.overflow + fetched.connections, 0);
}

Test(query_batch, what_belongs_to_no_flow_is_a_row_without_direction_port_and_number)
{
	cJSON *answer;
	const cJSON *row;

	just_begin("a", 0);
	clients.unattributed = (struct conn_sums){.sent_bytes = 7, .recv_packets = 1};
	answer = begin("a", 1);
	cr_assert_eq(size(answer, "overflow"), 1);
	row = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "overflow"), 0);
	cr_expect(cJSON_IsNull(cJSON_GetObjectItem(row, "direction")));
	cr_expect(cJSON_IsNull(cJSON_GetObjectItem(row, "remote_port")));
	cr_expect(cJSON_IsNull(cJSON_GetObjectItem(row, "connections")));
	cr_expect_str_eq(text(row, "protocol"), "udp");
	cr_expect_eq(number(cJSON_GetObjectItem(row, "delta"), "sent_bytes"), 7);
	cJSON_Delete(answer);
	answer = begin("a", 2);
	cr_expect_eq(size(answer, "overflow"), 0);
	cJSON_Delete(answer);
}

Test(query_batch, a_live_connection_that_is_left_out_is_told_to_nobody)
{
	untold_id = 2;
	for (uint64_t id = 1; id <= 3; id++)
		see(id, 10);
	expect_batch(begin("a", 0), 1, 2);
	see(2, 20);
	expect_batch(begin("a", 1), 2, 0);
	untold_id = 0;
}

/* All that a refused request must leave as it is. */
static void expect_nothing_changes(const char *request, const char *error)
{
	const struct client before = *clients_find(&clients, "a");
	const unsigned refreshed_before = refreshed;

	expect_refused(ask(request), error);
	cr_expect_eq(memcmp(&before, clients_find(&clients, "a"), sizeof(before)), 0, "%s",
		     request);
	cr_expect_eq(clients.count, 2, "%s", request);
	cr_expect_eq(refreshed, refreshed_before, "%s", request);
}

Test(query_batch, a_refused_request_changes_nothing_and_asks_the_kernel_for_nothing)
{
	static const char *const requests[] = {
		"{\"op\":\"connections\"}",
		"{\"op\":\"connections\",\"client\":\"\"}",
		"{\"op\":\"connections\",\"client\":\"a b\"}",
		"{\"op\":\"connections\",\"client\":7}",
		"{\"op\":\"connections\",\"client\":\"a\",\"ack\":0}",
		"{\"op\":\"connections\",\"client\":\"a\",\"ack\":-1}",
		"{\"op\":\"connections\",\"client\":\"a\",\"ack\":1.5}",
		"{\"op\":\"connections\",\"client\":\"a\",\"ack\":\"2\"}",
		"{\"op\":\"connections\",\"client\":\"a\",\"ack\":1e300}",
		"{\"op\":\"connections\",\"client\":\"a\",\"ack\":3}",
		"{\"op\":\"connections\",\"client\":\"new\",\"ack\":1}",
		("{\"op\":\"connections\",\"client\":\"a\",\"ack\":2,\"page\":"
		 "\"000000000000000200000001\"}"),
		"{\"op\":\"connections\",\"client\":\"a\",\"page\":\"x\"}",
		"{\"op\":\"connections\",\"client\":\"a\",\"page\":\"000000000000000200000009\"}",
		"{\"op\":\"connections\",\"client\":\"a\",\"page\":\"+00000000000000200000001\"}",
		"{\"op\":\"connections\",\"client\":\"a\",\"filter\":\"pid == 1\"}",
		"{\"op\":\"connections\",\"client\":\"a\",\"client\":\"a\"}",
		"{\"op\":\"unregister\"}",
		"{\"op\":\"unregister\",\"client\":\"nobody\"}",
		"{\"op\":\"unregister\",\"client\":\"a\",\"ack\":2}",
	};

	just_begin("b", 0);
	just_begin("a", 0);
	finish(1, 10);
	just_begin("a", 1);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		expect_nothing_changes(requests[i], "bad_request");
	expect_nothing_changes("{\"op\":\"connections\",\"client\":\"c\"}", "too_many_clients");
	expect_batch(begin("a", 2), 3, 0);
}

Test(query_batch, without_a_snapshot_the_client_is_asked_to_try_again_and_owes_its_ack_still)
{
	just_begin("a", 0);
	finish(1, 10);
	just_begin("a", 1);
	refresh_result = -EAGAIN;
	expect_refused(begin("a", 2), "busy");
	expect_refused(begin("b", 0), "busy");
	cr_expect_eq(clients.count, 1);
	cr_expect_eq(clients_find(&clients, "a")->acked_batch, 1);
	refresh_result = 0;
	expect_batch(begin("a", 2), 3, 0);
}

/* Every fact at its longest. */
static struct conn_record longest(uint64_t id)
{
	struct conn_record record = make(id, UINT64_MAX - id);

	record.id = UINT64_MAX - id;
	record.family = RECORD_FAMILY_IPV6;
	memset(record.local_ip, 0xee, sizeof(record.local_ip));
	memset(record.remote_ip, 0xee, sizeof(record.remote_ip));
	memset(record.comm, 1, sizeof(record.comm) - 1);
	record.recv_bytes = UINT64_MAX;
	record.sent_packets = record.recv_packets = record.retransmits = UINT32_MAX;
	record.srtt_us = record.rttvar_us = record.handshake_us = UINT32_MAX;
	record.pid = record.uid = record.netns = UINT32_MAX;
	record.error = EADDRNOTAVAIL;
	record.opened_ns = 1;
	record.at_ns = UINT64_MAX;
	record.start_ns = UINT64_MAX - 10;
	record.local_port = UINT16_MAX;
	record.remote_port = (uint16_t)(UINT16_MAX - id % 1000);
	return record;
}

Test(query_batch, no_piece_is_longer_than_its_bound_whatever_it_holds)
{
	static char path[RECORD_CGROUP_PATH_BYTES];
	struct fetched fetched;

	memset(path, 1, sizeof(path) - 1); /* six characters each */
	long_cgroup = path;
	just_begin("a", 0);
	/* All rows of the overflow, and a log that is full. */
	for (uint64_t id = 1; id <= MAX_CLOSED + 1000; id++) {
		const struct conn_record record = longest(id);

		finish_record(&record);
	}
	clients.unattributed =
		(struct conn_sums){0, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	fetched = fetch("a", 1);
	cr_expect_eq(fetched.overflow, OVERFLOW_ROWS - OVERFLOW_PORTLESS_ROWS + 2, "%u",
		     fetched.overflow);
	cr_expect_eq(fetched.connections, MAX_CLOSED);
	source.batches.rollup = true;
	fetched = fetch("a", 0);
	cr_expect_eq(fetched.connections, MAX_CLOSED);
	long_cgroup = NULL;
}

Test(query_batch, rolled_up_what_is_alike_is_one_and_the_sums_stay)
{
	struct fetched fetched;
	cJSON *answer;
	const cJSON *row;

	source.batches.rollup = true;
	just_begin("a", 0);
	for (uint64_t id = 1; id <= 3000; id++)
		finish(id, 2);
	answer = begin("a", 1);
	cr_assert_eq(size(answer, "connections"), 1);
	row = cJSON_GetObjectItem(answer, "connections")->child;
	cr_expect_eq(number(row, "rolled_up"), 3000);
	cr_expect(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(row, "local"), "port")));
	cr_expect_eq(number(cJSON_GetObjectItem(row, "remote"), "port"), 443);
	cr_expect_eq(number(cJSON_GetObjectItem(row, "delta"), "sent_bytes"), 6000);
	cr_expect_null(text(answer, "more"));
	cJSON_Delete(answer);
	/* More services than a piece has rows for. */
	for (uint64_t id = 4001; id <= 4500; id++) {
		struct conn_record record = make(id, 1);

		record.remote_port = (uint16_t)(1 + id % 250);
		finish_record(&record);
	}
	see(9001, 5);
	fetched = fetch("a", 2);
	cr_expect_lt(fetched.connections, 502);
	cr_expect_eq(fetched.bytes, 505);
	fetched = fetch("a", (unsigned)fetched.batch);
	cr_expect_eq(fetched.connections, 0);
}
