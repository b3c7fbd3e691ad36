/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the pieces of a JSON text without building a tree of it: a message holds a long list
 * of which most verbs want the elements one by one, and as they were written. Slices point into
 * the text. Nothing is recursive and every step moves forward, so that a hostile text costs at
 * most its length; what is not balanced is reported as absent.
 */
#ifndef SOCKWARDEN_CLI_SLICE_H
#define SOCKWARDEN_CLI_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct slice {
	const char *text; /* not terminated */
	size_t length;
};

/* Finds the value of a member of the object that text is; false if there is none. */
bool slice_member(struct slice object, const char *name, struct slice *value);

/*
 * Walks an array. *rest begins as the array (with its brackets) and is moved behind the element
 * that is returned; false at the end.
 */
bool slice_next(struct slice *rest, struct slice *element);

/*
 * Writes a value within one line: line breaks between its tokens become spaces, and characters
 * that a terminal would obey (DEL and the C1 controls, which JSON allows in strings) become
 * \uNNNN. Adds no line end.
 */
void slice_write(struct slice value, FILE *to);

/* Writes an object with a line for each member of it and of objects in it; lists stay in one line. */
void slice_write_indented(struct slice object, FILE *to);

#endif
