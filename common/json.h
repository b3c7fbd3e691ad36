/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A direct JSON writer: a cursor over the caller's buffer into which values are appended one
 * after the other. It never allocates and never writes past the end; a value that does not fit is
 * left out and remembered in overflow, so that a caller writes straight on and asks once at the
 * end. Commas, colons and brackets are the caller's, most of them inside constant text
 * (JSON_TEXT), which is what makes it fast.
 */
#ifndef SOCKWARDEN_COMMON_JSON_H
#define SOCKWARDEN_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct json {
	char *at;  /* the next byte goes here */
	char *end; /* first byte behind the buffer */
	char *start;
	bool overflow; /* something was left out: the text is not valid */
};

static inline void json_init(struct json *json, char *buffer, size_t capacity)
{
	json->start = buffer;
	json->at = buffer;
	json->end = buffer + capacity;
	json->overflow = false;
}

static inline size_t json_length(const struct json *json)
{
	return (size_t)(json->at - json->start);
}

/* Whether length more bytes fit; if not, remembers the overflow. */
static inline bool json_room(struct json *json, size_t length)
{
	if (__builtin_expect((size_t)(json->end - json->at) < length, 0)) {
		json->overflow = true;
		return false;
	}
	return true;
}

/* Appends bytes as they are. */
static inline void json_raw(struct json *json, const char *bytes, size_t length)
{
	if (!json_room(json, length))
		return;
	memcpy(json->at, bytes, length);
	json->at += length;
}

/* Appends a string literal as it is. */
#define JSON_TEXT(json, literal) json_raw((json), "" literal, sizeof(literal) - 1)

/* Appends a NUL-terminated word that needs no escaping, in quotes; null for NULL. */
void json_word(struct json *json, const char *word);

/* Appends digits. */
void json_u64(struct json *json, uint64_t value);

/* Appends a number up to 2^53 as digits, a larger one as a decimal string (RFC 8259, 6). */
void json_number(struct json *json, uint64_t value);
void json_i64(struct json *json, int64_t value); /* the same for both signs */

/* Appends digits in quotes. */
void json_u64_string(struct json *json, uint64_t value);

/* Appends 16 lower-case hex digits in quotes. */
void json_id(struct json *json, uint64_t value);

static inline void json_bool(struct json *json, bool value)
{
	if (value)
		JSON_TEXT(json, "true");
	else
		JSON_TEXT(json, "false");
}

/*
 * Appends length bytes as a string in quotes, escaped as RFC 8259, 7 asks. Bytes that are not
 * UTF-8 (RFC 3629) become U+FFFD one by one. At most 6 bytes per byte and the quotes.
 */
void json_string(struct json *json, const char *bytes, size_t length);

/* Appends an address in quotes: ip holds 4 (ipv6 false) or 16 bytes in network order. */
void json_address(struct json *json, bool ipv6, const uint8_t *ip);

#endif
