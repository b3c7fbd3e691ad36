/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base64.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

Test(base64, writes_and_reads_the_standards_examples)
{
	/* RFC 4648, 10. */
	static const struct {
		const char *bytes;
		const char *text;
	} cases[] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t length = strlen(cases[i].bytes);
		char text[16] = {0};
		uint8_t bytes[16];

		cr_expect_eq(BASE64_LENGTH(length), strlen(cases[i].text));
		base64_encode(text, (const uint8_t *)cases[i].bytes, length);
		cr_expect_str_eq(text, cases[i].text);
		cr_assert_eq(base64_decode(bytes, text, strlen(text)), (long)length);
		cr_expect_arr_eq(bytes, cases[i].bytes, length);
	}
}

Test(base64, what_was_written_is_read_again)
{
	uint8_t bytes[300], again[300];
	char text[BASE64_LENGTH(300)];

	srandom(1);
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)random();
		base64_encode(text, bytes, length);
		cr_assert_eq(base64_decode(again, text, BASE64_LENGTH(length)), (long)length);
		cr_assert_arr_eq(again, bytes, length);
	}
}

Test(base64, reads_nothing_else)
{
	static const char *const cases[] = {
		"A",	"AA",	"AAA",	    "A===",	"====", "AA=A", "AAA\n", "AA-A",
		"AA_A", "AAA*", "AA==AAAA", "AAA=AAAA", "AB==", "AAB=", "A A=",	 "\xc3\xa4\xc3\xa4",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[16];

		cr_expect_eq(base64_decode(bytes, cases[i], strlen(cases[i])), -1, "%s", cases[i]);
	}
}
