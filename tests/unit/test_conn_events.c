/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_scan.h"
#include "tests/unit/example_conn.h"
#include "worker/publish/conn_events.h"
#include "worker/publish/conn_json.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WALL 1795330000000000000ULL
#define OFFSETS ((struct clock_offsets){WALL, WALL})

static struct conn_events events;
static struct conn_record record;
static struct conn_view view;

static void begin(bool listened)
{
	static const struct identity identity = {.host = "h\"1", .instance = "00112233aabbccdd"};

	conn_events_init(&events, &identity);
	conn_events_tick(&events, 1000, OFFSETS, listened);
	record = example_record();
	view = example_view(&record);
}

/* Parses a message that must be "conn.v1 " and one object; the caller deletes it. */
static cJSON *parse(const struct conn_events_message *message)
{
	struct json_scan_error wrong;
	cJSON *root;

	cr_assert_not_null(message->bytes);
	cr_assert_leq(message->length, EVENT_BYTES_MAX);
	cr_assert_eq(memcmp(message->bytes, "conn.v1 {", 9), 0);
	cr_assert_eq(json_scan_check(message->bytes + 8, message->length - 8, &wrong), 0, "%s",
		     wrong.message);
	root = cJSON_ParseWithLength(message->bytes + 8, message->length - 8);
	cr_assert_not_null(root);
	return root;
}

static const char *string(const cJSON *root, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(root, key));
}

Test(conn_events, begin_with_topic_schema_host_instance_seq_and_time)
{
	static const char head[] = "conn.v1 {\"schema\":\"conn.v1\",\"host\":\"h\\\"1\","
				   "\"instance\":\"00112233aabbccdd\",\"seq\":1,"
				   "\"ts_ns\":\"1795330000000001000\",\"overflow\":[],"
				   "\"connections\":[{\"id\":";
	struct conn_events_message message;
	cJSON *root;

	begin(true);
	cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_assert(conn_events_finish(&events, &message));
	cr_assert_eq(memcmp(message.bytes, head, sizeof(head) - 1), 0, "%.200s", message.bytes);
	root = parse(&message);
	cr_expect_eq(message.records, 1);
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "connections")), 1);
	cJSON_Delete(root);
}

Test(conn_events, hold_all_that_was_added_and_count_messages_without_holes)
{
	begin(true);
	for (unsigned seq = 1; seq <= 3; seq++) {
		struct conn_events_message message;
		const cJSON *connections;
		cJSON *root;

		for (unsigned i = 0; i < seq; i++) {
			record.id = 10 * seq + i;
			cr_assert_eq(conn_events_add(&events, &view), 0);
		}
		cr_assert_eq(conn_events_pending(&events), seq);
		cr_assert(conn_events_finish(&events, &message));
		root = parse(&message);
		connections = cJSON_GetObjectItem(root, "connections");
		cr_expect_eq(cJSON_GetObjectItem(root, "seq")->valueint, (int)seq);
		cr_expect_eq(cJSON_GetArraySize(connections), (int)seq);
		for (unsigned i = 0; i < seq; i++) {
			char id[17];

			snprintf(id, sizeof(id), "%016x", 10 * seq + i);
			cr_expect_str_eq(string(cJSON_GetArrayItem(connections, (int)i), "id"), id);
		}
		cJSON_Delete(root);
	}
}

Test(conn_events, finish_nothing_where_nothing_is_pending)
{
	struct conn_events_message message;

	begin(true);
	cr_expect_not(conn_events_finish(&events, &message));
	cr_expect_eq(conn_events_add(&events, &view), 0);
	cr_expect(conn_events_finish(&events, &message));
	cr_expect_not(conn_events_finish(&events, &message));
	cr_expect_eq(conn_events_pending(&events), 0);
}

Test(conn_events, stay_within_64_kib_with_the_longest_connections)
{
	char cgroup[RECORD_CGROUP_PATH_BYTES];
	struct conn_events_message message;
	unsigned added = 0;
	cJSON *root;

	begin(true);
	memset(cgroup, 1, sizeof(cgroup) - 1);
	cgroup[sizeof(cgroup) - 1] = '\0';
	view.cgroup = cgroup;
	while (!conn_events_is_full(&events)) {
		cr_assert_eq(conn_events_add(&events, &view), 0);
		added++;
	}
	cr_expect_eq(conn_events_add(&events, &view), -ENOSPC);
	cr_assert(conn_events_finish(&events, &message));
	cr_expect_geq(message.length, CONN_EVENTS_BYTES_FULL);
	root = parse(&message);
	cr_expect_eq(message.records, added);
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "connections")), (int)added);
	cJSON_Delete(root);
}

