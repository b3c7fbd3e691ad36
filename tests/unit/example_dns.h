/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages put together piece by piece, for unit tests, fuzz seeds and benchmarks. Nothing is
 * checked: what is put is what stands there, right or wrong.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_H

#include "worker/dns/message.h"

#include <stdlib.h>

#define EXAMPLE_DNS_QUERY 0x0100U    /* RD */
#define EXAMPLE_DNS_RESPONSE 0x8180U /* QR, RD, RA */
#define EXAMPLE_DNS_TC 0x0200U
#define EXAMPLE_DNS_IN 1
/* Where the question's name stands. */
#define EXAMPLE_DNS_QUESTION_AT 12

struct example_dns {
	size_t length;
	uint8_t bytes[70000];
};

static inline void example_dns_put(struct example_dns *message, const void *bytes, size_t length)
{
	if (length > sizeof(message->bytes) - message->length)
		abort();
	memcpy(message->bytes + message->length, bytes, length);
	message->length += length;
}

static inline void example_dns_u8(struct example_dns *message, unsigned value)
{
	const uint8_t byte = (uint8_t)value;

	example_dns_put(message, &byte, 1);
}

static inline void example_dns_u16(struct example_dns *message, unsigned value)
{
	example_dns_u8(message, value >> 8);
	example_dns_u8(message, value & 0xff);
}

static inline void example_dns_u32(struct example_dns *message, uint32_t value)
{
	example_dns_u16(message, value >> 16);
	example_dns_u16(message, value & 0xffff);
}

/* Begins a message anew: one question, and so many records in the three sections. */
static inline void example_dns_begin(struct example_dns *message, unsigned id, unsigned flags,
				     unsigned answers, unsigned authority, unsigned additional)
{
	message->length = 0;
	example_dns_u16(message, id);
	example_dns_u16(message, flags);
	example_dns_u16(message, 1);
	example_dns_u16(message, answers);
	example_dns_u16(message, authority);
	example_dns_u16(message, additional);
}

/* The labels of a text with points between; without the end. */
static inline void example_dns_labels(struct example_dns *message, const char *text)
{
	while (*text != '\0') {
		const size_t length = strcspn(text, ".");

		example_dns_u8(message, (unsigned)length);
		example_dns_put(message, text, length);
		text += length + (text[length] == '.');
	}
}

/* "": the root. */
static inline void example_dns_name(struct example_dns *message, const char *text)
{
	example_dns_labels(message, text);
	example_dns_u8(message, 0);
}

static inline void example_dns_pointer(struct example_dns *message, size_t at)
{
	example_dns_u16(message, 0xc000U | (unsigned)at);
}

static inline void example_dns_question(struct example_dns *message, const char *name,
					unsigned type)
{
	example_dns_name(message, name);
	example_dns_u16(message, type);
	example_dns_u16(message, EXAMPLE_DNS_IN);
}

/* What stands behind a record's owner. */
static inline void example_dns_tail(struct example_dns *message, unsigned type, uint32_t ttl,
				    unsigned length)
{
	example_dns_u16(message, type);
	example_dns_u16(message, EXAMPLE_DNS_IN);
	example_dns_u32(message, ttl);
	example_dns_u16(message, length);
}

/* The rest of an A record: 10.0.0.host. */
static inline void example_dns_a(struct example_dns *message, uint32_t ttl, unsigned host)
{
	example_dns_tail(message, DNS_TYPE_A, ttl, 4);
	example_dns_u32(message, 0x0a000000U | host);
}

/* The rest of an AAAA record: 2001:db8::host. */
static inline void example_dns_aaaa(struct example_dns *message, uint32_t ttl, unsigned host)
{
	example_dns_tail(message, DNS_TYPE_AAAA, ttl, 16);
	example_dns_u32(message, 0x20010db8U);
	example_dns_u32(message, 0);
	example_dns_u32(message, 0);
	example_dns_u32(message, host);
}

/*
 * The rest of a CNAME record: labels, and then a pointer to at, or the end if that is 0. Returns
 * where the target stands.
 */
static inline size_t example_dns_cname(struct example_dns *message, uint32_t ttl,
				       const char *labels, size_t at)
{
	size_t length_at, length;

	example_dns_tail(message, DNS_TYPE_CNAME, ttl, 0);
	length_at = message->length - 2;
	example_dns_labels(message, labels);
	if (at > 0)
		example_dns_pointer(message, at);
	else
		example_dns_u8(message, 0);
	length = message->length - length_at - 2;
	message->bytes[length_at] = (uint8_t)(length >> 8);
	message->bytes[length_at + 1] = (uint8_t)length;
	return length_at + 2;
}

/* An OPT record with the upper bits of a response code. */
static inline void example_dns_opt(struct example_dns *message, unsigned extended_rcode)
{
	example_dns_u8(message, 0);
	example_dns_u16(message, DNS_TYPE_OPT);
	example_dns_u16(message, 1232);
	example_dns_u32(message, (uint32_t)extended_rcode << 24);
	example_dns_u16(message, 0);
}

/* A SOA record of the zone that stands at at. */
static inline void example_dns_soa(struct example_dns *message, size_t at)
{
	size_t length_at;

	example_dns_pointer(message, at);
	example_dns_tail(message, 6, 300, 0);
	length_at = message->length - 2;
	example_dns_labels(message, "ns1");
	example_dns_pointer(message, at);
	example_dns_labels(message, "hostmaster");
	example_dns_pointer(message, at);
	for (unsigned i = 0; i < 5; i++)
		example_dns_u32(message, 3600 + i);
	message->bytes[length_at + 1] = (uint8_t)(message->length - length_at - 2);
}

#endif
