/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

static void add(struct table *table, const char *name, const char *size, struct table_key key)
{
	char cells[64];
	const size_t first = strlen(name) + 1;
	const size_t second = strlen(size) + 1;

	memcpy(cells, name, first);
	memcpy(cells + first, size, second);
	cr_assert_eq(table_add_row(table, cells, first + second, &key), 0);
}

static struct table_key number(uint64_t value)
{
	return (struct table_key){.known = true, .number = value};
}

static void expect_print(const struct table *table, size_t limit, bool titles, const char *expected)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	table_print(table, to, limit, titles, false);
	fclose(to);
	cr_expect_str_eq(text, expected);
	free(text);
}

static void fill(struct table *table)
{
	table_init(table);
	table_add_column(table, "NAME", false);
	table_add_column(table, "SIZE", true);
	add(table, "curl", "9B", number(9));
	add(table, "x", "-", (struct table_key){0});
	add(table, "nginx", "123456", number(123456));
	add(table, "twin", "9B", number(9));
}

Test(cli_table, columns_are_as_wide_as_their_widest_cell)
{
	struct table table;

	fill(&table);
	expect_print(&table, 9, true,
		     "NAME     SIZE\n"
		     "curl       9B\n"
		     "x           -\n"
		     "nginx  123456\n"
		     "twin       9B\n");
	expect_print(&table, 2, false,
		     "curl  9B\n"
		     "x      -\n");
	table_fini(&table);
}

Test(cli_table, numbers_sort_from_the_largest_and_unknown_ones_come_last)
{
	struct table table;

	fill(&table);
	table_sort(&table, false);
	expect_print(&table, 9, false,
		     "nginx  123456\n"
		     "curl       9B\n"
		     "twin       9B\n"
		     "x           -\n");
	table_sort(&table, true);
	expect_print(&table, 9, false,
		     "curl       9B\n"
		     "twin       9B\n"
		     "nginx  123456\n"
		     "x           -\n");
	table_fini(&table);
}

Test(cli_table, texts_sort_from_a)
{
	struct table table;

	table_init(&table);
	table_add_column(&table, "NAME", false);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"b", "c", "a"};
		struct table_key key = {.known = true, .is_text = true, .text = strdup(names[i])};

		cr_assert_eq(table_add_row(&table, names[i], 2, &key), 0);
	}
	table_sort(&table, false);
	cr_expect_str_eq(table_row_text(&table, 0), "a");
	cr_expect_str_eq(table_row_text(&table, 2), "c");
	table_fini(&table);
}

Test(cli_table, a_thousand_rows_stay_in_order)
{
	struct table table;

	table_init(&table);
	table_add_column(&table, "N", true);
	for (unsigned i = 0; i < 1000; i++) {
		struct table_key key = number(i % 7);
		char cell[16];

		snprintf(cell, sizeof(cell), "%u", i);
		cr_assert_eq(table_add_row(&table, cell, strlen(cell) + 1, &key), 0);
	}
	table_sort(&table, false);
	for (size_t i = 1; i < 1000; i++) {
		const int before = atoi(table_row_text(&table, i - 1));
		const int after = atoi(table_row_text(&table, i));

		cr_assert(before % 7 > after % 7 || (before % 7 == after % 7 && before < after));
	}
	table_fini(&table);
}
