/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/frame_ring.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096U
#define BLOCKS 8U
#define FIRST_AT 48U
#define NET_AT 96U /* from a frame's header on: TPACKET_ALIGN() of both headers, and 16 */
#define FRAME 128U
#define OFFSET_NS 1700000000000000000ULL /* of the wall clock */
#define NOW_NS 5000000000ULL

static uint8_t *memory;
static struct frame_ring ring;
static uint64_t blocks_begun;

static void open_ring(void)
{
	memory = aligned_alloc(BLOCK, BLOCK * BLOCKS);
	cr_assert_not_null(memory);
	memset(memory, 0, BLOCK * BLOCKS);
	blocks_begun = 0;
}

static void close_ring(void)
{
	free(memory);
}

TestSuite(frame_ring, .init = open_ring, .fini = close_ring);

static struct tpacket_block_desc *block_at(unsigned block)
{
	return (void *)(memory + (size_t)BLOCK * (block % BLOCKS));
}

static struct tpacket3_hdr *frame_at(unsigned block, unsigned frame)
{
	return (void *)((uint8_t *)block_at(block) + FIRST_AT + (size_t)FRAME * frame);
}

/* As the kernel begins to fill one: what was in it stays there. */
static void begin(unsigned block)
{
	block_at(block)->hdr.bh1.seq_num = ++blocks_begun;
	block_at(block)->hdr.bh1.num_pkts = 0;
	block_at(block)->hdr.bh1.offset_to_first_pkt = FIRST_AT;
}

/* A frame of eight bytes, all of them number. */
static void put(unsigned block, uint64_t at_ns, uint8_t number)
{
	struct tpacket_hdr_v1 *header = &block_at(block)->hdr.bh1;
	struct tpacket3_hdr *frame = frame_at(block, header->num_pkts);
	struct sockaddr_ll from = {
		.sll_protocol = htons(ETHERTYPE_IPV6),
		.sll_ifindex = 7,
		.sll_pkttype = number % 2 ? PACKET_OUTGOING : PACKET_HOST,
	};

	if (header->num_pkts > 0)
		frame_at(block, header->num_pkts - 1)->tp_next_offset = FRAME;
	*frame = (struct tpacket3_hdr){
		.tp_sec = (uint32_t)((at_ns + OFFSET_NS) / 1000000000),
		.tp_nsec = (uint32_t)((at_ns + OFFSET_NS) % 1000000000),
		.tp_snaplen = 8,
		.tp_len = 1500,
		.tp_mac = NET_AT,
		.tp_net = NET_AT,
	};
	memcpy(frame + 1, &from, sizeof(from));
	memset((uint8_t *)frame + NET_AT, number, 8);
	header->num_pkts++;
	header->blk_len = FIRST_AT + FRAME * header->num_pkts;
}

static void hand_over(unsigned block)
{
	block_at(block)->hdr.bh1.block_status = TP_STATUS_USER | TP_STATUS_BLK_TMO;
}

static void fill(unsigned block, unsigned frames, uint8_t first)
{
	begin(block);
	for (unsigned i = 0; i < frames; i++)
		put(block, 1000 + blocks_begun * 100 + i, (uint8_t)(first + i));
	hand_over(block);
}

static void init(void)
{
	cr_assert_eq(frame_ring_init(&ring, memory, BLOCK, BLOCKS), 0);
	frame_ring_begin(&ring, NOW_NS, OFFSET_NS);
}

/* Reads up to count frames, which must have these numbers. */
static void expect(unsigned count, uint8_t first)
{
	struct ring_frame frame;

	for (unsigned i = 0; i < count; i++) {
		cr_assert(frame_ring_next(&ring, &frame), "frame %u of %u", i, count);
		cr_expect_eq(frame.bytes[0], first + i);
		cr_expect_eq(frame.bytes[7], first + i);
	}
}

static void expect_none(void)
{
	struct ring_frame frame;

	cr_expect_not(frame_ring_next(&ring, &frame));
}

Test(frame_ring, gives_what_the_kernel_says_of_a_frame)
{
	struct ring_frame frame;

	fill(0, 2, 1);
	begin(1);
	init();
	cr_assert(frame_ring_next(&ring, &frame));
	cr_expect_eq(frame.captured, 8);
	cr_expect_eq(frame.wire, 1500);
	cr_expect_eq(frame.at_ns, 1100);
	cr_expect_eq(frame.interface, 7);
	cr_expect_eq(frame.protocol, ETHERTYPE_IPV6);
	cr_expect(frame.is_outgoing);
	cr_assert(frame_ring_next(&ring, &frame));
	cr_expect_eq(frame.at_ns, 1101);
	cr_expect_not(frame.is_outgoing);
	expect_none();
	cr_expect_eq(ring.malformed, 0);
}

