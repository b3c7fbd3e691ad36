/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_packet.h"
#include "worker/dns/raw.h"

#include <criterion/criterion.h>

#include <net/ethernet.h>
#include <netinet/in.h>

#define QINQ 0x88a8
#define PAYLOAD 6
#define FIN_ACK 0x11
#define ACK 0x10

static struct example_packet bytes;
static struct packet packet;

static void begin(void)
{
	bytes.length = 0;
}

static enum dns_raw read_as(uint16_t protocol, bool is_outgoing)
{
	const struct ring_frame frame = {
		.bytes = bytes.bytes,
		.captured = (uint32_t)bytes.length,
		.wire = (uint32_t)bytes.length,
		.at_ns = 12345,
		.interface = 3,
		.protocol = protocol,
		.is_outgoing = is_outgoing,
	};

	return dns_raw_read(&frame, &packet);
}

static void put_udp(void)
{
	example_packet_ipv4(&bytes, IPPROTO_UDP, 0, 0, 8 + PAYLOAD);
	example_packet_udp(&bytes, PAYLOAD);
	example_packet_zeros(&bytes, PAYLOAD);
}

static void put_udp6(void)
{
	example_packet_ipv6(&bytes, IPPROTO_UDP, 8 + PAYLOAD);
	example_packet_udp(&bytes, PAYLOAD);
	example_packet_zeros(&bytes, PAYLOAD);
}

static void put_tcp(unsigned flags, unsigned payload)
{
	begin();
	example_packet_ipv4(&bytes, IPPROTO_TCP, 0, 0, 20 + payload);
	example_packet_tcp(&bytes, 77, flags, 0);
	example_packet_zeros(&bytes, payload);
	example_packet_zeros(&bytes, 6); /* a short frame is padded */
}

Test(dns_raw, a_packet_has_the_words_of_the_other_filter)
{
	begin();
	put_udp();
	cr_assert_eq(read_as(ETHERTYPE_IP, true), DNS_RAW_PACKET);
	cr_expect_eq(packet.record.kind, RECORD_KIND_PACKET);
	cr_expect_eq(packet.record.version, RECORD_VERSION);
	cr_expect_eq(packet.record.family, RECORD_FAMILY_IPV4);
	cr_expect_eq(packet.record.protocol, IPPROTO_UDP);
	cr_expect_eq(packet.record.flags, PACKET_OUTGOING_FLAG);
	cr_expect_eq(packet.record.at_ns, 12345);
	cr_expect_eq(packet.record.interface, 3);
	cr_expect_eq(packet.record.source_port, 1234);
	cr_expect_eq(packet.record.destination_port, 53);
	cr_expect_eq(packet.record.payload_bytes, PAYLOAD);
	cr_expect_eq(packet.record.source_ip[3], 5);
	cr_expect_eq(packet.record.destination_ip[3], 1);
	cr_expect_eq(packet.length, PAYLOAD);
	cr_expect_eq(packet.payload, bytes.bytes + 28);
}

Test(dns_raw, segments_that_say_nothing_are_silent)
{
	put_tcp(ACK, 0);
	cr_expect_eq(read_as(ETHERTYPE_IP, false), DNS_RAW_SILENT);
	put_tcp(ACK, 1);
	cr_expect_eq(read_as(ETHERTYPE_IP, false), DNS_RAW_PACKET);
	cr_expect_eq(packet.record.payload_bytes, 1);
	cr_expect_eq(packet.record.sequence, 77);
	for (unsigned flag = 1; flag <= 4; flag <<= 1) {
		put_tcp(ACK | flag, 0);
		cr_expect_eq(read_as(ETHERTYPE_IP, false), DNS_RAW_PACKET);
		cr_expect_eq(packet.record.tcp_flags, ACK | flag);
	}
}

Test(dns_raw, of_fragments_the_first_is_one)
{
	begin();
	example_packet_ipv4(&bytes, IPPROTO_UDP, 0x2000, 0, 16);
	example_packet_udp(&bytes, 3000);
	example_packet_zeros(&bytes, 8);
	cr_assert_eq(read_as(ETHERTYPE_IP, false), DNS_RAW_PACKET);
	cr_expect_eq(packet.record.flags, PACKET_FRAGMENT_FLAG);
	cr_expect_eq(packet.record.payload_bytes, 3000);
	cr_expect_eq(packet.length, 8);
	begin();
	example_packet_ipv4(&bytes, IPPROTO_UDP, 2, 0, 16);
	example_packet_zeros(&bytes, 16);
	cr_expect_eq(read_as(ETHERTYPE_IP, false), DNS_RAW_FRAGMENT);
}

Test(dns_raw, lengths_that_contradict_each_other_are_malformed)
{
	for (unsigned said = 0; said < 40; said++) {
		begin();
		example_packet_ipv4(&bytes, IPPROTO_UDP, 0, 0, 8 + PAYLOAD);
		example_packet_udp(&bytes, said);
		example_packet_zeros(&bytes, PAYLOAD + 10);
		cr_expect_eq(read_as(ETHERTYPE_IP, false),
			     said <= PAYLOAD ? DNS_RAW_PACKET : DNS_RAW_MALFORMED, "%u", said);
		if (said <= PAYLOAD)
			cr_expect_eq(packet.record.payload_bytes, said);
	}
}

