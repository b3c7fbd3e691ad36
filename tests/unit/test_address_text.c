/* SPDX-License-Identifier: Apache-2.0 */
#include "common/address_text.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const char *address)
{
	static char text[ADDRESS_TEXT_BYTES_MAX + 1];
	bool ipv6 = strchr(address, ':') != NULL;
	uint8_t ip[16];
	size_t length;

	cr_assert_eq(inet_pton(ipv6 ? AF_INET6 : AF_INET, address, ip), 1, "%s", address);
	length = address_text(text, ipv6, ip);
	cr_assert_leq(length, ADDRESS_TEXT_BYTES_MAX);
	text[length] = '\0';
	return text;
}

Test(address_text, follows_rfc_5952)
{
	static const struct {
		const char *address;
		const char *expected;
	} cases[] = {
		{"0.0.0.0", "0.0.0.0"},
		{"127.0.0.1", "127.0.0.1"},
		{"10.99.100.109", "10.99.100.109"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"1::", "1::"},
		{"2001:db8::1", "2001:db8::1"},
		{"2001:0DB8:0:0:0:0:2:1", "2001:db8::2:1"},
		/* 4.2.2: one zero group is not shortened. */
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		/* 4.2.3: the longest run, of equal ones the first. */
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"0:0:1:0:0:0:0:0", "0:0:1::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"fe80::a:bc:def:1234", "fe80::a:bc:def:1234"},
		/* 5: IPv4-mapped. */
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_str_eq(text_of(cases[i].address), cases[i].expected);
}

Test(address_text, agrees_with_inet_ntop)
{
	char expected[INET6_ADDRSTRLEN];
	char text[ADDRESS_TEXT_BYTES_MAX + 1];
	uint8_t ip[16];

	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		/* The bits of mask say which of the 16 bytes are 0, so that runs of all lengths come. */
		long mask = random() & random();
		size_t length;

		for (unsigned i = 0; i < 16; i++)
			ip[i] = mask >> (i / 2) & 1 ? (uint8_t)random() : 0;
		/* inet_ntop() writes ::a.b.c.d for what RFC 4291, 2.5.5.1 has withdrawn. */
		ip[0] |= 0x20;
		inet_ntop(AF_INET6, ip, expected, sizeof(expected));
		length = address_text(text, true, ip);
		text[length] = '\0';
		cr_assert_str_eq(text, expected);
		inet_ntop(AF_INET, ip, expected, sizeof(expected));
		length = address_text(text, false, ip);
		text[length] = '\0';
		cr_assert_str_eq(text, expected);
	}
}
