/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of DNS statistics as the command reads, adds up and shows them. */
#include "cli/address.h"
#include "cli/dns_field.h"
#include "cli/dns_groups.h"
#include "tests/unit/example_dns_row.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text of a row's field. */
static const char *text_of(const struct dns_row *row, const char *name)
{
	static char text[DNS_FIELD_TEXT_BYTES];
	const struct dns_field *field = dns_field_find(name);

	cr_assert_not_null(field, "%s", name);
	cr_expect_eq(dns_field_text(field, row, text), strlen(text), "%s", name);
	return text;
}

#define EXPECT_TEXT(row, name, expected) cr_expect_str_eq(text_of(row, name), expected)

Test(cli_dns, a_row_is_read_and_shown)
{
	struct dns_row row = example_row(EXAMPLE_ROW);

	setlocale(LC_CTYPE, "C.UTF-8");
	EXPECT_TEXT(&row, "client", "10.0.0.5");
	EXPECT_TEXT(&row, "server", "10.0.0.1");
	EXPECT_TEXT(&row, "protocol", "udp");
	EXPECT_TEXT(&row, "domain", "www.example.org");
	EXPECT_TEXT(&row, "type", "A");
	EXPECT_TEXT(&row, "queries", "12");
	EXPECT_TEXT(&row, "retries", "2");
	EXPECT_TEXT(&row, "answers", "11");
	EXPECT_TEXT(&row, "timeouts", "1");
	EXPECT_TEXT(&row, "failures", "1");
	EXPECT_TEXT(&row, "rcodes", "NOERROR=10,NXDOMAIN=1");
	/* All answers: the scale that holds 200 us and 9 ms is 1, with a bucket of 181 to 256 us. */
	EXPECT_TEXT(&row, "p50", "215us");
	EXPECT_TEXT(&row, "max", "9.0ms");
	cr_expect_not(row.overflow);
	dns_row_fini(&row);
}

Test(cli_dns, what_is_unusual_is_told_and_what_is_hostile_is_escaped)
{
	struct dns_row row = example_row(
		"{\"client\":\"10.0.0.5\",\"server\":\"fd00::1\",\"server_port\":5353,"
		"\"protocol\":\"tcp\",\"domain\":\"a\\u001b[2J.example\",\"type\":\"TYPE65280\","
		"\"queries\":\"18446744073709551615\",\"retries\":0,\"answers\":0,\"timeouts\":0,"
		"\"rcodes\":{},\"latency_us\":" EXAMPLE_EMPTY
		",\"failure_latency_us\":" EXAMPLE_EMPTY "}");

	setlocale(LC_CTYPE, "C.UTF-8");
	EXPECT_TEXT(&row, "server", "[fd00::1]:5353");
	EXPECT_TEXT(&row, "domain", "a\\x1b[2J.example");
	EXPECT_TEXT(&row, "queries", "18446744073709551615");
	EXPECT_TEXT(&row, "rcodes", "-");
	EXPECT_TEXT(&row, "p50", "-");
	EXPECT_TEXT(&row, "max", "-");
	dns_row_fini(&row);
}

Test(cli_dns, the_row_of_what_had_to_make_room_says_so_and_an_unknown_domain_does_not)
{
	struct dns_row rest = example_row(EXAMPLE_OVERFLOW);
	struct dns_row row = example_row(
		"{\"client\":\"10.0.0.5\",\"server\":\"10.0.0.1\",\"server_port\":53,"
		"\"protocol\":\"udp\",\"domain\":null,\"type\":\"A\",\"queries\":1,\"retries\":0,"
		"\"answers\":0,\"timeouts\":0,\"rcodes\":{},\"latency_us\":" EXAMPLE_EMPTY
		",\"failure_latency_us\":" EXAMPLE_EMPTY "}");

	cr_expect(rest.overflow);
	EXPECT_TEXT(&rest, "client", "(overflow)");
	EXPECT_TEXT(&rest, "server", "(overflow)");
	EXPECT_TEXT(&rest, "domain", "(overflow)");
	cr_expect_not(row.overflow);
	EXPECT_TEXT(&row, "domain", "-");
	dns_row_fini(&rest);
	dns_row_fini(&row);
}

