/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ways out of the command: one-line messages to stderr, and data to stdout. Data is line
 * buffered, so that a reader of a pipe sees each line when it is made. A reader that went away is
 * no error: the verb stops and the command ends quietly.
 */
#ifndef SOCKWARDEN_CLI_MESSAGE_H
#define SOCKWARDEN_CLI_MESSAGE_H

#include "cli/cli.h"

#include <stdbool.h>

/* Writes "sockwarden: TEXT" and a newline to stderr; what is not printable in TEXT is escaped. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sets up stdout; to be called once before anything is written. */
void output_begin(void);

/* True once stdout takes nothing any more (its reader is gone, the disk is full): stop. */
bool output_is_broken(void);

/* Writes out what is left. Returns code, or EXIT_FAILED (with a message) if data was not written
 * for another reason than that its reader went away. */
enum exit_code output_end(enum exit_code code);

/* True if colours are wanted on stdout: a terminal, not "dumb", NO_COLOR not set (no-color.org). */
bool output_has_colour(void);

#endif
