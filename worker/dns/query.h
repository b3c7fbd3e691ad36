/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What identifies a DNS query: who asks whom, under which id, for what. An answer has the same once its
 * ends are turned round. All of it is compared, the question too, so that an answer counts only for
 * the question that it repeats (RFC 5452 4.2): whoever guesses an id must know the question as well.
 *
 * The members are in one piece without padding, and what of the name is not used does not count: a query is
 * compared and hashed as its first dns_query_bytes().
 */
#ifndef SOCKWARDEN_WORKER_DNS_QUERY_H
#define SOCKWARDEN_WORKER_DNS_QUERY_H

#include "proto/record.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DNS_QUERY_NAME_BYTES 255 /* RFC 1035 2.3.4 */

struct dns_query {
	uint8_t client_ip[16]; /* network order; IPv4: the first four bytes, the rest 0 */
	uint8_t server_ip[16];
	uint16_t client_port; /* ports, id and type in host order */
	uint16_t server_port;
	uint16_t id;
	uint16_t qtype;
	uint8_t family;			    /* enum record_family */
	uint8_t protocol;		    /* IPPROTO_UDP or IPPROTO_TCP */
	uint8_t name_length;		    /* 0..255; 0: names are not looked at */
	uint8_t name[DNS_QUERY_NAME_BYTES]; /* wire form, letters in lower case */
};

_Static_assert(offsetof(struct dns_query, name) == 43, "no padding");

static inline size_t dns_query_bytes(const struct dns_query *query)
{
	return offsetof(struct dns_query, name) + query->name_length;
}

/* Whether there is such a family, protocol, and addresses of it. */
static inline bool dns_query_is_about(uint8_t family, uint8_t protocol, const uint8_t client_ip[16],
				      const uint8_t server_ip[16])
{
	static const uint8_t zero[12];

	if (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP)
		return false;
	return family == RECORD_FAMILY_IPV6 ||
	       (family == RECORD_FAMILY_IPV4 && memcmp(client_ip + 4, zero, sizeof(zero)) == 0 &&
		memcmp(server_ip + 4, zero, sizeof(zero)) == 0);
}

#endif
