/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dns_row.h"

#include "cli/fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a double holds exactly; larger integers are strings. */
#define EXACT_MAX (1ULL << 53)

static const char *const key_names[DNS_KEY_COUNT] = {
	[DNS_KEY_CLIENT] = "client", [DNS_KEY_SERVER] = "server", [DNS_KEY_PROTOCOL] = "protocol",
	[DNS_KEY_DOMAIN] = "domain", [DNS_KEY_TYPE] = "type",	  [DNS_KEY_RCODE] = "rcode",
};

const char *dns_key_name(enum dns_key key)
{
	return key_names[key];
}

void dns_row_fini(struct dns_row *row)
{
	for (size_t i = 0; i < DNS_KEY_COUNT; i++)
		free(row->key[i]);
	free(row->rcode);
	*row = (struct dns_row){.overflow = false};
}

static uint64_t sum_bounded(uint64_t left, uint64_t right)
{
	uint64_t sum;

	return __builtin_add_overflow(left, right, &sum) ? UINT64_MAX : sum;
}

/* Adds to the count of a code by its name, which is cut to what there is room for. 0 or -errno. */
static int add_rcode(struct dns_row *row, const char *name, uint64_t count)
{
	struct dns_rcode *grown;
	size_t i = 0;

	while (i < row->rcode_count &&
	       strncmp(row->rcode[i].name, name, DNS_ROW_RCODE_BYTES - 1) != 0)
		i++;
	if (i == row->rcode_count) {
		if (i == DNS_ROW_RCODES_MAX)
			return -EINVAL;
		grown = reallocarray(row->rcode, i + 1, sizeof(row->rcode[0]));
		if (!grown)
			return -ENOMEM;
		row->rcode = grown;
		row->rcode[i] = (struct dns_rcode){.count = 0};
		snprintf(row->rcode[i].name, sizeof(row->rcode[i].name), "%s", name);
		row->rcode_count++;
	}
	row->rcode[i].count = sum_bounded(row->rcode[i].count, count);
	return 0;
}

