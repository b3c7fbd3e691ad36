/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/record.h"
#include "tests/unit/example_packet.h"
#include "worker/dns/frame.h"

#include <criterion/criterion.h>

#include <netinet/in.h>

#define IPV4 0x0800
#define IPV6 0x86dd
#define TAG 0x8100
#define QINQ 0x88a8
#define MORE_FRAGMENTS 0x2000
#define HOP_BY_HOP 0
#define ROUTING 43
#define FRAGMENT 44
#define DESTINATION 60

static struct example_packet packet;
static struct dns_frame frame;
/* Where a test's payload begins. */
static size_t payload_at;

/* Parses a copy of its exact size, so that a sanitizer sees a look beyond its end. */
static enum dns_frame_reject parse_captured(enum dns_frame_link link, size_t captured, size_t wire)
{
	uint8_t *exact = malloc(captured);
	enum dns_frame_reject reject;

	memcpy(exact, packet.bytes, captured);
	memset(&frame, 0xee, sizeof(frame));
	reject = dns_frame_parse(link, exact, (uint32_t)captured, (uint32_t)wire, &frame);
	if (reject == DNS_FRAME_REJECT_NONE) {
		cr_assert_geq(frame.payload, exact);
		cr_assert_leq(frame.payload + frame.payload_bytes, exact + captured);
		cr_assert_leq(frame.payload_bytes, frame.whole_bytes);
		payload_at = (size_t)(frame.payload - exact);
		frame.payload = NULL;
	}
	free(exact);
	return reject;
}

static enum dns_frame_reject parse(void)
{
	return parse_captured(DNS_FRAME_LINK_ETHERNET, packet.length, packet.length);
}

/* Five bytes of payload, behind what headers there are. */
static size_t put_payload(void)
{
	example_packet_put(&packet, "hello", 5);
	return packet.length - 5;
}

static void expect_ends(bool is_ipv6)
{
	static const uint8_t ipv4[2][16] = {{10, 0, 0, 5}, {10, 0, 0, 1}};
	static const uint8_t ipv6[2][16] = {{0x20, 1, 0x0d, 0xb8, [15] = 5},
					    {0x20, 1, 0x0d, 0xb8, [15] = 1}};

	cr_expect_eq(frame.family, is_ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4);
	cr_expect_arr_eq(frame.source_ip, is_ipv6 ? ipv6[0] : ipv4[0], 16);
	cr_expect_arr_eq(frame.destination_ip, is_ipv6 ? ipv6[1] : ipv4[1], 16);
	cr_expect_eq(frame.source_port, 1234);
	cr_expect_eq(frame.destination_port, 53);
}

Test(dns_frame, reads_every_fact_of_a_datagram_of_ipv4)
{
	for (unsigned options = 0; options <= 10; options++) {
		size_t at;

		example_packet_ethernet(&packet, IPV4);
		example_packet_ipv4(&packet, IPPROTO_UDP, 0, options, 13);
		example_packet_udp(&packet, 5);
		at = put_payload();
		cr_assert_eq(parse(), DNS_FRAME_REJECT_NONE, "%u", options);
		expect_ends(false);
		cr_expect_eq(frame.protocol, IPPROTO_UDP);
		cr_expect_eq(payload_at, at);
		cr_expect_eq(frame.payload_bytes, 5);
		cr_expect_eq(frame.whole_bytes, 5);
		cr_expect_not(frame.cut);
		cr_expect_not(frame.fragment);
		cr_expect_eq(frame.tcp_seq, 0);
		cr_expect_eq(frame.tcp_flags, 0);
	}
}

Test(dns_frame, reads_every_fact_of_a_segment_of_ipv6)
{
	for (unsigned options = 0; options <= 10; options++) {
		size_t at;

		example_packet_ethernet(&packet, IPV6);
		example_packet_ipv6(&packet, IPPROTO_TCP, 25 + 4 * options);
		example_packet_tcp(&packet, 0xfedcba98, DNS_FRAME_SYN | DNS_FRAME_FIN | 0x10,
				   options);
		at = put_payload();
		cr_assert_eq(parse(), DNS_FRAME_REJECT_NONE, "%u", options);
		expect_ends(true);
		cr_expect_eq(frame.protocol, IPPROTO_TCP);
		cr_expect_eq(payload_at, at);
		cr_expect_eq(frame.payload_bytes, 5);
		cr_expect_eq(frame.whole_bytes, 5);
		cr_expect_not(frame.cut);
		cr_expect_eq(frame.tcp_seq, 0xfedcba98);
		cr_expect_eq(frame.tcp_flags, 0x13);
	}
}

