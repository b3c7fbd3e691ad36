/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_scan.h"
#include "tests/unit/example_conn.h"
#include "worker/intake/container.h"
#include "worker/publish/conn_json.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

/* Since boot the clock went on 100 s while the machine slept. */
#define OFFSETS ((struct clock_offsets){1795330000000000000ULL, 1795329900000000000ULL})

static char text[2 * CONN_JSON_BYTES_MAX];

static size_t write_view(const struct conn_view *view)
{
	struct json_scan_error wrong;
	struct json json;

	json_init(&json, text, sizeof(text) - 1);
	conn_json_write(&json, view, OFFSETS);
	cr_assert_not(json.overflow);
	text[json_length(&json)] = '\0';
	cr_assert_eq(json_scan_check(text, json_length(&json), &wrong), 0, "%s at %zu in %s",
		     wrong.message, wrong.offset, text);
	return json_length(&json);
}

Test(conn_json, writes_every_key_of_the_contract_in_its_order)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	write_view(&view);
	cr_expect_str_eq(
		text,
		"{\"id\":\"0000000000001a2b\",\"state\":\"closed\",\"protocol\":\"tcp\","
		"\"family\":\"ipv4\",\"direction\":\"outgoing\","
		"\"local\":{\"ip\":\"10.0.0.5\",\"port\":51514},"
		"\"remote\":{\"ip\":\"10.0.0.9\",\"port\":443,\"names\":[]},"
		"\"pid\":4711,\"comm\":\"curl\",\"uid\":1000,"
		"\"start_ns\":\"1795329900000000005\",\"pid_source\":\"connect\","
		"\"netns\":4026531840,\"cgroup\":\"/system.slice/x.service\",\"container\":null,"
		"\"opened_ns\":\"1795330001000000000\",\"duration_ns\":\"1234567\","
		"\"handshake_us\":311,"
		"\"total\":{\"sent_bytes\":123,\"recv_bytes\":4567,\"sent_packets\":9,"
		"\"recv_packets\":8,\"retransmits\":1},"
		"\"delta\":{\"sent_bytes\":123,\"recv_bytes\":4567,\"sent_packets\":9,"
		"\"recv_packets\":8,\"retransmits\":1},"
		"\"rtt_us\":95,\"rtt_var_us\":12,\"failure\":null,\"close_reason\":\"fin\","
		"\"inferred\":false,\"intra_host\":false,\"nat\":null,\"dns\":null}");
}

Test(conn_json, writes_null_for_every_fact_that_is_not_known)
{
	struct conn_record record = {
		.kind = RECORD_KIND_SNAPSHOT,
		.family = RECORD_FAMILY_IPV6,
		.tcp_state = 2,
		.id = 1,
		.at_ns = 5,
		.local_ip = {0xfd, [15] = 1},
		.remote_ip = {0xfd, [15] = 2},
		.remote_port = 80,
	};
	struct conn_view view = {.record = &record};

	write_view(&view);
	cr_expect_str_eq(text,
			 "{\"id\":\"0000000000000001\",\"state\":\"active\",\"protocol\":\"tcp\","
			 "\"family\":\"ipv6\",\"direction\":\"unknown\","
			 "\"local\":{\"ip\":\"fd00::1\",\"port\":null},"
			 "\"remote\":{\"ip\":\"fd00::2\",\"port\":80,\"names\":[]},"
			 "\"pid\":null,\"comm\":null,\"uid\":null,\"start_ns\":null,"
			 "\"pid_source\":null,"
			 "\"netns\":null,\"cgroup\":null,\"container\":null,"
			 "\"opened_ns\":null,\"duration_ns\":null,\"handshake_us\":null,"
			 "\"total\":{\"sent_bytes\":0,\"recv_bytes\":0,\"sent_packets\":0,"
			 "\"recv_packets\":0,\"retransmits\":0},"
			 "\"delta\":{\"sent_bytes\":0,\"recv_bytes\":0,\"sent_packets\":0,"
			 "\"recv_packets\":0,\"retransmits\":0},"
			 "\"rtt_us\":null,\"rtt_var_us\":null,\"failure\":null,"
			 "\"close_reason\":null,\"inferred\":false,\"intra_host\":false,"
			 "\"nat\":null,\"dns\":null}");
}

