/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two keys of a table with the same tag: what an attacker without the hash's key cannot make, and what a
 * table has to tell apart all the same.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_COLLISION_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_COLLISION_H

#include <criterion/criterion.h>

#include <stdint.h>
#include <stdlib.h>

/* Some ten pairs are to be expected among so many: n^2 / 2^33. */
#define EXAMPLE_COLLISION_KEYS 300000

struct example_collision {
	uint32_t one;
	uint32_t two;
};

static inline int example_by_tag(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* tag_of gives the tag of key number i. */
static inline struct example_collision example_collision(uint32_t (*tag_of)(uint32_t number))
{
	static uint64_t tags[EXAMPLE_COLLISION_KEYS];
	struct example_collision found = {0, 0};

	for (uint32_t i = 0; i < EXAMPLE_COLLISION_KEYS; i++)
		tags[i] = (uint64_t)tag_of(i) << 32 | i;
	qsort(tags, EXAMPLE_COLLISION_KEYS, sizeof(tags[0]), example_by_tag);
	for (uint32_t i = 1; i < EXAMPLE_COLLISION_KEYS; i++) {
		if (tags[i] >> 32 == tags[i - 1] >> 32)
			found = (struct example_collision){(uint32_t)tags[i - 1],
							   (uint32_t)tags[i]};
	}
	cr_assert_neq(found.one, found.two);
	return found;
}

#endif