static const cJSON *member_of(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Reads a string or null. */
static int read_key(const cJSON *json, const char *name, char **out)
{
	const cJSON *value = member_of(json, name);

	if (cJSON_IsNull(value))
		return 0;
	if (!cJSON_IsString(value))
		return -EINVAL;
	*out = strdup(value->valuestring);
	return *out ? 0 : -ENOMEM;
}

/* Reads a whole number that may be negative, within min..max. */
static bool read_signed(const cJSON *value, int min, int max, int *out)
{
	if (!cJSON_IsNumber(value) || !(value->valuedouble >= min && value->valuedouble <= max))
		return false;
	*out = (int)value->valuedouble;
	return *out == value->valuedouble;
}

static bool read_bucket(const cJSON *value, uint32_t *out)
{
	uint64_t number;

	if (!field_number(value, &number) || number > UINT32_MAX)
		return false;
	*out = (uint32_t)number;
	return true;
}

/*
 * Buckets at a scale are numbered from -1, that of the value 1, to that of 2^64: what is beyond stands for
 * no value, and would leave the numbers that histogram_merge() calculates with.
 */
static bool is_in_range(int scale, int offset, int used)
{
	const int finest = 64 << HISTOGRAM_SCALE_MAX;

	return offset >= -1 && offset + used <= finest >> (HISTOGRAM_SCALE_MAX - scale);
}

static bool read_histogram(const cJSON *json, struct histogram *out)
{
	const cJSON *buckets = member_of(json, "buckets");
	const int used = cJSON_IsArray(buckets) ? cJSON_GetArraySize(buckets) : -1;
	const cJSON *bucket = NULL;
	int scale, offset;
	size_t i = 0;

	if (used < 0 || used > HISTOGRAM_BUCKETS ||
	    !field_number(member_of(json, "count"), &out->count) ||
	    !field_number(member_of(json, "sum"), &out->sum) ||
	    !field_number(member_of(json, "min"), &out->min) ||
	    !field_number(member_of(json, "max"), &out->max) || out->min > out->max ||
	    !read_bucket(member_of(json, "zeroes"), &out->zeroes) ||
	    !read_signed(member_of(json, "scale"), HISTOGRAM_SCALE_MIN, HISTOGRAM_SCALE_MAX,
			 &scale) ||
	    !read_signed(member_of(json, "offset"), INT16_MIN, INT16_MAX, &offset) ||
	    (used > 0 && !is_in_range(scale, offset, used)))
		return false;
	cJSON_ArrayForEach(bucket, buckets)
	{
		if (!read_bucket(bucket, &out->bucket[i++]))
			return false;
	}
	out->scale = (int8_t)scale;
	out->offset = (int16_t)offset;
	out->used = (uint8_t)used;
	return true;
}

static int read_rcodes(struct dns_row *row, const cJSON *rcodes)
{
	const cJSON *rcode = NULL;
	uint64_t count;
	int error = cJSON_IsObject(rcodes) ? 0 : -EINVAL;

	cJSON_ArrayForEach(rcode, rcodes)
	{
		if (error == 0 && !field_number(rcode, &count))
			error = -EINVAL;
		if (error == 0)
			error = add_rcode(row, rcode->string, count);
	}
	return error;
}

static bool read_port(const cJSON *value, uint16_t *port)
{
	int number;

	if (cJSON_IsNull(value))
		return true;
	if (!read_signed(value, 0, UINT16_MAX, &number))
		return false;
	*port = (uint16_t)number;
	return true;
}

int dns_row_read(struct dns_row *row, const cJSON *json)
{
	int error = 0;

	for (size_t i = 0; i < DNS_KEY_RCODE && error == 0; i++)
		error = read_key(json, key_names[i], &row->key[i]);
	if (error != 0)
		return error;
	row->overflow = !row->key[DNS_KEY_CLIENT];
	if (!read_port(member_of(json, "server_port"), &row->server_port) ||
	    !field_number(member_of(json, "queries"), &row->queries) ||
	    !field_number(member_of(json, "retries"), &row->retries) ||
	    !field_number(member_of(json, "answers"), &row->answers) ||
	    !field_number(member_of(json, "timeouts"), &row->timeouts) ||
	    !read_histogram(member_of(json, "latency_us"), &row->latency_us) ||
	    !read_histogram(member_of(json, "failure_latency_us"), &row->failure_latency_us))
		return -EINVAL;
	return read_rcodes(row, member_of(json, "rcodes"));
}

int dns_row_add(struct dns_row *to, const struct dns_row *from)
{
	int error = 0;

	to->queries = sum_bounded(to->queries, from->queries);
	to->retries = sum_bounded(to->retries, from->retries);
	to->answers = sum_bounded(to->answers, from->answers);
	to->timeouts = sum_bounded(to->timeouts, from->timeouts);
	to->retries_unknown |= from->retries_unknown;
	to->failure_latency_unknown |= from->failure_latency_unknown;
	for (size_t i = 0; i < from->rcode_count && error == 0; i++)
		error = add_rcode(to, from->rcode[i].name, from->rcode[i].count);
	histogram_merge(&to->latency_us, &from->latency_us);
	histogram_merge(&to->failure_latency_us, &from->failure_latency_us);
	return error;
}

/* Whether a point in a name stands between labels: within one it is escaped (RFC 1035 5.1). */
static bool is_separator(const char *name, size_t at)
{
	size_t escapes = 0;

	while (escapes < at && name[at - 1 - escapes] == '\\')
		escapes++;
	return name[at] == '.' && escapes % 2 == 0;
}

bool dns_row_is_below(const struct dns_row *row, const char *name)
{
	const char *domain = row->key[DNS_KEY_DOMAIN];
	const size_t length = strlen(name) - (name[0] && name[strlen(name) - 1] == '.');
	const size_t whole = domain ? strlen(domain) : 0;

	if (!domain || length == 0)
		return domain != NULL;
	if (whole < length || strncasecmp(domain + whole - length, name, length) != 0)
		return false;
	return whole == length || is_separator(domain, whole - length - 1);
}

uint64_t dns_row_failures(const struct dns_row *row)
{
	uint64_t failures = 0;

	for (size_t i = 0; i < row->rcode_count; i++) {
		if (strcmp(row->rcode[i].name, "NOERROR") != 0)
			failures = sum_bounded(failures, row->rcode[i].count);
	}
	return failures;
}

bool dns_row_latency(const struct dns_row *row, struct histogram *all)
{
	*all = row->latency_us;
	histogram_merge(all, &row->failure_latency_us);
	return !row->failure_latency_unknown && all->count > 0;
}

static void add_number(cJSON *object, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	if (number <= EXACT_MAX)
		cJSON_AddRawToObject(object, name, text);
	else
		cJSON_AddStringToObject(object, name, text);
}

static void add_histogram(cJSON *object, const char *name, const struct histogram *histogram)
{
	cJSON *json = cJSON_AddObjectToObject(object, name);
	cJSON *buckets;

	add_number(json, "count", histogram->count);
	add_number(json, "sum", histogram->sum);
	add_number(json, "min", histogram->min);
	add_number(json, "max", histogram->max);
	add_number(json, "zeroes", histogram->zeroes);
	cJSON_AddNumberToObject(json, "scale", histogram->scale);
	cJSON_AddNumberToObject(json, "offset", histogram->offset);
	buckets = cJSON_AddArrayToObject(json, "buckets");
	for (unsigned i = 0; i < histogram->used; i++)
		cJSON_AddItemToArray(buckets, cJSON_CreateNumber(histogram->bucket[i]));
}

static void add_key(cJSON *object, const char *name, const char *key)
{
	if (key)
		cJSON_AddStringToObject(object, name, key);
	else
		cJSON_AddNullToObject(object, name);
}

char *dns_row_json(const struct dns_row *row, const bool by[static DNS_KEY_COUNT])
{
	cJSON *json = cJSON_CreateObject();
	cJSON *rcodes;
	char *text;

	for (size_t i = 0; i < DNS_KEY_COUNT; i++) {
		if (by[i])
			add_key(json, key_names[i], row->key[i]);
	}
	cJSON_AddBoolToObject(json, "overflow", row->overflow);
	add_number(json, "queries", row->queries);
	if (row->retries_unknown)
		cJSON_AddNullToObject(json, "retries");
	else
		add_number(json, "retries", row->retries);
	add_number(json, "answers", row->answers);
	add_number(json, "timeouts", row->timeouts);
	rcodes = cJSON_AddObjectToObject(json, "rcodes");
	for (size_t i = 0; i < row->rcode_count; i++)
		add_number(rcodes, row->rcode[i].name, row->rcode[i].count);
	add_histogram(json, "latency_us", &row->latency_us);
	if (row->failure_latency_unknown)
		cJSON_AddNullToObject(json, "failure_latency_us");
	else
		add_histogram(json, "failure_latency_us", &row->failure_latency_us);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}
