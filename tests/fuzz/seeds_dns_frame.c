/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_dns_frame into the folder that is its only argument: each way in which a packet
 * may be put together.
 */
#include "tests/fuzz/seed_file.h"
#include "tests/unit/example_packet.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>

#define IPV4 0x0800
#define IPV6 0x86dd
#define TAG 0x8100
#define QINQ 0x88a8
#define MORE_FRAGMENTS 0x2000
#define PAYLOAD "a payload of 24 bytes..."
#define PAYLOAD_BYTES 24

static struct example_packet packet;
static const char *folder;

static int write_seed(const char *name, uint8_t link, uint8_t missing)
{
	const uint8_t head[] = {link, 0, missing};
	FILE *file = seed_open(folder, name);
	bool written;

	if (!file)
		return -1;
	written = fwrite(head, sizeof(head), 1, file) == 1 &&
		  fwrite(packet.bytes, packet.length - missing, 1, file) == 1;
	return fclose(file) == 0 && written ? 0 : -1;
}

static void put_udp(void)
{
	example_packet_udp(&packet, PAYLOAD_BYTES);
	example_packet_put(&packet, PAYLOAD, PAYLOAD_BYTES);
}

static void put_tcp(uint32_t seq, unsigned option_words)
{
	example_packet_tcp(&packet, seq, 0x18, option_words);
	example_packet_put(&packet, PAYLOAD, PAYLOAD_BYTES);
}

static int write_ipv4(void)
{
	int result = 0;

	example_packet_ethernet(&packet, IPV4);
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 8 + PAYLOAD_BYTES);
	put_udp();
	result |= write_seed("ipv4_udp", 0, 0);
	result |= write_seed("ipv4_cut", 0, 10);
	example_packet_ethernet(&packet, IPV4);
	example_packet_ipv4(&packet, IPPROTO_TCP, 0, 10, 28 + PAYLOAD_BYTES);
	put_tcp(1, 2);
	result |= write_seed("ipv4_options", 0, 0);
	example_packet_ethernet(&packet, QINQ);
	example_packet_tag(&packet, TAG);
	example_packet_tag(&packet, IPV4);
	example_packet_ipv4(&packet, IPPROTO_UDP, MORE_FRAGMENTS, 0, 8 + PAYLOAD_BYTES);
	example_packet_udp(&packet, 2000);
	example_packet_put(&packet, PAYLOAD, PAYLOAD_BYTES);
	result |= write_seed("ipv4_fragment", 0, 0);
	packet.length = 0;
	example_packet_ipv4(&packet, IPPROTO_TCP, 0, 0, 20 + PAYLOAD_BYTES);
	put_tcp(2, 0);
	return result | write_seed("ipv4_bare", 1, 0);
}

static int write_ipv6(void)
{
	int result = 0;

	example_packet_ethernet(&packet, IPV6);
	example_packet_ipv6(&packet, 0, 16 + 8 + 8 + 24 + 8 + PAYLOAD_BYTES);
	example_packet_extension(&packet, 43, 1);
	example_packet_extension(&packet, 44, 0);
	example_packet_fragment(&packet, 60, 1);
	example_packet_extension(&packet, IPPROTO_UDP, 2);
	put_udp();
	result |= write_seed("ipv6_extensions", 0, 0);
	example_packet_ethernet(&packet, TAG);
	example_packet_tag(&packet, IPV6);
	example_packet_ipv6(&packet, IPPROTO_TCP, 20 + PAYLOAD_BYTES);
	put_tcp(3, 0);
	result |= write_seed("ipv6_tcp", 0, 0);
	packet.length = 0;
	/* Not yet cut into segments: no length. */
	example_packet_ipv6(&packet, IPPROTO_TCP, 0);
	put_tcp(4, 1);
	return result | write_seed("ipv6_bare", 1, 0);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	folder = argv[1];
	return write_ipv4() | write_ipv6() ? 1 : 0;
}
