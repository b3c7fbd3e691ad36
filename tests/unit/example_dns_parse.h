/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message of DNS that a test puts together, what dns_message_parse() made of it, and what is
 * asked of it most.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_PARSE_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_PARSE_H

#include "proto/record.h"
#include "tests/unit/example_dns.h"

#include <criterion/criterion.h>

static struct example_dns bytes;
static struct dns_message message;

/* Parses a copy of its exact size, so that a sanitizer sees a look beyond its end. */
static inline enum dns_reject parse_first(size_t length, bool cut)
{
	uint8_t *exact = malloc(length);
	enum dns_reject reject;

	memcpy(exact, bytes.bytes, length);
	memset(&message, 0xee, sizeof(message));
	reject = dns_message_parse(exact, length, cut, &message);
	free(exact);
	return reject;
}

static inline enum dns_reject parse(void)
{
	return parse_first(bytes.length, false);
}

static inline void begin_response(unsigned answers, unsigned authority, unsigned additional)
{
	example_dns_begin(&bytes, 0x1234, EXAMPLE_DNS_RESPONSE, answers, authority, additional);
	example_dns_question(&bytes, "www.example.org", DNS_TYPE_A);
}

static inline void put_owner(const char *name)
{
	example_dns_name(&bytes, name);
}

static inline void put_question_as_owner(void)
{
	example_dns_pointer(&bytes, EXAMPLE_DNS_QUESTION_AT);
}

/* Addresses, of which each is 10.0.0.host or 2001:db8::host; 0 ends the list. */
static inline void expect_hosts(const unsigned *hosts)
{
	unsigned count = 0;

	for (; hosts[count] != 0; count++) {
		const struct dns_address *address = &message.addresses[count];

		cr_assert_lt(count, message.address_count);
		cr_expect_eq(address->ip[address->family == RECORD_FAMILY_IPV6 ? 15 : 3],
			     hosts[count], "%u", count);
	}
	cr_expect_eq(message.address_count, count);
}

#define EXPECT_HOSTS(...) expect_hosts((const unsigned[]){__VA_ARGS__, 0})

static inline void expect_question(const char *expected)
{
	char text[DNS_NAME_TEXT_BYTES];

	dns_name_text(&message.question, text);
	cr_expect_str_eq(text, expected);
}

#endif
