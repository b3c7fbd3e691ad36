/* SPDX-License-Identifier: Apache-2.0 */
#include "common/options.h"

#include <criterion/criterion.h>

#include <string.h>

struct values {
	bool json;
	bool ipv6;
	const char *comm;
	struct option_number limit;
	struct option_number wait;
	enum colour {
		RED,
		GREEN
	} colour;
};

#define AT(field) .offset = offsetof(struct values, field)

static const char *const colours[] = {"red", "green", NULL};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, AT(json), .help = "as JSON"},
	{NULL, '6', OPTION_FLAG, AT(ipv6), .help = "only IPv6"},
	{"comm", 'c', OPTION_TEXT, AT(comm), .value = "NAME", .help = "of this name"},
	{"limit", 0, OPTION_NUMBER, AT(limit), 1, 100, "N", "at most N"},
	{"wait", 0, OPTION_SECONDS, AT(wait), 100, 60000, "S", "for S seconds"},
	{"colour", 0, OPTION_NAME, colours, AT(colour), .value = "NAME", .help = "of this colour"},
	OPTIONS_END,
};

static char error[OPTIONS_ERROR_BYTES];
static const char *operands[2];

static int parse(struct values *values, char *const *argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	*values = (struct values){0};
	error[0] = '\0';
	return options_parse(specs, argc, argv, values, operands, 2, error);
}

#define ARGS(...)                 \
	(char *[])                \
	{                         \
		__VA_ARGS__, NULL \
	}

Test(options, values_come_behind_a_space_or_an_equals_sign)
{
	struct values values;

	cr_assert_eq(parse(&values, ARGS("--json", "-6", "--comm", "curl", "--limit=7")), 0);
	cr_expect(values.json && values.ipv6);
	cr_expect_str_eq(values.comm, "curl");
	cr_expect(values.limit.given);
	cr_expect_eq(values.limit.value, 7);
	cr_expect_not(values.wait.given);
	cr_assert_eq(parse(&values, ARGS("-c", "--json", "--wait", "1.5")), 0);
	cr_expect_str_eq(values.comm, "--json", "a value may look like an option");
	cr_expect_eq(values.wait.value, 1500);
	cr_expect_not(values.json);
	cr_assert_eq(parse(&values, ARGS("--comm=a=b")), 0);
	cr_expect_str_eq(values.comm, "a=b");
}

Test(options, a_name_stands_for_its_place)
{
	struct values values;

	cr_assert_eq(parse(&values, ARGS("--colour", "green")), 0);
	cr_expect_eq(values.colour, GREEN);
	cr_assert_eq(parse(&values, ARGS("--colour=red")), 0);
	cr_expect_eq(values.colour, RED);
}

struct daemon_values {
	struct options_daemon daemon;
	const char *name;
};

Test(options, a_daemon_goes_on_or_ends_with_the_code_of_what_was_asked)
{
	static const struct option_spec rows[] = {
		{"name", 0, OPTION_TEXT, .offset = offsetof(struct daemon_values, name),
		 .value = "NAME", .help = "its name"},
		OPTIONS_DAEMON,
		OPTIONS_END,
	};
	static const struct {
		char *arguments[4];
		int argc;
		int code;
	} cases[] = {
		{{"x"}, 1, -1},		 {{"x", "--name", "n"}, 3, -1}, {{"x", "--version"}, 2, 0},
		{{"x", "--help"}, 2, 0}, {{"x", "-h"}, 2, 0},		{{"x", "operand"}, 2, 2},
		{{"x", "--name"}, 2, 2}, {{"x", "--nam", "n"}, 3, 2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct daemon_values values = {0};

		cr_expect_eq(options_daemon(rows, "about\n", "x 1", cases[i].argc,
					    cases[i].arguments, &values),
			     cases[i].code, "case %zu", i);
	}
}

Test(options, operands_are_kept_in_order_and_two_dashes_end_the_options)
{
	struct values values;

	cr_assert_eq(parse(&values, ARGS("one", "--json", "--", "--limit")), 2);
	cr_expect_str_eq(operands[0], "one");
	cr_expect_str_eq(operands[1], "--limit");
	cr_expect(values.json);
	cr_assert_eq(parse(&values, ARGS("-")), 1);
}

Test(options, what_is_wrong_is_refused_with_its_name)
{
	static const struct {
		char *arguments[4];
		const char *said;
	} cases[] = {
		{{"--nope"}, "unknown option '--nope'"},
		{{"--jso"}, "unknown option '--jso'"},
		{{"--jsonx"}, "unknown option '--jsonx'"},
		{{"-x"}, "unknown option '-x'"},
		{{"-6c"}, "unknown option '-6c'"},
		{{"--nope=1"}, "unknown option '--nope'"},
		{{"--json=1"}, "--json takes no value"},
		{{"--limit"}, "--limit needs a value: N"},
		{{"--limit", "0"}, "--limit needs a number from 1 to 100, not '0'"},
		{{"--limit", "101"}, "--limit needs a number from 1 to 100, not '101'"},
		{{"--limit", "-1"}, "--limit needs a number from 1 to 100, not '-1'"},
		{{"--limit", "1x"}, "--limit needs a number from 1 to 100, not '1x'"},
		{{"--limit="}, "--limit needs a number from 1 to 100, not ''"},
		{{"--limit", "18446744073709551617"},
		 "--limit needs a number from 1 to 100, not '18446744073709551617'"},
		{{"--wait", "0.05"}, "--wait needs seconds from 0.1 to 60, not '0.05'"},
		{{"--colour", "blue"}, "--colour does not know 'blue'"},
		{{"a", "b", "c"}, "unexpected argument 'c'"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct values values;

		cr_expect_eq(parse(&values, cases[i].arguments), -1, "%s", cases[i].said);
		cr_expect_str_eq(error, cases[i].said);
	}
}

Test(options, a_long_argument_is_cut_in_the_error)
{
	char argument[4096];
	struct values values;

	memset(argument, 'x', sizeof(argument) - 1);
	argument[sizeof(argument) - 1] = '\0';
	memcpy(argument, "--", 2);
	cr_expect_eq(parse(&values, ARGS(argument)), -1);
	cr_expect_lt(strlen(error), OPTIONS_ERROR_BYTES - 1);
	argument[5] = '=';
	cr_expect_eq(parse(&values, ARGS(argument)), -1);
	cr_expect_str_eq(error, "unknown option '--xxx'");
}

Test(options, seconds_have_at_most_three_places)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t ms;
	} cases[] = {
		{"1", true, 1000},    {"0.1", true, 100},   {"2.05", true, 2050},
		{"0.250", true, 250}, {"0.0001", false, 0}, {".5", false, 0},
		{"1.", false, 0},     {"1.-5", false, 0},   {"1e3", false, 0},
		{"", false, 0},	      {" 1", false, 0},	    {"99999999999999999999", false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 0;

		cr_expect_eq(options_seconds(cases[i].text, 0, UINT64_MAX, &ms), cases[i].good,
			     "'%s'", cases[i].text);
		cr_expect_eq(ms, cases[i].ms, "'%s'", cases[i].text);
	}
}

Test(options, help_has_one_line_per_option)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	options_print(specs, to);
	fclose(to);
	cr_expect_str_eq(text, "  --json                  as JSON\n"
			       "  -6                      only IPv6\n"
			       "  -c, --comm NAME         of this name\n"
			       "  --limit N               at most N\n"
			       "  --wait S                for S seconds\n"
			       "  --colour NAME           of this colour\n");
	free(text);
}
