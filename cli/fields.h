/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a connection as people name, see and sort them. A field's name is the dotted path
 * of its JSON key ("local.port", "total.sent_bytes"), the same that --fields, --sort and --filter
 * take. The table here only adds a column title and how to show the value.
 */
#ifndef SOCKWARDEN_CLI_FIELDS_H
#define SOCKWARDEN_CLI_FIELDS_H

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FIELDS_MAX 64
#define FIELD_TEXT_BYTES 320

enum field_kind {
	FIELD_TEXT,
	FIELD_NUMBER,
	FIELD_BYTES,
	FIELD_NS,	 /* a duration */
	FIELD_US,	 /* a duration */
	FIELD_TIME,	 /* wall clock in ns */
	FIELD_ENDPOINT,	 /* {"ip", "port"} */
	FIELD_REMOTE,	 /* the same with "names" */
	FIELD_DIRECTION, /* shown as an arrow */
	FIELD_OTHER,	 /* shown as JSON */
};

struct field {
	const char *name;
	const char *title;
	enum field_kind kind;
};

/* Finds a field by the first length bytes of name; NULL if there is none. */
const struct field *field_find(const char *name, size_t length);

/*
 * Reads a comma-separated list. Returns the number of fields, or -1 with the name that is no
 * field (or the list itself if it is empty or has more than FIELDS_MAX) in *wrong and its length.
 */
int fields_parse(const char *list, const struct field *fields[FIELDS_MAX], const char **wrong,
		 size_t *wrong_length);

/* The value in a connection; NULL if the key is missing. */
const cJSON *field_value(const struct field *field, const cJSON *connection);

/*
 * Makes the printable text of the value, "-" for null; with names, a remote end that has one is shown by
 * it. Returns its length.
 */
size_t field_text(const struct field *field, const cJSON *connection, bool names, char *out,
		  size_t capacity);

/* True if the field sorts by number; text fields sort by field_text(). */
bool field_is_number(const struct field *field);

/* Reads a number that is written as such or as a decimal string; false for anything else. */
bool field_number(const cJSON *value, uint64_t *number);

/* "ip:port" or "[ip]:port"; an unknown port is "*". endpoint may be NULL. */
size_t field_endpoint(const cJSON *endpoint, char *out, size_t capacity);

/*
 * "name:port" by the newest name that the endpoint has, else field_endpoint(). A name that could be taken
 * for an address is not shown as one: who can make this host ask for it must not choose which address is read.
 */
size_t field_named_endpoint(const cJSON *endpoint, char *out, size_t capacity);

/* "->", "<-", "<>" (local) or "--" (unknown). */
const char *field_arrow(const cJSON *connection);

/* The escaped text of a member that is a string; "-" if it is missing or null. */
size_t field_string(const cJSON *object, const char *key, char *out, size_t capacity);

/* Writes the names of an address, the newest first, with spaces between; "-" if there are none. */
void field_write_names(const cJSON *names, FILE *to);

/* Prints the names of all fields, several to a line. */
void fields_print_names(void);

#endif
