/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/record.h"
#include "worker/conn/local_addresses.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGE LOCAL_ADDRESS_AGE_NS

static struct local_addresses *addresses;
static const uint64_t now_ns = 1000 * AGE;

static void open_addresses(void)
{
	addresses = calloc(1, sizeof(*addresses));
	cr_assert_not_null(addresses);
}

static void close_addresses(void)
{
	free(addresses);
}

TestSuite(local_addresses, .init = open_addresses, .fini = close_addresses);

/* Returns the family. */
static uint8_t parse(const char *text, uint8_t ip[16])
{
	memset(ip, 0, 16);
	if (inet_pton(AF_INET, text, ip) == 1)
		return RECORD_FAMILY_IPV4;
	cr_assert_eq(inet_pton(AF_INET6, text, ip), 1, "%s", text);
	return RECORD_FAMILY_IPV6;
}

static void note(const char *text, uint64_t at_ns)
{
	uint8_t ip[16];
	const uint8_t family = parse(text, ip);

	local_addresses_note(addresses, family, ip, at_ns);
}

static bool has(const char *text, uint64_t at_ns)
{
	uint8_t ip[16];
	const uint8_t family = parse(text, ip);

	return local_addresses_has(addresses, family, ip, at_ns);
}

Test(local_addresses, an_address_of_either_family_is_known_once_it_was_seen)
{
	cr_expect_not(has("10.0.0.5", now_ns));
	cr_expect_not(has("2001:db8::1", now_ns));
	note("10.0.0.5", now_ns);
	note("2001:db8::1", now_ns);
	note("fe80::1", now_ns);
	cr_expect(has("10.0.0.5", now_ns));
	cr_expect(has("2001:db8::1", now_ns));
	cr_expect(has("fe80::1", now_ns));
	cr_expect_not(has("10.0.0.6", now_ns));
	cr_expect_not(has("2001:db8::2", now_ns));
}

Test(local_addresses, the_same_bytes_of_the_other_family_are_another_address)
{
	note("10.0.0.5", now_ns);
	cr_expect_not(has("a00:5::", now_ns));
	note("a00:6::", now_ns);
	cr_expect_not(has("10.0.0.6", now_ns));
}

Test(local_addresses, one_that_was_not_seen_for_its_age_is_forgotten_and_may_come_back)
{
	note("10.0.0.5", now_ns);
	cr_expect(has("10.0.0.5", now_ns + AGE - 1));
	cr_expect_not(has("10.0.0.5", now_ns + AGE));
	note("10.0.0.5", now_ns + AGE - 1);
	cr_expect(has("10.0.0.5", now_ns + AGE));
	note("10.0.0.5", now_ns + 9 * AGE);
	cr_expect(has("10.0.0.5", now_ns + 9 * AGE));
}

Test(local_addresses, one_that_is_seen_later_than_now_is_known)
{
	note("10.0.0.5", now_ns);
	cr_expect(has("10.0.0.5", now_ns - 1));
}

Test(local_addresses, groups_broadcast_and_no_address_are_no_hosts)
{
	static const char *const nobodys[] = {
		"0.0.0.0",	   "224.0.0.251", "239.255.255.250", "240.0.0.1",
		"255.255.255.255", "::",	  "ff02::1:ff00:1",  "ff05::2",
	};

	for (size_t i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
		note(nobodys[i], now_ns);
		cr_expect_not(has(nobodys[i], now_ns), "%s", nobodys[i]);
	}
	note("223.255.255.255", now_ns);
	cr_expect(has("223.255.255.255", now_ns));
	note("1.0.0.0", now_ns);
	cr_expect(has("1.0.0.0", now_ns));
}

/* Addresses of one set, found by filling a table and looking where each one went. */
static unsigned find_neighbours(char texts[][16], unsigned wanted)
{
	unsigned count = 0, first = 0;

	for (unsigned i = 0; i < 65536 && count < wanted; i++) {
		char text[16];
		unsigned set = 0;

		snprintf(text, sizeof(text), "10.7.%u.%u", i >> 8, i & 255);
		memset(addresses, 0, sizeof(*addresses));
		note(text, now_ns);
		while (addresses->ways[set][0].family == 0)
			set++;
		if (count == 0)
			first = set;
		if (set == first)
			strcpy(texts[count++], text);
	}
	memset(addresses, 0, sizeof(*addresses));
	return count;
}

Test(local_addresses, in_a_full_set_the_one_that_was_not_seen_for_longest_makes_room)
{
	char texts[LOCAL_ADDRESS_WAYS + 1][16];

	cr_assert_eq(find_neighbours(texts, LOCAL_ADDRESS_WAYS + 1), LOCAL_ADDRESS_WAYS + 1);
	for (unsigned i = 0; i < LOCAL_ADDRESS_WAYS; i++)
		note(texts[i], now_ns + i);
	note(texts[0], now_ns + 10); /* so that 1 is the one */
	note(texts[LOCAL_ADDRESS_WAYS], now_ns + 11);
	for (unsigned i = 0; i <= LOCAL_ADDRESS_WAYS; i++)
		cr_expect_eq(has(texts[i], now_ns + 12), i != 1, "%u", i);
}

Test(local_addresses, what_is_no_hosts_takes_no_place)
{
	char texts[LOCAL_ADDRESS_WAYS][16];

	cr_assert_eq(find_neighbours(texts, LOCAL_ADDRESS_WAYS), LOCAL_ADDRESS_WAYS);
	for (unsigned i = 0; i < LOCAL_ADDRESS_WAYS; i++)
		note(texts[i], now_ns);
	for (unsigned i = 0; i < 65536; i++) {
		char text[24];

		snprintf(text, sizeof(text), "239.1.%u.%u", i >> 8, i & 255);
		note(text, now_ns + 1);
	}
	for (unsigned i = 0; i < LOCAL_ADDRESS_WAYS; i++)
		cr_expect(has(texts[i], now_ns + 2), "%u", i);
}
