/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_scan.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* What may come next, apart from white space. */
enum expect {
	EXPECT_VALUE,
	EXPECT_VALUE_OR_END, /* behind '[' */
	EXPECT_KEY,
	EXPECT_KEY_OR_END, /* behind '{' */
	EXPECT_COMMA_OR_END,
};

struct scan {
	const char *text;
	size_t length;
	size_t at;
	enum expect expect;
	unsigned depth;
	uint32_t objects;  /* bit n: level n is an object, otherwise an array */
	const char *wrong; /* the first error's message; at stands on it */
};

_Static_assert(JSON_SCAN_DEPTH_MAX < 32, "a level is a bit");

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_digit(const struct scan *scan)
{
	return scan->at < scan->length && scan->text[scan->at] >= '0' &&
	       scan->text[scan->at] <= '9';
}

static bool fail(struct scan *scan, const char *message)
{
	scan->wrong = message;
	return false;
}

static bool take(struct scan *scan, char byte)
{
	if (scan->at == scan->length || scan->text[scan->at] != byte)
		return false;
	scan->at++;
	return true;
}

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->length && is_space(scan->text[scan->at]))
		scan->at++;
}

/* Four hex digits; sets *unit. */
static bool scan_hex(struct scan *scan, unsigned *unit)
{
	*unit = 0;
	for (unsigned i = 0; i < 4; i++) {
		char byte = scan->at < scan->length ? scan->text[scan->at] : '\0';
		unsigned digit;

		if (byte >= '0' && byte <= '9')
			digit = (unsigned)(byte - '0');
		else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
			digit = (unsigned)((byte | 0x20) - 'a') + 10;
		else
			return fail(scan, "\\u needs four hex digits");
		*unit = *unit << 4 | digit;
		scan->at++;
	}
	return true;
}

/* Behind a backslash. */
static bool scan_escape(struct scan *scan)
{
	char byte = scan->at < scan->length ? scan->text[scan->at] : '\0';
	unsigned unit;

	if (byte == '\0' || !strchr("\"\\/bfnrtu", byte))
		return fail(scan, "unknown escape in a string");
	scan->at++;
	if (byte != 'u')
		return true;
	if (!scan_hex(scan, &unit))
		return false;
	if (unit == 0)
		return fail(scan, "\\u0000 is not allowed");
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(scan, "the second half of a surrogate pair comes first");
	if (unit < 0xd800 || unit > 0xdbff)
		return true;
	if (!take(scan, '\\') || !take(scan, 'u'))
		return fail(scan, "half a surrogate pair");
	if (!scan_hex(scan, &unit))
		return false;
	if (unit < 0xdc00 || unit > 0xdfff)
		return fail(scan, "half a surrogate pair");
	return true;
}

/* From its opening quote to behind its closing one. */
static bool scan_string(struct scan *scan)
{
	scan->at++;
	while (scan->at < scan->length) {
		unsigned char byte = (unsigned char)scan->text[scan->at];
		size_t length;

		if (byte == '"') {
			scan->at++;
			return true;
		}
		if (byte < 0x20)
			return fail(scan, "control character in a string");
		if (byte == '\\') {
			scan->at++;
			if (!scan_escape(scan))
				return false;
			continue;
		}
		length = utf8_length((const unsigned char *)scan->text + scan->at,
				     scan->length - scan->at);
		if (length == 0)
			return fail(scan, "not UTF-8");
		scan->at += length;
	}
	return fail(scan, "the string does not end");
}

static bool scan_digits(struct scan *scan)
{
	if (!is_digit(scan))
		return fail(scan, "a digit is missing in a number");
	while (is_digit(scan))
		scan->at++;
	return true;
}

static bool scan_number(struct scan *scan)
{
	take(scan, '-');
	if (take(scan, '0')) {
		if (is_digit(scan))
			return fail(scan, "a number begins with 0");
	} else if (!scan_digits(scan)) {
		return false;
	}
	if (take(scan, '.') && !scan_digits(scan))
		return false;
	if (take(scan, 'e') || take(scan, 'E')) {
		if (!take(scan, '+'))
			take(scan, '-');
		return scan_digits(scan);
	}
	return true;
}

static bool scan_word(struct scan *scan)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t length = strlen(words[i]);

		if (scan->length - scan->at >= length &&
		    memcmp(scan->text + scan->at, words[i], length) == 0) {
			scan->at += length;
			return true;
		}
	}
	return fail(scan, "a value is expected here");
}

static bool open_level(struct scan *scan, bool object)
{
	if (scan->depth == JSON_SCAN_DEPTH_MAX)
		return fail(scan, "nested too deep");
	scan->at++;
	scan->depth++;
	scan->objects &= ~(1U << scan->depth);
	if (object)
		scan->objects |= 1U << scan->depth;
	scan->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
	return true;
}

static void close_level(struct scan *scan)
{
	scan->at++;
	scan->depth--;
	scan->expect = EXPECT_COMMA_OR_END;
}

static bool scan_value(struct scan *scan)
{
	char byte = scan->text[scan->at];

	if (byte == '{' || byte == '[')
		return open_level(scan, byte == '{');
	scan->expect = EXPECT_COMMA_OR_END;
	if (byte == '"')
		return scan_string(scan);
	if (byte == '-' || is_digit(scan))
		return scan_number(scan);
	return scan_word(scan);
}

static bool scan_key(struct scan *scan)
{
	if (scan->text[scan->at] != '"')
		return fail(scan, "a key in quotes is expected here");
	if (!scan_string(scan))
		return false;
	skip_space(scan);
	if (!take(scan, ':'))
		return fail(scan, "':' is missing behind a key");
	scan->expect = EXPECT_VALUE;
	return true;
}

