/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the topics' messages look like as lines for people. A line is written when its element comes, so
 * columns have fixed widths, and what is wider moves the rest.
 */
#ifndef SOCKWARDEN_CLI_WATCH_LINES_H
#define SOCKWARDEN_CLI_WATCH_LINES_H

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdint.h>

struct watch_lines {
	const char *topic;
	const char *list; /* whose elements are a line each; NULL: a message is one */
	void (*print_titles)(bool bold); /* NULL: there are none */
	/*
	 * Prints an element; the message is of message_ns (wall clock). names: remote ends are shown by
	 * their names. False, and nothing is printed, if the element is not understood.
	 */
	bool (*print)(const cJSON *element, uint64_t message_ns, bool names);
};

/* NULL if there is no such topic. */
const struct watch_lines *watch_lines_find(const char *topic);

#endif
