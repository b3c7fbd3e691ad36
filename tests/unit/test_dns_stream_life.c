/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_dns_stream.h"

Test(dns_stream_life, a_flow_ends_with_fin_or_rst_and_what_comes_again_is_known, .init = begin,
     .fini = end)
{
	const size_t second = (put(1, 30), put(2, 40));

	for (unsigned flag = 0; flag < 2; flag++) {
		client_port++;
		open_flow();
		arrive(0, second + 10);
		EXPECT_IDS(1);
		arrive_empty(second + 10, flag ? DNS_FRAME_RST : DNS_FRAME_FIN);
		cr_expect_eq(stream.counts.unfinished, flag + 1);
		cr_expect_eq(stream.flows.block_pool.used, 0);
		arrive(0, second + 10);
		arrive_cut(0, second, DNS_FRAME_FIN, second);
		EXPECT_NOTHING();
	}
	cr_expect_eq(stream.flows.live.oldest, INDEX_NONE);
	/* The ports are used again, with the same numbers. */
	open_flow();
	arrive(0, second);
	EXPECT_IDS(1);
}

Test(dns_stream_life, a_fin_waits_for_what_is_missing_before_it, .init = begin, .fini = end)
{
	const size_t second = (put(1, 30), put(2, 40));

	open_flow();
	arrive_cut(second, bytes.length, DNS_FRAME_FIN, bytes.length - second);
	EXPECT_NOTHING();
	cr_expect_neq(stream.flows.live.oldest, INDEX_NONE);
	arrive(0, second);
	EXPECT_IDS(1, 2);
	cr_expect_eq(stream.flows.live.oldest, INDEX_NONE);
}

Test(dns_stream_life, a_rst_gives_what_waited, .init = begin, .fini = end)
{
	const size_t second = (put(1, 30), put(2, 40));

	open_flow();
	arrive(second, bytes.length);
	arrive_empty(bytes.length, DNS_FRAME_RST);
	EXPECT_IDS(2);
	cr_expect_eq(stream.counts.holes, 1);
}

Test(dns_stream_life, a_segment_from_elsewhere_is_of_another_connection, .init = begin, .fini = end)
{
	const size_t second = (put(1, 30), put(2, 40));

	open_flow();
	arrive(0, second + 10);
	EXPECT_IDS(1);
	/* The same bytes with numbers from far away, as after a SYN that was not seen. */
	for (unsigned i = 0; i < 2; i++) {
		struct dns_frame frame = {
			.source_ip = {10, 0, 0, 5},
			.destination_ip = {10, 0, 0, 1},
			.source_port = client_port,
			.destination_port = 53,
			.family = RECORD_FAMILY_IPV4,
			.protocol = IPPROTO_TCP,
			.tcp_seq = FIRST_SEQ + (i ? 0x40000000U : 0xc0000000U),
			.payload = bytes.bytes,
			.payload_bytes = 32,
			.whole_bytes = 32,
		};

		dns_stream_take(&stream, &frame, now_ns, &sink);
		EXPECT_IDS(1);
	}
	cr_expect_eq(stream.counts.restarted, 2);
	cr_expect_eq(stream.counts.unfinished, 1);
}

Test(dns_stream_life, segments_that_say_nothing_make_no_flow, .init = begin, .fini = end)
{
	arrive_empty(0, 0);
	arrive_empty(0, DNS_FRAME_FIN);
	arrive_empty(0, DNS_FRAME_RST);
	cr_expect_eq(stream.flows.flow_pool.used, 0);
	cr_expect_eq(stream.counts.segments, 0);
}

Test(dns_stream_life, silent_flows_are_forgotten, .init = begin, .fini = end)
{
	put(1, 30);
	open_flow();
	arrive(0, 20);
	client_port++;
	open_flow();
	arrive_empty(0, DNS_FRAME_FIN);
	dns_stream_tick(&stream, now_ns + DNS_STREAM_IDLE_NS, &sink);
	cr_expect_eq(stream.flows.flow_pool.used, 1, "the first was heard of before the second");
	cr_expect_eq(stream.counts.unfinished, 1);
	dns_stream_tick(&stream, now_ns + DNS_STREAM_IDLE_NS + 1, &sink);
	cr_expect_eq(stream.flows.flow_pool.used, 0);
	cr_expect_eq(stream.flows.block_pool.used, 0);
}