Test(dns_frame, tags_are_passed_over_up_to_two)
{
	static const struct {
		unsigned types[4];
		enum dns_frame_reject reject;
	} cases[] = {
		{{TAG, IPV4}, DNS_FRAME_REJECT_NONE},
		{{QINQ, IPV4}, DNS_FRAME_REJECT_NONE},
		{{QINQ, TAG, IPV4}, DNS_FRAME_REJECT_NONE},
		{{TAG, TAG, IPV4}, DNS_FRAME_REJECT_NONE},
		{{0x9100, TAG, IPV4}, DNS_FRAME_REJECT_NONE},
		{{TAG, TAG, TAG, IPV4}, DNS_FRAME_REJECT_ETHERTYPE},
		{{0x0806}, DNS_FRAME_REJECT_ETHERTYPE},
		{{TAG, 0x0806}, DNS_FRAME_REJECT_ETHERTYPE},
		{{100, 0}, DNS_FRAME_REJECT_ETHERTYPE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		example_packet_ethernet(&packet, cases[i].types[0]);
		for (unsigned k = 1; k < 4 && cases[i].types[k] != 0; k++)
			example_packet_tag(&packet, cases[i].types[k]);
		example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 13);
		example_packet_udp(&packet, 5);
		put_payload();
		cr_expect_eq(parse(), cases[i].reject, "%zu", i);
		if (cases[i].reject == DNS_FRAME_REJECT_NONE)
			expect_ends(false);
	}
}

Test(dns_frame, packets_may_begin_with_ip)
{
	packet.length = 0;
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 13);
	example_packet_udp(&packet, 5);
	put_payload();
	cr_assert_eq(parse_captured(DNS_FRAME_LINK_IP, packet.length, packet.length),
		     DNS_FRAME_REJECT_NONE);
	expect_ends(false);
	packet.length = 0;
	example_packet_ipv6(&packet, IPPROTO_UDP, 13);
	example_packet_udp(&packet, 5);
	put_payload();
	cr_assert_eq(parse_captured(DNS_FRAME_LINK_IP, packet.length, packet.length),
		     DNS_FRAME_REJECT_NONE);
	expect_ends(true);
	packet.bytes[0] = 0x55;
	cr_expect_eq(parse_captured(DNS_FRAME_LINK_IP, packet.length, packet.length),
		     DNS_FRAME_REJECT_IP);
	cr_expect_eq(parse_captured(DNS_FRAME_LINK_IP, 0, 0), DNS_FRAME_REJECT_LINK);
}