/* The example row with a member replaced; NULL: taken away. */
static int read_with(const char *member, const char *value)
{
	struct dns_row row = {.overflow = false};
	cJSON *json = cJSON_Parse(EXAMPLE_ROW);
	cJSON *object = json;
	int result;

	if (member[0] == '.') {
		object = cJSON_GetObjectItemCaseSensitive(json, "latency_us");
		member++;
	}
	cr_assert(cJSON_HasObjectItem(object, member), "%s", member);
	if (value)
		cJSON_ReplaceItemInObjectCaseSensitive(object, member, cJSON_Parse(value));
	else
		cJSON_DeleteItemFromObjectCaseSensitive(object, member);
	result = dns_row_read(&row, json);
	dns_row_fini(&row);
	cJSON_Delete(json);
	return result;
}

Test(cli_dns, what_is_no_row_or_no_histogram_that_fits_is_refused)
{
	static const struct {
		const char *member; /* with a point: of latency_us */
		const char *value;
		int result;
	} cases[] = {
		{"client", "7", -EINVAL},
		{"client", NULL, -EINVAL},
		{"domain", "null", 0},
		{"server_port", "65536", -EINVAL},
		{"server_port", "1.5", -EINVAL},
		{"server_port", "null", 0},
		{"queries", "-1", -EINVAL},
		{"queries", "\"12\"", 0},
		{"timeouts", NULL, -EINVAL},
		{"rcodes", "[]", -EINVAL},
		{"rcodes", "{\"NOERROR\":-1}", -EINVAL},
		{"rcodes", "{}", 0},
		{"latency_us", "null", -EINVAL},
		{".scale", "7", -EINVAL},
		{".scale", "-3", -EINVAL},
		{".scale", "-2", -EINVAL}, /* such a bucket is beyond 2^64 there */
		{".scale", "6", 0},
		{".offset", "-2", -EINVAL},
		{".offset", "32768", -EINVAL},
		{".offset", "510", 0}, /* two buckets: the last is 511 = 64 * 2^3 - 1 */
		{".offset", "511", -EINVAL},
		{".buckets", "{}", -EINVAL},
		{".buckets", "[1,-1]", -EINVAL},
		{".buckets", "[4294967295]", 0},
		{".buckets", "[4294967296]", -EINVAL},
		{".buckets", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0},
		{".buckets", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", -EINVAL},
		{".min", "9001", -EINVAL},
		{".zeroes", NULL, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(read_with(cases[i].member, cases[i].value), cases[i].result, "%s: %s",
			     cases[i].member, cases[i].value ? cases[i].value : "missing");
}

Test(cli_dns, more_codes_than_there_are_are_refused)
{
	char codes[2048] = "{\"CODE0\":1";

	for (int i = 1; i < DNS_ROW_RCODES_MAX; i++)
		sprintf(codes + strlen(codes), ",\"CODE%d\":1", i);
	strcat(codes, "}");
	cr_expect_eq(read_with("rcodes", codes), 0);
	codes[strlen(codes) - 1] = '\0';
	strcat(codes, ",\"ONE_MORE\":1}");
	cr_expect_eq(read_with("rcodes", codes), -EINVAL);
}

/* Groups of the rows that the texts are; by keys. */
static void group(struct dns_groups *groups, const char *by, const char *const *texts, size_t count)
{
	bool keys[DNS_KEY_COUNT] = {false};

	cr_assert(dns_groups_parse(by, keys), "%s", by);
	dns_groups_init(groups, keys);
	for (size_t i = 0; i < count; i++) {
		struct dns_row row = example_row(texts[i]);

		cr_assert_eq(dns_groups_add(groups, &row), 0);
		dns_row_fini(&row);
	}
}

static const struct dns_row *find(const struct dns_groups *groups, enum dns_key key,
				  const char *value)
{
	for (size_t i = 0; i < groups->count; i++) {
		const char *text = groups->rows[i]->key[key];

		if (value ? text && strcmp(text, value) == 0 : !text)
			return groups->rows[i];
	}
	cr_assert_fail("no group %s", value ? value : "null");
	return NULL;
}

static const char *const three[] = {EXAMPLE_ROW, EXAMPLE_OTHER, EXAMPLE_OVERFLOW};

Test(cli_dns, rows_are_added_up_by_a_key_and_the_sums_are_those_of_all)
{
	const struct dns_row *row;
	struct dns_groups groups;

	group(&groups, "client", three, 3);
	cr_assert_eq(groups.count, 2);
	row = find(&groups, DNS_KEY_CLIENT, "10.0.0.5");
	cr_expect_eq(row->queries, 12 + 5);
	cr_expect_eq(row->retries, 2);
	cr_expect_eq(row->answers, 11 + 5);
	cr_expect_eq(row->timeouts, 1);
	EXPECT_TEXT(row, "rcodes", "NOERROR=10,NXDOMAIN=4,SERVFAIL=2");
	EXPECT_TEXT(row, "client", "10.0.0.5");
	EXPECT_TEXT(row, "domain", "-");
	cr_expect_eq(row->latency_us.count, 10);
	cr_expect_eq(row->failure_latency_us.count, 1 + 5);
	cr_expect_eq(row->failure_latency_us.max, 9000);
	row = find(&groups, DNS_KEY_CLIENT, NULL);
	cr_expect(row->overflow);
	cr_expect_eq(row->queries, 100);
	dns_groups_fini(&groups);
}

Test(cli_dns, rows_of_several_keys_are_one_group_for_each_of_their_pairs)
{
	struct dns_groups groups;

	group(&groups, "protocol,domain", three, 3);
	cr_assert_eq(groups.count, 3);
	cr_expect_eq(find(&groups, DNS_KEY_DOMAIN, "www.example.org")->queries, 12);
	cr_expect_eq(find(&groups, DNS_KEY_DOMAIN, "none.example.org")->queries, 5);
	EXPECT_TEXT(find(&groups, DNS_KEY_DOMAIN, NULL), "domain", "(overflow)");
	dns_groups_fini(&groups);
}

Test(cli_dns, by_code_a_row_is_taken_apart_and_only_what_is_known_has_latencies)
{
	const struct dns_row *row;
	struct dns_groups groups;

	group(&groups, "rcode", three, 1);
	cr_assert_eq(groups.count, 3);
	row = find(&groups, DNS_KEY_RCODE, "NOERROR");
	cr_expect_eq(row->queries, 10);
	EXPECT_TEXT(row, "p50", "206us");
	row = find(&groups, DNS_KEY_RCODE, "NXDOMAIN");
	cr_expect_eq(row->answers, 1);
	EXPECT_TEXT(row, "p50", "9.0ms");
	row = find(&groups, DNS_KEY_RCODE, NULL);
	cr_expect_eq(row->queries, 1);
	cr_expect_eq(row->timeouts, 1);
	cr_expect_not(row->overflow);
	EXPECT_TEXT(row, "rcode", "(no answer)");
	EXPECT_TEXT(row, "p50", "-");
	EXPECT_TEXT(row, "retries", "-");
	dns_groups_fini(&groups);

	group(&groups, "rcode", three, 2);
	cr_assert_eq(groups.count, 4);
	EXPECT_TEXT(find(&groups, DNS_KEY_RCODE, "NOERROR"), "p50", "206us");
	/* The second row's latencies are of NXDOMAIN and SERVFAIL together. */
	EXPECT_TEXT(find(&groups, DNS_KEY_RCODE, "NXDOMAIN"), "p50", "-");
	EXPECT_TEXT(find(&groups, DNS_KEY_RCODE, "SERVFAIL"), "p50", "-");
	cr_expect_eq(find(&groups, DNS_KEY_RCODE, "NXDOMAIN")->queries, 1 + 3);
	dns_groups_fini(&groups);
}

Test(cli_dns, percentiles_of_a_group_are_those_of_all_its_values)
{
	struct dns_row sum = example_row(EXAMPLE_ROW);
	struct histogram exact = {.count = 0};
	struct histogram all;
	char text[TEXT_BYTES];

	/* Rows of one value each: what is merged tells what was added one by one. */
	histogram_merge(&exact, &sum.latency_us);
	histogram_merge(&exact, &sum.failure_latency_us);
	for (unsigned value = 1; value <= 1000; value++) {
		struct histogram one = {.count = 0};
		struct dns_row row;

		histogram_add(&one, value * 7);
		histogram_add(&exact, value * 7);
		row = example_row(example_row_text(text, &one));
		cr_assert_eq(dns_row_add(&sum, &row), 0);
		dns_row_fini(&row);
	}
	cr_assert(dns_row_latency(&sum, &all));
	cr_expect_eq(all.count, 1011);
	for (unsigned at = 0; at <= 1000; at += 50)
		cr_expect_eq(histogram_quantile(&all, at), histogram_quantile(&exact, at), "%u",
			     at);
	dns_row_fini(&sum);
}

Test(cli_dns, a_list_of_keys_names_each_once)
{
	static const char *const wrong[] = {"",	       "nope",		"client,",
					    ",client", "client,client", "clients",
					    "CLIENT",  "client domain"};
	bool by[DNS_KEY_COUNT] = {false};

	cr_assert(dns_groups_parse("rcode,client", by));
	cr_expect(by[DNS_KEY_RCODE] && by[DNS_KEY_CLIENT] && !by[DNS_KEY_DOMAIN]);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memset(by, 0, sizeof(by));
		cr_expect_not(dns_groups_parse(wrong[i], by), "%s", wrong[i]);
	}
}

static void expect_columns(const char *by, const char *expected)
{
	const struct dns_field *columns[DNS_FIELDS_MAX];
	bool keys[DNS_KEY_COUNT] = {false};
	char titles[256] = "";
	size_t count;

	cr_assert(!by || dns_groups_parse(by, keys));
	count = dns_field_columns(by ? keys : NULL, columns);
	for (size_t i = 0; i < count; i++)
		sprintf(titles + strlen(titles), "%s%s", i ? " " : "", dns_field_title(columns[i]));
	cr_expect_str_eq(titles, expected);
}

Test(cli_dns, columns_are_the_keys_and_what_can_be_known_of_them)
{
	expect_columns(NULL, "CLIENT SERVER PROTO DOMAIN TYPE QUERIES ANSWERS TIMEOUTS RCODES P50 "
			     "P95 P99");
	expect_columns("domain", "DOMAIN QUERIES ANSWERS TIMEOUTS RCODES P50 P95 P99");
	expect_columns("rcode,server", "SERVER RCODE QUERIES P50 P95 P99");
}

static void expect_below(const char *domain, const char *name, bool expected)
{
	struct dns_row row = {.overflow = false};

	row.key[DNS_KEY_DOMAIN] = domain ? strdup(domain) : NULL;
	cr_expect_eq(dns_row_is_below(&row, name), expected, "%s %s", domain ? domain : "null",
		     name);
	dns_row_fini(&row);
}

Test(cli_dns, a_domain_has_those_below_it_and_no_others)
{
	expect_below("example.org", "example.org", true);
	expect_below("example.org", "Example.ORG.", true);
	expect_below("www.example.org", "example.org", true);
	expect_below("badexample.org", "example.org", false);
	expect_below("org", "example.org", false);
	expect_below("example.org", ".", true);
	expect_below(NULL, "example.org", false);
	expect_below(NULL, ".", false);
	expect_below("bad\\.example.org", "example.org", false);
	expect_below("good\\\\.example.org", "example.org", true);
}

Test(cli_dns, a_group_as_json_has_its_keys_and_all_numbers)
{
	struct dns_groups groups;
	char *text;

	group(&groups, "domain", three, 1);
	text = dns_row_json(groups.rows[0], groups.by);
	cr_expect_str_eq(text, "{\"domain\":\"www.example.org\",\"overflow\":false,\"queries\":12,"
			       "\"retries\":2,\"answers\":11,\"timeouts\":1,"
			       "\"rcodes\":{\"NOERROR\":10,\"NXDOMAIN\":1},"
			       "\"latency_us\":" EXAMPLE_LATENCY
			       ",\"failure_latency_us\":" EXAMPLE_FAILURE_JSON "}");
	free(text);
	dns_groups_fini(&groups);

	group(&groups, "rcode,domain", three + 1, 1);
	groups.rows[0]->queries = UINT64_MAX;
	text = dns_row_json(groups.rows[0], groups.by);
	cr_expect_eq(strncmp(text,
			     "{\"domain\":\"none.example.org\",\"rcode\":\"NXDOMAIN\","
			     "\"overflow\":false,\"queries\":\"18446744073709551615\","
			     "\"retries\":null,",
			     strlen("{\"domain\":\"none.example.org\",\"rcode\":\"NXDOMAIN\","
				    "\"overflow\":false,\"queries\":\"18446744073709551615\","
				    "\"retries\":null,")),
		     0, "%s", text);
	cr_expect_not_null(strstr(text, "\"failure_latency_us\":null}"), "%s", text);
	free(text);
	dns_groups_fini(&groups);
}

Test(cli_dns, an_address_has_one_spelling)
{
	static const struct {
		const char *typed;
		const char *written; /* NULL: none */
	} cases[] = {
		{"10.0.0.1", "10.0.0.1"},
		{"FD00:0:0::1", "fd00::1"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"1111:2222:3333:4444:5555:6666:7777:8888",
		 "1111:2222:3333:4444:5555:6666:7777:8888"},
		{"10.0.0.0/8", NULL},
		{"10.0.0", NULL},
		{"localhost", NULL},
		{"", NULL},
	};
	char out[ADDRESS_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(address_normalise(cases[i].typed, out), cases[i].written != NULL, "%s",
			     cases[i].typed);
		if (cases[i].written)
			cr_expect_str_eq(out, cases[i].written);
	}
}
