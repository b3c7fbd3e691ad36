/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS query whose every fact is known, for tests to vary.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_QUERY_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_QUERY_H

#include "proto/record.h"
#include "worker/dns/query.h"

#include <netinet/in.h>
#include <string.h>

/* "a.example.org" and the like, in wire form. */
static inline void example_set_name(struct dns_query *query, const char *text)
{
	uint8_t *length = query->name;
	uint8_t *at = query->name + 1;

	*length = 0;
	for (; *text != '\0'; text++) {
		if (*text == '.') {
			length = at++;
			*length = 0;
		} else {
			*at++ = (uint8_t)*text;
			++*length;
		}
	}
	*at++ = 0;
	query->name_length = (uint8_t)(at - query->name);
}

/* 10.0.0.5:1000+number asks 10.0.0.1:53 for the address of example.org; the rest of the bytes are noise. */
static inline struct dns_query example_dns_query(uint16_t number)
{
	struct dns_query query;

	memset(&query, 0xa5, sizeof(query));
	memset(query.client_ip, 0, sizeof(query.client_ip));
	memset(query.server_ip, 0, sizeof(query.server_ip));
	memcpy(query.client_ip, "\x0a\x00\x00\x05", 4);
	memcpy(query.server_ip, "\x0a\x00\x00\x01", 4);
	query.client_port = (uint16_t)(1000 + number);
	query.server_port = 53;
	query.id = 4711;
	query.qtype = 1;
	query.family = RECORD_FAMILY_IPV4;
	query.protocol = IPPROTO_UDP;
	example_set_name(&query, "example.org");
	return query;
}

#endif