Test(dns_frame, of_fragments_only_the_first_is_taken)
{
	static const struct {
		unsigned flags;
		enum dns_frame_reject reject;
	} cases[] = {
		{0, DNS_FRAME_REJECT_NONE},
		{0x4000, DNS_FRAME_REJECT_NONE},
		{MORE_FRAGMENTS, DNS_FRAME_REJECT_NONE},
		{1, DNS_FRAME_REJECT_FRAGMENT},
		{0x1fff, DNS_FRAME_REJECT_FRAGMENT},
		{MORE_FRAGMENTS | 1, DNS_FRAME_REJECT_FRAGMENT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		example_packet_ethernet(&packet, IPV4);
		example_packet_ipv4(&packet, IPPROTO_UDP, cases[i].flags, 0, 13);
		example_packet_udp(&packet, 5);
		put_payload();
		cr_expect_eq(parse(), cases[i].reject, "%zu", i);
	}
	for (unsigned flags = 0; flags < 32; flags++) {
		example_packet_ethernet(&packet, IPV6);
		example_packet_ipv6(&packet, FRAGMENT, 21);
		example_packet_fragment(&packet, IPPROTO_UDP, flags);
		example_packet_udp(&packet, 5);
		put_payload();
		cr_expect_eq(parse(), flags < 8 ? DNS_FRAME_REJECT_NONE : DNS_FRAME_REJECT_FRAGMENT,
			     "%u", flags);
	}
}

Test(dns_frame, a_first_fragment_has_a_part_of_its_datagram)
{
	for (unsigned is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		example_packet_ethernet(&packet, is_ipv6 ? IPV6 : IPV4);
		if (is_ipv6) {
			example_packet_ipv6(&packet, FRAGMENT, 21);
			example_packet_fragment(&packet, IPPROTO_UDP, 1);
		} else {
			example_packet_ipv4(&packet, IPPROTO_UDP, MORE_FRAGMENTS, 0, 13);
		}
		example_packet_udp(&packet, 2000);
		put_payload();
		cr_assert_eq(parse(), DNS_FRAME_REJECT_NONE);
		cr_expect_eq(frame.payload_bytes, 5);
		cr_expect_eq(frame.whole_bytes, 2000);
		cr_expect(frame.cut);
		cr_expect(frame.fragment);
	}
	example_packet_ethernet(&packet, IPV4);
	example_packet_ipv4(&packet, IPPROTO_TCP, MORE_FRAGMENTS, 0, 25);
	example_packet_tcp(&packet, 1, 0, 0);
	put_payload();
	cr_assert_eq(parse(), DNS_FRAME_REJECT_NONE);
	cr_expect(frame.cut, "the rest of the segment");
	cr_expect(frame.fragment);
}

Test(dns_frame, extension_headers_are_passed_over_up_to_a_limit)
{
	static const unsigned kinds[] = {HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT};

	for (unsigned count = 0; count <= DNS_FRAME_EXTENSIONS_MAX + 1; count++) {
		unsigned length = 13;

		for (unsigned i = 0; i < count; i++)
			length += kinds[i % 4] == FRAGMENT ? 8 : 8 + 8 * (i % 3);
		example_packet_ethernet(&packet, IPV6);
		example_packet_ipv6(&packet, count > 0 ? kinds[0] : IPPROTO_UDP, length);
		for (unsigned i = 0; i < count; i++) {
			const unsigned next = i + 1 < count ? kinds[(i + 1) % 4] : IPPROTO_UDP;

			if (kinds[i % 4] == FRAGMENT)
				example_packet_fragment(&packet, next, 0);
			else
				example_packet_extension(&packet, next, i % 3);
		}
		example_packet_udp(&packet, 5);
		put_payload();
		cr_expect_eq(parse(),
			     count <= DNS_FRAME_EXTENSIONS_MAX ? DNS_FRAME_REJECT_NONE
							       : DNS_FRAME_REJECT_EXTENSION,
			     "%u", count);
		if (count <= DNS_FRAME_EXTENSIONS_MAX)
			expect_ends(true);
	}
	/* One that is longer than its packet. */
	example_packet_ethernet(&packet, IPV6);
	example_packet_ipv6(&packet, ROUTING, 21);
	example_packet_extension(&packet, IPPROTO_UDP, 0);
	packet.bytes[packet.length - 7] = 2;
	example_packet_udp(&packet, 5);
	put_payload();
	cr_expect_eq(parse(), DNS_FRAME_REJECT_EXTENSION);
}

Test(dns_frame, other_protocols_are_rejected)
{
	static const unsigned protocols[] = {1, 2, 47, 50, 51, 58, 59, 132, 255};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		example_packet_ethernet(&packet, IPV4);
		example_packet_ipv4(&packet, protocols[i], 0, 0, 13);
		example_packet_udp(&packet, 5);
		put_payload();
		cr_expect_eq(parse(), DNS_FRAME_REJECT_PROTOCOL, "%u", protocols[i]);
		example_packet_ethernet(&packet, IPV6);
		example_packet_ipv6(&packet, protocols[i], 13);
		example_packet_udp(&packet, 5);
		put_payload();
		cr_expect_eq(parse(), DNS_FRAME_REJECT_PROTOCOL, "%u", protocols[i]);
	}
}

