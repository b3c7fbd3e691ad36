/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/protocol.md holds the handoff's table as a person reads it. Every row of handoff_table must
 * stand there verbatim, in the table's order, and no row may stand there that the code has not.
 */
#include "proto/handoff.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#define LINE_BYTES 512

static void render_states(char *text, size_t bytes, unsigned states)
{
	static const char *const names[] = {
		[HANDOFF_STATE_NEW] = "new",
		[HANDOFF_STATE_GREETED] = "greeted",
		[HANDOFF_STATE_SERVING] = "serving",
	};

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!((states >> i) & 1))
			continue;
		if (text[0])
			strncat(text, ", ", bytes - strlen(text) - 1);
		strncat(text, names[i], bytes - strlen(text) - 1);
	}
}

static void render_row(char *line, size_t bytes, const struct handoff_row *row)
{
	char states[64];
	int n;

	render_states(states, sizeof(states), row->states);
	n = snprintf(line, bytes, "| %u | %s | %s | %u | %u | %s | %s | %s |\n", row->type,
		     row->name,
		     row->direction == HANDOFF_TO_PRIVD ? "worker to privd" : "privd to worker",
		     row->length, row->fds, states, row->once ? "yes" : "no", row->meaning);
	cr_assert_lt(n, (int)bytes);
}

/* A table row about a message begins with its type's number. */
static bool is_message_row(const char *line)
{
	return line[0] == '|' && line[1] == ' ' && line[2] >= '0' && line[2] <= '9';
}

Test(protocol_doc, holds_each_row_of_the_table_and_no_other)
{
	FILE *file = fopen(PROTOCOL_DOC, "re");
	char line[LINE_BYTES];
	char expected[LINE_BYTES];
	size_t next = 0;

	cr_assert_not_null(file, "%s cannot be opened", PROTOCOL_DOC);
	while (fgets(line, sizeof(line), file)) {
		if (!is_message_row(line))
			continue;
		cr_assert_lt(next, handoff_table_count, "a row too many: %s", line);
		render_row(expected, sizeof(expected), &handoff_table[next++]);
		cr_assert_str_eq(line, expected, "%s must say\n%s", PROTOCOL_DOC, expected);
	}
	fclose(file);
	if (next < handoff_table_count)
		render_row(expected, sizeof(expected), &handoff_table[next]);
	cr_assert_eq(next, handoff_table_count, "%s lacks\n%s", PROTOCOL_DOC, expected);
}
