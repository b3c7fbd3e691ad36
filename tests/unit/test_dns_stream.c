/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_dns_stream.h"

Test(dns_stream, a_segment_may_hold_one_message_or_several, .init = begin, .fini = end)
{
	size_t third;

	put(1, 30);
	put(2, 40);
	third = put(3, 100);
	open_flow();
	arrive(0, third);
	EXPECT_IDS(1, 2);
	arrive(third, bytes.length);
	EXPECT_IDS(3);
	cr_expect_eq(stream.counts.segments, 2);
	cr_expect_eq(stream.counts.messages, 3);
	cr_expect_eq(stream.counts.found, 0);
	cr_expect_eq(stream.flows.block_pool.high, 0, "no block was needed");
}

Test(dns_stream, messages_may_be_parted_anywhere, .init = begin, .fini = end)
{
	put(1, 30);
	put(2, 12);
	put(3, 50);
	for (size_t first = 0; first <= bytes.length; first++) {
		for (size_t second = first; second <= bytes.length; second += 7) {
			client_port++;
			open_flow();
			arrive(0, first);
			arrive(first, second);
			arrive(second, bytes.length);
			EXPECT_IDS(1, 2, 3);
		}
	}
	client_port++;
	open_flow();
	for (size_t at = 0; at < bytes.length; at++)
		arrive(at, at + 1);
	EXPECT_IDS(1, 2, 3);
	cr_expect_eq(stream.flows.block_pool.used, 0);
	cr_expect_eq(stream.counts.cut + stream.counts.holes + stream.counts.unfinished, 0);
}

Test(dns_stream, both_directions_are_flows_of_their_own, .init = begin, .fini = end)
{
	put(1, 30);
	open_flow();
	arrive(0, 10);
	client_port++;
	open_flow();
	arrive(0, 20);
	client_port--;
	arrive(10, bytes.length);
	cr_assert_eq(given_count, 1);
	cr_expect_eq(given[0].port, 40000);
	client_port++;
	arrive(20, bytes.length);
	cr_assert_eq(given_count, 2);
	cr_expect_eq(given[1].port, 40001);
}

Test(dns_stream, data_may_come_with_the_syn, .init = begin, .fini = end)
{
	put(1, 30);
	arrive_cut(0, bytes.length, DNS_FRAME_SYN, bytes.length);
	EXPECT_IDS(1);
}

Test(dns_stream, what_is_sent_again_is_passed_over, .init = begin, .fini = end)
{
	size_t second, third;

	put(1, 30);
	second = put(2, 40);
	third = put(3, 50);
	open_flow();
	arrive(0, second);
	arrive(0, second);
	open_flow();
	arrive(0, second + 5);
	arrive(second - 10, third - 1);
	arrive(third - 2, third);
	arrive(0, bytes.length);
	arrive(third, bytes.length);
	EXPECT_IDS(1, 2, 3);
	cr_expect_eq(stream.counts.retransmitted, 6);
	cr_expect_eq(stream.counts.out_of_order, 0);
}

Test(dns_stream, segments_that_come_too_early_wait, .init = begin, .fini = end)
{
	static const unsigned orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2},
					     {2, 0, 3, 1}, {1, 2, 3, 0}, {0, 3, 1, 2},
					     {3, 0, 1, 2}, {2, 3, 0, 1}};

	put(1, 30);
	put(2, 40);
	put(3, 50);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		const size_t quarter = bytes.length / 4;

		client_port++;
		open_flow();
		for (unsigned k = 0; k < 4; k++) {
			const unsigned part = orders[i][k];

			arrive(part * quarter, part < 3 ? (part + 1) * quarter : bytes.length);
		}
		EXPECT_IDS(1, 2, 3);
		cr_expect_eq(stream.flows.block_pool.used, 0);
	}
	cr_expect_gt(stream.counts.out_of_order, 0);
	cr_expect_eq(stream.counts.holes, 0);
}

Test(dns_stream, a_message_that_waited_has_its_own_time, .init = begin, .fini = end)
{
	const size_t second = (put(1, 30), put(2, 40)), third = put(3, 50);
	uint64_t early_ns;

	open_flow();
	arrive(second, third + 5);
	early_ns = now_ns;
	arrive(third + 5, bytes.length);
	arrive(0, second);
	cr_assert_eq(given_count, 3);
	cr_expect_eq(given[0].at_ns, now_ns);
	cr_expect_eq(given[1].at_ns, early_ns);
	cr_expect_eq(given[2].at_ns, now_ns, "it took all three");
}

