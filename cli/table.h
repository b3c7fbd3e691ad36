/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of printable cells whose columns are as wide as their widest cell. Rows are kept until
 * the table is printed; they can be sorted by a key that is no column.
 */
#ifndef SOCKWARDEN_CLI_TABLE_H
#define SOCKWARDEN_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 48

/* What a row is sorted by. Rows without a key come last in either order. */
struct table_key {
	bool known;
	bool is_text; /* of all keys of a table, or of none */
	uint64_t number;
	char *text; /* owned by the row */
};

struct table {
	size_t columns;
	const char *titles[TABLE_COLUMNS_MAX];
	bool right[TABLE_COLUMNS_MAX]; /* aligned to the right */
	struct table_row *rows;
	size_t count;
	size_t capacity;
};

void table_init(struct table *table);
void table_fini(struct table *table);

/* Adds a column; title must outlive the table. At most TABLE_COLUMNS_MAX. */
void table_add_column(struct table *table, const char *title, bool right);

/*
 * Adds a row of cells, one after the other in text, each terminated, length bytes together.
 * Copies text and takes over key->text. Returns 0 or -ENOMEM (key->text is then freed).
 */
int table_add_row(struct table *table, const char *text, size_t length, struct table_key *key);

/* Sorts by the rows' keys: numbers from the largest, text from A; reverse turns that round. */
void table_sort(struct table *table, bool reverse);

/* Prints at most limit rows, and the titles (in bold if asked) unless titles is false. */
void table_print(const struct table *table, FILE *to, size_t limit, bool titles, bool bold);

/* The text of a row's first cell: for a table whose rows are whole lines. */
const char *table_row_text(const struct table *table, size_t row);

#endif
