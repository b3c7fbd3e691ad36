/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fields.h"

#include <criterion/criterion.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char connection[] =
	"{\"id\":\"0000000000001a2b\",\"state\":\"closed\",\"direction\":\"outgoing\","
	"\"local\":{\"ip\":\"10.0.0.5\",\"port\":51514},"
	"\"remote\":{\"ip\":\"2001:db8::1\",\"port\":443,\"names\":[]},"
	"\"pid\":4711,\"comm\":\"ev\\u001b[2Jil\",\"container\":null,\"duration_ns\":\"1234567\","
	"\"total\":{\"sent_bytes\":2048,\"recv_bytes\":\"18446744073709551615\"},\"rtt_us\":95,"
	"\"failure\":null,\"inferred\":false,"
	"\"nat\":{\"local\":{\"ip\":\"192.0.2.1\",\"port\":7000},"
	"\"remote\":{\"ip\":\"fd00::2\",\"port\":80}}}";

static void expect_text(const char *name, const char *expected)
{
	cJSON *json = cJSON_Parse(connection);
	const struct field *field = field_find(name, strlen(name));
	char text[FIELD_TEXT_BYTES];

	cr_assert_not_null(json);
	cr_assert_not_null(field, "%s", name);
	cr_expect_eq(field_text(field, json, false, text, sizeof(text)), strlen(expected));
	cr_expect_str_eq(text, expected, "%s: %s", name, text);
	cJSON_Delete(json);
}

Test(cli_fields, each_kind_of_value_has_its_text)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	expect_text("id", "0000000000001a2b");
	expect_text("local", "10.0.0.5:51514");
	expect_text("remote", "[2001:db8::1]:443");
	expect_text("remote.port", "443");
	expect_text("direction", "->");
	expect_text("pid", "4711");
	expect_text("duration_ns", "1.2ms");
	expect_text("rtt_us", "95us");
	expect_text("total.sent_bytes", "2.0K");
	expect_text("total.recv_bytes", "15E");
	expect_text("inferred", "false");
	expect_text("nat.local", "192.0.2.1:7000");
	expect_text("nat.local.ip", "192.0.2.1");
	expect_text("nat.remote", "[fd00::2]:80");
	expect_text("nat.remote.port", "80");
}

Test(cli_fields, null_missing_and_empty_are_a_dash)
{
	expect_text("container", "-");
	expect_text("failure", "-");
	expect_text("cgroup", "-");
	expect_text("delta.sent_bytes", "-");
	expect_text("remote.names", "-");
}

Test(cli_fields, a_hostile_process_name_is_escaped)
{
	expect_text("comm", "ev\\x1b[2Jil");
}

Test(cli_fields, a_list_keeps_its_order_and_names_what_is_wrong)
{
	const struct field *fields[FIELDS_MAX];
	const char *wrong;
	size_t length;

	cr_assert_eq(fields_parse("pid,local.port,id", fields, &wrong, &length), 3);
	cr_expect_str_eq(fields[0]->name, "pid");
	cr_expect_str_eq(fields[1]->name, "local.port");
	cr_expect_str_eq(fields[2]->name, "id");
	cr_assert_eq(fields_parse("pid,nope,id", fields, &wrong, &length), -1);
	cr_expect(length == 4 && strncmp(wrong, "nope", 4) == 0);
	cr_expect_eq(fields_parse("", fields, &wrong, &length), -1);
	cr_expect_eq(fields_parse("pid,", fields, &wrong, &length), -1);
	cr_expect_eq(fields_parse("PID", fields, &wrong, &length), -1);
}

Test(cli_fields, more_fields_than_there_is_room_for_are_refused)
{
	const struct field *fields[FIELDS_MAX];
	char list[FIELDS_MAX * 4 + 8] = "pid";
	const char *wrong;
	size_t length;

	for (int i = 1; i < FIELDS_MAX; i++)
		strcat(list, ",pid");
	cr_expect_eq(fields_parse(list, fields, &wrong, &length), FIELDS_MAX);
	strcat(list, ",pid");
	cr_expect_eq(fields_parse(list, fields, &wrong, &length), -1);
}

