/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dns_groups.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

bool dns_groups_parse(const char *list, bool by[static DNS_KEY_COUNT])
{
	for (;;) {
		const size_t length = strcspn(list, ",");
		size_t key = 0;

		while (key < DNS_KEY_COUNT &&
		       (strlen(dns_key_name((enum dns_key)key)) != length ||
			memcmp(dns_key_name((enum dns_key)key), list, length) != 0))
			key++;
		if (key == DNS_KEY_COUNT || by[key])
			return false;
		by[key] = true;
		if (list[length] == '\0')
			return true;
		list += length + 1;
	}
}

void dns_groups_init(struct dns_groups *groups, const bool by[static DNS_KEY_COUNT])
{
	*groups = (struct dns_groups){.count = 0};
	memcpy(groups->by, by, sizeof(groups->by));
}

static void free_row(void *row)
{
	dns_row_fini(row);
	free(row);
}

void dns_groups_fini(struct dns_groups *groups)
{
	tdestroy(groups->tree, free_row);
	free(groups->rows);
	*groups = (struct dns_groups){.count = 0};
}

static int compare_text(const char *left, const char *right)
{
	if (!left || !right)
		return (left != NULL) - (right != NULL);
	return strcmp(left, right);
}

/* A balanced tree, not a hash: who chooses names cannot make it slow. */
static int compare(const void *left, const void *right)
{
	const struct dns_row *a = left, *b = right;
	int order = (int)a->overflow - (int)b->overflow;

	for (size_t i = 0; i < DNS_KEY_COUNT && order == 0; i++)
		order = compare_text(a->key[i], b->key[i]);
	return order;
}

/* A new group with the part's keys. Returns NULL if out of memory. */
static struct dns_row *begin(struct dns_groups *groups, const struct dns_row *part)
{
	struct dns_row *row = calloc(1, sizeof(*row));

	if (!row)
		return NULL;
	row->overflow = part->overflow;
	for (size_t i = 0; i < DNS_KEY_COUNT; i++) {
		if (part->key[i] && !(row->key[i] = strdup(part->key[i])))
			goto fail;
	}
	if (groups->count == groups->capacity) {
		const size_t capacity = groups->capacity ? groups->capacity * 2 : 64;
		struct dns_row **rows = reallocarray(groups->rows, capacity, sizeof(void *));

		if (!rows)
			goto fail;
		groups->rows = rows;
		groups->capacity = capacity;
	}
	if (!tsearch(row, &groups->tree, compare))
		goto fail;
	groups->rows[groups->count++] = row;
	return row;
fail:
	free_row(row);
	return NULL;
}

/* Adds to the group of the part's keys. */
static int add_part(struct dns_groups *groups, const struct dns_row *part)
{
	struct dns_row *const *found = tfind(part, &groups->tree, compare);
	struct dns_row *group = found ? *found : begin(groups, part);

	return group ? dns_row_add(group, part) : -ENOMEM;
}

/* How many of a row's codes are failures. */
static size_t count_failures(const struct dns_row *row)
{
	size_t count = 0;

	for (size_t i = 0; i < row->rcode_count; i++)
		count += strcmp(row->rcode[i].name, "NOERROR") != 0 && row->rcode[i].count > 0;
	return count;
}

/* A part for each code, and one for what had no answer; keys holds the keys that they share. */
static int add_by_rcode(struct dns_groups *groups, const struct dns_row *row,
			const struct dns_row *keys)
{
	const size_t failures = count_failures(row);
	struct dns_row part = *keys;
	int error = 0;

	part.retries_unknown = true;
	if (row->timeouts > 0) {
		part.queries = part.timeouts = row->timeouts;
		error = add_part(groups, &part);
		part.timeouts = 0;
	}
	for (size_t i = 0; i < row->rcode_count && error == 0; i++) {
		struct dns_rcode *const rcode = &row->rcode[i];
		const bool failed = strcmp(rcode->name, "NOERROR") != 0;

		if (rcode->count == 0)
			continue;
		part.key[DNS_KEY_RCODE] = rcode->name;
		part.rcode = rcode;
		part.rcode_count = 1;
		part.queries = part.answers = rcode->count;
		part.latency_us = failed ? (struct histogram){.count = 0} : row->latency_us;
		part.failure_latency_us = failed && failures == 1 ? row->failure_latency_us
								  : (struct histogram){.count = 0};
		part.failure_latency_unknown = failed && failures > 1;
		error = add_part(groups, &part);
	}
	return error;
}

int dns_groups_add(struct dns_groups *groups, const struct dns_row *row)
{
	struct dns_row keys = {.overflow = false};
	struct dns_row part = *row;

	/* Borrowed: neither of the two is given up. */
	for (size_t i = 0; i < DNS_KEY_RCODE; i++) {
		keys.key[i] = groups->by[i] ? row->key[i] : NULL;
		keys.overflow |= groups->by[i] && row->overflow;
	}
	if (groups->by[DNS_KEY_RCODE])
		return add_by_rcode(groups, row, &keys);
	memcpy(part.key, keys.key, sizeof(part.key));
	part.overflow = keys.overflow;
	return add_part(groups, &part);
}
