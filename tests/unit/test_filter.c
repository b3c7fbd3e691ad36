/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "worker/publish/filter.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>

static struct filter filter;
static char error[FILTER_ERROR_BYTES];

static int compile(const char *text)
{
	return filter_compile(&filter, text, strlen(text), error, sizeof(error));
}

struct match_case {
	const char *expression;
	bool matches;
};

static void expect_all(const struct match_case *cases, size_t count, const struct conn_view *view)
{
	for (size_t i = 0; i < count; i++) {
		cr_expect_eq(compile(cases[i].expression), 0, "%s: %s", cases[i].expression, error);
		cr_expect_eq(filter_matches(&filter, view), cases[i].matches, "%s",
			     cases[i].expression);
	}
}

Test(filter, compares_every_kind_of_fact)
{
	static const struct match_case cases[] = {
		{"", true},
		{" \n", true},
		{"id == 0000000000001a2b", true},
		{"id == 1A2B", true},
		{"id == 1a2c", false},
		{"state == closed", true},
		{"state == active", false},
		{"protocol == tcp and family == ipv4 and direction == outgoing", true},
		{"direction != incoming", true},
		{"local.port == 51514", true},
		{"remote.port == 443", true},
		{"remote.port != 443", false},
		{"remote.port < 443", false},
		{"remote.port <= 443", true},
		{"remote.port > 442", true},
		{"remote.port >= 444", false},
		{"port == 443", true},
		{"port == 51514", true},
		{"port == 80", false},
		{"port != 443", false},
		{"port != 80", true},
		{"port < 444", true},
		{"local.ip == 10.0.0.5", true},
		{"remote.ip == 10.0.0.9", true},
		{"remote.ip == ::ffff:10.0.0.9", true},
		{"remote.ip == ::ffff:10.0.0.0/120", true},
		{"remote.ip == 10.0.0.0/8", true},
		{"remote.ip == 10.0.0.8/31", true},
		{"remote.ip == 10.0.0.10/31", false},
		{"remote.ip == 0.0.0.0/0", true},
		{"remote.ip == ::/0", false},
		{"remote.ip != 192.168.0.0/16", true},
		{"remote.ip ~ .0.0.", true},
		{"ip == 10.0.0.9", true},
		{"ip == 10.0.0.5", true},
		{"ip == 10.0.0.6", false},
		{"ip != 10.0.0.5", false},
		{"pid == 4711", true},
		{"uid == 1000", true},
		{"comm == curl", true},
		{"comm == \"curl\"", true},
		{"comm == 'curl'", true},
		{"comm == cur", false},
		{"comm ~ ur", true},
		{"comm ~ ''", true},
		{"comm ~ wget", false},
		{"comm == 'c\\url'", true},
		{"pid_source == connect", true},
		{"netns == 4026531840", true},
		{"cgroup == /system.slice/x.service", true},
		{"cgroup ~ system.slice", true},
		{"duration_ns >= 1234567", true},
		{"handshake_us == 311", true},
		{"total.sent_bytes == 123 and total.recv_bytes == 4567", true},
		{"total.sent_packets == 9 and total.recv_packets == 8", true},
		{"total.retransmits > 0", true},
		{"delta.sent_bytes == 123 and delta.recv_bytes == 4567", true},
		{"delta.sent_packets == 9 and delta.recv_packets == 8", true},
		{"delta.retransmits == 1", true},
		{"rtt_us == 95 and rtt_var_us == 12", true},
		{"close_reason == fin", true},
		{"inferred == false", true},
		{"inferred == true", false},
		{"intra_host != true", true},
		{"pid == 18446744073709551615", false},
	};
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	expect_all(cases, sizeof(cases) / sizeof(cases[0]), &view);
}

Test(filter, compares_the_ends_on_the_other_side_of_a_translation)
{
	static const struct match_case cases[] = {
		{"nat.local.ip == 192.0.2.0/24 and nat.local.port == 7000", true},
		{"nat.remote.ip == 10.9.0.1 and nat.remote.port == 8080", true},
		{"nat.local.ip != null", true},
		{"nat.remote.port == 443", false},
		/* The connection's own ends are these. */
		{"ip == 192.0.2.1 or port == 7000", false},
	};
	static const struct conn_nat nat = {
		.local_ip = {192, 0, 2, 1},
		.remote_ip = {10, 9, 0, 1},
		.local_port = 7000,
		.remote_port = 8080,
	};
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	view.nat = &nat;
	expect_all(cases, sizeof(cases) / sizeof(cases[0]), &view);
}

