/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_packet_ring into the folder that is its only argument: rings as the kernel fills
 * them, with packets of each kind.
 */
#include "tests/fuzz/seed_file.h"
#include "tests/unit/example_packet.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>

#define BLOCK_BYTES 512
#define BLOCKS 3
#define FIRST_AT 48
#define NET_AT 80 /* TPACKET_ALIGN() of both headers */
#define PAYLOAD "a payload of 24 bytes..."
#define PAYLOAD_BYTES 24

static uint8_t ring[BLOCKS][BLOCK_BYTES] __attribute__((aligned(16)));
static size_t used[BLOCKS]; /* of each block */
static struct tpacket3_hdr *last[BLOCKS];

/* As the kernel begins and hands over a block, and those that it has not come to yet. */
static void begin(unsigned handed_over)
{
	memset(ring, 0, sizeof(ring));
	for (unsigned i = 0; i < BLOCKS; i++) {
		struct tpacket_block_desc *block = (void *)ring[i];

		block->version = TPACKET_V3;
		block->hdr.bh1.seq_num = i + 1;
		block->hdr.bh1.offset_to_first_pkt = FIRST_AT;
		block->hdr.bh1.block_status = i < handed_over ? TP_STATUS_USER : 0;
		used[i] = FIRST_AT;
		last[i] = NULL;
	}
}

/* Adds a packet of IP to a block: protocol is what the kernel tells of it. */
static void put(unsigned block, unsigned protocol, uint8_t kind,
		const struct example_packet *packet)
{
	struct tpacket_hdr_v1 *header = &((struct tpacket_block_desc *)ring[block])->hdr.bh1;
	struct tpacket3_hdr *frame = (void *)&ring[block][used[block]];
	const struct sockaddr_ll from = {
		.sll_protocol = htons((uint16_t)protocol),
		.sll_ifindex = 7,
		.sll_pkttype = kind,
	};
	const size_t bytes = (NET_AT + packet->length + 15) / 16 * 16;

	if (used[block] + bytes > BLOCK_BYTES)
		abort();
	if (last[block])
		last[block]->tp_next_offset = (uint32_t)((uint8_t *)frame - (uint8_t *)last[block]);
	frame->tp_sec = block + 1;
	frame->tp_nsec = 1000;
	frame->tp_snaplen = (uint32_t)packet->length;
	frame->tp_len = (uint32_t)packet->length;
	frame->tp_mac = NET_AT;
	frame->tp_net = NET_AT;
	memcpy(frame + 1, &from, sizeof(from));
	memcpy((uint8_t *)frame + NET_AT, packet->bytes, packet->length);
	last[block] = frame;
	used[block] += bytes;
	header->num_pkts++;
}

static int write_seed(const char *folder, const char *name)
{
	FILE *file = seed_open(folder, name);
	bool written;

	if (!file)
		return -1;
	written = fwrite(ring, sizeof(ring), 1, file) == 1;
	return fclose(file) == 0 && written ? 0 : -1;
}

static struct example_packet udp(unsigned tag)
{
	struct example_packet packet = {.length = 0};

	if (tag)
		example_packet_tag(&packet, tag);
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 8 + PAYLOAD_BYTES);
	example_packet_udp(&packet, PAYLOAD_BYTES);
	example_packet_put(&packet, PAYLOAD, PAYLOAD_BYTES);
	return packet;
}

static struct example_packet tcp(unsigned payload)
{
	struct example_packet packet = {.length = 0};

	example_packet_ipv6(&packet, IPPROTO_HOPOPTS, 8 + 28 + payload);
	example_packet_extension(&packet, IPPROTO_TCP, 0);
	example_packet_tcp(&packet, 9, 0x18, 2);
	example_packet_put(&packet, PAYLOAD, payload);
	return packet;
}

int main(int argc, char **argv)
{
	const struct example_packet plain = udp(0), tagged = udp(ETHERTYPE_IP);
	const struct example_packet segment = tcp(PAYLOAD_BYTES), silent = tcp(0);
	int result;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	begin(BLOCKS);
	put(0, ETHERTYPE_IP, PACKET_OUTGOING, &plain);
	put(0, ETHERTYPE_VLAN, PACKET_HOST, &tagged);
	put(1, ETHERTYPE_IP, PACKET_HOST, &tagged);
	put(2, ETHERTYPE_IPV6, PACKET_HOST, &segment);
	put(2, ETHERTYPE_IPV6, PACKET_OUTGOING, &silent);
	result = write_seed(argv[1], "full");
	begin(1);
	put(0, ETHERTYPE_IP, PACKET_HOST, &plain);
	put(0, ETHERTYPE_IPV6, PACKET_HOST, &segment);
	put(1, ETHERTYPE_IP, PACKET_HOST, &plain);
	result |= write_seed(argv[1], "begun");
	return result < 0;
}
