/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tapes on which clients ask: from records through the engine to answers and conn.v1 messages. What
 * is looked at is the text that comes out.
 */
#include "tests/unit/example_conn.h"
#include "tests/unit/example_tape.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <stdio.h>

#define NS_PER_S 1000000000ULL
#define OUT RECORD_DIRECTION_OUTGOING
#define IN RECORD_DIRECTION_INCOMING

static struct example_tape tape;
static struct example_output output;
static cJSON *answers[32]; /* in their order */
static unsigned answer_count;
static const cJSON *told[2048]; /* connections of conn.v1, in their order */
static unsigned told_count;
static cJSON *messages[64];
static unsigned message_count;
static uint64_t now_ns;

static void tick(uint64_t seconds)
{
	now_ns += seconds * NS_PER_S;
	tape_put_tick(&tape.writer, now_ns, (struct clock_offsets){5, 6}, true);
}

static void begin_with(const char *config)
{
	example_tape_begin(&tape, config);
	now_ns = 1000 * NS_PER_S;
	answer_count = told_count = message_count = 0;
	tick(0);
}

static void ask(const char *request)
{
	tape_put(&tape.writer, TAPE_ASK, request, strlen(request));
}

/* The client's next batch; ack 0: without one. */
static void fetch(const char *name, unsigned ack)
{
	char request[128];

	if (ack)
		snprintf(request, sizeof(request),
			 "{\"op\":\"connections\",\"client\":\"%s\",\"ack\":%u}", name, ack);
	else
		snprintf(request, sizeof(request), "{\"op\":\"connections\",\"client\":\"%s\"}",
			 name);
	ask(request);
}

static void put(enum tape_type type, const struct conn_record *record)
{
	struct conn_record typed = *record;

	typed.kind = type == TAPE_SEEN ? RECORD_KIND_SNAPSHOT : RECORD_KIND_CLOSE;
	if (typed.protocol == IPPROTO_UDP)
		typed.end = type == TAPE_SEEN ? RECORD_END_NONE : RECORD_END_IDLE;
	tape_put(&tape.writer, type, &typed, sizeof(typed));
}

static struct conn_record make(uint64_t id, uint64_t bytes)
{
	struct conn_record record = example_record();

	record.id = id;
	record.sent_bytes = bytes;
	record.opened_ns = now_ns - NS_PER_S;
	record.at_ns = now_ns;
	record.cgroup_id = 0;
	return record;
}

static struct conn_record make_udp(uint64_t id, uint8_t direction, uint16_t local, uint16_t remote)
{
	struct conn_record record = make(id, 10);

	record.protocol = IPPROTO_UDP;
	record.tcp_state = 0;
	record.direction = direction;
	record.local_port = local;
	record.remote_port = remote;
	return record;
}

static void finish(uint64_t id, uint64_t bytes)
{
	const struct conn_record record = make(id, bytes);

	put(TAPE_CLOSE, &record);
}

/* A complete pass that sees one connection, or none (id 0). */
static void pass(uint64_t id, uint64_t bytes)
{
	const struct conn_record record = make(id, bytes);

	tape_put_pass_begin(&tape.writer, now_ns, 0);
	if (id != 0)
		put(TAPE_SEEN, &record);
	tape_put_time(&tape.writer, TAPE_PASS_END, now_ns);
}

static void take_message(const char *line, size_t length)
{
	const bool is_event = strncmp(line, "conn.v1 ", 8) == 0;
	const cJSON *connection;
	cJSON *root;

	if (is_event) {
		line += 8;
		length -= 8;
	}
	root = cJSON_ParseWithLength(line, length);
	cr_assert_not_null(root);
	if (!is_event) {
		answers[answer_count++] = root;
		return;
	}
	messages[message_count++] = root;
	cJSON_ArrayForEach(connection, cJSON_GetObjectItem(root, "connections"))
	{
		told[told_count++] = connection;
	}
}

static void replay(void)
{
	const char *line;

	tape_put_flush(&tape.writer, now_ns, true);
	tape_end(&tape.writer);
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	line = output.text;
	while (*line) {
		const size_t length = strcspn(line, "\n");

		take_message(line, length);
		line += length + 1;
	}
}

static void end(void)
{
	for (unsigned i = 0; i < answer_count; i++)
		cJSON_Delete(answers[i]);
	for (unsigned i = 0; i < message_count; i++)
		cJSON_Delete(messages[i]);
	example_output_free(&output);
	example_tape_free(&tape);
}

