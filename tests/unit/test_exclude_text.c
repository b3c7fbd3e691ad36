/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/exclude_text.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

Test(exclude_text, reads_addresses_exactly_and_writes_them_in_their_short_form)
{
	static const struct {
		const char *text;
		uint8_t family;
		uint8_t bits;
		const char *again;
	} cases[] = {
		{"*", EXCLUDE_ANY_FAMILY, 0, "*"},
		{"10.0.0.1", EXCLUDE_IPV4, 32, "10.0.0.1"},
		{"10.0.0.1/32", EXCLUDE_IPV4, 32, "10.0.0.1"},
		{"10.0.0.0/8", EXCLUDE_IPV4, 8, "10.0.0.0/8"},
		{"0.0.0.0/0", EXCLUDE_IPV4, 0, "0.0.0.0/0"},
		{"255.255.255.254/31", EXCLUDE_IPV4, 31, "255.255.255.254/31"},
		{"::/0", EXCLUDE_IPV6, 0, "::/0"},
		/* One address, not the /64 around it, and in every spelling. */
		{"::1", EXCLUDE_IPV6, 128, "::1"},
		{"fd00::1", EXCLUDE_IPV6, 128, "fd00::1"},
		{"2001:DB8:0:0:0:0:0:1", EXCLUDE_IPV6, 128, "2001:db8::1"},
		{"2001:db8:1:2:3:4:5:6", EXCLUDE_IPV6, 128, "2001:db8:1:2:3:4:5:6"},
		{"2001:db8::/32", EXCLUDE_IPV6, 32, "2001:db8::/32"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", EXCLUDE_IPV6, 127,
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[EXCLUDE_ADDRESS_BYTES];
		struct exclude_prefix prefix;
		struct exclude_prefix again;
		const char *why;

		cr_assert_eq(exclude_prefix_parse(&prefix, cases[i].text, &why), 0, "%s: %s",
			     cases[i].text, why);
		cr_expect_eq(prefix.family, cases[i].family, "%s", cases[i].text);
		cr_expect_eq(prefix.bits, cases[i].bits, "%s", cases[i].text);
		exclude_prefix_format(text, &prefix);
		cr_expect_str_eq(text, cases[i].again);
		cr_assert_eq(exclude_prefix_parse(&again, text, &why), 0);
		cr_expect(exclude_prefix_equal(&prefix, &again), "%s", text);
	}
}

Test(exclude_text, refuses_what_is_nearly_an_address_and_says_why)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"", "not \"*\""},
		{"10.0.0.*", "not \"*\""},
		{"**", "not \"*\""},
		{"10.0.1", "not \"*\""},
		{"010.0.0.1", "not \"*\""},
		{"10.0.0.1 ", "not \"*\""},
		{"localhost", "not \"*\""},
		{"fe80::1%eth0", "not \"*\""},
		{"1::2::3", "not \"*\""},
		{"/8", "not \"*\""},
		{"*/8", "not \"*\""},
		{"10.0.0.0/33", "from 0 to 32"},
		{"10.0.0.0/", "from 0 to 32"},
		{"10.0.0.0/08", "from 0 to 32"},
		{"10.0.0.0/8/8", "from 0 to 32"},
		{"10.0.0.0/-8", "from 0 to 32"},
		{"fd00::/129", "from 0 to 128"},
		{"10.0.0.1/8", "behind its prefix"},
		{"0.0.0.1/0", "behind its prefix"},
		{"fd00::1/127", "behind its prefix"},
		{"::ffff:10.0.0.1", "IPv4 address in IPv6 form"},
		{"::ffff:0:0/96", "IPv4 address in IPv6 form"},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111", "too long"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct exclude_prefix prefix;
		const char *why = "";

		cr_expect_eq(exclude_prefix_parse(&prefix, cases[i].text, &why), -EINVAL, "%s",
			     cases[i].text);
		cr_expect_not_null(strstr(why, cases[i].why), "%s: %s", cases[i].text, why);
	}
}

Test(exclude_text, reads_ports_and_writes_them_again)
{
	static const struct {
		const char *text;
		uint16_t low, high;
		uint8_t protocols;
		const char *again;
	} cases[] = {
		{"*", 0, 65535, EXCLUDE_ANY_PROTOCOL, "*"},
		{"443", 443, 443, EXCLUDE_ANY_PROTOCOL, "443"},
		{"1-65535", 1, 65535, EXCLUDE_ANY_PROTOCOL, "1-65535"},
		{"tcp 80", 80, 80, EXCLUDE_TCP, "tcp 80"},
		{"TCP 80", 80, 80, EXCLUDE_TCP, "tcp 80"},
		{"udp  1000-2000", 1000, 2000, EXCLUDE_UDP, "udp 1000-2000"},
		{"Udp *", 0, 65535, EXCLUDE_UDP, "udp *"},
		{"tcp 10000-20000", 10000, 20000, EXCLUDE_TCP, "tcp 10000-20000"},
		{"7-7", 7, 7, EXCLUDE_ANY_PROTOCOL, "7"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[EXCLUDE_PORTS_BYTES];
		struct exclude_ports ports;
		const char *why;

		cr_assert_eq(exclude_ports_parse(&ports, cases[i].text, &why), 0, "%s: %s",
			     cases[i].text, why);
		cr_expect_eq(ports.low, cases[i].low, "%s", cases[i].text);
		cr_expect_eq(ports.high, cases[i].high, "%s", cases[i].text);
		cr_expect_eq(ports.protocols, cases[i].protocols, "%s", cases[i].text);
		exclude_ports_format(text, &ports);
		cr_expect_str_eq(text, cases[i].again);
	}
}

Test(exclude_text, refuses_what_is_nearly_a_port_and_says_why)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"", "not \"*\""},
		{"0", "not \"*\""},
		{"65536", "not \"*\""},
		{"080", "not \"*\""},
		{"-1", "not \"*\""},
		{"+1", "not \"*\""},
		{" 80", "not \"*\""},
		{"tcp", "not \"*\""},
		{"tcp80", "not \"*\""},
		{"sctp 80", "not \"*\""},
		{"tcp udp 80", "not \"*\""},
		{"http", "not \"*\""},
		{"0-5", "not \"*\""},
		{"80 ", "more text"},
		{"80,443", "more text"},
		{"1-2-3", "more text"},
		{"80-", "behind '-'"},
		{"80-65536", "behind '-'"},
		{"80 -90", "more text"},
		{"80- 90", "behind '-'"},
		{"2-1", "ends before"},
		{"80-0", "ends before"},
		{"99999999999999999999", "not \"*\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct exclude_ports ports;
		const char *why = "";

		cr_expect_eq(exclude_ports_parse(&ports, cases[i].text, &why), -EINVAL, "%s",
			     cases[i].text);
		cr_expect_not_null(strstr(why, cases[i].why), "%s: %s", cases[i].text, why);
	}
}
