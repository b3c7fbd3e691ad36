/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/slice.h"

#include <string.h>

static size_t skip_space(const char *text, size_t length, size_t at)
{
	while (at < length &&
	       (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
		at++;
	return at;
}

/* Returns the place behind the string that starts at a quote, or length if it has no end. */
static size_t skip_string(const char *text, size_t length, size_t at)
{
	for (at++; at < length; at++) {
		if (text[at] == '\\')
			at++;
		else if (text[at] == '"')
			return at + 1;
	}
	return length;
}

/* Returns the place behind the value that starts at at. */
static size_t skip_value(const char *text, size_t length, size_t at)
{
	size_t depth = 0;

	while (at < length) {
		switch (text[at]) {
		case '"':
			at = skip_string(text, length, at);
			break;
		case '{':
		case '[':
			depth++;
			at++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return at;
			depth--;
			at++;
			break;
		case ',':
			if (depth == 0)
				return at;
			at++;
			continue;
		default:
			at++;
			continue;
		}
		if (depth == 0)
			return at;
	}
	return length;
}

/* A value from begin to end, without the space behind it. */
static struct slice trimmed(const char *text, size_t begin, size_t end)
{
	while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\n' ||
			       text[end - 1] == '\r' || text[end - 1] == '\t'))
		end--;
	return (struct slice){.text = text + begin, .length = end - begin};
}

bool slice_member(struct slice object, const char *name, struct slice *value)
{
	const char *const text = object.text;
	const size_t length = object.length;
	const size_t name_length = strlen(name);
	size_t at = skip_space(text, length, 0);

	if (at == length || text[at] != '{')
		return false;
	at++;
	for (;;) {
		size_t key;
		size_t key_end;
		size_t begin;

		key = skip_space(text, length, at);
		if (key == length || text[key] != '"')
			return false;
		key_end = skip_string(text, length, key);
		at = skip_space(text, length, key_end);
		if (at == length || text[at] != ':')
			return false;
		begin = skip_space(text, length, at + 1);
		at = skip_value(text, length, begin);
		if (key_end - key == name_length + 2 &&
		    memcmp(text + key + 1, name, name_length) == 0) {
			*value = trimmed(text, begin, at);
			return at < length && value->length > 0;
		}
		at = skip_space(text, length, at);
		if (at == length || text[at] != ',')
			return false;
		at++;
	}
}

bool slice_next(struct slice *rest, struct slice *element)
{
	const char *const text = rest->text;
	const size_t length = rest->length;
	size_t begin = skip_space(text, length, 0);
	size_t end;

	if (begin == length || (text[begin] != '[' && text[begin] != ','))
		return false;
	begin = skip_space(text, length, begin + 1);
	end = skip_value(text, length, begin);
	*element = trimmed(text, begin, end);
	end = skip_space(text, length, end);
	*rest = (struct slice){.text = text + end, .length = length - end};
	return end < length && element->length > 0;
}

void slice_write(struct slice value, FILE *to)
{
	const unsigned char *const text = (const unsigned char *)value.text;
	size_t done = 0;

	for (size_t i = 0; i < value.length; i++) {
		const bool c1 = text[i] == 0xc2 && i + 1 < value.length && text[i + 1] >= 0x80 &&
				text[i + 1] < 0xa0;

		if (text[i] >= 0x20 && text[i] != 0x7f && !c1)
			continue;
		fwrite(text + done, 1, i - done, to);
		if (text[i] < 0x20)
			fputc(' ', to);
		else
			fprintf(to, "\\u%04x", c1 ? text[++i] : text[i]);
		done = i + 1;
	}
	fwrite(text + done, 1, value.length - done, to);
}

/* The next token: a string, one of {}[],: or what stands between those. */
static bool next_token(struct slice text, size_t *at, struct slice *token)
{
	const size_t begin = skip_space(text.text, text.length, *at);
	size_t end = begin;

	if (begin == text.length)
		return false;
	if (text.text[begin] == '"')
		end = skip_string(text.text, text.length, begin);
	while (end < text.length && !strchr("{}[],:\" \t\r\n", text.text[end]))
		end++;
	if (end == begin)
		end++;
	*token = (struct slice){.text = text.text + begin, .length = end - begin};
	*at = end;
	return true;
}

static void break_line(FILE *to, unsigned depth)
{
	fprintf(to, "\n%*s", (int)(2 * depth), "");
}

void slice_write_indented(struct slice object, FILE *to)
{
	struct slice token;
	unsigned depth = 0;
	unsigned lists = 0;
	size_t at = 0;
	char last = '\0'; /* the token before, outside of lists; a string is its quote */

	while (next_token(object, &at, &token)) {
		const char byte = token.text[0];

		if (byte == '}' && lists == 0 && depth > 0) {
			depth--;
			if (last != '{')
				break_line(to, depth);
		} else if (last == '{' || last == ',') {
			break_line(to, depth);
		}
		slice_write(token, to);
		if (byte == ':' || (byte == ',' && lists > 0))
			fputc(' ', to);
		lists += byte == '[';
		lists -= byte == ']' && lists > 0;
		depth += byte == '{' && lists == 0;
		last = lists > 0 ? '\0' : byte;
	}
}
