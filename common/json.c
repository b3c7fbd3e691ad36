/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json.h"

#include "common/address_text.h"
#include "common/utf8.h"

#define U64_DIGITS_MAX 20
/* The largest integer up to which every integer is a double, so that any reader keeps it. */
#define NUMBER_MAX (1ULL << 53)

static const char digit_pairs[200] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445"
	"46474849505152535455565758596061626364656667686970717273747576777879808182838485868788899091"
	"9293949596979899";
static const char hex_digits[] = "0123456789abcdef";

static unsigned count_digits(uint64_t value)
{
	static const uint64_t powers[U64_DIGITS_MAX] = {
		0,
		10ULL,
		100ULL,
		1000ULL,
		10000ULL,
		100000ULL,
		1000000ULL,
		10000000ULL,
		100000000ULL,
		1000000000ULL,
		10000000000ULL,
		100000000000ULL,
		1000000000000ULL,
		10000000000000ULL,
		100000000000000ULL,
		1000000000000000ULL,
		10000000000000000ULL,
		100000000000000000ULL,
		1000000000000000000ULL,
		10000000000000000000ULL,
	};
	/* 1233 / 4096 is log10(2), close enough for 64 bits; the table corrects it by one. */
	unsigned guess = (64U - (unsigned)__builtin_clzll(value | 1)) * 1233U >> 12;

	return guess + (value >= powers[guess] ? 1U : 0U);
}

/* Writes the digits at the place that the caller checked; returns the byte behind them. */
static char *put_u64(char *at, uint64_t value)
{
	unsigned digits = count_digits(value);
	char *place = at + digits;

	while (value >= 100) {
		uint64_t rest = value / 100;

		place -= 2;
		memcpy(place, digit_pairs + 2 * (value - rest * 100), 2);
		value = rest;
	}
	if (value >= 10)
		memcpy(at, digit_pairs + 2 * value, 2);
	else
		*at = (char)('0' + value);
	return at + digits;
}

void json_u64(struct json *json, uint64_t value)
{
	char digits[U64_DIGITS_MAX];

	if (__builtin_expect((size_t)(json->end - json->at) >= U64_DIGITS_MAX, 1)) {
		json->at = put_u64(json->at, value);
		return;
	}
	json_raw(json, digits, (size_t)(put_u64(digits, value) - digits));
}

void json_i64(struct json *json, int64_t value)
{
	const uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	const bool quoted = magnitude > NUMBER_MAX;

	if (quoted)
		JSON_TEXT(json, "\"");
	if (value < 0)
		JSON_TEXT(json, "-");
	json_u64(json, magnitude);
	if (quoted)
		JSON_TEXT(json, "\"");
}

void json_u64_string(struct json *json, uint64_t value)
{
	JSON_TEXT(json, "\"");
	json_u64(json, value);
	JSON_TEXT(json, "\"");
}

void json_number(struct json *json, uint64_t value)
{
	if (value > NUMBER_MAX)
		json_u64_string(json, value);
	else
		json_u64(json, value);
}

void json_id(struct json *json, uint64_t value)
{
	if (!json_room(json, 18))
		return;
	json->at[0] = '"';
	for (unsigned i = 0; i < 16; i++)
		json->at[1 + i] = hex_digits[value >> (60 - 4 * i) & 0xf];
	json->at[17] = '"';
	json->at += 18;
}

void json_word(struct json *json, const char *word)
{
	size_t length;

	if (!word) {
		JSON_TEXT(json, "null");
		return;
	}
	length = strlen(word);
	if (!json_room(json, length + 2))
		return;
	*json->at++ = '"';
	memcpy(json->at, word, length);
	json->at += length;
	*json->at++ = '"';
}

static void escape(struct json *json, unsigned char byte)
{
	/* The two-character escapes of RFC 8259, 7; 0 where there is none. */
	static const char shorts[0x20] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	char text[6] = {'\\', 'u', '0', '0', hex_digits[byte >> 4], hex_digits[byte & 0xf]};

	if (byte == '"' || byte == '\\') {
		text[1] = (char)byte;
		json_raw(json, text, 2);
	} else if (byte < 0x20 && shorts[byte]) {
		text[1] = shorts[byte];
		json_raw(json, text, 2);
	} else {
		json_raw(json, text, sizeof(text));
	}
}

static bool is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void json_string(struct json *json, const char *bytes, size_t length)
{
	const unsigned char *text = (const unsigned char *)bytes;
	size_t at = 0;

	JSON_TEXT(json, "\"");
	while (at < length) {
		size_t run = at;

		while (run < length && is_plain(text[run]))
			run++;
		json_raw(json, bytes + at, run - at);
		at = run;
		if (at == length)
			break;
		if (text[at] < 0x80) {
			escape(json, text[at]);
			at++;
			continue;
		}
		run = utf8_length(text + at, length - at);
		if (run == 0) {
			JSON_TEXT(json, "\\ufffd");
			at++;
		} else {
			json_raw(json, bytes + at, run);
			at += run;
		}
	}
	JSON_TEXT(json, "\"");
}

void json_address(struct json *json, bool ipv6, const uint8_t *ip)
{
	char text[ADDRESS_TEXT_BYTES_MAX];

	JSON_TEXT(json, "\"");
	if (__builtin_expect((size_t)(json->end - json->at) >= ADDRESS_TEXT_BYTES_MAX, 1))
		json->at += address_text(json->at, ipv6, ip);
	else
		json_raw(json, text, address_text(text, ipv6, ip));
	JSON_TEXT(json, "\"");
}
