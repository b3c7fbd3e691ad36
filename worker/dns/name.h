/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domain names as messages carry them: labels, each behind its length, and an empty one at the end;
 * what a message has said before may stand there as a pointer to it (RFC 1035 3.1, 4.1.4).
 *
 * A name is read into its plain wire form with the letters A to Z in lower case. So two names are
 * the same (RFC 4343) if their bytes are, and it can be looked for by its bytes.
 */
#ifndef SOCKWARDEN_WORKER_DNS_NAME_H
#define SOCKWARDEN_WORKER_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* RFC 1035 2.3.4; the lengths of labels and the empty one included. Smaller in proofs. */
#ifndef DNS_NAME_BYTES_MAX
#define DNS_NAME_BYTES_MAX 255
#endif
#define DNS_LABEL_BYTES_MAX 63 /* without its length */
/* Four characters for each of at most 250 bytes of four labels, three points, NUL. */
#define DNS_NAME_TEXT_BYTES 1004
/* Pointers in one name: it has 127 labels at most. */
#define DNS_NAME_POINTERS_MAX 127
/* Where a message's first name stands, behind its header; no name begins before. */
#define DNS_NAME_FIRST 12

struct dns_name {
	uint8_t length; /* of wire: 1 (the root) .. 255; bytes behind it are not defined */
	uint8_t wire[DNS_NAME_BYTES_MAX];
};

enum dns_name_fault {
	DNS_NAME_GOOD = 0,
	DNS_NAME_CUT,	  /* the message ends within it */
	DNS_NAME_LONG,	  /* more than 255 bytes */
	DNS_NAME_LABEL,	  /* a label of a reserved type (01, 10) */
	DNS_NAME_POINTER, /* not to a name that ends before, into the header, or too many */
};

/*
 * Reads the name that begins at message[at], of a message of length bytes; at <= length. Returns
 * where the next thing stands; or 0, then *fault is not DNS_NAME_GOOD and *name is not defined.
 * What a pointer leads to must have ended before the labels that led to it begin: compression can
 * give nothing else, there are no loops, and no byte is read twice.
 */
size_t dns_name_read(const uint8_t *message, size_t length, size_t at, struct dns_name *name,
		     enum dns_name_fault *fault);

static inline bool dns_name_equals(const struct dns_name *left, const struct dns_name *right)
{
	return left->length == right->length && memcmp(left->wire, right->wire, left->length) == 0;
}

/*
 * Whether bytes are a name as dns_name_read() gives it: labels, the empty one at the end and nothing
 * behind it, 1..255 bytes, letters in lower case.
 */
bool dns_name_is_plain(const uint8_t *bytes, size_t length);

/*
 * Writes it as text, NUL-terminated: labels with points between, none at the end; the root is ".". A
 * point or backslash within a label has a backslash before it, and a byte that is not a printable
 * character of ASCII is \DDD (RFC 4343 2.1). Returns the length. The name came from dns_name_read().
 */
size_t dns_name_text(const struct dns_name *name, char text[DNS_NAME_TEXT_BYTES]);

#endif
