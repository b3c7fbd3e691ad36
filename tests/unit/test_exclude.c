/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "worker/exclude.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct exclude exclude;
static struct config config;

static void configure(const char *source, const char *destination)
{
	char error[CONFIG_ERROR_BYTES];
	char text[1024];
	int length;

	length = snprintf(text, sizeof(text),
			  "{\"exclude\": {\"source\": %s, \"destination\": %s}}", source,
			  destination);
	cr_assert(length > 0 && (size_t)length < sizeof(text));
	config_default(&config);
	cr_assert_eq(config_apply(&config, "F", text, (size_t)length, error, sizeof(error)), 0,
		     "%s", error);
	exclude_build(&exclude, &config.exclude_source, &config.exclude_destination);
}

static struct conn_record record_of(const char *local, uint16_t local_port, const char *remote,
				    uint16_t remote_port, uint8_t protocol)
{
	const bool ipv6 = strchr(local, ':') != NULL;
	struct conn_record record = example_record();

	record.family = ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4;
	record.protocol = protocol;
	record.local_port = local_port;
	record.remote_port = remote_port;
	memset(record.local_ip, 0, sizeof(record.local_ip));
	memset(record.remote_ip, 0, sizeof(record.remote_ip));
	cr_assert_eq(inet_pton(ipv6 ? AF_INET6 : AF_INET, local, record.local_ip), 1);
	cr_assert_eq(inet_pton(ipv6 ? AF_INET6 : AF_INET, remote, record.remote_ip), 1);
	return record;
}