Test(frame_ring, a_block_is_given_back_when_all_of_it_was_read)
{
	fill(0, 3, 1);
	fill(1, 2, 4);
	begin(2);
	init();
	expect(3, 1);
	cr_expect_eq(block_at(0)->hdr.bh1.block_status & TP_STATUS_USER, TP_STATUS_USER,
		     "the last frame's bytes are still looked at");
	expect(1, 4);
	cr_expect_eq(block_at(0)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	cr_expect_eq(block_at(1)->hdr.bh1.block_status & TP_STATUS_USER, TP_STATUS_USER);
	expect(1, 5);
	expect_none();
	cr_expect_eq(block_at(1)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	put(2, 2000, 6);
	expect_none();
	hand_over(2);
	expect(1, 6);
}

Test(frame_ring, goes_round)
{
	uint8_t number = 0;

	begin(0);
	init();
	for (unsigned block = 0; block < 5 * BLOCKS; block++) {
		put(block, 1000 + block, number);
		hand_over(block);
		begin(block + 1);
		expect(1, number++);
		expect_none();
	}
}

Test(frame_ring, a_successor_begins_with_the_oldest_block_wherever_that_is)
{
	for (unsigned unread = 0; unread < BLOCKS; unread++) {
		for (unsigned start = 0; start < BLOCKS; start++) {
			memset(memory, 0, BLOCK * BLOCKS);
			blocks_begun = 0;
			/* So many were read by a predecessor. */
			for (unsigned block = 0; block < BLOCKS + start; block++) {
				fill(block, 1, 200);
				block_at(block)->hdr.bh1.block_status = TP_STATUS_KERNEL;
			}
			for (unsigned i = 0; i < unread; i++)
				fill(BLOCKS + start + i, 1, (uint8_t)i);
			begin(BLOCKS + start + unread);
			init();
			expect(unread, 0);
			expect_none();
			put(BLOCKS + start + unread, 3000, 100);
			hand_over(BLOCKS + start + unread);
			expect(1, 100);
		}
	}
}

Test(frame_ring, a_full_ring_is_read_from_its_oldest_block_on)
{
	for (unsigned block = 3; block < 3 + BLOCKS; block++)
		fill(block, 1, (uint8_t)block);
	init();
	cr_expect_not(frame_ring_can_wait(&ring));
	expect(BLOCKS, 3);
	expect_none();
	cr_expect(frame_ring_can_wait(&ring));
}

Test(frame_ring, no_frame_is_younger_than_now_or_older_than_the_one_before_whatever_the_clock_did)
{
	struct ring_frame frame;
	/* In steps of the clock that the kernel saw and we did not. */
	const uint64_t times[] = {1000,	  1002, 1001, NOW_NS + 1, 1003, (uint64_t)-1000,
				  NOW_NS, 5000};
	const uint64_t expected[] = {1000, 1002, 1002, NOW_NS, NOW_NS, NOW_NS, NOW_NS, NOW_NS};

	begin(0);
	for (unsigned i = 0; i < 8; i++)
		put(0, times[i], 1);
	hand_over(0);
	init();
	for (unsigned i = 0; i < 8; i++) {
		cr_assert(frame_ring_next(&ring, &frame));
		cr_expect_eq(frame.at_ns, expected[i], "%u", i);
	}
	/* The clock is set back by a minute: what comes then has its own time. */
	fill(1, 0, 0);
	begin(2);
	put(2, NOW_NS + 500 - 60000000000ULL, 2);
	hand_over(2);
	frame_ring_begin(&ring, NOW_NS + 1000, OFFSET_NS - 60000000000ULL);
	cr_assert(frame_ring_next(&ring, &frame));
	cr_expect_eq(frame.at_ns, NOW_NS + 500);
}

Test(frame_ring, what_does_not_fit_is_counted_and_the_rest_of_the_block_passed_over)
{
	for (unsigned wrong = 0; wrong < 7; wrong++) {
		struct tpacket3_hdr *frame = frame_at(0, 1);

		memset(memory, 0, BLOCK * BLOCKS);
		blocks_begun = 0;
		fill(0, 3, 1);
		fill(1, 1, 50);
		switch (wrong) {
		case 0:
			frame->tp_snaplen = BLOCK;
			frame->tp_len = BLOCK;
			break;
		case 1:
			frame->tp_net = 4;
			break;
		case 2:
			frame->tp_net = UINT16_MAX;
			break;
		case 3:
			frame->tp_len = 7;
			break;
		case 4: /* of the first one: beyond the block */
			frame_at(0, 0)->tp_next_offset = BLOCK;
			break;
		case 5:
			frame_at(0, 0)->tp_next_offset = UINT32_MAX;
			break;
		default: /* so that the second is the block's end */
			frame_at(0, 0)->tp_next_offset = BLOCK - FIRST_AT - 8;
			break;
		}
		init();
		expect(1, 1);
		expect(1, 50);
		expect_none();
		cr_expect_eq(ring.malformed, 1, "case %u", wrong);
	}
}

Test(frame_ring, a_block_whose_header_makes_no_sense_is_passed_over)
{
	for (unsigned wrong = 0; wrong < 3; wrong++) {
		memset(memory, 0, BLOCK * BLOCKS);
		blocks_begun = 0;
		fill(0, 1, 1);
		fill(1, 1, 2);
		block_at(0)->hdr.bh1.offset_to_first_pkt =
			(uint32_t[]){0, BLOCK, UINT32_MAX}[wrong];
		init();
		expect(1, 2);
		expect_none();
		cr_expect_eq(ring.malformed, 1);
	}
	/* More frames than there are. */
	memset(memory, 0, BLOCK * BLOCKS);
	blocks_begun = 0;
	fill(0, 1, 1);
	block_at(0)->hdr.bh1.num_pkts = UINT32_MAX;
	frame_at(0, 0)->tp_next_offset = FRAME;
	init();
	expect(1, 1);
	expect_none();
	cr_expect_eq(ring.malformed, 1);
}

Test(frame_ring, is_of_blocks_that_can_hold_something)
{
	cr_expect_eq(frame_ring_init(&ring, NULL, BLOCK, BLOCKS), -EINVAL);
	cr_expect_eq(frame_ring_init(&ring, memory, 64, BLOCKS), -EINVAL);
	cr_expect_eq(frame_ring_init(&ring, memory, BLOCK + 1, BLOCKS), -EINVAL);
	cr_expect_eq(frame_ring_init(&ring, memory, BLOCK, 0), -EINVAL);
}
