/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a row of DNS statistics as people name, see and sort them.
 */
#ifndef SOCKWARDEN_CLI_DNS_FIELD_H
#define SOCKWARDEN_CLI_DNS_FIELD_H

#include "cli/dns_row.h"

#define DNS_FIELDS_MAX 16
/* A domain of 255 bytes of which each is escaped, or 64 codes with their numbers. */
#define DNS_FIELD_TEXT_BYTES 4096

struct dns_field;

/* By the name that --sort takes; NULL if there is none. */
const struct dns_field *dns_field_find(const char *name);

const char *dns_field_title(const struct dns_field *field);

/* Numbers are aligned to the right, and sort from the largest. */
bool dns_field_is_number(const struct dns_field *field);

/* False if it is not known. */
bool dns_field_number(const struct dns_field *field, const struct dns_row *row, uint64_t *number);

/* Makes the printable text, "-" for what is not known. Returns its length. */
size_t dns_field_text(const struct dns_field *field, const struct dns_row *row,
		      char out[static DNS_FIELD_TEXT_BYTES]);

/*
 * The columns for rows that are added up by these keys; by NULL: rows as they are. Returns how many.
 */
size_t dns_field_columns(const bool *by, const struct dns_field *columns[static DNS_FIELDS_MAX]);

#endif
