/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base64.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(char *text, const uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length; at += 3) {
		const size_t left = length - at;
		uint32_t group = (uint32_t)bytes[at] << 16;

		if (left > 1)
			group |= (uint32_t)bytes[at + 1] << 8;
		if (left > 2)
			group |= bytes[at + 2];
		*text++ = alphabet[group >> 18];
		*text++ = alphabet[group >> 12 & 63];
		*text++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
		*text++ = left > 2 ? alphabet[group & 63] : '=';
	}
}

/* A character's six bits, or -1. */
static int value_of(char character)
{
	if (character >= 'A' && character <= 'Z')
		return character - 'A';
	if (character >= 'a' && character <= 'z')
		return character - 'a' + 26;
	if (character >= '0' && character <= '9')
		return character - '0' + 52;
	if (character == '+')
		return 62;
	return character == '/' ? 63 : -1;
}

/* Reads a group of four, of which the last pad are '='; false if it is none. */
static int group_of(const char *text, unsigned pad)
{
	int group = 0;

	for (unsigned i = 0; i < 4; i++) {
		const int value = i < 4 - pad ? value_of(text[i]) : 0;

		if (value < 0)
			return -1;
		group = group << 6 | value;
	}
	/* What the padding leaves unused is zero: each text has one reading, each reading one text. */
	return (group & ((1 << 8 * pad) - 1)) == 0 ? group : -1;
}

long base64_decode(uint8_t *bytes, const char *text, size_t length)
{
	const uint8_t *const start = bytes;

	if (length % 4 != 0)
		return -1;
	for (size_t at = 0; at < length; at += 4) {
		unsigned pad = 0;
		int group;

		if (at + 4 == length)
			pad = text[at + 3] != '=' ? 0 : text[at + 2] != '=' ? 1 : 2;
		group = group_of(text + at, pad);
		if (group < 0)
			return -1;
		*bytes++ = (uint8_t)(group >> 16);
		if (pad < 2)
			*bytes++ = (uint8_t)(group >> 8);
		if (pad < 1)
			*bytes++ = (uint8_t)group;
	}
	return bytes - start;
}
