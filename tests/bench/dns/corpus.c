/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/dns/corpus.h"

#include "tests/unit/example_dns.h"

#include <stdio.h>

#define NAME_BYTES 128
#define RCODE_NXDOMAIN 3

static struct example_dns message;

/* A name of two to five labels, as hosts have them; sometimes in mixed case (0x20). */
static void random_name(char name[NAME_BYTES])
{
	static const char *const hosts[] = {"www",	 "api",	  "cdn",    "mail",
					    "static",	 "login", "images", "events",
					    "telemetry", "ns1",	  "db-01",  "m"};
	static const char *const zones[] = {"example.org", "example.com",     "example.co.uk",
					    "example.net", "corp.example.de", "edge.example.io"};
	const size_t hosts_count = sizeof(hosts) / sizeof(hosts[0]);
	const size_t zones_count = sizeof(zones) / sizeof(zones[0]);

	snprintf(name, NAME_BYTES, "%s%s%ld.%s", hosts[(size_t)random() % hosts_count],
		 random() % 2 ? ".eu-west-" : "-", random() % 1000,
		 zones[(size_t)random() % zones_count]);
	if (random() % 8 != 0)
		return;
	for (char *at = name; *at != '\0'; at++) {
		if (*at >= 'a' && *at <= 'z' && random() % 2)
			*at = (char)(*at - 32);
	}
}

static void put_address(unsigned type, size_t owner)
{
	example_dns_pointer(&message, owner);
	if (type == DNS_TYPE_AAAA)
		example_dns_aaaa(&message, (uint32_t)random() % 3600, (unsigned)random());
	else
		example_dns_a(&message, (uint32_t)random() % 3600, (unsigned)random() & 0xffffff);
}

static void make_query(unsigned type)
{
	char name[NAME_BYTES];

	random_name(name);
	example_dns_begin(&message, (unsigned)random() & 0xffff, EXAMPLE_DNS_QUERY, 0, 0, 1);
	example_dns_question(&message, name, type);
	example_dns_opt(&message, 0);
}

static void make_response(unsigned type, unsigned aliases, unsigned addresses, bool edns)
{
	static const char *const targets[] = {"edge", "lb-17.eu", "d3adb33f", "star-mini.c10r"};
	size_t owner = EXAMPLE_DNS_QUESTION_AT;
	char name[NAME_BYTES];

	random_name(name);
	example_dns_begin(&message, (unsigned)random() & 0xffff, EXAMPLE_DNS_RESPONSE,
			  aliases + addresses, 0, edns);
	example_dns_question(&message, name, type);
	for (unsigned i = 0; i < aliases; i++) {
		/* Within the zone, or away from it. */
		const bool within = random() % 2;

		random_name(name);
		example_dns_pointer(&message, owner);
		owner = example_dns_cname(&message, 300,
					  within ? targets[(size_t)random() % 4] : name,
					  within ? owner + 1 + message.bytes[owner] : 0);
	}
	for (unsigned i = 0; i < addresses; i++)
		put_address(type, owner);
	if (edns)
		example_dns_opt(&message, 0);
}

static void make_refusal(unsigned type)
{
	char name[NAME_BYTES];

	random_name(name);
	example_dns_begin(&message, (unsigned)random() & 0xffff,
			  EXAMPLE_DNS_RESPONSE | RCODE_NXDOMAIN, 0, 1, 1);
	example_dns_question(&message, name, type);
	example_dns_soa(&message, EXAMPLE_DNS_QUESTION_AT + 1 +
					  (size_t)message.bytes[EXAMPLE_DNS_QUESTION_AT]);
	example_dns_opt(&message, 0);
}

static void store(struct corpus_message *to)
{
	if (message.length > sizeof(to->bytes))
		abort();
	to->length = (uint16_t)message.length;
	memcpy(to->bytes, message.bytes, message.length);
}

void corpus_make(struct corpus_message *messages)
{
	srandom(1);
	for (unsigned i = 0; i < CORPUS_MESSAGES; i++) {
		switch (i % 12) {
		case 0:
		case 1:
			make_query(DNS_TYPE_A);
			break;
		case 2:
			make_query(DNS_TYPE_AAAA);
			break;
		case 3:
		case 4:
			make_response(DNS_TYPE_A, 0, 1 + (unsigned)random() % 4, true);
			break;
		case 5:
			make_response(DNS_TYPE_AAAA, 0, 1 + (unsigned)random() % 4, true);
			break;
		case 6:
		case 7:
			make_response(DNS_TYPE_A, 1, 2, random() % 2);
			break;
		case 8:
			make_response(DNS_TYPE_A, 2 + (unsigned)random() % 3,
				      1 + (unsigned)random() % 8, true);
			break;
		case 9:
			/* The name is there, this type is not. */
			make_response(DNS_TYPE_AAAA, (unsigned)random() % 2, 0, true);
			break;
		case 10:
			make_response(DNS_TYPE_AAAA, 1, 2, true);
			break;
		default:
			make_refusal(random() % 2 ? DNS_TYPE_A : DNS_TYPE_AAAA);
			break;
		}
		store(&messages[i]);
	}
}

void corpus_make_typical(struct corpus_message *messages)
{
	srandom(2);
	for (unsigned i = 0; i < CORPUS_MESSAGES; i++) {
		make_response(DNS_TYPE_A, 1, 2, false);
		store(&messages[i]);
	}
}
