/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyed hashes for tables whose keys strangers choose: who does not know the key of the hash cannot tell
 * which of his own will collide. Tables compare whole keys all the same: what is found does not
 * depend on the hash, only how fast.
 *
 * hash_bytes() is for whatever strangers write, of any length. It is SipHash-1-3 (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012, with one round for each word and three at the end).
 * hash_words() is for what fits into a few words, such as addresses: a tenth of the instructions, so
 * that a processor has several look-ups under way while each waits for memory.
 */
#ifndef SOCKWARDEN_COMMON_HASH_H
#define SOCKWARDEN_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t word[2];
};

/* A key made of a secret text, of which 128 bits should be unknown to who might want collisions. */
struct hash_key hash_key_of(const char *secret);

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t length);

/* Both halves of a product carry all bits of both factors on (as in wyhash). */
static inline uint64_t hash_mix(uint64_t left, uint64_t right)
{
	const unsigned __int128 product = (unsigned __int128)left * right;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_words(const struct hash_key *key, uint64_t first, uint64_t second,
				  uint64_t third)
{
	const uint64_t hash = hash_mix(first ^ key->word[0], second ^ key->word[1]);

	/* A factor that nobody chooses, and that is not 0. */
	return hash_mix(hash ^ third, (key->word[0] ^ key->word[1]) | 1);
}

#endif