Test(exclude, takes_any_item_that_matches_an_end)
{
	static const struct {
		const char *source;
		const char *destination;
		const char *local;
		uint16_t local_port;
		const char *remote;
		uint16_t remote_port;
		uint8_t protocol;
		bool excluded;
	} cases[] = {
		{"{}", "{}", "10.0.0.1", 1, "10.0.0.2", 2, IPPROTO_TCP, false},
		/* source is the local end, destination the remote one. */
		{"{\"10.0.0.1\": [\"80\"]}", "{}", "10.0.0.1", 80, "9.9.9.9", 1, IPPROTO_TCP, true},
		{"{\"10.0.0.1\": [\"80\"]}", "{}", "9.9.9.9", 1, "10.0.0.1", 80, IPPROTO_TCP,
		 false},
		{"{}", "{\"10.0.0.1\": [\"80\"]}", "9.9.9.9", 1, "10.0.0.1", 80, IPPROTO_TCP, true},
		{"{}", "{\"10.0.0.1\": [\"80\"]}", "10.0.0.1", 80, "9.9.9.9", 1, IPPROTO_TCP,
		 false},
		/* Protocols. */
		{"{\"*\": [\"tcp 53\"]}", "{}", "10.0.0.1", 53, "9.9.9.9", 1, IPPROTO_TCP, true},
		{"{\"*\": [\"tcp 53\"]}", "{}", "10.0.0.1", 53, "9.9.9.9", 1, IPPROTO_UDP, false},
		{"{\"*\": [\"udp 53\"]}", "{}", "10.0.0.1", 53, "9.9.9.9", 1, IPPROTO_UDP, true},
		{"{\"*\": [\"53\"]}", "{}", "10.0.0.1", 53, "9.9.9.9", 1, IPPROTO_UDP, true},
		{"{\"*\": [\"53\"]}", "{}", "fd00::1", 53, "fd00::2", 1, IPPROTO_UDP, true},
		{"{\"*\": [\"udp *\"]}", "{}", "fd00::1", 0, "fd00::2", 1, IPPROTO_UDP, true},
		/* Ends of a range, and beside them. */
		{"{\"*\": [\"10-20\"]}", "{}", "1.1.1.1", 10, "9.9.9.9", 1, IPPROTO_TCP, true},
		{"{\"*\": [\"10-20\"]}", "{}", "1.1.1.1", 20, "9.9.9.9", 1, IPPROTO_TCP, true},
		{"{\"*\": [\"10-20\"]}", "{}", "1.1.1.1", 9, "9.9.9.9", 1, IPPROTO_TCP, false},
		{"{\"*\": [\"10-20\"]}", "{}", "1.1.1.1", 21, "9.9.9.9", 1, IPPROTO_TCP, false},
		{"{\"*\": [\"10-20\", \"15-30\", \"5\"]}", "{}", "1.1.1.1", 25, "9.9.9.9", 1,
		 IPPROTO_TCP, true},
		/* An IPv6 address is itself, not its /64. */
		{"{\"fd00::1\": [\"*\"]}", "{}", "fd00::1", 1, "fd00::9", 1, IPPROTO_TCP, true},
		{"{\"fd00::1\": [\"*\"]}", "{}", "fd00::2", 1, "fd00::9", 1, IPPROTO_TCP, false},
		{"{\"fd00::/64\": [\"*\"]}", "{}", "fd00::2", 1, "fd00::9", 1, IPPROTO_TCP, true},
		{"{\"fd00::/64\": [\"*\"]}", "{}", "fd00:0:0:1::", 1, "fd00::9", 1, IPPROTO_TCP,
		 false},
		/* One family's everything is not the other's. */
		{"{\"0.0.0.0/0\": [\"*\"]}", "{}", "fd00::1", 1, "fd00::9", 1, IPPROTO_TCP, false},
		{"{\"::/0\": [\"*\"]}", "{}", "10.0.0.1", 1, "9.9.9.9", 1, IPPROTO_TCP, false},
		{"{\"0.0.0.0/0\": [\"*\"]}", "{}", "0.0.0.0", 1, "9.9.9.9", 1, IPPROTO_TCP, true},
		/* A smaller prefix does not hide what holds around it. */
		{"{\"10.0.0.0/8\": [\"80\"], \"10.1.0.0/16\": [\"81\"]}", "{}", "10.1.2.3", 80,
		 "9.9.9.9", 1, IPPROTO_TCP, true},
		{"{\"10.0.0.0/8\": [\"80\"], \"10.1.0.0/16\": [\"81\"]}", "{}", "10.1.2.3", 81,
		 "9.9.9.9", 1, IPPROTO_TCP, true},
		{"{\"10.0.0.0/8\": [\"80\"], \"10.1.0.0/16\": [\"81\"]}", "{}", "10.2.2.3", 81,
		 "9.9.9.9", 1, IPPROTO_TCP, false},
		/* Behind a prefix that has ended. */
		{"{\"10.0.0.0/8\": [\"80\"], \"10.1.0.0/16\": [\"81\"]}", "{}", "10.200.0.1", 80,
		 "9.9.9.9", 1, IPPROTO_TCP, true},
		{"{\"10.0.0.0/8\": [\"80\"], \"10.1.0.0/16\": [\"81\"]}", "{}", "11.0.0.0", 80,
		 "9.9.9.9", 1, IPPROTO_TCP, false},
		{"{}", "{\"255.255.255.255\": [\"*\"]}", "1.1.1.1", 1, "255.255.255.255", 9,
		 IPPROTO_UDP, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conn_record record = record_of(cases[i].local, cases[i].local_port,
						      cases[i].remote, cases[i].remote_port,
						      cases[i].protocol);

		configure(cases[i].source, cases[i].destination);
		cr_expect_eq(exclude_matches(&exclude, &record), cases[i].excluded, "case %zu", i);
	}
}

static uint64_t seed = 1;

/* xorshift64 (Marsaglia, 2003). */
static uint32_t random_below(uint32_t end)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % end;
}

/* Addresses from a small world, so that prefixes nest and meet. */
static void random_ip(uint8_t ip[16], bool ipv6)
{
	static const uint8_t values[] = {0, 1, 2, 3, 127, 128, 255};
	const unsigned bytes = ipv6 ? 16 : 4;

	memset(ip, 0, 16);
	for (unsigned i = 0; i < bytes; i++) {
		if (i < 2 || i >= bytes - 2)
			ip[i] = values[random_below(sizeof(values))];
	}
}

