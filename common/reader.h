/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded reader: a cursor over bytes that come from outside. What is read and is not there fails
 * the reader, which remembers it: it is at its end from then on, and gives zeros. So a parser reads
 * as a straight line and asks at its end whether all was there.
 *
 * All of it is inline, since tens of thousands of small messages a second are read with it. The bytes
 * stay the caller's; nothing is copied but what is read, and no alignment is asked for.
 */
#ifndef SOCKWARDEN_COMMON_READER_H
#define SOCKWARDEN_COMMON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Two words, so that it travels in registers. */
struct reader {
	const uint8_t *at; /* NULL: it has failed */
	size_t left;
};

/* bytes is not NULL, even where length is 0. */
static inline struct reader reader_of(const void *bytes, size_t length)
{
	return (struct reader){.at = bytes, .left = length};
}

/* For what only its reader knows to be wrong. */
static inline void reader_fail(struct reader *reader)
{
	*reader = (struct reader){.at = NULL};
}

static inline bool reader_has_failed(const struct reader *reader)
{
	return reader->at == NULL;
}

/* Passes over length bytes; returns where they are, or NULL if so many are not left. */
static inline const uint8_t *reader_take(struct reader *reader, size_t length)
{
	const uint8_t *taken = reader->at;

	if (length > reader->left) {
		reader_fail(reader);
		return NULL;
	}
	reader->at += length;
	reader->left -= length;
	return taken;
}

/* The next length bytes, or zeros. */
static inline void reader_copy(struct reader *reader, void *to, size_t length)
{
	const uint8_t *bytes = reader_take(reader, length);

	if (bytes)
		memcpy(to, bytes, length);
	else
		memset(to, 0, length);
}

static inline uint8_t reader_u8(struct reader *reader)
{
	const uint8_t *byte = reader_take(reader, 1);

	return byte ? *byte : 0;
}

/* In this machine's order. */
static inline uint32_t reader_u32(struct reader *reader)
{
	uint32_t value;

	reader_copy(reader, &value, sizeof(value));
	return value;
}

/* In network order. */
static inline uint16_t reader_u16_be(struct reader *reader)
{
	const uint8_t *bytes = reader_take(reader, 2);
	const unsigned value = bytes ? (unsigned)bytes[0] << 8 | bytes[1] : 0;

	return (uint16_t)value;
}

static inline uint32_t reader_u32_be(struct reader *reader)
{
	const uint8_t *bytes = reader_take(reader, 4);

	return bytes ? (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
			       (uint32_t)bytes[2] << 8 | bytes[3]
		     : 0;
}

/*
 * A reader of the next length bytes alone; if they are not there, both have failed. What pads them
 * to a multiple of alignment, a power of two, is passed over as far as it is there.
 */
static inline struct reader reader_padded_part(struct reader *reader, size_t length,
					       size_t alignment)
{
	const struct reader part = {.at = reader->at, .left = length};
	const size_t padded = (length + alignment - 1) & ~(alignment - 1);
	const size_t step = padded < reader->left ? padded : reader->left;

	if (length > reader->left || reader_has_failed(reader)) {
		reader_fail(reader);
		return *reader;
	}
	reader->at += step;
	reader->left -= step;
	return part;
}

#endif
