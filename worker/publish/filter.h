/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter expressions over connections, as in "sockwarden conns --filter".
 *
 *   expression = term { ("or" | "||") term }
 *   term       = factor { ("and" | "&&") factor }
 *   factor     = ("not" | "!") factor | "(" expression ")" | FIELD operator value
 *   operator   = "==" | "!=" | "<" | "<=" | ">" | ">=" | "~"          ("~": contains)
 *   value      = number | word | 'text' | "text" | "null"
 *
 * A FIELD is a key of the connection's object, with dots into it (remote.port, total.sent_bytes), or
 * "ip" or "port", which stand for both ends: they match if either end does. Addresses compare
 * with == and != against an address or a CIDR block (10.0.0.0/8), with ~ as text. Texts compare
 * byte by byte; numbers are decimal, unsigned; true and false for the keys that are that.
 * A fact that is not known equals only null, and nothing is less or greater than it; "a != b" is
 * "not a == b". In quotes a backslash takes the next character as it is.
 *
 * A filter is compiled once, into the caller's storage, and evaluated without JSON, without
 * memory and without recursion.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_FILTER_H
#define SOCKWARDEN_WORKER_PUBLISH_FILTER_H

#include "worker/conn/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_TEXT_BYTES_MAX 2048
#define FILTER_NODES_MAX 128 /* comparisons and what joins them */
#define FILTER_DEPTH_MAX 64  /* values of comparisons that wait: they are bits of a word */
#define FILTER_ERROR_BYTES 128

enum filter_operator {
	FILTER_EQUAL,
	FILTER_NOT_EQUAL,
	FILTER_LESS,
	FILTER_LESS_EQUAL,
	FILTER_GREATER,
	FILTER_GREATER_EQUAL,
	FILTER_CONTAINS,
};

enum filter_node_kind {
	FILTER_COMPARE,
	FILTER_NOT,
	FILTER_AND,
	FILTER_OR,
};

/* One step in reverse Polish order. */
struct filter_node {
	uint8_t kind;	     /* enum filter_node_kind; the rest is for FILTER_COMPARE */
	uint8_t field;	     /* index of the table of fields */
	uint8_t operation;   /* enum filter_operator */
	bool null;	     /* the value is null */
	uint8_t prefix_bits; /* of an address */
	uint8_t family;	     /* of an address: enum record_family */
	uint16_t text_at;    /* in struct filter.text, of a text */
	uint16_t text_bytes;
	uint64_t number; /* of a number; 0 or 1 for false or true */
	uint8_t address[16];
};

struct filter {
	uint32_t node_count; /* 0: everything matches */
	uint32_t text_bytes;
	struct filter_node nodes[FILTER_NODES_MAX];
	char text[FILTER_TEXT_BYTES_MAX];
};

/*
 * Compiles length bytes, which may be anything; white space alone is a filter that matches all.
 * Returns 0; or -EINVAL with a text for people in error that names the character's place.
 */
int filter_compile(struct filter *filter, const char *expression, size_t length, char *error,
		   size_t error_bytes);

/* Whether the connection matches a compiled filter. */
bool filter_matches(const struct filter *filter, const struct conn_view *view);

#endif