Test(dns_stream_life, a_full_table_gives_up_ended_flows_and_then_the_oldest)
{
	uint32_t capacity;

	begin_within(100000);
	capacity = stream.flows.flow_pool.capacity;
	put(1, 30);
	for (uint32_t i = 0; i < capacity; i++) {
		client_port++;
		open_flow();
		if (i == 10)
			arrive_empty(0, DNS_FRAME_FIN);
	}
	cr_expect_eq(stream.flows.flow_pool.used, capacity);
	client_port++;
	open_flow();
	cr_expect_eq(stream.counts.flows_evicted, 0, "the one that has ended");
	client_port++;
	open_flow();
	cr_expect_eq(stream.counts.flows_evicted, 1);
	cr_expect_eq(stream.flows.flow_pool.used, capacity);
	/* The second is there still, the first is not. */
	client_port = 40002;
	arrive(10, 20);
	cr_expect_eq(stream.counts.out_of_order, 1);
	client_port = 40001;
	arrive(10, 20);
	cr_expect_eq(stream.counts.out_of_order, 1);
	cr_expect_eq(stream.counts.searched, 1);
	end();
}

Test(dns_stream_life, without_a_free_block_the_message_that_waits_longest_is_cut)
{
	uint32_t capacity;

	begin_within(100000);
	capacity = stream.flows.block_pool.capacity;
	cr_assert_gt(capacity, 1);
	put(1, 30);
	for (uint32_t i = 0; i < capacity; i++) {
		client_port++;
		open_flow();
		arrive(0, 20);
	}
	EXPECT_NOTHING();
	client_port++;
	open_flow();
	arrive(0, 20);
	cr_expect_eq(given[0].port, 40001);
	expect_cut(1, 18);
	cr_expect_eq(stream.counts.blocks_evicted, 1);
	/* Its place is known all the same. */
	client_port = 40001;
	put(2, 40);
	arrive(20, bytes.length);
	EXPECT_IDS(2);
	/* Those that were not touched are whole in the end. */
	client_port = 40002;
	arrive(20, bytes.length);
	EXPECT_IDS(1, 2);
	end();
}

Test(dns_stream_life, early_segments_give_way_as_well)
{
	uint32_t capacity;

	begin_within(100000);
	capacity = stream.flows.block_pool.capacity;
	put(1, 30);
	for (uint32_t i = 0; i < capacity + 1; i++) {
		client_port++;
		open_flow();
		arrive(10, 20);
	}
	cr_expect_eq(stream.counts.blocks_evicted, 1);
	cr_expect_eq(stream.flows.block_pool.used, capacity);
	client_port = (uint16_t)(40001 + capacity);
	arrive(0, 10);
	arrive(20, bytes.length);
	EXPECT_IDS(1);
	client_port = 40001;
	arrive(0, 10);
	arrive(20, bytes.length);
	EXPECT_NOTHING();
	end();
}

Test(dns_stream_life, memory_stays_within_the_budget)
{
	static const uint64_t budgets[] = {40000, 100000, 1 << 20, 10000000, 1 << 28};

	for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
		const struct dns_flows *flows = &stream.flows;
		uint64_t sum;

		begin_within(budgets[i]);
		sum = flows->flow_pool.capacity *
		      (sizeof(*flows->flow) + sizeof(*flows->flow_links));
		sum += flows->block_pool.capacity *
		       (sizeof(*flows->block) + sizeof(*flows->block_links));
		sum += slots_bytes(flows->flow_pool.capacity);
		cr_expect_leq(sum, budgets[i]);
		/* Slots come in powers of two, which leaves a part. */
		cr_expect_gt(sum, budgets[i] * 6 / 10, "%zu", i);
		end();
	}
	cr_expect_eq(dns_stream_init(&stream, 0, "test"), -EINVAL);
	cr_expect_eq(dns_stream_init(&stream, sizeof(struct dns_block), "test"), -EINVAL);
	/* One block, with its flows. */
	cr_expect_eq(dns_stream_init(&stream, 25000, "test"), -EINVAL);
	cr_expect_eq(dns_stream_init(&stream, UINT64_MAX, "test"), -EINVAL);
}

Test(dns_stream_life,
     a_held_segment_finds_room_for_the_message_that_it_begins_within_the_least_budget)
{
	uint64_t budget = sizeof(struct dns_block);
	size_t second, third;

	while (dns_stream_init(&stream, budget, "test") == -EINVAL)
		budget += 64;
	dns_stream_fini(&stream);
	begin_within(budget);
	put(1, 100);
	second = put(2, 100);
	third = put(3, 100);
	open_flow();
	arrive(second, second + 50);
	arrive(0, second);
	cr_expect_leq(stream.flows.block_pool.used, stream.flows.block_pool.capacity);
	arrive(second + 50, third);
	/* With another before it, of the flow's own, which gives way. */
	arrive(third + 50, bytes.length);
	arrive(third, third + 50);
	cr_expect_leq(stream.flows.block_pool.high, stream.flows.block_pool.capacity);
	EXPECT_IDS(1, 2, 3);
	end();
}
