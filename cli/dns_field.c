/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dns_field.h"

#include "cli/text.h"

#include <stdio.h>
#include <string.h>

#define DNS_PORT 53

enum kind {
	KIND_KEY,
	KIND_RCODES,
	KIND_QUERIES,
	KIND_RETRIES,
	KIND_ANSWERS,
	KIND_TIMEOUTS,
	KIND_FAILURES,
	KIND_QUANTILE,
};

struct dns_field {
	const char *name;
	const char *title;
	enum kind kind;
	unsigned of; /* KIND_KEY: the key; KIND_QUANTILE: thousandths */
};

static const struct dns_field table[] = {
	{"client", "CLIENT", KIND_KEY, DNS_KEY_CLIENT},
	{"server", "SERVER", KIND_KEY, DNS_KEY_SERVER},
	{"protocol", "PROTO", KIND_KEY, DNS_KEY_PROTOCOL},
	{"domain", "DOMAIN", KIND_KEY, DNS_KEY_DOMAIN},
	{"type", "TYPE", KIND_KEY, DNS_KEY_TYPE},
	{"rcode", "RCODE", KIND_KEY, DNS_KEY_RCODE},
	{"queries", "QUERIES", KIND_QUERIES, 0},
	{"retries", "RETRIES", KIND_RETRIES, 0},
	{"answers", "ANSWERS", KIND_ANSWERS, 0},
	{"timeouts", "TIMEOUTS", KIND_TIMEOUTS, 0},
	{"failures", "FAILURES", KIND_FAILURES, 0},
	{"rcodes", "RCODES", KIND_RCODES, 0},
	{"p50", "P50", KIND_QUANTILE, 500},
	{"p95", "P95", KIND_QUANTILE, 950},
	{"p99", "P99", KIND_QUANTILE, 990},
	{"max", "MAX", KIND_QUANTILE, 1000},
};
#define FIELDS (sizeof(table) / sizeof(table[0]))
_Static_assert(FIELDS <= DNS_FIELDS_MAX, "all fields as columns");

const struct dns_field *dns_field_find(const char *name)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

const char *dns_field_title(const struct dns_field *field)
{
	return field->title;
}

bool dns_field_is_number(const struct dns_field *field)
{
	return field->kind != KIND_KEY && field->kind != KIND_RCODES;
}

bool dns_field_number(const struct dns_field *field, const struct dns_row *row, uint64_t *number)
{
	struct histogram all;

	switch (field->kind) {
	case KIND_QUERIES:
		*number = row->queries;
		return true;
	case KIND_RETRIES:
		*number = row->retries;
		return !row->retries_unknown;
	case KIND_ANSWERS:
		*number = row->answers;
		return true;
	case KIND_TIMEOUTS:
		*number = row->timeouts;
		return true;
	case KIND_FAILURES:
		*number = dns_row_failures(row);
		return true;
	case KIND_QUANTILE:
		if (!dns_row_latency(row, &all))
			return false;
		*number = histogram_quantile(&all, field->of);
		return true;
	case KIND_KEY:
	case KIND_RCODES:
		break;
	}
	return false;
}

/* A server's port is told where it is not the usual one. */
static size_t server_text(const struct dns_row *row, char out[static DNS_FIELD_TEXT_BYTES])
{
	const char *ip = row->key[DNS_KEY_SERVER];
	char plain[128];
	int length;

	text_escape(plain, sizeof(plain), ip, strlen(ip));
	length = row->server_port == 0 || row->server_port == DNS_PORT
			 ? snprintf(out, DNS_FIELD_TEXT_BYTES, "%s", plain)
			 : snprintf(out, DNS_FIELD_TEXT_BYTES,
				    strchr(plain, ':') ? "[%s]:%u" : "%s:%u", plain,
				    row->server_port);
	return length < 0 ? 0 : (size_t)length;
}

static size_t key_text(const struct dns_row *row, enum dns_key key,
		       char out[static DNS_FIELD_TEXT_BYTES])
{
	const char *text = row->key[key];

	if (text && key == DNS_KEY_SERVER)
		return server_text(row, out);
	if (!text && key == DNS_KEY_RCODE)
		text = "(no answer)";
	else if (!text)
		text = row->overflow ? "(overflow)" : "-";
	return text_escape(out, DNS_FIELD_TEXT_BYTES, text, strlen(text));
}

static size_t rcodes_text(const struct dns_row *row, char out[static DNS_FIELD_TEXT_BYTES])
{
	size_t length = 0;

	for (size_t i = 0; i < row->rcode_count; i++) {
		char name[2 * DNS_ROW_RCODE_BYTES];

		text_escape(name, sizeof(name), row->rcode[i].name, strlen(row->rcode[i].name));
		length += (size_t)snprintf(out + length, DNS_FIELD_TEXT_BYTES - length, "%s%s=%llu",
					   i ? "," : "", name,
					   (unsigned long long)row->rcode[i].count);
		if (length >= DNS_FIELD_TEXT_BYTES)
			return DNS_FIELD_TEXT_BYTES - 1;
	}
	return length ? length : (size_t)snprintf(out, DNS_FIELD_TEXT_BYTES, "-");
}

size_t dns_field_text(const struct dns_field *field, const struct dns_row *row,
		      char out[static DNS_FIELD_TEXT_BYTES])
{
	char text[TEXT_SHORT_BYTES];
	uint64_t number;

	if (field->kind == KIND_KEY)
		return key_text(row, (enum dns_key)field->of, out);
	if (field->kind == KIND_RCODES)
		return rcodes_text(row, out);
	if (!dns_field_number(field, row, &number))
		return (size_t)snprintf(out, DNS_FIELD_TEXT_BYTES, "-");
	if (field->kind != KIND_QUANTILE)
		return (size_t)snprintf(out, DNS_FIELD_TEXT_BYTES, "%llu",
					(unsigned long long)number);
	text_duration(text, number > UINT64_MAX / 1000 ? UINT64_MAX : number * 1000);
	return (size_t)snprintf(out, DNS_FIELD_TEXT_BYTES, "%s", text);
}

/* Whether a field is a column of rows that are added up by these keys. */
static bool is_column(const struct dns_field *field, const bool *by)
{
	const bool by_rcode = by && by[DNS_KEY_RCODE];

	switch (field->kind) {
	case KIND_KEY:
		return by ? by[field->of] : field->of != DNS_KEY_RCODE;
	case KIND_QUERIES:
		return true;
	case KIND_QUANTILE:
		return field->of != 1000;
	case KIND_ANSWERS:
	case KIND_TIMEOUTS:
	case KIND_RCODES:
		return !by_rcode;
	case KIND_RETRIES:
	case KIND_FAILURES:
		break;
	}
	return false;
}

size_t dns_field_columns(const bool *by, const struct dns_field *columns[static DNS_FIELDS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < FIELDS; i++) {
		if (is_column(&table[i], by))
			columns[count++] = &table[i];
	}
	return count;
}
