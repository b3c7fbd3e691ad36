/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* Of any unit: the next one begins then, or 64 bits end before. */
#define WHOLE_MAX 1023

/* value / unit with two significant digits below ten, whole numbers above; never rounds up. */
static void shorten(char out[TEXT_SHORT_BYTES], uint64_t value, uint64_t unit, const char *suffix)
{
	const uint64_t whole = value / unit;
	const unsigned tenth = (unsigned)((value % unit) / (unit / 10));

	if (whole < 10)
		snprintf(out, TEXT_SHORT_BYTES, "%u.%u%s", (unsigned)whole, tenth > 9 ? 9 : tenth,
			 suffix);
	else
		snprintf(out, TEXT_SHORT_BYTES, "%u%s",
			 (unsigned)(whole > WHOLE_MAX ? WHOLE_MAX : whole), suffix);
}

void text_bytes(char out[TEXT_SHORT_BYTES], uint64_t bytes)
{
	static const char *const suffixes[] = {"K", "M", "G", "T", "P", "E"};
	uint64_t unit = 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, TEXT_SHORT_BYTES, "%uB", (unsigned)bytes);
		return;
	}
	while (i + 1 < sizeof(suffixes) / sizeof(suffixes[0]) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	shorten(out, bytes, unit, suffixes[i]);
}

void text_count(char out[TEXT_SHORT_BYTES], uint64_t count)
{
	static const char *const suffixes[] = {"k", "M", "G", "T", "P", "E"};
	uint64_t unit = 1000;
	size_t i = 0;

	if (count < 1000) {
		snprintf(out, TEXT_SHORT_BYTES, "%u", (unsigned)count);
		return;
	}
	while (i + 1 < sizeof(suffixes) / sizeof(suffixes[0]) && count / unit >= 1000) {
		unit *= 1000;
		i++;
	}
	shorten(out, count, unit, suffixes[i]);
}

void text_duration(char out[TEXT_SHORT_BYTES], uint64_t ns)
{
	const uint64_t s = ns / 1000000000;

	if (ns < 1000)
		snprintf(out, TEXT_SHORT_BYTES, "%uns", (unsigned)ns);
	else if (ns < 1000000)
		shorten(out, ns, 1000, "us");
	else if (ns < 1000000000)
		shorten(out, ns, 1000000, "ms");
	else if (s < 60)
		shorten(out, ns, 1000000000, "s");
	else if (s < 3600)
		snprintf(out, TEXT_SHORT_BYTES, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, TEXT_SHORT_BYTES, "%uh%02um", (unsigned)(s / 3600),
			 (unsigned)(s / 60 % 60));
	else
		snprintf(out, TEXT_SHORT_BYTES, "%llud%02uh", (unsigned long long)(s / 86400),
			 (unsigned)(s / 3600 % 24));
}

/*
 * Reads one code point (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF) of at
 * most length bytes. Returns its length, 0 if the bytes are not UTF-8.
 */
static size_t decode(const unsigned char *in, size_t length, uint32_t *point)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t bytes;
	uint32_t value;

	if (in[0] < 0x80) {
		*point = in[0];
		return 1;
	}
	if (in[0] >= 0xc2 && in[0] < 0xe0)
		bytes = 2;
	else if (in[0] >= 0xe0 && in[0] < 0xf0)
		bytes = 3;
	else if (in[0] >= 0xf0 && in[0] < 0xf5)
		bytes = 4;
	else
		return 0;
	if (bytes > length)
		return 0;
	value = in[0] & (0x7fu >> bytes);
	for (size_t i = 1; i < bytes; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (in[i] & 0x3fu);
	}
	if (value < smallest[bytes] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	*point = value;
	return bytes;
}

size_t text_escape(char *out, size_t capacity, const char *in, size_t length)
{
	const unsigned char *at = (const unsigned char *)in;
	size_t made = 0;

	while (length > 0) {
		char piece[TEXT_ESCAPE_BYTES + 1];
		uint32_t point = 0;
		size_t taken = decode(at, length, &point);
		size_t bytes;

		if (taken == 0 ||
		    (point < 0x80 && (point < 0x20 || point == 0x7f || point == '\\'))) {
			bytes = (size_t)snprintf(piece, sizeof(piece), "\\x%02x", at[0]);
			taken = 1;
		} else if (point < 0x80 || wcwidth((wchar_t)point) > 0) {
			memcpy(piece, at, taken);
			bytes = taken;
		} else {
			bytes = (size_t)snprintf(piece, sizeof(piece),
						 point < 0x10000 ? "\\u%04x" : "\\U%08x", point);
		}
		if (made + bytes >= capacity)
			break;
		memcpy(out + made, piece, bytes);
		made += bytes;
		at += taken;
		length -= taken;
	}
	out[made] = '\0';
	return made;
}

/* Columns of the character at text; *bytes is its length. */
static size_t width(const char *text, size_t *bytes)
{
	uint32_t point;
	int columns;

	*bytes = decode((const unsigned char *)text, strlen(text), &point);
	if (*bytes <= 1) {
		*bytes = 1;
		return 1;
	}
	columns = wcwidth((wchar_t)point);
	return columns > 0 ? (size_t)columns : 1;
}

size_t text_columns(const char *text)
{
	size_t columns = 0;
	size_t bytes;

	for (; *text; text += bytes)
		columns += width(text, &bytes);
	return columns;
}

size_t text_fit(const char *text, size_t columns)
{
	size_t length = 0;

	while (text[length]) {
		size_t bytes;
		const size_t needed = width(text + length, &bytes);

		if (needed > columns)
			break;
		columns -= needed;
		length += bytes;
	}
	return length;
}