/* Lengths that lie, each in its byte of a packet with the payload hello. */
struct lie {
	size_t at;
	uint8_t byte;
	enum dns_frame_reject reject;
	uint32_t payload_bytes;
};

static void expect_lies(unsigned type, unsigned protocol, const struct lie *lies, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned transport = protocol == IPPROTO_UDP ? 8 : 20;

		example_packet_ethernet(&packet, type);
		if (type == IPV4)
			example_packet_ipv4(&packet, protocol, 0, 0, transport + 5);
		else
			example_packet_ipv6(&packet, protocol, transport + 5);
		if (protocol == IPPROTO_UDP)
			example_packet_udp(&packet, 5);
		else
			example_packet_tcp(&packet, 1, 0, 0);
		put_payload();
		packet.bytes[lies[i].at] = lies[i].byte;
		cr_expect_eq(parse(), lies[i].reject, "%x %u: %zu", type, protocol, i);
		if (lies[i].reject == DNS_FRAME_REJECT_NONE) {
			cr_expect_eq(frame.payload_bytes, lies[i].payload_bytes, "%zu", i);
			cr_expect_eq(frame.whole_bytes, lies[i].payload_bytes, "%zu", i);
		}
	}
}

Test(dns_frame, lengths_that_lie_are_rejected)
{
	static const struct lie ipv4_udp[] = {
		{14, 0x55, DNS_FRAME_REJECT_IP, 0},	 {14, 0x44, DNS_FRAME_REJECT_IP, 0},
		{14, 0x4f, DNS_FRAME_REJECT_IP, 0},	 {17, 19, DNS_FRAME_REJECT_IP, 0},
		{17, 34, DNS_FRAME_REJECT_IP, 0},	 {16, 1, DNS_FRAME_REJECT_IP, 0},
		{17, 27, DNS_FRAME_REJECT_TRANSPORT, 0}, {17, 32, DNS_FRAME_REJECT_TRANSPORT, 0},
		{39, 7, DNS_FRAME_REJECT_TRANSPORT, 0},	 {39, 14, DNS_FRAME_REJECT_TRANSPORT, 0},
		{38, 1, DNS_FRAME_REJECT_TRANSPORT, 0},	 {39, 8, DNS_FRAME_REJECT_NONE, 0},
		{39, 12, DNS_FRAME_REJECT_NONE, 4},	 {39, 0, DNS_FRAME_REJECT_NONE, 5},
		{17, 0, DNS_FRAME_REJECT_NONE, 5},
	};
	static const struct lie ipv4_tcp[] = {
		{46, 0x40, DNS_FRAME_REJECT_TRANSPORT, 0},
		{46, 0xf0, DNS_FRAME_REJECT_TRANSPORT, 0},
		{46, 0x70, DNS_FRAME_REJECT_TRANSPORT, 0},
		{46, 0x60, DNS_FRAME_REJECT_NONE, 1},
		{17, 40, DNS_FRAME_REJECT_NONE, 0},
		{17, 39, DNS_FRAME_REJECT_TRANSPORT, 0},
		{17, 0, DNS_FRAME_REJECT_NONE, 5},
	};
	static const struct lie ipv6_udp[] = {
		{14, 0x40, DNS_FRAME_REJECT_IP, 0},	{19, 14, DNS_FRAME_REJECT_IP, 0},
		{18, 1, DNS_FRAME_REJECT_IP, 0},	{19, 12, DNS_FRAME_REJECT_TRANSPORT, 0},
		{19, 7, DNS_FRAME_REJECT_TRANSPORT, 0}, {19, 0, DNS_FRAME_REJECT_NONE, 5},
	};

	expect_lies(IPV4, IPPROTO_UDP, ipv4_udp, sizeof(ipv4_udp) / sizeof(ipv4_udp[0]));
	expect_lies(IPV4, IPPROTO_TCP, ipv4_tcp, sizeof(ipv4_tcp) / sizeof(ipv4_tcp[0]));
	expect_lies(IPV6, IPPROTO_UDP, ipv6_udp, sizeof(ipv6_udp) / sizeof(ipv6_udp[0]));
}