static cJSON *list(const cJSON *answer, const char *key)
{
	cJSON *found = cJSON_GetObjectItem(answer, key);

	cr_assert_not_null(found, "no %s", key);
	return found;
}

static int count(unsigned answer)
{
	cr_assert_lt(answer, answer_count);
	return cJSON_GetArraySize(list(answers[answer], "connections"));
}

static const cJSON *connection(unsigned answer, int number)
{
	return cJSON_GetArrayItem(list(answers[answer], "connections"), number);
}

static double sent(const cJSON *object, const char *sums)
{
	return cJSON_GetNumberValue(
		cJSON_GetObjectItem(cJSON_GetObjectItem(object, sums), "sent_bytes"));
}

static const char *word(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
}

#define EXPECT_TOLD(answer, number, total_, delta_)                                \
	do {                                                                       \
		const cJSON *one = connection(answer, number);                     \
		cr_expect_eq(sent(one, "total"), (total_), "answer %d", (answer)); \
		cr_expect_eq(sent(one, "delta"), (delta_), "answer %d", (answer)); \
	} while (0)

Test(replay_clients, what_closes_twice_is_told_once_and_more_of_it_as_a_difference)
{
	begin_with("{}");
	fetch("a", 0);
	fetch("b", 0);
	finish(1, 100);
	finish(1, 100);
	fetch("a", 1);
	finish(1, 130);
	finish(1, 130);
	fetch("a", 2);
	fetch("b", 1);
	fetch("c", 0);
	replay();
	cr_expect_eq(count(2), 1);
	EXPECT_TOLD(2, 0, 100, 100);
	cr_expect_eq(count(3), 1);
	EXPECT_TOLD(3, 0, 130, 30);
	cr_expect_eq(count(4), 2, "b did not ask in between");
	EXPECT_TOLD(4, 0, 100, 100);
	EXPECT_TOLD(4, 1, 130, 30);
	cr_expect_eq(count(5), 0);
	cr_expect_eq(told_count, 2);
	cr_expect_eq(output.metrics.value[METRIC_CONN_CLOSED_TWICE], 3);
	end();
}

Test(replay_clients, what_closed_and_is_seen_after_does_not_come_back_to_life)
{
	begin_with("{}");
	pass(1, 50);
	fetch("a", 0);
	finish(1, 100);
	pass(1, 60); /* was read before the close */
	fetch("a", 1);
	pass(1, 60);
	fetch("a", 2);
	finish(1, 40); /* an older record */
	fetch("a", 3);
	replay();
	EXPECT_TOLD(0, 0, 50, 50);
	cr_expect_eq(count(1), 1);
	EXPECT_TOLD(1, 0, 100, 50);
	cr_expect_eq(count(2), 0);
	cr_expect_eq(count(3), 0);
	end();
}

Test(replay_clients, a_counter_that_was_reset_is_told_as_nothing_and_never_below_it)
{
	begin_with("{}");
	pass(1, 500);
	fetch("a", 0);
	pass(1, 20);
	fetch("a", 1);
	pass(1, 510);
	fetch("a", 2);
	finish(1, 30);
	fetch("a", 3);
	replay();
	EXPECT_TOLD(0, 0, 500, 500);
	cr_expect_eq(count(1), 0);
	EXPECT_TOLD(2, 0, 510, 10);
	cr_expect_eq(count(3), 1, "its end is told all the same");
	EXPECT_TOLD(3, 0, 30, 0);
	end();
}

Test(replay_clients, one_tuple_used_again_is_another_connection)
{
	begin_with("{}");
	fetch("c", 0);
	finish(1, 3);
	finish(2, 5);
	fetch("c", 1);
	pass(3, 1);
	fetch("c", 2);
	finish(3, 2);
	pass(4, 1);
	fetch("c", 3);
	fetch("d", 0);
	finish(4, 2);
	fetch("c", 4);
	fetch("d", 1);
	replay();
	cr_expect_eq(count(1), 2);
	EXPECT_TOLD(1, 0, 3, 3);
	EXPECT_TOLD(1, 1, 5, 5);
	EXPECT_TOLD(2, 0, 1, 1);
	cr_expect_eq(count(3), 2);
	EXPECT_TOLD(3, 0, 2, 1);
	EXPECT_TOLD(3, 1, 1, 1);
	cr_expect_eq(count(4), 1);
	EXPECT_TOLD(5, 0, 2, 1);
	EXPECT_TOLD(6, 0, 2, 1);
	end();
}

