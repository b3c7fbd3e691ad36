/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of DNS statistics added up by some of their keys. By rcode a row is first taken apart: each code
 * with its answers, and the queries that timed out with none. Latencies of answers with NOERROR are always
 * known; those of failures only where all of a row's failures have the same code.
 */
#ifndef SOCKWARDEN_CLI_DNS_GROUPS_H
#define SOCKWARDEN_CLI_DNS_GROUPS_H

#include "cli/dns_row.h"

struct dns_groups {
	bool by[DNS_KEY_COUNT];
	struct dns_row **rows; /* in the order in which they were begun */
	size_t count;
	size_t capacity;
	void *tree; /* of tsearch(): a row by its keys */
};

/* Reads a comma-separated list of keys' names into by; false if one is none, or is there twice. */
bool dns_groups_parse(const char *list, bool by[static DNS_KEY_COUNT]);

/* by is copied. */
void dns_groups_init(struct dns_groups *groups, const bool by[static DNS_KEY_COUNT]);
void dns_groups_fini(struct dns_groups *groups);

/* Adds a row to the group, or the groups, that it belongs to. 0, -EINVAL (too many codes) or -ENOMEM. */
int dns_groups_add(struct dns_groups *groups, const struct dns_row *row);

#endif
