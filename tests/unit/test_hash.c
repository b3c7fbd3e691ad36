/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hash.h"

#include <criterion/criterion.h>

#include <string.h>

#define BITS 10
#define KEYS 65536

struct vector {
	struct hash_key key;
	size_t length; /* of the bytes 0, 1, 2, ... */
	uint64_t hash;
};

/*
 * As Python 3.11 hashes bytes with PYTHONHASHSEED=0, 1 and 77 (sys.hash_info.algorithm is "siphash13"); its key is
 * zero, or the first 16 bytes of its generator lcg_urandom.
 */
static const struct vector vectors[] = {
	{{{0x0000000000000000, 0x0000000000000000}}, 1, 0x68a914128e01e473},
	{{{0x0000000000000000, 0x0000000000000000}}, 7, 0x2f098ab0c751325a},
	{{{0x0000000000000000, 0x0000000000000000}}, 8, 0xead411e67ebe2eea},
	{{{0x0000000000000000, 0x0000000000000000}}, 9, 0x75927f9d95124362},
	{{{0x0000000000000000, 0x0000000000000000}}, 15, 0xf30eb725bb91c9ea},
	{{{0x0000000000000000, 0x0000000000000000}}, 16, 0x8972188433a5c5b7},
	{{{0x0000000000000000, 0x0000000000000000}}, 17, 0x4883c49a2c009c1d},
	{{{0x0000000000000000, 0x0000000000000000}}, 63, 0x385d3e39e5f37359},
	{{{0x0000000000000000, 0x0000000000000000}}, 255, 0x5dc1f93ea135eb43},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 1, 0xecd3e5afcecda4b9},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 7, 0xfd15e78052a69ddf},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 8, 0xc0b5739e7e28dd01},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 9, 0x208a1a5a0cbbf778},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 15, 0xfa87985f39e97a53},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 16, 0x12e9d283f9f37002},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 17, 0x9f5bb4237f61907f},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 63, 0x542052345bc68274},
	{{{0xaed66ce184be2329, 0xebe9bbf1f1499052}}, 255, 0x523ab5ebe2e15f94},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 1, 0x3273dbc18ce43bfb},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 7, 0x294d9fa889ebfd76},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 8, 0xf55af4419e8ffa31},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 9, 0xc2c541e0d3bcf924},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 15, 0x79b282be2fea5222},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 16, 0x0b177ec36ea3ff07},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 17, 0x6b36b242774d525a},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 63, 0x439043a26165d713},
	{{{0xa5d82b05502b1222, 0x2a36ec6c04605b32}}, 255, 0xadd6e7d769a9c503},
};

Test(hash, of_bytes_is_siphash_1_3)
{
	const struct hash_key rust = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	uint8_t bytes[256];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		cr_expect_eq(hash_bytes(&vectors[i].key, bytes, vectors[i].length), vectors[i].hash,
			     "%u", i);
	/* The first vector of Rust's own test of its SipHasher13. */
	cr_expect_eq(hash_bytes(&rust, bytes, 0), 0xabac0158050fc4dc);
}

Test(hash, of_bytes_does_not_depend_on_where_they_are)
{
	const struct hash_key key = hash_key_of("secret");
	uint8_t bytes[64] = {0};

	for (unsigned offset = 0; offset < 8; offset++) {
		memset(bytes, 0xff, sizeof(bytes));
		memcpy(bytes + offset, "a name of twenty-one.", 21);
		cr_expect_eq(hash_bytes(&key, bytes + offset, 21),
			     hash_bytes(&key, "a name of twenty-one.", 21));
	}
}

Test(hash, depends_on_the_secret)
{
	const struct hash_key one = hash_key_of("secret"), two = hash_key_of("secreu");

	cr_expect_neq(one.word[0], two.word[0]);
	cr_expect_neq(one.word[1], two.word[1]);
	cr_expect_neq(one.word[0], one.word[1]);
	cr_expect_neq(hash_bytes(&one, "x", 1), hash_bytes(&two, "x", 1));
	cr_expect_neq(hash_words(&one, 1, 2, 3), hash_words(&two, 1, 2, 3));
}

/* What the fullest of 1,024 slots has, of 65,536 keys that differ in one place, in steps. */
static unsigned fullest(const struct hash_key *key, unsigned place, unsigned shift)
{
	static unsigned slots[1 << BITS];
	unsigned most = 0;

	memset(slots, 0, sizeof(slots));
	for (uint64_t i = 0; i < KEYS; i++) {
		uint64_t word[3] = {0, 0, 4};
		uint64_t hash;

		word[place] ^= i << shift;
		hash = hash_words(key, word[0], word[1], word[2]);
		if (++slots[(uint32_t)(hash >> 32) >> (32 - BITS)] > most)
			most = slots[(uint32_t)(hash >> 32) >> (32 - BITS)];
	}
	return most;
}

/* 64 on average; chance gives one of a thousand slots more than 110 once in 100,000 times. */
Test(hash, of_words_spreads_keys_that_differ_in_a_few_bits)
{
	const struct hash_key key = hash_key_of("secret");

	for (unsigned place = 0; place < 3; place++) {
		for (unsigned shift = 0; shift <= 48; shift += 8)
			cr_expect_leq(fullest(&key, place, shift), 110, "%u, %u: %u", place, shift,
				      fullest(&key, place, shift));
	}
}
