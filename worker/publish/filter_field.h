/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter can ask for: each field's name, its type, and how it is taken from a connection.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_FILTER_FIELD_H
#define SOCKWARDEN_WORKER_PUBLISH_FILTER_FIELD_H

#include "worker/conn/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum filter_type {
	FILTER_TYPE_NUMBER,
	FILTER_TYPE_ID, /* a number that is written in hex */
	FILTER_TYPE_BOOL,
	FILTER_TYPE_TEXT,
	FILTER_TYPE_ADDRESS,
};

struct filter_value {
	bool known;
	uint64_t number;  /* NUMBER, ID, BOOL */
	const char *text; /* TEXT, with its length; ADDRESS: 4 or 16 bytes */
	size_t length;
};

/* Index of the field of that name, or -1. */
int filter_field_find(const char *name, size_t length);

enum filter_type filter_field_type(unsigned field);

/* How many values the field has in a connection: 2 if it stands for both ends, else 1. */
unsigned filter_field_values(unsigned field);

/* Takes the field's value of that number (0 or 1) from a connection, which must outlive it. */
void filter_field_take(struct filter_value *value, unsigned field, unsigned number,
		       const struct conn_view *view);

#endif
