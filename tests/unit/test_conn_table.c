/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/table.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>

Test(conn_table, refuses_capacities_that_make_no_sense)
{
	struct conn_table table;

	cr_expect_eq(conn_table_init(&table, 0), -EINVAL);
	cr_expect_eq(conn_table_init(&table, CONN_TABLE_CAPACITY_MAX + 1), -EINVAL);
}

Test(conn_table, what_was_added_is_found_until_it_is_removed)
{
	struct conn_table table;
	uint32_t index;

	cr_assert_eq(conn_table_init(&table, 64), 0);
	cr_expect_eq(conn_table_find(&table, 5), CONN_TABLE_NONE);
	index = conn_table_add(&table, 5);
	cr_expect_neq(index, CONN_TABLE_NONE);
	cr_expect_eq(conn_table_find(&table, 5), index);
	conn_table_remove(&table, index);
	cr_expect_eq(conn_table_find(&table, 5), CONN_TABLE_NONE);
	cr_expect_eq(table.used, 0);
	conn_table_fini(&table);
}

Test(conn_table, is_full_at_its_capacity_and_takes_one_again_after_a_removal)
{
	struct conn_table table;
	uint32_t index;

	cr_assert_eq(conn_table_init(&table, 100), 0);
	for (uint64_t id = 1; id <= 100; id++)
		cr_assert_neq(conn_table_add(&table, id), CONN_TABLE_NONE);
	cr_expect_eq(conn_table_add(&table, 101), CONN_TABLE_NONE);
	index = conn_table_find(&table, 50);
	conn_table_remove(&table, index);
	cr_expect_eq(conn_table_add(&table, 101), index, "the free place is used");
	cr_expect_eq(conn_table_find(&table, 50), CONN_TABLE_NONE);
	conn_table_fini(&table);
}

/* Ids that all begin their probing at one slot show every mistake in closing holes. */
Test(conn_table, agrees_with_a_plain_list_through_random_adding_and_removing)
{
	enum {
		CAPACITY = 257,
		IDS = 400
	};
	static const uint64_t strides[] = {1, 1ULL << 32, 1ULL << 48, 0x100000001ULL};

	srand(1);
	for (size_t s = 0; s < sizeof(strides) / sizeof(strides[0]); s++) {
		uint32_t where[IDS];
		uint32_t used = 0;
		struct conn_table table;

		for (unsigned i = 0; i < IDS; i++)
			where[i] = CONN_TABLE_NONE;
		cr_assert_eq(conn_table_init(&table, CAPACITY), 0);
		for (unsigned step = 0; step < 20000; step++) {
			const unsigned i = (unsigned)rand() % IDS;
			const uint64_t id = (i + 1) * strides[s];

			cr_assert_eq(conn_table_find(&table, id), where[i]);
			if (where[i] == CONN_TABLE_NONE) {
				where[i] = conn_table_add(&table, id);
				cr_assert_eq(where[i] == CONN_TABLE_NONE, used == CAPACITY);
				used += where[i] != CONN_TABLE_NONE;
			} else {
				conn_table_remove(&table, where[i]);
				where[i] = CONN_TABLE_NONE;
				used--;
			}
			cr_assert_eq(table.used, used);
		}
		for (unsigned i = 0; i < IDS; i++)
			cr_assert_eq(conn_table_find(&table, (i + 1) * strides[s]), where[i]);
		conn_table_fini(&table);
	}
}
