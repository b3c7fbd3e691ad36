/* SPDX-License-Identifier: Apache-2.0 */
#include "common/slots.h"
#include "tests/unit/resident.h"

#include <criterion/criterion.h>

#include <stdlib.h>

#define CAPACITY 40

static struct slots slots;

static void make_slots(void)
{
	cr_assert_eq(slots_init(&slots, CAPACITY), 0);
}

static void free_slots(void)
{
	slots_fini(&slots);
}

TestSuite(slots, .init = make_slots, .fini = free_slots);

/* The set of indices with a tag, a bit for each. */
static uint64_t found(uint32_t tag)
{
	uint32_t at = slots_home(&slots, tag), index;
	uint64_t set = 0;

	while ((index = slots_next(&slots, tag, &at)) != SLOTS_NONE) {
		cr_assert_lt(index, CAPACITY);
		cr_assert_eq(set >> index & 1, 0, "given twice");
		set |= 1ULL << index;
	}
	return set;
}

Test(slots, find_all_entries_of_a_tag_and_no_others)
{
	slots_add(&slots, 7, 0);
	slots_add(&slots, 8, 1);
	slots_add(&slots, 7, 2);
	cr_expect_eq(found(7), 5);
	cr_expect_eq(found(8), 2);
	cr_expect_eq(found(9), 0);
}

Test(slots, go_on_at_the_first_one_behind_the_last)
{
	for (uint32_t i = 0; i < CAPACITY; i++)
		slots_add(&slots, UINT32_MAX - i % 2, i);
	cr_expect_eq(found(UINT32_MAX), 0x5555555555);
	cr_expect_eq(found(UINT32_MAX - 1), 0xaaaaaaaaaa);
	for (uint32_t i = 0; i < CAPACITY; i += 2)
		slots_remove(&slots, UINT32_MAX, i);
	cr_expect_eq(found(UINT32_MAX), 0);
	cr_expect_eq(found(UINT32_MAX - 1), 0xaaaaaaaaaa);
}

/* Tags that crowd: eight homes, among which the last and the first. */
static uint32_t crowded_tag(void)
{
	return (uint32_t)(random() % 8 - 4) << (32 - slots.bits) | (uint32_t)(random() % 2);
}

Test(slots, hold_what_a_plain_list_holds_whatever_is_added_and_removed)
{
	uint32_t tags[CAPACITY];
	bool used[CAPACITY] = {false};

	for (unsigned step = 0; step < 20000; step++) {
		const uint32_t index = (uint32_t)random() % CAPACITY;
		const uint32_t tag = crowded_tag();
		uint64_t expected = 0;

		if (used[index]) {
			slots_remove(&slots, tags[index], index);
		} else {
			tags[index] = crowded_tag();
			slots_add(&slots, tags[index], index);
		}
		used[index] = !used[index];
		for (uint32_t i = 0; i < CAPACITY; i++)
			expected |= (uint64_t)(used[i] && tags[i] == tag) << i;
		cr_assert_eq(found(tag), expected, "step %u", step);
	}
}

Test(slots, are_never_more_than_two_thirds_full)
{
	static const uint32_t capacities[] = {1, 2, 3, 4, 5, 64, 100000, SLOTS_CAPACITY_MAX};

	for (unsigned i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		const uint64_t count = slots_bytes(capacities[i]) / sizeof(struct slot);

		cr_expect_gt(count * 2, capacities[i] * 3ULL);
		cr_expect_leq(count, capacities[i] * 3ULL + 4);
	}
}

Test(slots, take_the_memory_of_their_formula)
{
	const uint64_t before = resident_bytes();
	struct slots large;
	uint64_t taken;

	cr_assert_eq(slots_init(&large, 300000), 0);
	cr_expect_lt(resident_bytes() - before, 2 * RESIDENT_SLACK_BYTES, "touched only when used");
	for (uint32_t i = 0; i < 300000; i++)
		slots_add(&large, i * 2654435761U, i);
	taken = resident_bytes() - before;
	cr_expect_leq(taken, slots_bytes(300000) + RESIDENT_SLACK_BYTES);
	cr_expect_gt(taken, slots_bytes(300000) / 10 * 9);
	slots_fini(&large);
}