static void random_excludes(struct config_excludes *excludes, uint32_t count)
{
	memset(excludes, 0, sizeof(*excludes));
	for (; excludes->count < count; excludes->count++) {
		struct exclude_item *item = &excludes->item[excludes->count];
		const uint32_t family = random_below(8);
		const unsigned width = family < 4 ? 32 : 128;

		item->ports.protocols = (uint8_t)(1 + random_below(3));
		item->ports.low = (uint16_t)(1 + random_below(20));
		item->ports.high = (uint16_t)(item->ports.low + random_below(4));
		if (random_below(16) == 0)
			item->ports = (struct exclude_ports){0, 65535, item->ports.protocols, 0};
		if (family == 7 && random_below(8) == 0)
			continue;
		item->prefix.family = family < 4 ? EXCLUDE_IPV4 : EXCLUDE_IPV6;
		item->prefix.bits = (uint8_t)(width - random_below(random_below(2) ? 3 : width));
		random_ip(item->prefix.ip, width == 128);
		for (unsigned bit = item->prefix.bits; bit < width; bit++)
			item->prefix.ip[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
	}
}

/* The same question, item by item and bit by bit. */
static bool matches_item(const struct exclude_item *item, bool ipv6, const uint8_t *ip,
			 uint16_t port, uint8_t protocol)
{
	if (item->prefix.family != EXCLUDE_ANY_FAMILY &&
	    item->prefix.family != (ipv6 ? EXCLUDE_IPV6 : EXCLUDE_IPV4))
		return false;
	for (unsigned bit = 0; bit < item->prefix.bits; bit++) {
		if ((item->prefix.ip[bit / 8] ^ ip[bit / 8]) & (0x80U >> bit % 8))
			return false;
	}
	return item->ports.protocols & (protocol == IPPROTO_UDP ? EXCLUDE_UDP : EXCLUDE_TCP) &&
	       port >= item->ports.low && port <= item->ports.high;
}

static bool matches_slowly(const struct config_excludes *excludes, bool ipv6, const uint8_t *ip,
			   uint16_t port, uint8_t protocol)
{
	for (uint32_t i = 0; i < excludes->count; i++) {
		if (matches_item(&excludes->item[i], ipv6, ip, port, protocol))
			return true;
	}
	return false;
}

Test(exclude, says_the_same_as_a_look_at_each_item)
{
	unsigned excluded = 0;
	unsigned looked = 0;

	for (unsigned round = 0; round < 300; round++) {
		const uint32_t most = round % 10 == 0 ? CONFIG_EXCLUDES_MAX : 12;

		random_excludes(&config.exclude_source, random_below(most + 1));
		random_excludes(&config.exclude_destination, random_below(most + 1));
		exclude_build(&exclude, &config.exclude_source, &config.exclude_destination);
		for (unsigned i = 0; i < 500; i++) {
			struct conn_record record = example_record();
			const bool ipv6 = random_below(2) == 1;
			bool expected;

			record.family = ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4;
			record.protocol = random_below(2) ? IPPROTO_UDP : IPPROTO_TCP;
			record.local_port = (uint16_t)random_below(26);
			record.remote_port = (uint16_t)random_below(26);
			random_ip(record.local_ip, ipv6);
			random_ip(record.remote_ip, ipv6);
			expected = matches_slowly(&config.exclude_source, ipv6, record.local_ip,
						  record.local_port, record.protocol) ||
				   matches_slowly(&config.exclude_destination, ipv6,
						  record.remote_ip, record.remote_port,
						  record.protocol);
			cr_assert_eq(exclude_matches(&exclude, &record), expected,
				     "round %u, record %u", round, i);
			excluded += expected;
			looked++;
		}
	}
	/* Both answers were asked for often enough to mean something. */
	cr_expect_gt(excluded, looked / 10);
	cr_expect_lt(excluded, looked - looked / 10);
}