Test(cli_fields, numbers_are_exact_up_to_64_bits_and_nothing_else_is_a_number)
{
	static const struct {
		const char *json;
		bool good;
		uint64_t number;
	} cases[] = {
		{"0", true, 0},
		{"9007199254740992", true, 9007199254740992},
		{"\"18446744073709551615\"", true, UINT64_MAX},
		{"\"18446744073709551616\"", false, 0},
		{"-1", false, 0},
		{"1e300", false, 0},
		{"\"12x\"", false, 0},
		{"\"\"", false, 0},
		{"null", false, 0},
		{"[]", false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *json = cJSON_Parse(cases[i].json);
		uint64_t number = 0;

		cr_expect_eq(field_number(json, &number), cases[i].good, "%s", cases[i].json);
		cr_expect_eq(number, cases[i].number, "%s", cases[i].json);
		cJSON_Delete(json);
	}
}

static void expect_named(const char *endpoint, const char *expected)
{
	char object[2048];
	char text[FIELD_TEXT_BYTES];
	cJSON *json;

	snprintf(object, sizeof(object), "{\"local\":%s,\"remote\":%s}", endpoint, endpoint);
	json = cJSON_Parse(object);
	cr_assert_not_null(json, "%s", object);
	cr_expect_eq(field_text(field_find("remote", 6), json, true, text, sizeof(text)),
		     strlen(expected));
	cr_expect_str_eq(text, expected, "%s: %s", endpoint, text);
	field_text(field_find("local", 5), json, true, text, sizeof(text));
	cr_expect_eq(strncmp(text, "10.0.0.9:", 9), 0, "only the remote end: %s", text);
	field_text(field_find("remote", 6), json, false, text, sizeof(text));
	cr_expect_eq(strncmp(text, "10.0.0.9:", 9), 0, "only if asked for: %s", text);
	cJSON_Delete(json);
}

Test(cli_fields, a_remote_end_is_shown_by_its_newest_name)
{
	expect_named(
		"{\"ip\":\"10.0.0.9\",\"port\":443,\"names\":[\"db.example.org\",\"x.example\"]}",
		"db.example.org:443");
	expect_named("{\"ip\":\"10.0.0.9\",\"port\":null,\"names\":[\"db\"]}", "db:*");
	expect_named("{\"ip\":\"10.0.0.9\",\"port\":443,\"names\":[]}", "10.0.0.9:443");
	expect_named("{\"ip\":\"10.0.0.9\",\"port\":443,\"names\":[7]}", "10.0.0.9:443");
	expect_named("{\"ip\":\"10.0.0.9\",\"port\":443}", "10.0.0.9:443");
	expect_named("{\"ip\":\"10.0.0.9\",\"port\":443,\"names\":[\"a\\u001b[2J\"]}",
		     "a\\x1b[2J:443");
}

Test(cli_fields, a_name_that_reads_as_an_address_does_not_stand_for_one)
{
	static const char *const names[] = {"192.0.2.1", "1", "www.example.7", "fd00::1", "", "."};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char endpoint[128];

		snprintf(endpoint, sizeof(endpoint),
			 "{\"ip\":\"10.0.0.9\",\"port\":443,\"names\":[\"%s\"]}", names[i]);
		expect_named(endpoint, "10.0.0.9:443");
	}
	expect_named("{\"ip\":\"10.0.0.9\",\"port\":443,\"names\":[\"7.example\"]}",
		     "7.example:443");
}

Test(cli_fields, a_long_name_is_cut_and_keeps_its_port)
{
	char endpoint[1024] = "{\"ip\":\"10.0.0.9\",\"port\":65535,\"names\":[\"";
	cJSON *json;
	char text[64];

	memset(endpoint + strlen(endpoint), 'x', 250);
	strcat(endpoint, "\"]}");
	json = cJSON_Parse(endpoint);
	cr_assert_not_null(json);
	cr_expect_eq(field_named_endpoint(json, text, sizeof(text)), sizeof(text) - 1);
	cr_expect_eq(strlen(text), sizeof(text) - 1);
	cr_expect_str_eq(text + strlen(text) - 7, "x:65535");
	cJSON_Delete(json);
}