Test(replay_clients, the_close_may_come_before_the_sight_that_was_earlier)
{
	begin_with("{}");
	pass(1, 1);
	fetch("a", 0);
	finish(1, 5);
	pass(1, 4);
	fetch("a", 1);
	fetch("a", 2);
	finish(1, 3);
	fetch("a", 3);
	replay();
	EXPECT_TOLD(1, 0, 5, 4);
	cr_expect_eq(count(1), 1);
	cr_expect_eq(count(2), 0);
	cr_expect_eq(count(3), 0);
	end();
}

Test(replay_clients, one_whose_end_was_never_seen_is_told_as_inferred_and_its_late_close_is_not)
{
	begin_with("{}");
	pass(1, 50);
	fetch("a", 0);
	for (unsigned i = 0; i < 6; i++) {
		tick(3);
		pass(0, 0);
	}
	fetch("a", 1);
	finish(1, 60);
	fetch("a", 2);
	replay();
	cr_assert_eq(count(1), 1);
	EXPECT_TOLD(1, 0, 50, 0);
	cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(connection(1, 0), "inferred")));
	cr_expect_str_eq(word(connection(1, 0), "state"), "closed");
	cr_expect_eq(count(2), 0);
	end();
}

struct ends {
	const char *what;
	uint8_t local[4];
	uint8_t remote[4];
	bool intra_host;
};

Test(replay_clients, whose_remote_end_is_this_host_s_is_intra_host)
{
	static const struct ends cases[] = {
		{"the same address", {10, 0, 0, 5}, {10, 0, 0, 5}, true},
		{"loopback", {127, 0, 0, 1}, {127, 0, 0, 1}, true},
		{"another loopback address", {127, 0, 0, 1}, {127, 9, 9, 9}, true},
		{"an address that another connection has here",
		 {10, 0, 0, 5},
		 {172, 17, 0, 2},
		 true},
		{"the other way round", {172, 17, 0, 2}, {10, 0, 0, 5}, true},
		{"another host", {10, 0, 0, 5}, {8, 8, 8, 8}, false},
		{"a group", {10, 0, 0, 5}, {224, 0, 0, 251}, false},
		{"the address of a group as local end does not count",
		 {224, 0, 0, 251},
		 {8, 8, 4, 4},
		 false},
	};
	const unsigned number = sizeof(cases) / sizeof(cases[0]);
	struct conn_record record;

	begin_with("{}");
	fetch("a", 0);
	record = make(100, 1);
	memcpy(record.local_ip, (uint8_t[]){172, 17, 0, 2}, 4);
	memcpy(record.remote_ip, (uint8_t[]){9, 9, 9, 9}, 4);
	record.netns++; /* a container's */
	put(TAPE_CLOSE, &record);
	for (unsigned i = 0; i < number; i++) {
		record = make(i + 1, 1);
		memcpy(record.local_ip, cases[i].local, 4);
		memcpy(record.remote_ip, cases[i].remote, 4);
		put(TAPE_CLOSE, &record);
	}
	fetch("a", 1);
	replay();
	cr_assert_eq(count(1), (int)number + 1);
	cr_assert_eq(told_count, number + 1);
	for (unsigned i = 0; i < number; i++) {
		cr_expect_eq(
			cJSON_IsTrue(cJSON_GetObjectItem(connection(1, (int)i + 1), "intra_host")),
			cases[i].intra_host, "%s", cases[i].what);
		cr_expect_eq(cJSON_IsTrue(cJSON_GetObjectItem(told[i + 1], "intra_host")),
			     cases[i].intra_host, "%s, in the event", cases[i].what);
	}
	end();
}

Test(replay_clients, an_address_that_nobody_has_had_for_long_may_be_another_host_s)
{
	struct conn_record record;

	begin_with("{\"state\":{\"client_expiry_s\":3600}}");
	fetch("a", 0);
	record = make(1, 1);
	memcpy(record.local_ip, (uint8_t[]){172, 17, 0, 2}, 4);
	put(TAPE_CLOSE, &record);
	tick(599);
	record = make(2, 1);
	memcpy(record.remote_ip, (uint8_t[]){172, 17, 0, 2}, 4);
	put(TAPE_CLOSE, &record);
	tick(2);
	record.id = 3;
	put(TAPE_CLOSE, &record);
	fetch("a", 1);
	replay();
	/* Events say what held when it closed, answers what holds when it is told. */
	cr_assert_eq(told_count, 3);
	cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(told[1], "intra_host")));
	cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(told[2], "intra_host")));
	cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(connection(1, 1), "intra_host")));
	end();
}

