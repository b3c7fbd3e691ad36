/* SPDX-License-Identifier: Apache-2.0 */
#include "common/reader.h"

#include <criterion/criterion.h>

#include <stdlib.h>

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

Test(reader, reads_numbers_in_both_orders_and_passes_over_them)
{
	struct reader reader = reader_of(bytes, sizeof(bytes));
	uint32_t native;

	memcpy(&native, bytes + 3, sizeof(native));
	cr_expect_eq(reader_u8(&reader), 1);
	cr_expect_eq(reader_u16_be(&reader), 0x0203);
	cr_expect_eq(reader_u32(&reader), native);
	cr_expect_eq(reader_u32_be(&reader), 0x08090a0b);
	cr_expect_eq(reader_take(&reader, 2), bytes + 11);
	cr_expect_eq(reader.left, 0);
	cr_expect_not(reader_has_failed(&reader), "all was there");
}

Test(reader, numbers_use_all_of_their_bits)
{
	static const uint8_t high[] = {0xff, 0xfe, 0xfd, 0xfc};
	struct reader reader = reader_of(high, sizeof(high));

	cr_expect_eq(reader_u32_be(&reader), 0xfffefdfc);
	reader = reader_of(high, sizeof(high));
	cr_expect_eq(reader_u16_be(&reader), 0xfffe);
}

static void read_u8(struct reader *reader)
{
	cr_expect_eq(reader_u8(reader), 0);
}

static void read_u32(struct reader *reader)
{
	cr_expect_eq(reader_u32(reader), 0);
}

static void read_u16_be(struct reader *reader)
{
	cr_expect_eq(reader_u16_be(reader), 0);
}

static void read_u32_be(struct reader *reader)
{
	cr_expect_eq(reader_u32_be(reader), 0);
}

static void read_copy(struct reader *reader)
{
	static const uint8_t zeros[6];
	uint8_t copy[6] = {9, 9, 9, 9, 9, 9};

	reader_copy(reader, copy, sizeof(copy));
	cr_expect_arr_eq(copy, zeros, sizeof(zeros));
}

static void read_take(struct reader *reader)
{
	cr_expect_null(reader_take(reader, SIZE_MAX));
}

static void read_part(struct reader *reader)
{
	const struct reader part = reader_padded_part(reader, 7, 4);

	cr_expect(reader_has_failed(&part));
	cr_expect_eq(part.left, 0);
}

Test(reader, what_is_not_there_fails_it_for_good_and_is_zero)
{
	static const struct {
		void (*read)(struct reader *reader);
		size_t needs;
	} cases[] = {{read_u8, 1},   {read_u16_be, 2}, {read_u32, 4},  {read_u32_be, 4},
		     {read_copy, 6}, {read_part, 7},   {read_take, 13}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t length = 0; length < cases[i].needs; length++) {
			/* Of its exact size, so that a sanitizer sees a look beyond the end. */
			uint8_t *exact = malloc(length);
			struct reader reader;

			memcpy(exact, bytes, length);
			reader = reader_of(exact, length);
			cases[i].read(&reader);
			cr_expect(reader_has_failed(&reader), "%zu, of %zu", i, length);
			cr_expect_eq(reader.left, 0, "%zu, of %zu", i, length);
			cases[i].read(&reader);
			cr_expect(reader_has_failed(&reader), "%zu, of %zu: it is remembered", i,
				  length);
			free(exact);
		}
	}
}

Test(reader, a_part_is_read_apart_from_what_follows)
{
	struct reader reader = reader_of(bytes, sizeof(bytes));
	struct reader part = reader_padded_part(&reader, 3, 1);

	cr_expect_eq(reader_u8(&reader), 4);
	cr_expect_eq(reader_u16_be(&part), 0x0102);
	cr_expect_eq(reader_u16_be(&part), 0);
	cr_expect(reader_has_failed(&part));
	cr_expect_not(reader_has_failed(&reader));
	part = reader_padded_part(&reader, 0, 4);
	cr_expect_not(reader_has_failed(&part), "nothing is a part as well");
	part = reader_padded_part(&reader, SIZE_MAX, 4);
	cr_expect(reader_has_failed(&part));
	cr_expect(reader_has_failed(&reader));
	part = reader_padded_part(&reader, 0, 4);
	cr_expect(reader_has_failed(&part), "it is remembered");
}

Test(reader, passes_over_padding_as_far_as_it_is_there)
{
	static const struct {
		size_t given;
		size_t length;
		size_t left;
	} cases[] = {{8, 0, 8}, {8, 1, 4}, {8, 2, 4}, {8, 3, 4}, {8, 4, 4},
		     {2, 1, 0}, {1, 1, 0}, {3, 3, 0}, {9, 5, 1}, {0, 0, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reader reader = reader_of(bytes, cases[i].given);
		const struct reader part = reader_padded_part(&reader, cases[i].length, 4);

		cr_expect_eq(part.at, bytes, "%zu", i);
		cr_expect_eq(part.left, cases[i].length, "%zu", i);
		cr_expect_eq(reader.left, cases[i].left, "%zu", i);
		cr_expect_eq(reader.at, bytes + cases[i].given - cases[i].left, "%zu", i);
		cr_expect_not(reader_has_failed(&reader), "%zu", i);
	}
}

Test(reader, fails_where_its_reader_says_so)
{
	struct reader reader = reader_of(bytes, 2);

	reader_fail(&reader);
	cr_expect_eq(reader_u8(&reader), 0);
	cr_expect(reader_has_failed(&reader));
}