/* Behind a value. */
static bool scan_comma_or_end(struct scan *scan)
{
	bool object = scan->objects & 1U << scan->depth;

	if (scan->depth == 0)
		return fail(scan, "more text behind the end");
	if (scan->text[scan->at] == (object ? '}' : ']')) {
		close_level(scan);
		return true;
	}
	if (!take(scan, ','))
		return fail(scan,
			    object ? "',' or '}' is expected here" : "',' or ']' is expected here");
	scan->expect = object ? EXPECT_KEY : EXPECT_VALUE;
	return true;
}

/* One token and what belongs to it; something is left. */
static bool scan_next(struct scan *scan)
{
	char byte = scan->text[scan->at];

	switch (scan->expect) {
	case EXPECT_COMMA_OR_END:
		return scan_comma_or_end(scan);
	case EXPECT_KEY_OR_END:
		if (byte == '}') {
			close_level(scan);
			return true;
		}
		return scan_key(scan);
	case EXPECT_KEY:
		return scan_key(scan);
	case EXPECT_VALUE_OR_END:
		if (byte == ']') {
			close_level(scan);
			return true;
		}
		return scan_value(scan);
	case EXPECT_VALUE:
		break;
	}
	return scan_value(scan);
}

int json_scan_check(const char *text, size_t length, struct json_scan_error *error)
{
	struct scan scan = {.text = text, .length = length, .expect = EXPECT_VALUE};

	skip_space(&scan);
	while (scan.at < length && scan_next(&scan))
		skip_space(&scan);
	if (!scan.wrong && (scan.depth > 0 || scan.expect != EXPECT_COMMA_OR_END))
		scan.wrong = "the text ends too early";
	if (!scan.wrong)
		return 0;
	*error = (struct json_scan_error){.offset = scan.at, .message = scan.wrong};
	return -EINVAL;
}

/* Behind a string that begins at offset at, in any text. */
static size_t behind_string(const char *text, size_t length, size_t at)
{
	for (at++; at < length && text[at] != '"'; at++) {
		if (text[at] == '\\')
			at++;
	}
	return at < length ? at + 1 : length;
}

/* Blanks from begin up to end, but for line ends. */
static void blank(char *text, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++) {
		if (text[i] != '\n')
			text[i] = ' ';
	}
}

int json_scan_blank_comments(char *text, size_t length, struct json_scan_error *error)
{
	size_t at = 0;

	while (at < length) {
		char *end;
		size_t begin = at;

		if (text[at] == '"') {
			at = behind_string(text, length, at);
			continue;
		}
		at++;
		if (text[begin] != '/' || at == length)
			continue;
		if (text[at] == '/') {
			end = memchr(text + at, '\n', length - at);
			at = end ? (size_t)(end - text) : length;
		} else if (text[at] == '*') {
			end = memmem(text + at + 1, length - at - 1, "*/", 2);
			if (!end) {
				*error =
					(struct json_scan_error){begin, "the comment does not end"};
				return -EINVAL;
			}
			at = (size_t)(end - text) + 2;
		} else {
			continue;
		}
		blank(text, begin, at);
	}
	return 0;
}

void json_scan_members_init(struct json_scan_members *members, const char *text, size_t length,
			    size_t object)
{
	struct scan scan = {.text = text, .length = length, .at = object};

	skip_space(&scan);
	take(&scan, '{');
	*members = (struct json_scan_members){.text = text, .length = length, .at = scan.at};
}

/* Behind the value that begins at offset at. */
static size_t behind_value(const char *text, size_t length, size_t at)
{
	unsigned depth = 0;

	while (at < length) {
		char byte = text[at];

		if (depth == 0 && (byte == ',' || byte == '}' || byte == ']'))
			break;
		if (byte == '"') {
			at = behind_string(text, length, at);
			continue;
		}
		if (byte == '{' || byte == '[')
			depth++;
		else if (byte == '}' || byte == ']')
			depth--;
		at++;
	}
	return at;
}

bool json_scan_members_next(struct json_scan_members *members, size_t *key, size_t *value)
{
	struct scan scan = {.text = members->text, .length = members->length, .at = members->at};

	skip_space(&scan);
	take(&scan, ',');
	skip_space(&scan);
	if (scan.at == scan.length || scan.text[scan.at] != '"')
		return false;
	*key = scan.at;
	scan.at = behind_string(scan.text, scan.length, scan.at);
	skip_space(&scan);
	take(&scan, ':');
	skip_space(&scan);
	*value = scan.at;
	members->at = behind_value(scan.text, scan.length, scan.at);
	return true;
}

void json_scan_elements_init(struct json_scan_elements *elements, const char *text, size_t length,
			     size_t array)
{
	struct scan scan = {.text = text, .length = length, .at = array};

	skip_space(&scan);
	take(&scan, '[');
	*elements = (struct json_scan_elements){.text = text, .length = length, .at = scan.at};
}

bool json_scan_elements_next(struct json_scan_elements *elements, size_t *value)
{
	struct scan scan = {.text = elements->text, .length = elements->length, .at = elements->at};

	skip_space(&scan);
	take(&scan, ',');
	skip_space(&scan);
	if (scan.at == scan.length || scan.text[scan.at] == ']')
		return false;
	*value = scan.at;
	elements->at = behind_value(scan.text, scan.length, scan.at);
	return true;
}

void json_scan_position(const char *text, size_t offset, size_t *line, size_t *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}