Test(conn_events, encode_nothing_while_nobody_listens_but_count_on)
{
	struct conn_events_message message;
	unsigned added = 0;
	cJSON *root;

	begin(false);
	for (; !conn_events_is_full(&events); added++)
		cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_expect_geq(added, 10);
	cr_expect_eq(json_length(&events.json), 0);
	cr_expect(conn_events_finish(&events, &message));
	cr_expect_null(message.bytes);
	cr_expect_eq(message.records, added);
	conn_events_tick(&events, 2000, OFFSETS, true);
	cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_assert(conn_events_finish(&events, &message));
	root = parse(&message);
	cr_expect_eq(cJSON_GetObjectItem(root, "seq")->valueint, 2);
	cJSON_Delete(root);
}

Test(conn_events, tell_a_new_subscriber_all_that_comes_after_it)
{
	struct conn_events_message message;
	cJSON *root;

	begin(false);
	cr_assert_eq(conn_events_add(&events, &view), 0);
	conn_events_tick(&events, 2000, OFFSETS, true);
	cr_expect_eq(conn_events_pending(&events), 0);
	record.id = 2;
	cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_assert(conn_events_finish(&events, &message));
	root = parse(&message);
	/* The one before was counted as message 1, so that this is not a hole for anybody. */
	cr_expect_eq(cJSON_GetObjectItem(root, "seq")->valueint, 2);
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "connections")), 1);
	cJSON_Delete(root);
}

Test(conn_events, lose_nothing_that_was_encoded_when_the_last_subscriber_leaves)
{
	struct conn_events_message message;
	cJSON *root;

	begin(true);
	cr_assert_eq(conn_events_add(&events, &view), 0);
	conn_events_tick(&events, 2000, OFFSETS, false);
	cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_assert(conn_events_finish(&events, &message));
	root = parse(&message);
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "connections")), 2);
	cJSON_Delete(root);
}

Test(conn_events, know_when_the_oldest_was_added)
{
	struct conn_events_message message;

	begin(true);
	cr_assert_eq(conn_events_add(&events, &view), 0);
	conn_events_tick(&events, 5000, OFFSETS, true);
	cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_expect_eq(conn_events_oldest_ns(&events), 1000);
	cr_assert(conn_events_finish(&events, &message));
	cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_expect_eq(conn_events_oldest_ns(&events), 5000);
}

Test(conn_events, fit_their_head_with_the_worst_host_name)
{
	struct conn_events_message message;
	struct identity identity = {.instance = "00112233aabbccdd"};
	cJSON *root;

	memset(identity.host, 1, sizeof(identity.host) - 1);
	begin(true);
	conn_events_init(&events, &identity);
	conn_events_tick(&events, UINT64_MAX, (struct clock_offsets){0}, true);
	events.seq = UINT64_MAX - 1;
	cr_assert_eq(conn_events_add(&events, &view), 0);
	cr_assert(conn_events_finish(&events, &message));
	root = parse(&message);
	cr_expect_str_eq(string(root, "seq"), "18446744073709551614");
	cr_expect_eq(strlen(string(root, "host")), 64);
	cJSON_Delete(root);
}

Test(conn_events, tell_what_belongs_to_no_flow_once_and_not_what_was_there_at_the_beginning)
{
	struct conn_sums sums = {.sent_bytes = 700, .recv_packets = 3};
	struct conn_events_message message;
	const cJSON *row;
	cJSON *root;

	begin(true);
	conn_events_unattributed(&events, &sums);
	conn_events_tell_unattributed(&events);
	cr_expect_not(conn_events_finish(&events, &message), "there is nothing new");
	sums.sent_bytes += 41;
	conn_events_unattributed(&events, &sums);
	cr_expect_not(conn_events_finish(&events, &message), "it is not due");
	conn_events_tell_unattributed(&events);
	cr_assert(conn_events_finish(&events, &message));
	root = parse(&message);
	row = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "overflow"), 0);
	cr_assert_not_null(row);
	cr_expect_str_eq(string(row, "protocol"), "udp");
	cr_expect(cJSON_IsNull(cJSON_GetObjectItem(row, "direction")));
	cr_expect_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(row, "delta"), "sent_bytes")->valueint,
		     41);
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "connections")), 0);
	cJSON_Delete(root);
	conn_events_tell_unattributed(&events);
	cr_expect_not(conn_events_finish(&events, &message));
}