Test(dns_stream, the_same_early_segment_is_held_once, .init = begin, .fini = end)
{
	const size_t second = (put(1, 30), put(2, 40));

	open_flow();
	for (unsigned i = 0; i < 10; i++)
		arrive(second, bytes.length);
	cr_expect_eq(stream.flows.block_pool.used, 1);
	arrive(0, second);
	EXPECT_IDS(1, 2);
}

Test(dns_stream, a_hole_is_given_up_when_no_more_can_wait, .init = begin, .fini = end)
{
	size_t at[DNS_STREAM_HELD_MAX + 3];

	for (unsigned i = 0; i < DNS_STREAM_HELD_MAX + 3; i++)
		at[i] = put(i + 1, 30);
	open_flow();
	arrive(at[0], at[1]);
	EXPECT_IDS(1);
	for (unsigned i = 2; i < DNS_STREAM_HELD_MAX + 2; i++)
		arrive(at[i], at[i + 1]);
	EXPECT_NOTHING();
	arrive(at[DNS_STREAM_HELD_MAX + 2], bytes.length);
	EXPECT_IDS(3, 4, 5, 6, 7);
	cr_expect_eq(stream.counts.holes, 1);
	cr_expect_eq(stream.counts.found, 1);
	/* What was missing comes after all: it is too late. */
	arrive(at[1], at[2]);
	EXPECT_NOTHING();
}

Test(dns_stream, a_hole_is_given_up_after_its_time, .init = begin, .fini = end)
{
	const size_t second = (put(1, 30), put(2, 40));
	uint64_t early_ns;

	open_flow();
	arrive(second, bytes.length);
	early_ns = now_ns;
	dns_stream_tick(&stream, now_ns + DNS_STREAM_HOLE_NS, &sink);
	EXPECT_NOTHING();
	dns_stream_tick(&stream, now_ns - 5, &sink);
	EXPECT_NOTHING();
	dns_stream_tick(&stream, now_ns + DNS_STREAM_HOLE_NS + 1, &sink);
	cr_expect_eq(given[0].at_ns, early_ns);
	EXPECT_IDS(2);
	cr_expect_eq(stream.counts.holes, 1);
}

Test(dns_stream, a_message_with_a_hole_is_given_up_to_it, .init = begin, .fini = end)
{
	const size_t second = (put(1, 300), put(2, 40)), third = put(3, 50);

	/* The hole ends before the message: its length tells where the next one begins. */
	open_flow();
	arrive(0, 100);
	arrive(200, third);
	EXPECT_NOTHING();
	dns_stream_tick(&stream, now_ns + 2 * DNS_STREAM_HOLE_NS, &sink);
	cr_assert_eq(given_count, 2);
	cr_expect_eq(given[1].id, 2);
	cr_expect_not(given[1].cut);
	given_count = 1;
	expect_cut(1, 98);
	cr_expect_eq(stream.counts.found, 0);
	/* The hole ends in the next message, so that the one after it must be found. */
	client_port++;
	open_flow();
	arrive(0, 100);
	arrive(second + 20, third);
	arrive(third, bytes.length);
	dns_stream_tick(&stream, now_ns + 2 * DNS_STREAM_HOLE_NS, &sink);
	cr_assert_eq(given_count, 2);
	cr_expect_eq(given[1].id, 3);
	given_count = 1;
	expect_cut(1, 98);
	cr_expect_eq(stream.counts.found, 1);
	cr_expect_eq(stream.counts.searched, 1);
	cr_expect_eq(stream.counts.cut, 2);
}

Test(dns_stream, a_stream_whose_beginning_was_missed_is_searched, .init = begin, .fini = end)
{
	const size_t second = (put(1, 100), put(2, 40)), third = put(3, 50);

	arrive(30, 60);
	arrive(60, second + 10);
	arrive(second + 10, third);
	EXPECT_NOTHING();
	cr_expect_eq(stream.counts.searched, 3);
	arrive(third, third + 20);
	arrive(third + 20, bytes.length);
	EXPECT_IDS(3);
	cr_expect_eq(stream.counts.found, 1);
}