Test(replay_clients, directions_that_ports_contradict_are_told_right_and_counted)
{
	struct conn_record record;

	begin_with("{}");
	fetch("a", 0);
	record = make_udp(1, IN, 40000, 53); /* an answer came first */
	put(TAPE_CLOSE, &record);
	record = make_udp(2, IN, 53, 40000);
	put(TAPE_CLOSE, &record);
	record = make_udp(3, OUT, 53, 40000); /* to this host, whose server answered first */
	memcpy(record.remote_ip, record.local_ip, 4);
	put(TAPE_CLOSE, &record);
	record = make(4, 10); /* TCP says who began */
	record.direction = IN;
	record.local_port = 40000;
	record.remote_port = 53;
	put(TAPE_CLOSE, &record);
	record = make_udp(5, IN, 40000, 53);
	tape_put_pass_begin(&tape.writer, now_ns, 0);
	put(TAPE_SEEN, &record);
	tape_put_time(&tape.writer, TAPE_PASS_END, now_ns);
	fetch("a", 1);
	replay();
	cr_assert_eq(count(1), 5);
	cr_expect_str_eq(word(connection(1, 0), "direction"), "outgoing");
	cr_expect_str_eq(word(connection(1, 1), "direction"), "incoming");
	cr_expect_str_eq(word(connection(1, 2), "direction"), "incoming");
	cr_expect_str_eq(word(connection(1, 3), "direction"), "incoming");
	cr_expect_str_eq(word(connection(1, 4), "direction"), "outgoing", "a live one");
	cr_expect_str_eq(word(told[0], "direction"), "outgoing");
	cr_expect_eq(output.metrics.value[METRIC_CONN_DIRECTION_FIXES], 2);
	end();
}

Test(replay_clients, short_connections_are_rolled_up_for_clients_and_never_in_events)
{
	struct conn_record record;

	begin_with("{\"state\":{\"rollup\":true}}");
	fetch("a", 0);
	for (uint16_t i = 0; i < 4; i++) {
		/* One of these was seen from its answer on. */
		record = make_udp(1 + i, i == 2 ? IN : OUT, (uint16_t)(40000 + i), 53);
		put(TAPE_CLOSE, &record);
	}
	record = make(10, 7);
	record.opened_ns = now_ns - 180 * NS_PER_S;
	put(TAPE_CLOSE, &record);
	for (uint16_t i = 0; i < 2; i++) {
		record = make(20 + i, 5);
		record.direction = IN;
		record.local_port = 443;
		record.remote_port = (uint16_t)(50000 + i);
		put(TAPE_CLOSE, &record);
	}
	record = make(30, 9);
	record.remote_port = 8080;
	put(TAPE_CLOSE, &record);
	fetch("a", 1);
	replay();
	cr_assert_eq(count(1), 4);
	EXPECT_TOLD(1, 0, 40, 40);
	cr_expect_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(connection(1, 0), "rolled_up")), 4);
	cr_expect_str_eq(word(connection(1, 0), "direction"), "outgoing");
	cr_expect(cJSON_IsNull(
		cJSON_GetObjectItem(cJSON_GetObjectItem(connection(1, 0), "local"), "port")));
	EXPECT_TOLD(1, 1, 7, 7);
	cr_expect_null(cJSON_GetObjectItem(connection(1, 1), "rolled_up"));
	EXPECT_TOLD(1, 2, 10, 10);
	cr_expect(cJSON_IsNull(
		cJSON_GetObjectItem(cJSON_GetObjectItem(connection(1, 2), "remote"), "port")));
	EXPECT_TOLD(1, 3, 9, 9);
	cr_expect_eq(told_count, 8);
	for (unsigned i = 0; i < told_count; i++)
		cr_expect_null(cJSON_GetObjectItem(told[i], "rolled_up"));
	end();
}

