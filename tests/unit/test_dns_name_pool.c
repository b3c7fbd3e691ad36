/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_collision.h"
#include "worker/dns/name_pool.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#define BLOCKS 64

static struct name_pool pool;

static void make_pool(void)
{
	const struct hash_key key = hash_key_of("secret");

	cr_assert_eq(name_pool_init(&pool, BLOCKS, &key), 0);
}

static void free_pool(void)
{
	name_pool_fini(&pool);
}

TestSuite(dns_name_pool, .init = make_pool, .fini = free_pool);

/* Name number of a length: no two are equal. */
static void make_name(uint8_t name[static NAME_POOL_NAME_BYTES], uint8_t length, uint8_t number)
{
	for (unsigned i = 0; i < NAME_POOL_NAME_BYTES; i++)
		name[i] = (uint8_t)(i * 7 + length);
	name[length - 1] = number;
}

static uint32_t take(uint8_t length, uint8_t number)
{
	uint8_t name[NAME_POOL_NAME_BYTES];

	make_name(name, length, number);
	return name_pool_take(&pool, name, length);
}

static uint32_t find(uint8_t length, uint8_t number)
{
	uint8_t name[NAME_POOL_NAME_BYTES];

	make_name(name, length, number);
	return name_pool_find(&pool, name, length);
}

static void expect_name(uint32_t id, uint8_t length, uint8_t number)
{
	uint8_t name[NAME_POOL_NAME_BYTES], buffer[NAME_POOL_NAME_BYTES];
	uint8_t got = 0;
	const uint8_t *bytes = name_pool_read(&pool, id, buffer, &got);

	make_name(name, length, number);
	cr_assert_eq(got, length);
	cr_assert_arr_eq(bytes, name, length);
}

Test(dns_name_pool, gives_back_names_of_all_lengths)
{
	static const struct {
		uint8_t length;
		uint32_t blocks;
	} limits[] = {{1, 1},	{51, 1},  {52, 2},  {111, 2}, {112, 3},
		      {171, 3}, {172, 4}, {231, 4}, {232, 5}, {255, 5}};

	for (unsigned length = 1; length <= 255; length++) {
		const uint32_t id = take((uint8_t)length, 9);

		cr_assert_neq(id, NAME_POOL_NONE);
		expect_name(id, (uint8_t)length, 9);
		for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
			if (limits[i].length == length)
				cr_expect_eq(pool.pool.used, limits[i].blocks, "%u", length);
		}
		name_pool_release(&pool, id);
		cr_assert_eq(pool.pool.used, 0);
		cr_assert_eq(find((uint8_t)length, 9), NAME_POOL_NONE);
	}
}

Test(dns_name_pool, keeps_a_name_once_until_its_last_reference_goes)
{
	const uint32_t id = take(120, 1);

	cr_expect_eq(take(120, 1), id);
	cr_expect_eq(pool.names, 1);
	cr_expect_eq(pool.pool.used, 3);
	name_pool_release(&pool, id);
	cr_expect_eq(find(120, 1), id);
	name_pool_release(&pool, id);
	cr_expect_eq(find(120, 1), NAME_POOL_NONE);
	cr_expect_eq(pool.names, 0);
	cr_expect_eq(pool.pool.used, 0);
}

Test(dns_name_pool, names_that_differ_in_their_last_byte_only_are_two)
{
	static const uint8_t lengths[] = {1, 51, 52, 111, 112, 255};

	for (unsigned i = 0; i < sizeof(lengths); i++) {
		const uint32_t one = take(lengths[i], 1), two = take(lengths[i], 2);

		cr_expect_neq(one, two);
		expect_name(one, lengths[i], 1);
		expect_name(two, lengths[i], 2);
	}
}

static uint32_t tag_of(uint32_t number)
{
	return (uint32_t)(hash_bytes(&pool.key, &number, sizeof(number)) >> 32);
}

Test(dns_name_pool, names_with_the_same_hash_are_two)
{
	const struct example_collision pair = example_collision(tag_of);
	const uint32_t one = name_pool_take(&pool, (const uint8_t *)&pair.one, 4);

	cr_assert_eq(pool.blocks[one].first.tag, tag_of(pair.two));
	cr_expect_eq(name_pool_find(&pool, (const uint8_t *)&pair.two, 4), NAME_POOL_NONE);
	cr_expect_neq(name_pool_take(&pool, (const uint8_t *)&pair.two, 4), one);
}

Test(dns_name_pool, refuses_a_name_that_has_no_room_and_loses_nothing)
{
	for (uint8_t i = 0; i < 12; i++)
		cr_assert_neq(take(255, i), NAME_POOL_NONE);
	cr_expect(name_pool_has_room(&pool, 231), "four blocks");
	cr_expect_not(name_pool_has_room(&pool, 232));
	cr_expect_eq(take(255, 12), NAME_POOL_NONE);
	cr_expect_eq(pool.pool.used, 60);
	cr_expect_neq(take(231, 1), NAME_POOL_NONE);
	cr_expect_not(name_pool_has_room(&pool, 1));
	cr_expect_neq(take(255, 3), NAME_POOL_NONE, "it is known");
	for (uint8_t i = 0; i < 12; i++)
		expect_name(find(255, i), 255, i);
}

Test(dns_name_pool, holds_what_a_plain_list_holds_whatever_is_taken_and_released)
{
	static const uint8_t lengths[] = {1, 30, 51, 52, 140, 255};
	uint32_t held[6][8] = {{0}}; /* references */

	for (unsigned step = 0; step < 100000; step++) {
		const unsigned i = (unsigned)random() % 6, number = (unsigned)random() % 8;
		uint32_t *references = &held[i][number];
		const uint32_t id = find(lengths[i], (uint8_t)number);

		cr_assert_eq(id != NAME_POOL_NONE, *references > 0);
		if (*references > 0)
			expect_name(id, lengths[i], (uint8_t)number);
		if (*references > 0 && random() % 3) {
			name_pool_release(&pool, id);
			--*references;
		} else {
			const bool room = *references > 0 || name_pool_has_room(&pool, lengths[i]);

			cr_assert_eq(take(lengths[i], (uint8_t)number) != NAME_POOL_NONE, room);
			*references += room;
		}
	}
}