Test(filter, treats_a_fact_that_is_not_known_as_null_and_nothing_else)
{
	static const struct match_case cases[] = {
		{"failure == null", true},
		{"failure != null", false},
		{"failure == ECONNREFUSED", false},
		{"failure != ECONNREFUSED", true},
		{"failure ~ E", false},
		{"failure == 'null'", false},
		{"container == null", true},
		{"pid == null", true},
		{"pid == 0", false},
		{"pid != 0", true},
		{"pid < 10", false},
		{"pid >= 0", false},
		{"comm == null and uid == null and pid_source == null and cgroup == null", true},
		{"rtt_us == null and rtt_var_us == null", true},
		{"handshake_us == null", true},
		{"duration_ns == null", true},
		{"local.port == null", true},
		{"port == null", true},
		{"remote.port == null", false},
		{"remote.ip == null", false},
		{"close_reason == null", true},
		{"nat.local.ip == null and nat.local.port == null", true},
		{"nat.remote.ip == null and nat.remote.port == null", true},
		{"nat.remote.port >= 0", false},
	};
	struct conn_record record = {
		.family = RECORD_FAMILY_IPV6, .remote_port = 1, .tcp_state = 2, .at_ns = 1};
	struct conn_view view = {.record = &record, .cgroup = "/not/told"};

	expect_all(cases, sizeof(cases) / sizeof(cases[0]), &view);
}

Test(filter, compares_ipv6_addresses)
{
	static const struct match_case cases[] = {
		{"local.ip == 2001:db8::1", true},     {"local.ip == 2001:DB8:0::1", true},
		{"local.ip == 2001:db8::/32", true},   {"local.ip == 2001:db8::/127", true},
		{"local.ip == 2001:db8::/128", false}, {"local.ip ~ db8::", true},
		{"local.ip == 32.1.13.184", false},    {"family == ipv6", true},
	};
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	record.family = RECORD_FAMILY_IPV6;
	memcpy(record.local_ip, (uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 16);
	expect_all(cases, sizeof(cases) / sizeof(cases[0]), &view);
}

Test(filter, joins_with_the_usual_precedence)
{
	/* T and F stand for a comparison that is true and one that is false. */
	static const struct match_case cases[] = {
		{"T", true},
		{"F", false},
		{"not F", true},
		{"not not T", true},
		{"! F", true},
		{"T and F", false},
		{"T && T", true},
		{"F or T", true},
		{"F || F", false},
		{"T or F and F", true},
		{"F and F or T", true},
		{"(T or F) and F", false},
		{"F and (F or T)", false},
		{"not F and F", false},
		{"not (F and F)", true},
		{"not (T or F) or T", true},
		{"not T or T", true},
		{"not F or F and F", true},
		{"((T))", true},
		{"(not (not (T)))", true},
		{"T and T and T and F", false},
		{"F or F or F or T", true},
		{"T and not F and T", true},
		{"!(T and (F or (T and F))) and T", true},
	};
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512] = "";

		for (const char *at = cases[i].expression; *at; at++) {
			char one[2] = {*at, '\0'};

			strcat(text, *at == 'T' ? "pid==4711" : *at == 'F' ? "pid==1" : one);
		}
		cr_expect_eq(compile(text), 0, "%s: %s", text, error);
		cr_expect_eq(filter_matches(&filter, &view), cases[i].matches, "%s",
			     cases[i].expression);
	}
}

