/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of names in lower case. Only the 26 letters of ASCII change (RFC 4343 3): a length before a
 * label is below 'A', and so stays what it is.
 */
#ifndef SOCKWARDEN_WORKER_DNS_LOWER_H
#define SOCKWARDEN_WORKER_DNS_LOWER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Most names are no longer. */
#define LOWER_BLOCK_BYTES 32

#define LOWER_ONES 0x0101010101010101ULL
#define LOWER_TOPS (0x80 * LOWER_ONES)

static inline uint8_t lower_byte(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* Of a count that the compiler knows and makes a few vectors of. */
static inline void lower_block(uint8_t *restrict to, const uint8_t *restrict from)
{
	for (size_t i = 0; i < LOWER_BLOCK_BYTES; i++)
		to[i] = lower_byte(from[i]);
}

/* Eight bytes: no sum of seven bits carries into the byte beside it. */
static inline void lower_eight(uint8_t *to, const uint8_t *from)
{
	uint64_t word, low, from_a, beyond_z;

	memcpy(&word, from, sizeof(word));
	low = word & ~LOWER_TOPS;
	from_a = low + (0x80 - 'A') * LOWER_ONES;
	beyond_z = low + (0x80 - 'Z' - 1) * LOWER_ONES;
	/* 0x80 >> 2 is what tells a from A. */
	word |= (from_a & ~beyond_z & ~word & LOWER_TOPS) >> 2;
	memcpy(to, &word, sizeof(word));
}

/* Where the message or the name ends soon. */
static inline void lower_exact(uint8_t *to, const uint8_t *from, size_t count)
{
	size_t done = 0;

	if (count < sizeof(uint64_t)) {
		for (; done < count; done++)
			to[done] = lower_byte(from[done]);
		return;
	}
	for (; done + sizeof(uint64_t) < count; done += sizeof(uint64_t))
		lower_eight(to + done, from + done);
	/* The last eight, of which some may have been done. */
	lower_eight(to + count - sizeof(uint64_t), from + count - sizeof(uint64_t));
}

/*
 * Copies count bytes. There is room for so many, and so many may be read, each at least count; what
 * is behind those in the room may be written too, so that most names are done in one step.
 */
static inline void lower_copy(uint8_t *to, size_t room, const uint8_t *from, size_t readable,
			      size_t count)
{
	if (count <= LOWER_BLOCK_BYTES && readable >= LOWER_BLOCK_BYTES &&
	    room >= LOWER_BLOCK_BYTES)
		lower_block(to, from);
	else
		lower_exact(to, from, count);
}

#endif