Test(dns_frame, padding_of_a_short_frame_is_no_payload)
{
	example_packet_ethernet(&packet, IPV4);
	example_packet_ipv4(&packet, IPPROTO_TCP, 0, 0, 20);
	example_packet_tcp(&packet, 1, DNS_FRAME_RST, 0);
	example_packet_zeros(&packet, 6);
	cr_assert_eq(parse(), DNS_FRAME_REJECT_NONE);
	cr_expect_eq(frame.whole_bytes, 0);
	cr_expect_eq(frame.payload_bytes, 0);
	cr_expect_not(frame.cut);
}

Test(dns_frame, what_was_not_captured_is_missed_wherever_it_ends)
{
	for (unsigned protocol = IPPROTO_TCP; protocol <= IPPROTO_UDP;
	     protocol += IPPROTO_UDP - IPPROTO_TCP) {
		const unsigned transport = protocol == IPPROTO_UDP ? 8 : 24;
		size_t at;

		example_packet_ethernet(&packet, TAG);
		example_packet_tag(&packet, IPV6);
		example_packet_ipv6(&packet, DESTINATION, 16 + transport + 5);
		example_packet_extension(&packet, protocol, 1);
		if (protocol == IPPROTO_UDP)
			example_packet_udp(&packet, 5);
		else
			example_packet_tcp(&packet, 1, 0, 1);
		at = put_payload();
		for (size_t captured = 0; captured <= packet.length; captured++) {
			const enum dns_frame_reject reject =
				parse_captured(DNS_FRAME_LINK_ETHERNET, captured, packet.length);

			if (captured < 18)
				cr_expect_eq(reject, DNS_FRAME_REJECT_LINK, "%zu", captured);
			else if (captured < 58)
				cr_expect_eq(reject, DNS_FRAME_REJECT_IP, "%zu", captured);
			else if (captured < 74)
				cr_expect_eq(reject, DNS_FRAME_REJECT_EXTENSION, "%zu", captured);
			else if (captured < at)
				cr_expect_eq(reject, DNS_FRAME_REJECT_TRANSPORT, "%zu", captured);
			else
				cr_expect_eq(reject, DNS_FRAME_REJECT_NONE, "%zu", captured);
			if (captured < at)
				continue;
			cr_expect_eq(frame.payload_bytes, captured - at);
			cr_expect_eq(frame.whole_bytes, 5);
			cr_expect_eq(frame.cut, captured < packet.length);
		}
	}
}

Test(dns_frame, a_packet_that_is_not_cut_into_segments_yet_may_say_no_length)
{
	example_packet_ethernet(&packet, IPV4);
	example_packet_ipv4(&packet, IPPROTO_TCP, 0, 0, 0);
	packet.bytes[17] = 0;
	example_packet_tcp(&packet, 1, 0, 0);
	put_payload();
	cr_assert_eq(parse_captured(DNS_FRAME_LINK_ETHERNET, packet.length, 150000),
		     DNS_FRAME_REJECT_NONE);
	cr_expect_eq(frame.payload_bytes, 5);
	cr_expect_eq(frame.whole_bytes, 150000 - 54);
	cr_expect(frame.cut);
}

Test(dns_frame, fewer_bytes_on_the_wire_than_captured_are_as_many)
{
	example_packet_ethernet(&packet, IPV4);
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 13);
	example_packet_udp(&packet, 5);
	put_payload();
	cr_expect_eq(parse_captured(DNS_FRAME_LINK_ETHERNET, packet.length, 0),
		     DNS_FRAME_REJECT_NONE);
	cr_expect_eq(frame.payload_bytes, 5);
}

Test(dns_frame, every_reason_has_a_name_of_its_own)
{
	cr_expect_null(dns_frame_reject_name(DNS_FRAME_REJECT_NONE));
	for (unsigned i = 1; i < DNS_FRAME_REJECT_COUNT; i++) {
		const char *name = dns_frame_reject_name((enum dns_frame_reject)i);

		cr_assert_not_null(name);
		for (unsigned k = 1; k < i; k++)
			cr_expect_str_neq(name, dns_frame_reject_name((enum dns_frame_reject)k));
	}
}
