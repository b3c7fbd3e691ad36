/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <criterion/criterion.h>

#include <locale.h>
#include <string.h>

Test(cli_text, bytes_fit_five_characters_and_never_round_up)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0B"},	     {1, "1B"},
		{1023, "1023B"},     {1024, "1.0K"},
		{1536, "1.5K"},	     {10239, "9.9K"},
		{10240, "10K"},	     {1048575, "1023K"},
		{1048576, "1.0M"},   {12345678901, "11G"},
		{UINT64_MAX, "15E"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[TEXT_SHORT_BYTES];

		text_bytes(text, cases[i].bytes);
		cr_expect_str_eq(text, cases[i].text, "%llu", (unsigned long long)cases[i].bytes);
	}
}

Test(cli_text, durations_fit_seven_characters_from_ns_to_days)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0ns"},
		{999, "999ns"},
		{1000, "1.0us"},
		{95000, "95us"},
		{1234567, "1.2ms"},
		{999999999, "999ms"},
		{1000000000, "1.0s"},
		{59999999999, "59s"},
		{60000000000, "1m00s"},
		{3599000000000, "59m59s"},
		{3600000000000, "1h00m"},
		{86399000000000, "23h59m"},
		{90000000000000, "1d01h"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[TEXT_SHORT_BYTES];

		text_duration(text, cases[i].ns);
		cr_expect_str_eq(text, cases[i].text, "%llu", (unsigned long long)cases[i].ns);
	}
}

Test(cli_text, the_longest_duration_and_count_fit_their_buffers)
{
	char text[TEXT_SHORT_BYTES];

	text_duration(text, UINT64_MAX);
	cr_expect_str_eq(text, "213503d23h");
	text_count(text, UINT64_MAX);
	cr_expect_str_eq(text, "18E");
	text_count(text, 999);
	cr_expect_str_eq(text, "999");
	text_count(text, 1500);
	cr_expect_str_eq(text, "1.5k");
}

static void expect_escaped(const char *in, size_t length, const char *expected)
{
	char out[128];

	cr_expect_eq(text_escape(out, sizeof(out), in, length), strlen(expected));
	cr_expect_str_eq(out, expected);
}

Test(cli_text, what_a_terminal_would_obey_becomes_visible)
{
	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	expect_escaped("curl", 4, "curl");
	expect_escaped("\033[2J", 4, "\\x1b[2J");
	expect_escaped("a\r\nb", 4, "a\\x0d\\x0ab");
	expect_escaped("a\0b", 3, "a\\x00b");
	expect_escaped("\x7f", 1, "\\x7f");
	expect_escaped("back\\slash", 10, "back\\x5cslash");
	/* CSI as one C1 control, as UTF-8 and as a bare byte. */
	expect_escaped("\xc2\x9b", 2, "\\u009b");
	expect_escaped("\x9b", 1, "\\x9b");
	/* Right-to-left override, zero width space. */
	expect_escaped("\xe2\x80\xae", 3, "\\u202e");
	expect_escaped("\xe2\x80\x8b", 3, "\\u200b");
}

Test(cli_text, letters_of_other_scripts_stay_where_the_locale_has_them)
{
	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	expect_escaped("n\xc3\xa9t", 4, "n\xc3\xa9t");
	expect_escaped("\xe6\x97\xa5", 3, "\xe6\x97\xa5");
	cr_assert_not_null(setlocale(LC_CTYPE, "C"));
	expect_escaped("n\xc3\xa9t", 4, "n\\u00e9t");
}

Test(cli_text, bytes_that_are_not_utf8_are_escaped_one_by_one)
{
	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	expect_escaped("\xc3", 1, "\\xc3");		      /* cut */
	expect_escaped("\xc0\xaf", 2, "\\xc0\\xaf");	      /* overlong */
	expect_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* surrogate */
	expect_escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
	expect_escaped("\xc3x", 2, "\\xc3x");
}

Test(cli_text, a_short_buffer_never_holds_half_an_escape_or_character)
{
	char out[8];

	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	cr_expect_eq(text_escape(out, 6, "ab\033", 3), 2);
	cr_expect_str_eq(out, "ab");
	cr_expect_eq(text_escape(out, 7, "ab\033", 3), 6);
	cr_expect_str_eq(out, "ab\\x1b");
	cr_expect_eq(text_escape(out, 3, "a\xc3\xa9", 3), 1);
	cr_expect_eq(text_escape(out, 1, "abc", 3), 0);
	cr_expect_str_eq(out, "");
}

Test(cli_text, columns_count_characters_and_wide_ones_twice)
{
	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	cr_expect_eq(text_columns("curl"), 4);
	cr_expect_eq(text_columns("n\xc3\xa9t"), 3);
	cr_expect_eq(text_columns("\xe6\x97\xa5\xe6\x9c\xac"), 4);
	cr_expect_eq(text_fit("\xe6\x97\xa5\xe6\x9c\xac", 3), 3);
	cr_expect_eq(text_fit("abc", 2), 2);
	cr_expect_eq(text_fit("abc", 9), 3);
}
