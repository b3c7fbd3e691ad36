/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at JSON text before and beside the general parser. Before: one pass without recursion
 * that accepts exactly RFC 8259 within fixed bounds, so that the parser behind it (which is more
 * lenient, and recursive) only ever sees small, flat, valid text. Beside: that parser's
 * tree has no positions, so the members of an object can be walked in the text in the same order.
 */
#ifndef SOCKWARDEN_COMMON_JSON_SCAN_H
#define SOCKWARDEN_COMMON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* Objects and arrays inside each other. */
#define JSON_SCAN_DEPTH_MAX 16

struct json_scan_error {
	size_t offset;	     /* of the first byte that is wrong */
	const char *message; /* a constant text */
};

/*
 * Overwrites comments (// to the end of the line, and those of C) with spaces; line ends stay, so
 * positions do too. Returns 0, or -EINVAL and sets *error for a comment that does not end.
 */
int json_scan_blank_comments(char *text, size_t length, struct json_scan_error *error);

/*
 * Whether the length bytes at text are one JSON value and nothing else, in valid UTF-8, without
 * U+0000 in strings, and at most JSON_SCAN_DEPTH_MAX deep. Returns 0, or -EINVAL and sets *error.
 */
int json_scan_check(const char *text, size_t length, struct json_scan_error *error);

/* A walk over the members of an object, in text that json_scan_check() accepted. */
struct json_scan_members {
	const char *text;
	size_t length;
	size_t at;
};

/* object is the offset of its '{'; white space before it is skipped. */
void json_scan_members_init(struct json_scan_members *members, const char *text, size_t length,
			    size_t object);

/* Sets the offsets of the next member's key (its quote) and value; false after the last one. */
bool json_scan_members_next(struct json_scan_members *members, size_t *key, size_t *value);

/* A walk over the elements of an array, in such text. */
struct json_scan_elements {
	const char *text;
	size_t length;
	size_t at;
};

/* array is the offset of its '['; white space before it is skipped. */
void json_scan_elements_init(struct json_scan_elements *elements, const char *text, size_t length,
			     size_t array);

/* Sets the offset of the next element; false after the last one. */
bool json_scan_elements_next(struct json_scan_elements *elements, size_t *value);

/* Line and column, both from 1, of an offset; a column is a UTF-8 character. */
void json_scan_position(const char *text, size_t offset, size_t *line, size_t *column);

#endif
