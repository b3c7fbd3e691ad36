/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/slice.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

static struct slice of(const char *text)
{
	return (struct slice){.text = text, .length = strlen(text)};
}

static void expect_slice(struct slice slice, const char *expected)
{
	cr_expect(slice.length == strlen(expected) &&
			  memcmp(slice.text, expected, slice.length) == 0,
		  "'%.*s' instead of '%s'", (int)slice.length, slice.text, expected);
}

Test(cli_slice, members_are_found_at_the_top_level_only)
{
	const struct slice object = of(" {\"a\" : {\"more\":1}, \"text\":\"}\\\"]\" ,\n"
				       "\"more\":\"T1\",\"last\":[1,[2]] }");
	struct slice value;

	cr_assert(slice_member(object, "more", &value));
	expect_slice(value, "\"T1\"");
	cr_assert(slice_member(object, "a", &value));
	expect_slice(value, "{\"more\":1}");
	cr_assert(slice_member(object, "text", &value));
	expect_slice(value, "\"}\\\"]\"");
	cr_assert(slice_member(object, "last", &value));
	expect_slice(value, "[1,[2]]");
	cr_expect_not(slice_member(object, "absent", &value));
	cr_expect_not(slice_member(object, "mor", &value));
}

Test(cli_slice, elements_come_as_they_were_written)
{
	struct slice rest = of("[ {\"b\":1.50,\"a\":[\",\"]} , \"x,y\",3\n,null ]");
	static const char *const expected[] = {"{\"b\":1.50,\"a\":[\",\"]}", "\"x,y\"", "3",
					       "null"};
	struct slice element;

	for (size_t i = 0; i < 4; i++) {
		cr_assert(slice_next(&rest, &element));
		expect_slice(element, expected[i]);
	}
	cr_expect_not(slice_next(&rest, &element));
	rest = of("[]");
	cr_expect_not(slice_next(&rest, &element));
	rest = of(" [ ] ");
	cr_expect_not(slice_next(&rest, &element));
}

Test(cli_slice, a_text_that_is_cut_anywhere_ends_the_walk)
{
	static const char text[] =
		"{\"ok\":true,\"connections\":[{\"id\":\"1\",\"x\":{}},{\"id\":\"2\\\"\"}]}";

	for (size_t length = 0; length < sizeof(text) - 1; length++) {
		/* A copy of the exact size, so that a sanitizer sees any step beyond it. */
		char *copy = malloc(length ? length : 1);
		struct slice whole = {.text = copy, .length = length};
		struct slice list;
		struct slice element;
		unsigned elements = 0;

		memcpy(copy, text, length);
		if (slice_member(whole, "connections", &list)) {
			while (slice_next(&list, &element))
				elements++;
		}
		cr_expect_leq(elements, 2);
		free(copy);
	}
}

Test(cli_slice, what_is_no_json_is_absent)
{
	static const char *const texts[] = {"",	     "[",	 "{",	    "}",	"{]",
					    "\"",    "{\"a\"",	 "{\"a\":", "{\"a\":}", "{a:1}",
					    "[1,2}", "{\"a\":1", "null",    "{,}",	"{:}"};
	struct slice value;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_expect_not(slice_member(of(texts[i]), "a", &value), "%s", texts[i]);
	}
}

static char *written(const char *text, size_t length)
{
	char *out = NULL;
	size_t out_length = 0;
	FILE *to = open_memstream(&out, &out_length);

	slice_write((struct slice){.text = text, .length = length}, to);
	fclose(to);
	return out;
}

Test(cli_slice, a_value_is_written_within_one_line_that_a_terminal_survives)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{"{\"a\":1}", "{\"a\":1}"},	 {"{\n\t\"a\":1\r\n}", "{  \"a\":1  }"},
		{"\"\x1b[2J\"", "\" [2J\""},	 {"\"\x7f\"", "\"\\u007f\""},
		{"\"\xc2\x9b\"", "\"\\u009b\""}, {"\"\xc3\xa9\"", "\"\xc3\xa9\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = written(cases[i].in, strlen(cases[i].in));

		cr_expect_str_eq(out, cases[i].out);
		free(out);
	}
}

Test(cli_slice, an_object_is_written_with_a_line_for_each_member)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{"{}", "{}"},
		{"{ \n }", "{}"},
		{"[]", "[]"},
		{"{\"a\":{},\"b\":[],\"c\":{\"d\":1}}",
		 "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": {\n    \"d\": 1\n  }\n}"},
		{"{\"a\" : [1,2,{\"b\":[{}],\"c\":3}] }",
		 "{\n  \"a\": [1, 2, {\"b\": [{}], \"c\": 3}]\n}"},
		{"{\"{[,:\\\"\":\"}\\\\\"}", "{\n  \"{[,:\\\"\": \"}\\\\\"\n}"},
		{"{\"a\":\"\x1b[2J\",\"b\":-1.5e3}", "{\n  \"a\": \" [2J\",\n  \"b\": -1.5e3\n}"},
		/* Whatever comes, it ends. */
		{"}}]]\"", "}}]]\""},
		{"{{{", "{\n  {\n    {"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = NULL;
		size_t length = 0;
		FILE *to = open_memstream(&out, &length);

		slice_write_indented(of(cases[i].in), to);
		fclose(to);
		cr_expect_str_eq(out, cases[i].out);
		free(out);
	}
}