Test(dns_raw, as_much_payload_is_given_as_the_other_filter_copies)
{
	static uint8_t large[28 + PACKET_PAYLOAD_MAX + 400];
	const struct ring_frame frame = {
		.bytes = large,
		.captured = PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX < sizeof(large)
				    ? PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX
				    : sizeof(large),
		.wire = sizeof(large),
		.protocol = ETHERTYPE_IP,
	};

	begin();
	example_packet_ipv4(&bytes, IPPROTO_UDP, 0, 0, sizeof(large) - 20);
	example_packet_udp(&bytes, sizeof(large) - 28);
	memcpy(large, bytes.bytes, bytes.length);
	cr_assert_eq(dns_raw_read(&frame, &packet), DNS_RAW_PACKET);
	cr_expect_eq(packet.length, PACKET_PAYLOAD_MAX);
	cr_expect_eq(packet.record.length, PACKET_PAYLOAD_MAX);
	cr_expect_eq(packet.record.payload_bytes, PACKET_PAYLOAD_MAX + 400);
}

Test(dns_raw, what_has_more_headers_than_the_other_filter_copies_is_malformed)
{
	/* 40 of IPv6, 8 of UDP; an extension of 464 just fits. */
	for (unsigned more_units = 56; more_units <= 58; more_units++) {
		begin();
		example_packet_ipv6(&bytes, IPPROTO_DSTOPTS, 8 + 8 * more_units + 8);
		example_packet_u8(&bytes, IPPROTO_UDP);
		example_packet_u8(&bytes, more_units);
		for (unsigned i = 0; i < more_units; i++)
			example_packet_zeros(&bytes, 8);
		example_packet_zeros(&bytes, 6);
		example_packet_udp(&bytes, 0);
		cr_expect_eq(read_as(ETHERTYPE_IPV6, false),
			     more_units <= 57 ? DNS_RAW_PACKET : DNS_RAW_MALFORMED, "%u",
			     more_units);
	}
}

Test(dns_raw, tags_are_found_by_whatever_the_kernel_says)
{
	const struct {
		unsigned tags;
		uint16_t protocol; /* of the outermost; a newer kernel tells the innermost */
	} cases[] = {{0, ETHERTYPE_IP}, {1, ETHERTYPE_VLAN}, {2, QINQ}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned newer = 0; newer < 2; newer++) {
			begin();
			for (unsigned tag = 1; tag <= cases[i].tags; tag++)
				example_packet_tag(&bytes, tag == cases[i].tags ? ETHERTYPE_IP
										: ETHERTYPE_VLAN);
			put_udp();
			cr_assert_eq(read_as(newer ? ETHERTYPE_IP : cases[i].protocol, false),
				     DNS_RAW_PACKET, "%zu %u", i, newer);
			cr_expect_eq(packet.record.destination_port, 53);
			begin();
			for (unsigned tag = 1; tag <= cases[i].tags; tag++)
				example_packet_tag(&bytes, tag == cases[i].tags ? ETHERTYPE_IPV6
										: ETHERTYPE_VLAN);
			put_udp6();
			if (i == 0 && newer == 0)
				continue;
			cr_assert_eq(read_as(newer ? ETHERTYPE_IPV6 : cases[i].protocol, false),
				     DNS_RAW_PACKET, "IPv6 %zu %u", i, newer);
			cr_expect_eq(packet.record.family, RECORD_FAMILY_IPV6);
		}
	}
	/* What is sent begins with IP, by whatever type. */
	begin();
	put_udp();
	cr_expect_eq(read_as(ETHERTYPE_VLAN, true), DNS_RAW_PACKET);
}

/* Of priority 2 in network 1280: its first byte reads as that of IPv4. */
Test(dns_raw, a_tag_that_reads_as_the_beginning_of_a_header_is_told_by_the_headers_sum)
{
	uint32_t sum = 0;

	begin();
	example_packet_u16(&bytes, 0x4500);
	example_packet_u16(&bytes, ETHERTYPE_IP);
	put_udp();
	cr_assert_eq(read_as(ETHERTYPE_IP, false), DNS_RAW_PACKET);
	cr_expect_eq(packet.payload, bytes.bytes + 4 + 28);
	/* The same bytes with a right sum: a header of a packet of 2,048 bytes, which is not all here. */
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)bytes.bytes[i] << 8 | bytes.bytes[i + 1];
	sum -= (uint32_t)bytes.bytes[10] << 8 | bytes.bytes[11];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	bytes.bytes[10] = (uint8_t)(~sum >> 8);
	bytes.bytes[11] = (uint8_t)~sum;
	cr_expect_eq(read_as(ETHERTYPE_IP, false), DNS_RAW_MALFORMED);
}

Test(dns_raw, nothing_is_read_behind_the_end)
{
	for (unsigned tags = 0; tags < 3; tags++) {
		uint8_t *exact;

		begin();
		for (unsigned tag = 0; tag < tags; tag++)
			example_packet_tag(&bytes, tag + 1 == tags ? ETHERTYPE_IP : ETHERTYPE_VLAN);
		put_udp();
		for (size_t length = 0; length < bytes.length; length++) {
			struct ring_frame frame = {.protocol = ETHERTYPE_IP};

			/* A sanitizer sees what goes beyond. */
			exact = malloc(length ? length : 1);
			cr_assert_not_null(exact);
			memcpy(exact, bytes.bytes, length);
			frame.bytes = exact;
			frame.captured = frame.wire = (uint32_t)length;
			cr_expect_neq(dns_raw_read(&frame, &packet), DNS_RAW_PACKET);
			frame.protocol = QINQ;
			cr_expect_neq(dns_raw_read(&frame, &packet), DNS_RAW_PACKET);
			free(exact);
		}
	}
}
