/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v[4];
};

static inline uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void mix(struct state *state)
{
	uint64_t *v = state->v;

	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static inline void take(struct state *state, uint64_t word)
{
	state->v[3] ^= word;
	mix(state);
	state->v[0] ^= word;
}

static inline uint64_t word_at(const unsigned char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* The last bytes of the input, and its length in the top one. */
static inline uint64_t last_word(const unsigned char *bytes, size_t length)
{
	uint64_t word = (uint64_t)length << 56;

	for (size_t i = 0; i < length % 8; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	/* The start values are "somepseudorandomlygeneratedbytes". */
	struct state state = {{
		key->word[0] ^ 0x736f6d6570736575ULL,
		key->word[1] ^ 0x646f72616e646f6dULL,
		key->word[0] ^ 0x6c7967656e657261ULL,
		key->word[1] ^ 0x7465646279746573ULL,
	}};

	for (size_t words = length / 8; words > 0; words--, at += 8)
		take(&state, word_at(at));
	take(&state, last_word(at, length));
	state.v[2] ^= 0xff;
	for (unsigned i = 0; i < 3; i++)
		mix(&state);
	return state.v[0] ^ state.v[1] ^ state.v[2] ^ state.v[3];
}

struct hash_key hash_key_of(const char *secret)
{
	const struct hash_key first = {{1, 0}}, second = {{2, 0}};
	const size_t length = strlen(secret);

	return (struct hash_key){
		{hash_bytes(&first, secret, length), hash_bytes(&second, secret, length)}};
}
