/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_handoff into the folder that is its only argument: each row of the
 * table as a message of its own, and one whole session.
 */
#include "proto/handoff.h"
#include "tests/fuzz/seed_file.h"

#include <stdio.h>
#include <string.h>

static int write_step(FILE *file, const struct handoff_row *row, bool advance)
{
	unsigned char message[HANDOFF_MESSAGE_MAX] = {0};
	struct handoff_header header;
	const unsigned char head[2] = {
		(unsigned char)((row->direction == HANDOFF_TO_WORKER ? 1 : 0) | (advance ? 2 : 0)),
		row->fds,
	};

	handoff_header_init(&header, (enum handoff_type)row->type);
	memcpy(message, &header, sizeof(header));
	return fwrite(head, sizeof(head), 1, file) == 1 &&
			       fwrite(&row->length, sizeof(row->length), 1, file) == 1 &&
			       fwrite(message, row->length, 1, file) == 1
		       ? 0
		       : -1;
}

static int write_row(const char *folder, const struct handoff_row *row)
{
	FILE *file = seed_open(folder, row->name);
	int error = file ? write_step(file, row, false) : -1;

	return file && fclose(file) == 0 ? error : -1;
}

/* The next row at or after i whose message is first allowed in this state. */
static size_t next_row(size_t i, enum handoff_state state)
{
	for (; i < handoff_table_count; i++) {
		const struct handoff_row *row = &handoff_table[i];

		if (row->type != HANDOFF_REFUSED && __builtin_ctz(row->states) == (int)state)
			break;
	}
	return i;
}

/* Every message in its state; the last of each state leads to the next. */
static int write_session(const char *folder)
{
	static const enum handoff_state states[] = {
		HANDOFF_STATE_NEW,
		HANDOFF_STATE_GREETED,
		HANDOFF_STATE_SERVING,
	};
	FILE *file = seed_open(folder, "session");
	int error = file ? 0 : -1;

	for (size_t s = 0; s < sizeof(states) / sizeof(states[0]) && !error; s++) {
		size_t i = next_row(0, states[s]);

		while (i < handoff_table_count && !error) {
			const size_t next = next_row(i + 1, states[s]);

			error = write_step(file, &handoff_table[i], next == handoff_table_count);
			i = next;
		}
	}
	return file && fclose(file) == 0 ? error : -1;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seeds_handoff FOLDER\n");
		return 2;
	}
	for (size_t i = 0; i < handoff_table_count; i++) {
		if (write_row(argv[1], &handoff_table[i]))
			return 1;
	}
	return write_session(argv[1]) ? 1 : 0;
}
