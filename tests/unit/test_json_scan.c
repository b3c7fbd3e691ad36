/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_scan.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

Test(json_scan, accepts_exactly_what_rfc_8259_calls_json)
{
	static const char *const good[] = {
		"{}",
		"[]",
		" \t\r\n{ } ",
		"0",
		"-0",
		"-12.5e+3",
		"1E9",
		"true",
		"false",
		"null",
		"\"\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
		"\"\\ud83d\\ude00\"",
		"\"\xe2\x82\xac\"",
		"{\"a\":[1,2,{\"b\":null}],\"c\":{}}",
		"[[],[[]]]",
	};
	static const struct {
		const char *text;
		size_t offset;
	} bad[] = {
		{"", 0},
		{"  ", 2},
		{"{", 1},
		{"[", 1},
		{"}", 0},
		{"{} x", 3},
		{"{}{}", 2},
		{"1 2", 2},
		{"{\"a\"}", 4},
		{"{\"a\":}", 5},
		{"{\"a\":1,}", 7},
		{"{a:1}", 1},
		{"{\"a\":1]", 6},
		{"[1,]", 3},
		{"[1 2]", 3},
		{"[1}", 2},
		{"01", 1},
		{"-", 1},
		{"1.", 2},
		{".5", 0},
		{"1e", 2},
		{"+1", 0},
		{"tru", 0},
		{"nan", 0},
		{"\"", 1},
		{"\"a\nb\"", 2},
		{"\"\\x\"", 2},
		{"\"\\u12g4\"", 5},
		{"\"\\u0000\"", 7},
		{"\"\\ud800\"", 7},
		{"\"\\udc00\"", 7},
		{"\"\\ud800\\u0041\"", 13},
		{"\"\xff\"", 1},
		{"\"\xc0\x80\"", 1},
		{"\xef\xbb\xbf{}", 0},
		{"// no comments here\n{}", 0},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct json_scan_error error;

		cr_expect_eq(json_scan_check(good[i], strlen(good[i]), &error), 0, "%s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_scan_error error = {.offset = 999};

		cr_expect_eq(json_scan_check(bad[i].text, strlen(bad[i].text), &error), -EINVAL,
			     "%s", bad[i].text);
		cr_expect_eq(error.offset, bad[i].offset, "%s: %zu, %s", bad[i].text, error.offset,
			     error.message);
		cr_expect_not_null(error.message);
	}
}

Test(json_scan, refuses_a_nul_byte_anywhere)
{
	struct json_scan_error error;

	cr_expect_eq(json_scan_check("{}\0", 3, &error), -EINVAL);
	cr_expect_eq(json_scan_check("\"\0\"", 3, &error), -EINVAL);
	cr_expect_eq(json_scan_check("\0", 1, &error), -EINVAL);
}

Test(json_scan, stops_at_sixteen_levels)
{
	char text[2 * JSON_SCAN_DEPTH_MAX + 3];
	struct json_scan_error error;

	for (unsigned depth = 1; depth <= JSON_SCAN_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		cr_expect_eq(json_scan_check(text, 2 * (size_t)depth, &error),
			     depth <= JSON_SCAN_DEPTH_MAX ? 0 : -EINVAL, "depth %u", depth);
	}
	cr_expect_eq(error.offset, JSON_SCAN_DEPTH_MAX);
}

Test(json_scan, blanks_comments_and_leaves_every_position_as_it_was)
{
	static const struct {
		const char *text;
		const char *expected; /* NULL: it does not end */
	} cases[] = {
		{"{} // end", "{}       "},
		{"// a\n{}", "    \n{}"},
		{"/* a\nb */{}", "    \n    {}"},
		{"{/**/}", "{    }"},
		{"{/***/}", "{     }"},
		{"\"// no \\\" /* no */\"", "\"// no \\\" /* no */\""},
		{"/", "/"},
		{"1/2", "1/2"},
		{"//", "  "},
		{"/*/", NULL},
		{"{} /* ", NULL},
		{"\"unended // \\", "\"unended // \\"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_scan_error error;
		char text[64];
		int result;

		strcpy(text, cases[i].text);
		result = json_scan_blank_comments(text, strlen(text), &error);
		cr_expect_eq(result, cases[i].expected ? 0 : -EINVAL, "%s", cases[i].text);
		if (cases[i].expected)
			cr_expect_str_eq(text, cases[i].expected);
	}
}

Test(json_scan, walks_the_members_of_an_object_in_their_order)
{
	static const char text[] = " { \"a\" : [1,{\"x\":\"}\"}] , \"b\\\"\":{\"c\":2},\"d\":3}";
	struct json_scan_members members;
	struct json_scan_error error;
	char found[128] = "";
	size_t value;
	size_t key;

	cr_assert_eq(json_scan_check(text, sizeof(text) - 1, &error), 0);
	json_scan_members_init(&members, text, sizeof(text) - 1, 0);
	while (json_scan_members_next(&members, &key, &value))
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%.4s=%c ",
			 text + key, text[value]);
	cr_expect_str_eq(found, "\"a\" =[ \"b\\\"={ \"d\":=3 ");
	json_scan_members_init(&members, "{ }", 3, 0);
	cr_expect_not(json_scan_members_next(&members, &key, &value));
}

Test(json_scan, counts_lines_and_characters_from_one)
{
	static const char text[] = "a\n\xc3\xa9\xe2\x82\xac\tz\n\n.";
	static const struct {
		size_t offset;
		size_t line;
		size_t column;
	} cases[] = {{0, 1, 1}, {1, 1, 2}, {2, 2, 1}, {4, 2, 2}, {7, 2, 3}, {8, 2, 4}, {11, 4, 1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t line;
		size_t column;

		json_scan_position(text, cases[i].offset, &line, &column);
		cr_expect_eq(line, cases[i].line, "offset %zu", cases[i].offset);
		cr_expect_eq(column, cases[i].column, "offset %zu", cases[i].offset);
	}
}

Test(json_scan, walks_an_array_in_order)
{
	static const char text[] = " [ 1 , \"],\\\"\", [2, [3]], {\"a\": [4]}\n,null ] ";
	static const char *const starts[] = {"1", "\"]", "[2", "{", "null"};
	struct json_scan_elements elements;
	struct json_scan_error error;
	size_t value;

	cr_assert_eq(json_scan_check(text, strlen(text), &error), 0);
	json_scan_elements_init(&elements, text, strlen(text), 0);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		cr_assert(json_scan_elements_next(&elements, &value));
		cr_expect_eq(strncmp(text + value, starts[i], strlen(starts[i])), 0, "%s",
			     text + value);
	}
	cr_expect_not(json_scan_elements_next(&elements, &value));
	json_scan_elements_init(&elements, "[]", 2, 0);
	cr_expect_not(json_scan_elements_next(&elements, &value));
}
