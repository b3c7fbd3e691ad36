/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that people read: numbers shortened to what fits a column, and strings from outside made
 * harmless. A process may call itself anything; what it calls itself must never reach a terminal
 * as a control sequence.
 */
#ifndef SOCKWARDEN_CLI_TEXT_H
#define SOCKWARDEN_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Room for every text_bytes() and text_duration(). */
#define TEXT_SHORT_BYTES 16

/* Bytes of the longest thing that text_escape() makes of one input byte or code point. */
#define TEXT_ESCAPE_BYTES 10

/* A number of bytes in at most five characters: 0B, 1023B, 1.5K, 12M (powers of 1024). */
void text_bytes(char out[TEXT_SHORT_BYTES], uint64_t bytes);

/* A time in at most six characters: 950ns, 12us, 1.2ms, 3.45s, 4m05s, 3h07m, 12d03h. */
void text_duration(char out[TEXT_SHORT_BYTES], uint64_t ns);

/* A number in at most five characters: 999, 1.5k, 12M (powers of 1000). */
void text_count(char out[TEXT_SHORT_BYTES], uint64_t count);

/*
 * Copies length bytes of in to out so that only printable characters of the locale remain.
 * Control characters, bytes that are not UTF-8, and everything that has no width of its own
 * (direction marks, joiners, combining marks) become \xNN or \uNNNN; so does a backslash, which
 * makes the result unambiguous. Cut at capacity - 1 bytes, never within an escape or character.
 * Returns the length of out, which is always terminated. capacity > 0.
 */
size_t text_escape(char *out, size_t capacity, const char *in, size_t length);

/* Terminal columns that a text made by text_escape() takes. */
size_t text_columns(const char *text);

/* Length of the longest beginning of such a text that fits into columns. */
size_t text_fit(const char *text, size_t columns);

#endif
