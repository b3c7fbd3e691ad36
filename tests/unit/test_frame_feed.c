/* SPDX-License-Identifier: Apache-2.0 */
/* Of one packet socket's ring: what a pass gives, and until when all was given. */
#include "common/clock.h"
#include "tests/unit/example_packet.h"
#include "worker/frame_feed.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK 4096U
#define BLOCKS 4U
#define FIRST_AT 48U
#define NET_AT 96U
#define FRAME 256U

static uint8_t *memory;
static struct frame_feed feed;
static int fd;

static struct tpacket_block_desc *block_at(unsigned block)
{
	return (void *)(memory + (size_t)BLOCK * (block % BLOCKS));
}

static void begin(unsigned block)
{
	block_at(block)->hdr.bh1.seq_num = block + 1;
	block_at(block)->hdr.bh1.num_pkts = 0;
	block_at(block)->hdr.bh1.offset_to_first_pkt = FIRST_AT;
}

static void hand_over(unsigned block)
{
	block_at(block)->hdr.bh1.block_status = TP_STATUS_USER;
	begin(block + 1);
}

static void put(unsigned block, const struct example_packet *packet)
{
	struct tpacket_hdr_v1 *header = &block_at(block)->hdr.bh1;
	uint8_t *at = (uint8_t *)block_at(block) + FIRST_AT + (size_t)FRAME * header->num_pkts;
	const uint64_t now_ns = clock_ns(CLOCK_REALTIME);
	const struct tpacket3_hdr frame = {
		.tp_next_offset = FRAME,
		.tp_sec = (uint32_t)(now_ns / NS_PER_S),
		.tp_nsec = (uint32_t)(now_ns % NS_PER_S),
		.tp_snaplen = (uint32_t)packet->length,
		.tp_len = (uint32_t)packet->length,
		.tp_net = NET_AT,
	};
	const struct sockaddr_ll from = {.sll_protocol = htons(ETHERTYPE_IP)};

	memcpy(at, &frame, sizeof(frame));
	memcpy(at + sizeof(frame), &from, sizeof(from));
	memcpy(at + NET_AT, packet->bytes, packet->length);
	header->num_pkts++;
}

static void put_udp(unsigned block, unsigned fragment)
{
	struct example_packet packet = {.length = 0};

	example_packet_ipv4(&packet, IPPROTO_UDP, fragment, 0, 8);
	example_packet_udp(&packet, 0);
	put(block, &packet);
}

static void put_ack(unsigned block)
{
	struct example_packet packet = {.length = 0};

	example_packet_ipv4(&packet, IPPROTO_TCP, 0, 0, 20);
	example_packet_tcp(&packet, 1, 0x10, 0);
	put(block, &packet);
}

static void put_malformed(unsigned block)
{
	struct example_packet packet = {.length = 0};

	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 9);
	example_packet_udp(&packet, 0);
	put(block, &packet);
}

static void open_feed(void)
{
	struct handoff_socket granted;

	memory = aligned_alloc(BLOCK, BLOCK * BLOCKS);
	cr_assert_not_null(memory);
	memset(memory, 0, BLOCK * BLOCKS);
	begin(0);
	/* Stands for the packet socket; it has no such statistics. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	granted = (struct handoff_socket){
		.fd = fd, .memory = memory, .block_bytes = BLOCK, .block_count = BLOCKS};
	cr_assert_eq(frame_feed_init(&feed, &granted), 0);
}

static void close_feed(void)
{
	close(fd);
	free(memory);
}

TestSuite(frame_feed, .init = open_feed, .fini = close_feed);

static unsigned pass(unsigned frames)
{
	unsigned count = 0;

	frame_feed_begin(&feed, frames);
	while (frame_feed_next(&feed))
		count++;
	return count;
}

Test(frame_feed, gives_packets_and_counts_the_rest)
{
	struct metrics metrics = {0};

	put_udp(0, 0);
	put_ack(0);
	put_udp(0, 9);
	put_malformed(0);
	put_udp(0, 0);
	hand_over(0);
	cr_expect_eq(pass(100), 2);
	metrics.value[METRIC_DNS_FRAGMENTS] = 10;
	frame_feed_measure(&feed, &metrics);
	cr_expect_eq(metrics.value[METRIC_DNS_CAPTURED], 2);
	cr_expect_eq(metrics.value[METRIC_DNS_FRAGMENTS], 11);
	cr_expect_eq(metrics.value[METRIC_DNS_BAD_PACKETS], 1);
	cr_expect_eq(metrics.value[METRIC_DNS_CAPTURE_LOST], 0);
}

Test(frame_feed, a_pass_ends_with_its_budget_whatever_it_is_spent_on)
{
	for (unsigned i = 0; i < 8; i++)
		put_ack(0);
	put_udp(0, 0);
	hand_over(0);
	cr_expect_eq(pass(5), 0);
	cr_expect(frame_feed_has_more(&feed));
	cr_expect_eq(pass(5), 1);
	cr_expect_not(frame_feed_has_more(&feed));
}

Test(frame_feed, packets_have_the_time_of_the_steady_clock)
{
	const struct packet *packet;
	const uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t after_ns;

	put_udp(0, 0);
	after_ns = clock_ns(CLOCK_MONOTONIC);
	hand_over(0);
	frame_feed_begin(&feed, 10);
	packet = frame_feed_next(&feed);
	cr_assert_not_null(packet);
	/* The two clocks are not read at the very same moment. */
	cr_expect_geq(packet->record.at_ns + NS_PER_MS, before_ns);
	cr_expect_leq(packet->record.at_ns, after_ns + NS_PER_MS);
}

Test(frame_feed, nothing_that_the_kernel_keeps_is_covered)
{
	const uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t put_ns, late_ns;

	pass(10);
	cr_expect_geq(frame_feed_covered_ns(&feed), before_ns, "nothing is on its way");
	put_udp(0, 0);
	put_ns = clock_ns(CLOCK_MONOTONIC);
	cr_expect_eq(pass(10), 0);
	cr_expect_lt(frame_feed_covered_ns(&feed), put_ns);
	hand_over(0);
	/* The next one has some already. */
	put_udp(1, 0);
	late_ns = clock_ns(CLOCK_MONOTONIC);
	cr_expect_eq(pass(10), 1);
	cr_expect_geq(frame_feed_covered_ns(&feed), put_ns);
	cr_expect_lt(frame_feed_covered_ns(&feed), late_ns);
	hand_over(1);
	cr_expect_eq(pass(10), 1);
	cr_expect_geq(frame_feed_covered_ns(&feed), late_ns);
}

Test(frame_feed, nothing_waits_for_long)
{
	put_udp(0, 0);
	pass(10);
	usleep(200000);
	pass(10);
	cr_expect_geq(frame_feed_covered_ns(&feed) + 100 * NS_PER_MS, feed.ring.now_ns);
}

Test(frame_feed, where_there_is_no_socket_there_is_nothing_to_wait_for)
{
	const struct handoff_socket none = {.fd = -1};
	struct metrics metrics = {0};

	cr_assert_eq(frame_feed_init(&feed, &none), 0);
	cr_expect_eq(pass(10), 0);
	cr_expect_not(frame_feed_has_more(&feed));
	cr_expect(frame_feed_can_wait(&feed));
	cr_expect_eq(frame_feed_covered_ns(&feed), UINT64_MAX);
	frame_feed_measure(&feed, &metrics);
	cr_expect_eq(metrics.value[METRIC_DNS_CAPTURED], 0);
}
