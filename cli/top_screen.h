/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The full-screen picture of `top`, and what its keys do. Drawn for 80 columns; more columns show
 * the whole local address, the age, retransmits and longer names.
 */
#ifndef SOCKWARDEN_CLI_TOP_SCREEN_H
#define SOCKWARDEN_CLI_TOP_SCREEN_H

#include "cli/cli.h"
#include "cli/top_model.h"

#define TOP_FILTER_BYTES 64

/* The header's facts; texts are printable. */
struct top_header {
	char host[TOP_FILTER_BYTES];
	char health[16];
	uint64_t live;
	uint64_t opened_per_s;
	uint64_t lost;
	bool answers;	 /* the worker answered the last request */
	bool has_status; /* one came at least once: the numbers above are known */
};

/* What the user has set. */
struct top_ui {
	enum top_sort sort;
	bool paused;
	bool addresses; /* remote ends are shown without their names */
	bool help;
	bool typing; /* a filter, into draft */
	char filter[TOP_FILTER_BYTES];
	char draft[TOP_FILTER_BYTES];
	size_t scroll; /* rows above the first that is shown */
};

/* Takes over the terminal. EXIT_OK, or the exit code, with a message said. */
enum exit_code top_screen_open(void);

/* Gives the terminal back; does nothing if it was not taken. */
void top_screen_close(void);

/* The terminal has another size. */
void top_screen_resize(void);

/* Draws everything again, also what the terminal should show already. */
void top_screen_restore(void);

/* Draws; keeps ui->scroll within the count rows. */
void top_screen_draw(const struct top_header *header, const struct top_model *model,
		     const struct top_shown *rows, size_t count, struct top_ui *ui);

/* Does what the waiting keys say. Returns false if one of them was "quit". */
bool top_screen_keys(struct top_ui *ui);

#endif
