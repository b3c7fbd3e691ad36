/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to requests about DNS:
 *
 *   {"op":"names","ips":[IP,...]} -> {"ok":true,"names":[{"ip":IP,"names":[NAME,...]},...]}
 *   {"op":"dns","page":TOKEN?}    -> {"ok":true,"dns":[ROW,...]} or with "more":TOKEN
 *
 * Nothing is reset, and no name is kept for having been asked for. A row that makes room for another
 * between two pages may be left out, or the other told in its place.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_QUERY_DNS_H
#define SOCKWARDEN_WORKER_PUBLISH_QUERY_DNS_H

#include "common/json.h"
#include "worker/dns/dns.h"
#include "worker/publish/query_request.h"

/* What an address and its names take of an answer. */
#define QUERY_NAMES_BYTES_EACH 1536
#define QUERY_NAMES_BYTES_MAX (64 + QUERY_ADDRESSES_MAX * QUERY_NAMES_BYTES_EACH)

/* now_ns is CLOCK_MONOTONIC: names that are alive then. */
void query_names_answer(struct json *json, const struct query_request *request, struct dns *dns,
			uint64_t now_ns);

void query_dns_answer(struct json *json, const struct query_request *request,
		      const struct dns *dns);

#endif