Test(conn_json, writes_a_delta_of_its_own_where_some_was_published_before)
{
	struct conn_record record = example_record();
	struct conn_totals previous = {
		.sent_bytes = 100, .recv_bytes = 67, .sent_packets = 5, .recv_packets = 8};
	struct conn_view view = example_view(&record);

	view.previous = &previous;
	write_view(&view);
	cr_expect_not_null(strstr(text,
				  "\"delta\":{\"sent_bytes\":23,\"recv_bytes\":4500,"
				  "\"sent_packets\":4,\"recv_packets\":0,\"retransmits\":1}"));
	cr_expect_not_null(strstr(text, "\"total\":{\"sent_bytes\":123,"));
}

Test(conn_json, writes_container_inference_and_process_zero)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	view.container = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	view.inferred = true;
	record.uid = 0;
	record.pid_source = RECORD_PID_ACCEPT;
	write_view(&view);
	cr_expect_not_null(strstr(text, "\"container\":\"0123456789abcdef0123456789abcdef"
					"0123456789abcdef0123456789abcdef\""));
	cr_expect_not_null(strstr(text, "\"inferred\":true"));
	cr_expect_not_null(strstr(text, "\"uid\":0,\"start_ns\":\"1795329900000000005\","
					"\"pid_source\":\"accept\""));
}

Test(conn_json, writes_both_ends_on_the_other_side_of_a_translation)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);
	struct conn_nat nat = {
		.local_ip = {192, 0, 2, 1},
		.remote_ip = {10, 9, 0, 1},
		.local_port = 7000,
		.remote_port = 8080,
	};

	view.nat = &nat;
	write_view(&view);
	cr_expect_not_null(strstr(text, ",\"nat\":{\"local\":{\"ip\":\"192.0.2.1\",\"port\":7000},"
					"\"remote\":{\"ip\":\"10.9.0.1\",\"port\":8080}},\"dns\""));
	record.family = RECORD_FAMILY_IPV6;
	nat = (struct conn_nat){{0xfd, [15] = 1}, {0xfd, [15] = 2}, 1, 2};
	write_view(&view);
	cr_expect_not_null(strstr(text, ",\"nat\":{\"local\":{\"ip\":\"fd00::1\",\"port\":1},"
					"\"remote\":{\"ip\":\"fd00::2\",\"port\":2}},\"dns\""));
}

Test(conn_json, makes_byte_counts_above_two_to_the_53_strings)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	record.sent_bytes = UINT64_MAX;
	write_view(&view);
	cr_expect_not_null(strstr(text, "\"sent_bytes\":\"18446744073709551615\""));
}

Test(conn_json, survives_any_name_and_any_byte_and_stays_within_its_bound)
{
	char cgroup[RECORD_CGROUP_PATH_BYTES];
	char container[CONTAINER_ID_BYTES];
	struct conn_record record;
	struct conn_view view = {
		.record = &record,
		.cgroup = cgroup,
		.container = container,
		.closed = true,
	};
	size_t longest = 0;

	for (unsigned byte = 1; byte < 256; byte++) {
		size_t length;

		memset(&record, (int)byte, sizeof(record));
		record.pid_source = RECORD_PID_LISTENER;
		memset(cgroup, (int)byte, sizeof(cgroup) - 1);
		cgroup[sizeof(cgroup) - 1] = '\0';
		memset(container, (int)byte, sizeof(container) - 1);
		container[sizeof(container) - 1] = '\0';
		length = write_view(&view);
		if (length > longest)
			longest = length;
	}
	cr_expect_leq(longest, CONN_JSON_BYTES_MAX);
	/* 255 + 127 + 16 bytes at six each: the bound is not idle. */
	cr_expect_geq(longest, 6 * 398);
}

Test(conn_json, is_read_back_by_a_general_parser)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);
	cJSON *root;

	memcpy(record.comm, "a\"\\\x01\xff", 6);
	write_view(&view);
	root = cJSON_Parse(text);
	cr_assert_not_null(root);
	cr_expect_str_eq(cJSON_GetObjectItem(root, "comm")->valuestring, "a\"\\\x01\xef\xbf\xbd");
	cr_expect_eq(cJSON_GetArraySize(root), 28);
	cJSON_Delete(root);
}
