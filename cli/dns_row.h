/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of DNS statistics: read from the worker's JSON, added to others, written as JSON. A row is
 * told from others by its keys; where rows were added up, those that differ are not known any more.
 */
#ifndef SOCKWARDEN_CLI_DNS_ROW_H
#define SOCKWARDEN_CLI_DNS_ROW_H

#include "common/histogram.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dns_key {
	DNS_KEY_CLIENT,
	DNS_KEY_SERVER,
	DNS_KEY_PROTOCOL,
	DNS_KEY_DOMAIN,
	DNS_KEY_TYPE,
	DNS_KEY_RCODE, /* only of rows that were taken apart by it */
	DNS_KEY_COUNT,
};

/* Different codes in one row: more than the worker knows. */
#define DNS_ROW_RCODES_MAX 64
#define DNS_ROW_RCODE_BYTES 24

struct dns_rcode {
	char name[DNS_ROW_RCODE_BYTES];
	uint64_t count;
};

/* Owns its keys and rcodes; zeroed memory is an empty row. */
struct dns_row {
	char *key[DNS_KEY_COUNT]; /* NULL: not known */
	uint16_t server_port;	  /* 0: not known */
	bool overflow;		  /* the row of rows that had to make room */
	bool retries_unknown;
	bool failure_latency_unknown;
	uint64_t queries; /* repeated ones left out */
	uint64_t retries;
	uint64_t answers;
	uint64_t timeouts;
	struct dns_rcode *rcode;
	size_t rcode_count;
	struct histogram latency_us; /* of answers with NOERROR */
	struct histogram failure_latency_us;
};

/* The name of a key in JSON, and on the command line. */
const char *dns_key_name(enum dns_key key);

/*
 * Fills an empty row. 0; -EINVAL if json is no such row, or a histogram is none that this command can
 * hold; -ENOMEM. The row is the caller's to dns_row_fini() in any case.
 */
int dns_row_read(struct dns_row *row, const cJSON *json);
void dns_row_fini(struct dns_row *row);

/* Adds another's numbers; keys stay. 0 or -ENOMEM. */
int dns_row_add(struct dns_row *to, const struct dns_row *from);

/*
 * Whether the row is of domain name or of one below it, in either case; the last point of name means
 * nothing, and all known domains are below the root.
 */
bool dns_row_is_below(const struct dns_row *row, const char *name);

/* Answers with another code than NOERROR. */
uint64_t dns_row_failures(const struct dns_row *row);

/* The latencies of all answers; false if there are none, or not all of them are known. */
bool dns_row_latency(const struct dns_row *row, struct histogram *all);

/*
 * The row as an object: those keys for which by is true, overflow, then the worker's keys for numbers.
 * What is not known is null. Heap text, NULL if out of memory.
 */
char *dns_row_json(const struct dns_row *row, const bool by[static DNS_KEY_COUNT]);

#endif