Test(replay_clients, what_is_excluded_is_told_to_no_client_in_any_way)
{
	struct conn_record record;

	/* More than the log holds: none of these may make room, into sums, either. */
	begin_with("{\"exclude\":{\"destination\":{\"10.9.9.9\":[\"*\"]}},"
		   "\"state\":{\"max_closed_buffered\":1024}}");
	fetch("a", 0);
	for (uint64_t id = 1; id <= 3000; id++) {
		record = make(id, 1000);
		memcpy(record.remote_ip, (uint8_t[]){10, 9, 9, 9}, 4);
		put(TAPE_CLOSE, &record);
	}
	record.id = 5000;
	record.sent_bytes = 9;
	tape_put_pass_begin(&tape.writer, now_ns, 0);
	put(TAPE_SEEN, &record);
	tape_put_time(&tape.writer, TAPE_PASS_END, now_ns);
	finish(6000, 3);
	fetch("a", 1);
	replay();
	cr_assert_eq(count(1), 1);
	EXPECT_TOLD(1, 0, 3, 3);
	cr_expect_eq(cJSON_GetArraySize(list(answers[1], "overflow")), 0);
	cr_expect_eq(output.metrics.value[METRIC_CONN_EXCLUDED], 3000);
	cr_expect_null(strstr(output.text, "10.9.9.9"));
	end();
}

Test(replay_clients, bytes_of_no_flow_are_a_row_in_events_and_for_each_client)
{
	struct conn_sums sums = {.sent_bytes = 1000, .recv_packets = 3};

	begin_with("{}");
	tape_put(&tape.writer, TAPE_UNATTRIBUTED, &sums, sizeof(sums));
	fetch("a", 0);
	sums.sent_bytes = 1300;
	tape_put(&tape.writer, TAPE_UNATTRIBUTED, &sums, sizeof(sums));
	fetch("b", 0);
	fetch("a", 1);
	fetch("a", 2);
	finish(1, 5);
	tape_put(&tape.writer, TAPE_ACTIVE_BEGIN, NULL, 0);
	replay();
	cr_expect_eq(cJSON_GetArraySize(list(answers[0], "overflow")), 0, "was before it came");
	cr_expect_eq(cJSON_GetArraySize(list(answers[1], "overflow")), 0);
	cr_assert_eq(cJSON_GetArraySize(list(answers[2], "overflow")), 1);
	cr_expect_eq(sent(list(answers[2], "overflow")->child, "delta"), 300);
	cr_expect_eq(cJSON_GetArraySize(list(answers[3], "overflow")), 0);
	cr_assert_eq(message_count, 1);
	cr_assert_eq(cJSON_GetArraySize(list(messages[0], "overflow")), 1);
	cr_expect_eq(sent(list(messages[0], "overflow")->child, "delta"), 300);
	end();
}

Test(replay_clients, a_full_log_s_sums_are_told_by_port_with_nothing_lost)
{
	const cJSON *row;
	double bytes = 0, connections = 0;

	begin_with("{\"state\":{\"max_closed_buffered\":1024}}");
	fetch("a", 0);
	for (uint64_t id = 1; id <= 1500; id++) {
		struct conn_record record = make(id, id);

		record.remote_port = (uint16_t)(id % 2 ? 443 : 80);
		put(TAPE_CLOSE, &record);
	}
	fetch("a", 1);
	replay();
	cr_assert_eq(cJSON_GetArraySize(list(answers[1], "overflow")), 2);
	cJSON_ArrayForEach(row, list(answers[1], "overflow"))
	{
		bytes += sent(row, "delta");
		connections += cJSON_GetNumberValue(cJSON_GetObjectItem(row, "connections"));
		cr_expect_str_eq(word(row, "direction"), "outgoing");
	}
	cr_expect_eq(connections, 1500 - 1024);
	cr_expect_eq(bytes, 476.0 * 477 / 2);
	cr_expect_eq(told_count, 1500, "events have the detail of all");
	end();
}

Test(replay_clients, who_did_not_ask_for_too_long_begins_anew)
{
	begin_with("{\"state\":{\"client_expiry_s\":60}}");
	fetch("a", 0);
	finish(1, 5);
	tick(60);
	fetch("a", 1);
	finish(2, 5);
	fetch("a", 0);
	replay();
	cr_expect_str_eq(word(answers[1], "error"), "bad_request");
	cr_expect_eq(count(2), 0);
	cr_expect_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(answers[2], "batch")), 1);
	end();
}