Test(dns_stream, only_what_can_be_a_message_begins_one, .init = begin, .fini = end)
{
	static const struct {
		size_t at;
		uint8_t byte;
		bool begins;
	} cases[] = {
		{0, 0, true},	 {1, 16, false},    {1, 17, true},    {4, 0x01, true},
		{4, 0x81, true}, {4, 0x10, false},  {4, 0x08, false}, {5, 0x40, false},
		{5, 0xb0, true}, {6, 1, false},	    {7, 0, false},    {7, 2, false},
		{9, 1, true},	 {9, 9, false},	    {13, 1, true},    {14, 63, true},
		{14, 64, false}, {14, 0xc0, false},
	};

	put(1, 31);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t kept = bytes.bytes[cases[i].at];

		bytes.bytes[cases[i].at] = cases[i].byte;
		client_port++;
		arrive(0, bytes.length);
		cr_expect_eq(given_count > 0, cases[i].begins, "%zu", i);
		given_count = 0;
		bytes.bytes[cases[i].at] = kept;
	}
	/* Too short to tell. */
	client_port++;
	arrive(0, 18);
	cr_expect_eq(stream.counts.searched, 11);
}

Test(dns_stream, a_length_below_a_headers_ends_what_is_known, .init = begin, .fini = end)
{
	const size_t broken = (put(1, 30), put(2, 30)), third = put(3, 30);

	bytes.bytes[broken + 1] = HEADER_BYTES - 1;
	open_flow();
	arrive(0, third);
	EXPECT_IDS(1);
	cr_expect_eq(stream.counts.malformed, 1);
	arrive(third, bytes.length);
	EXPECT_IDS(3);
	/* The same where the length comes in two pieces. */
	client_port++;
	open_flow();
	arrive(0, broken + 1);
	arrive(broken + 1, third);
	arrive(third, bytes.length);
	EXPECT_IDS(1, 3);
	cr_expect_eq(stream.counts.malformed, 2);
	cr_expect_eq(stream.flows.block_pool.used, 0);
}

Test(dns_stream, what_was_not_captured_cuts_its_message, .init = begin, .fini = end)
{
	const size_t second = (put(1, 30), put(2, 6000)), third = put(3, 30);

	/* All in one segment, of which the first 4,096 bytes are kept. */
	open_flow();
	arrive_cut(0, bytes.length, 0, 4096);
	cr_assert_eq(given_count, 2);
	cr_expect_eq(given[0].id, 1);
	cr_expect(given[1].cut);
	cr_expect_eq(given[1].id, 2);
	cr_expect_eq(given[1].length, 4096 - second - 2);
	given_count = 0;
	/* The third begins in what is missing; what follows is searched. */
	put(4, 30);
	arrive(bytes.length - 32, bytes.length);
	EXPECT_IDS(4);
	cr_expect_eq(stream.counts.found, 1);
	cr_expect_eq(stream.counts.cut, 1);

	/* The message ends with the segment, or in the next: the third's place is known. */
	for (size_t end_at = third - 500; end_at <= third; end_at += 500) {
		client_port++;
		open_flow();
		arrive_cut(0, end_at, 0, 4096);
		cr_expect_eq(given_count, 2);
		given_count = 0;
		arrive(end_at, third + 32);
		EXPECT_IDS(3);
	}
	cr_expect_eq(stream.counts.found, 1);
}

Test(dns_stream, a_message_of_which_not_even_a_header_is_here_is_not_given, .init = begin,
     .fini = end)
{
	const size_t second = (put(1, 100), put(2, 30));

	open_flow();
	arrive_cut(0, second, 0, 13);
	EXPECT_NOTHING();
	cr_expect_eq(stream.counts.unfinished, 1);
	arrive(second, bytes.length);
	EXPECT_IDS(2);
}

Test(dns_stream, of_the_longest_messages_a_part_is_kept, .init = begin, .fini = end)
{
	static const size_t lengths[] = {DNS_BLOCK_MESSAGE_BYTES, DNS_BLOCK_MESSAGE_BYTES + 1,
					 65535};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		bytes.length = 0;
		put(1, lengths[i]);
		put(2, 30);
		client_port++;
		open_flow();
		for (size_t at = 0; at < bytes.length; at += 1460)
			arrive(at, at + 1460 < bytes.length ? at + 1460 : bytes.length);
		cr_assert_eq(given_count, 2, "%zu", lengths[i]);
		cr_expect_eq(given[0].id, 1);
		cr_expect_eq(given[0].cut, i > 0);
		cr_expect_eq(given[0].length, DNS_BLOCK_MESSAGE_BYTES);
		cr_expect_eq(given[1].id, 2);
		cr_expect_not(given[1].cut);
		given_count = 0;
	}
}
