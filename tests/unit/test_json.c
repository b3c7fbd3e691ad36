/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json.h"

#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static char buffer[256];
static struct json json;

static void begin(void)
{
	memset(buffer, 0, sizeof(buffer));
	json_init(&json, buffer, sizeof(buffer) - 1);
}

Test(json, writes_integers_as_printf_does)
{
	char expected[32];
	uint64_t value = 1;

	for (unsigned digits = 0; digits < 20; digits++, value *= 10) {
		for (int64_t step = -1; step <= 1; step++) {
			uint64_t number = value + (uint64_t)step;

			begin();
			json_u64(&json, number);
			snprintf(expected, sizeof(expected), "%" PRIu64, number);
			cr_expect_str_eq(buffer, expected);
		}
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		begin();
		json_u64(&json, (1ULL << bit) - 1);
		snprintf(expected, sizeof(expected), "%llu", (1ULL << bit) - 1);
		cr_expect_str_eq(buffer, expected);
	}
	begin();
	json_u64(&json, UINT64_MAX);
	cr_expect_str_eq(buffer, "18446744073709551615");
}

Test(json, writes_negative_integers_down_to_the_lowest)
{
	begin();
	json_i64(&json, -1);
	JSON_TEXT(&json, " ");
	json_i64(&json, INT64_MIN);
	JSON_TEXT(&json, " ");
	json_i64(&json, INT64_MAX);
	cr_expect_str_eq(buffer, "-1 \"-9223372036854775808\" \"9223372036854775807\"");
}

Test(json, makes_integers_above_two_to_the_53_strings)
{
	begin();
	json_number(&json, 1ULL << 53);
	JSON_TEXT(&json, ",");
	json_number(&json, (1ULL << 53) + 1);
	JSON_TEXT(&json, ",");
	json_u64_string(&json, 0);
	cr_expect_str_eq(buffer, "9007199254740992,\"9007199254740993\",\"0\"");
}

Test(json, writes_ids_as_sixteen_hex_digits)
{
	begin();
	json_id(&json, 0x1a2b);
	json_id(&json, 0xfedcba9876543210);
	cr_expect_str_eq(buffer, "\"0000000000001a2b\"\"fedcba9876543210\"");
}

Test(json, writes_words_booleans_and_null)
{
	begin();
	json_word(&json, "fin");
	json_word(&json, NULL);
	json_bool(&json, true);
	json_bool(&json, false);
	cr_expect_str_eq(buffer, "\"fin\"nulltruefalse");
}

Test(json, escapes_what_must_be_escaped_and_replaces_what_is_not_utf8)
{
	static const struct {
		const char *bytes;
		const char *expected;
	} cases[] = {
		{"", "\"\""},
		{"curl", "\"curl\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
		{"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
		{"/", "\"/\""},
		{"\xc3\xa9t\xc3\xa9", "\"\xc3\xa9t\xc3\xa9\""},
		{"\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\xc3", "\"\\ufffd\""},				  /* cut */
		{"a\x80z", "\"a\\ufffdz\""},				  /* only a continuation */
		{"\xc0\xaf", "\"\\ufffd\\ufffd\""},			  /* overlong */
		{"\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\""},		  /* overlong */
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},		  /* surrogate */
		{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* above U+10FFFF */
		{"\xf0\x9f\x98", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\xff", "\"\\ufffd\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		json_string(&json, cases[i].bytes, strlen(cases[i].bytes));
		cr_expect_str_eq(buffer, cases[i].expected, "case %zu: %s", i, buffer);
		cr_expect_not(json.overflow);
	}
}

Test(json, does_not_end_a_string_at_a_nul)
{
	begin();
	json_string(&json, "a\0b", 3);
	cr_expect_str_eq(buffer, "\"a\\u0000b\"");
}

static void write_all(struct json *writer)
{
	static const uint8_t ip[16] = {0x20, 0x01, [15] = 1};

	JSON_TEXT(writer, "{\"a\":");
	json_u64(writer, 1234567);
	json_string(writer, "x\ny\xff\xc3\xa9", 6);
	json_id(writer, 7);
	json_word(writer, "word");
	json_address(writer, true, ip);
	json_bool(writer, true);
	json_number(writer, UINT64_MAX);
	JSON_TEXT(writer, "}");
}

Test(json, never_writes_past_its_end_and_remembers_that_it_was_reached)
{
	char room[256];
	size_t whole;

	begin();
	write_all(&json);
	cr_assert_not(json.overflow);
	whole = json_length(&json);
	for (size_t capacity = 0; capacity <= whole; capacity++) {
		struct json small;

		memset(room, '#', sizeof(room));
		json_init(&small, room, capacity);
		write_all(&small);
		cr_expect_eq(small.overflow, capacity < whole, "capacity %zu", capacity);
		cr_expect_leq(json_length(&small), capacity);
		for (size_t i = capacity; i < sizeof(room); i++)
			cr_assert_eq(room[i], '#', "capacity %zu wrote at %zu", capacity, i);
	}
}