Test(filter, says_what_is_wrong_and_where)
{
	static const struct {
		const char *expression;
		const char *error;
	} cases[] = {
		{"pidd == 1", "filter, character 1: no such field"},
		{"pid", "filter, character 4: an operator is expected here"},
		{"pid = 1", "filter, character 5: \"=\" is not an operator, \"==\" is"},
		{"pid ==", "filter, character 7: a value is expected here"},
		{"pid == and", "filter, character 8: a value is expected here"},
		{"pid == x", "filter, character 8: a number is expected here"},
		{"pid == -1", "filter, character 8: a number is expected here"},
		{"pid == 18446744073709551616", "filter, character 8: a number is expected here"},
		{"pid == ''", "filter, character 8: a number is expected here"},
		{"pid ~ 1", "filter, character 5: \"~\" is for texts and addresses"},
		{"comm < a", "filter, character 6: only numbers have an order"},
		{"pid < null", "filter, character 5: null goes with == and != only"},
		{"id == xyz", "filter, character 7: an id in hex is expected here"},
		{"inferred == yes", "filter, character 13: true or false is expected here"},
		{"ip == 1.2.3", "filter, character 7: an address or CIDR block is expected here"},
		{"ip == 1.2.3.4/33",
		 "filter, character 7: an address or CIDR block is expected here"},
		{"ip == ::1/129", "filter, character 7: an address or CIDR block is expected here"},
		{"ip == ::1/", "filter, character 7: an address or CIDR block is expected here"},
		{"comm == 'x", "filter, character 9: the text in quotes does not end"},
		{"comm == 'x\\", "filter, character 9: the text in quotes does not end"},
		{"(pid == 1", "filter, character 10: \")\" is missing"},
		{"pid == 1)", "filter, character 9: \")\" without its \"(\""},
		{"()", "filter, character 2: a field is expected here"},
		{"not", "filter, character 4: a field is expected here"},
		{"pid == 1 uid == 2", "filter, character 10: \"and\" or \"or\" is expected here"},
		{"pid == 1 and", "filter, character 13: a field is expected here"},
		{"pid == 1 not pid == 2",
		 "filter, character 10: \"and\" or \"or\" is expected here"},
		{"pid == 1 ; x", "filter, character 10: a character that means nothing here"},
		{"remote.names == x", "filter, character 1: no such field"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(compile(cases[i].expression), -EINVAL, "%s", cases[i].expression);
		cr_expect_str_eq(error, cases[i].error);
	}
}

static void repeat(char *out, const char *text, unsigned times)
{
	for (; times > 0; times--)
		out = stpcpy(out, text);
}

Test(filter, bounds_length_number_and_nesting)
{
	static char text[2 * FILTER_TEXT_BYTES_MAX];

	memset(text, ' ', FILTER_TEXT_BYTES_MAX + 1);
	cr_expect_eq(compile(text), -EINVAL);
	cr_expect_not_null(strstr(error, "too long"));

	/* As many open parentheses as there are places, and one more. */
	memset(text, 0, sizeof(text));
	memset(text, '(', FILTER_NODES_MAX);
	strcat(text, "pid==1");
	memset(text + strlen(text), ')', FILTER_NODES_MAX);
	cr_expect_eq(compile(text), 0, "%s", error);
	memset(text, 0, sizeof(text));
	memset(text, '(', FILTER_NODES_MAX + 1);
	cr_expect_eq(compile(text), -EINVAL);

	/* n comparisons and n - 1 joints. */
	memset(text, 0, sizeof(text));
	repeat(text, "pid==1 or ", FILTER_NODES_MAX / 2 - 1);
	strcat(text, "pid==4711");
	cr_expect_eq(compile(text), 0, "%s", error);
	repeat(text, "pid==1 or ", FILTER_NODES_MAX / 2 + 1);
	strcat(text, "pid==4711");
	cr_expect_eq(compile(text), -EINVAL);
}

Test(filter, evaluates_right_leaning_expressions_to_its_depth)
{
	static char text[FILTER_TEXT_BYTES_MAX + 1];
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	memset(text, 0, sizeof(text));
	repeat(text, "pid==1||(", FILTER_DEPTH_MAX - 2);
	strcat(text, "pid==4711");
	memset(text + strlen(text), ')', FILTER_DEPTH_MAX - 2);
	cr_assert_eq(compile(text), 0, "%s", error);
	cr_expect(filter_matches(&filter, &view));
	record.pid = 2;
	cr_expect_not(filter_matches(&filter, &view));
	memset(text, 0, sizeof(text));
	repeat(text, "pid==1||(", FILTER_DEPTH_MAX - 1);
	strcat(text, "pid==4711");
	memset(text + strlen(text), ')', FILTER_DEPTH_MAX - 1);
	cr_expect_eq(compile(text), -EINVAL);
}
