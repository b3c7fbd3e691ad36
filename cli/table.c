/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "cli/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct table_row {
	char *text;
	size_t order; /* of arrival: decides between equal keys */
	struct table_key key;
};

void table_init(struct table *table)
{
	*table = (struct table){0};
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->rows[i].text);
		free(table->rows[i].key.text);
	}
	free(table->rows);
	table_init(table);
}

void table_add_column(struct table *table, const char *title, bool right)
{
	if (table->columns == TABLE_COLUMNS_MAX)
		return;
	table->titles[table->columns] = title;
	table->right[table->columns++] = right;
}

static int grow(struct table *table)
{
	const size_t capacity = table->capacity ? table->capacity * 2 : 64;
	struct table_row *rows = reallocarray(table->rows, capacity, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	table->rows = rows;
	table->capacity = capacity;
	return 0;
}

int table_add_row(struct table *table, const char *text, size_t length, struct table_key *key)
{
	char *copy = NULL;

	if (table->count < table->capacity || grow(table) == 0)
		copy = malloc(length);
	if (!copy) {
		free(key->text);
		return -ENOMEM;
	}
	memcpy(copy, text, length);
	table->rows[table->count] =
		(struct table_row){.text = copy, .order = table->count, .key = *key};
	table->count++;
	return 0;
}

static int compare(const void *left, const void *right, void *context)
{
	const struct table_row *a = left;
	const struct table_row *b = right;
	const bool reverse = *(const bool *)context;
	int order = 0;

	if (a->key.known != b->key.known)
		return a->key.known ? -1 : 1;
	if (a->key.known && a->key.is_text)
		order = strcmp(a->key.text, b->key.text);
	else if (a->key.known && a->key.number != b->key.number)
		order = a->key.number > b->key.number ? -1 : 1;
	if (order != 0)
		return reverse ? -order : order;
	return a->order < b->order ? -1 : 1;
}

void table_sort(struct table *table, bool reverse)
{
	if (table->count > 1)
		qsort_r(table->rows, table->count, sizeof(table->rows[0]), compare, &reverse);
}

/* Writes a cell and the gap behind it; the last column is not filled up. */
static void put_cell(FILE *to, const char *text, size_t width, bool right, bool last)
{
	const size_t columns = text_columns(text);
	const int gap = columns < width ? (int)(width - columns) : 0;

	if (right)
		fprintf(to, "%*s%s%s", gap, "", text, last ? "" : "  ");
	else
		fprintf(to, "%s%*s", text, last ? 0 : gap + 2, "");
}

void table_print(const struct table *table, FILE *to, size_t limit, bool titles, bool bold)
{
	const size_t rows = table->count < limit ? table->count : limit;
	size_t widths[TABLE_COLUMNS_MAX] = {0};

	for (size_t c = 0; titles && c < table->columns; c++)
		widths[c] = strlen(table->titles[c]);
	for (size_t i = 0; i < rows; i++) {
		const char *cell = table->rows[i].text;

		for (size_t c = 0; c < table->columns; c++, cell += strlen(cell) + 1) {
			const size_t columns = text_columns(cell);

			if (columns > widths[c])
				widths[c] = columns;
		}
	}
	if (titles) {
		fputs(bold ? "\033[1m" : "", to);
		for (size_t c = 0; c < table->columns; c++)
			put_cell(to, table->titles[c], widths[c], table->right[c],
				 c + 1 == table->columns);
		fputs(bold ? "\033[0m\n" : "\n", to);
	}
	for (size_t i = 0; i < rows; i++) {
		const char *cell = table->rows[i].text;

		for (size_t c = 0; c < table->columns; c++, cell += strlen(cell) + 1)
			put_cell(to, cell, widths[c], table->right[c], c + 1 == table->columns);
		fputc('\n', to);
		if (ferror(to))
			return;
	}
}

const char *table_row_text(const struct table *table, size_t row)
{
	return table->rows[row].text;
}
