/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "worker/publish/conn_terms.h"
#include "worker/publish/rollup.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>

#define S 1000000000ULL

static struct rollup *rollup;

static void open_rollup(void)
{
	rollup = malloc(sizeof(*rollup));
	cr_assert_not_null(rollup);
	rollup_init(rollup, ROLLUP_ROWS_MAX);
}

static void close_rollup(void)
{
	free(rollup);
}

TestSuite(rollup, .init = open_rollup, .fini = close_rollup);

/* A client's connection to 10.0.0.9:443 from this port, of so many seconds. */
static struct conn_record outgoing(uint16_t local_port, uint64_t duration_s)
{
	struct conn_record record = example_record();

	record.id = local_port;
	record.local_port = local_port;
	record.opened_ns = 1000 * S;
	record.at_ns = record.opened_ns + duration_s * S;
	return record;
}

static struct conn_record incoming(uint16_t remote_port)
{
	struct conn_record record = outgoing(443, 1);

	record.id = remote_port;
	record.direction = RECORD_DIRECTION_INCOMING;
	record.remote_port = remote_port;
	return record;
}

static bool add(const struct conn_record *record)
{
	const struct conn_view view = example_view(record);

	return rollup_add(rollup, &view);
}

static struct conn_totals delta_of(uint32_t row)
{
	const struct conn_view view = rollup_view(rollup, row);
	struct conn_totals delta;

	conn_delta(&view, &delta);
	return delta;
}

Test(rollup, connections_of_a_process_to_a_service_become_one_without_a_local_port)
{
	struct conn_view view;

	for (uint16_t port = 40000; port < 40010; port++) {
		const struct conn_record record = outgoing(port, 1);

		cr_assert(add(&record));
	}
	cr_assert_eq(rollup->used, 1);
	view = rollup_view(rollup, 0);
	cr_expect_eq(view.rolled_up, 10);
	cr_expect(view.closed);
	cr_expect_null(view.previous);
	cr_expect_eq(view.record->local_port, 0);
	cr_expect_eq(view.record->remote_port, 443);
	cr_expect_eq(view.record->sent_bytes, 1230);
	cr_expect_eq(view.record->recv_bytes, 45670);
	cr_expect_eq(view.record->sent_packets, 90);
	cr_expect_eq(view.record->recv_packets, 80);
	cr_expect_eq(view.record->retransmits, 10);
}

Test(rollup, connections_of_a_client_to_a_local_service_become_one_without_a_remote_port)
{
	const struct conn_record a = incoming(50000), b = incoming(50001);
	struct conn_view view;

	add(&a);
	add(&b);
	cr_assert_eq(rollup->used, 1);
	view = rollup_view(rollup, 0);
	cr_expect_eq(view.rolled_up, 2);
	cr_expect_eq(view.record->local_port, 443);
	cr_expect_eq(view.record->remote_port, 0);
}

Test(rollup, one_alone_keeps_its_port_and_all_of_its_numbers)
{
	const struct conn_record record = outgoing(40000, 1);
	struct conn_view view;

	add(&record);
	view = rollup_view(rollup, 0);
	cr_expect_eq(view.rolled_up, 0);
	cr_expect_eq(memcmp(view.record, &record, sizeof(record)), 0);
}

Test(rollup, only_short_ones_that_have_a_duration_and_a_direction_are_rolled_up)
{
	static const struct {
		const char *what;
		uint64_t opened_ns, at_ns;
		uint8_t direction;
		unsigned rows; /* of two */
	} cases[] = {
		{"just short", S, S + ROLLUP_DURATION_NS - 1, RECORD_DIRECTION_OUTGOING, 1},
		{"two minutes", S, S + ROLLUP_DURATION_NS, RECORD_DIRECTION_OUTGOING, 2},
		{"three minutes", S, 181 * S, RECORD_DIRECTION_OUTGOING, 2},
		{"no time at all", S, S, RECORD_DIRECTION_OUTGOING, 2},
		{"an unknown opening", 0, S, RECORD_DIRECTION_OUTGOING, 2},
		{"an unknown direction", S, 2 * S, RECORD_DIRECTION_UNKNOWN, 2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rollup_init(rollup, ROLLUP_ROWS_MAX);
		for (uint16_t port = 40000; port < 40002; port++) {
			struct conn_record record = outgoing(port, 1);

			record.opened_ns = cases[i].opened_ns;
			record.at_ns = cases[i].at_ns;
			record.direction = cases[i].direction;
			add(&record);
		}
		cr_expect_eq(rollup->used, cases[i].rows, "%s", cases[i].what);
		if (rollup->used == 2)
			cr_expect_eq(rollup_view(rollup, 1).record->local_port, 40001);
	}
}

/* Ways in which two connections that are alike otherwise differ. */
static void set_pid(struct conn_record *r)
{
	r->pid++;
}
static void set_start(struct conn_record *r)
{
	r->start_ns++;
}
static void set_netns(struct conn_record *r)
{
	r->netns++;
}
static void set_cgroup(struct conn_record *r)
{
	r->cgroup_id++;
}
static void set_local_ip(struct conn_record *r)
{
	r->local_ip[3]++;
}
static void set_remote_ip(struct conn_record *r)
{
	r->remote_ip[3]++;
}
static void set_service(struct conn_record *r)
{
	r->remote_port = 80;
}
static void set_error(struct conn_record *r)
{
	r->error = ECONNRESET;
}
static void set_family(struct conn_record *r)
{
	r->family = RECORD_FAMILY_IPV6;
}
static void set_reset(struct conn_record *r)
{
	r->tcp_state = 1;
}

static void set_failed(struct conn_record *r)
{
	r->flags = 0;
	r->error = ECONNREFUSED;
}

static void set_incoming(struct conn_record *r)
{
	r->direction = RECORD_DIRECTION_INCOMING;
}

static void set_udp(struct conn_record *r)
{
	r->protocol = IPPROTO_UDP;
	r->tcp_state = 0;
	r->end = RECORD_END_IDLE;
}

Test(rollup, what_differs_in_anything_but_the_ephemeral_port_is_not_mixed)
{
	static const struct {
		const char *what;
		void (*set)(struct conn_record *record);
	} cases[] = {
		{"process", set_pid},	    {"process of the same number", set_start},
		{"namespace", set_netns},   {"control group", set_cgroup},
		{"local ip", set_local_ip}, {"remote ip", set_remote_ip},
		{"service", set_service},   {"error", set_error},
		{"family", set_family},	    {"reset", set_reset},
		{"failure", set_failed},    {"direction", set_incoming},
		{"protocol", set_udp},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct conn_record a = outgoing(40000, 1);
		struct conn_record b = outgoing(40001, 1), c;

		cases[i].set(&b);
		c = b;
		c.local_port = c.direction == RECORD_DIRECTION_INCOMING ? 40001 : 40002;
		rollup_init(rollup, ROLLUP_ROWS_MAX);
		add(&a);
		add(&b);
		cr_expect_eq(rollup->used, 2, "%s", cases[i].what);
		/* And a third that is like the second finds it. */
		add(&c);
		cr_expect_eq(rollup->used, 2, "%s", cases[i].what);
		cr_expect_eq(rollup_view(rollup, 1).rolled_up, 2, "%s", cases[i].what);
	}
}

Test(rollup, flows_that_ended_by_silence_and_by_release_are_not_mixed)
{
	struct conn_record a = outgoing(40000, 1), b = outgoing(40001, 1);

	set_udp(&a);
	set_udp(&b);
	b.end = RECORD_END_RELEASED;
	add(&a);
	add(&b);
	cr_expect_eq(rollup->used, 2);
}

Test(rollup, one_whose_end_was_inferred_is_not_mixed_with_those_that_were_seen)
{
	const struct conn_record a = outgoing(40000, 1), b = outgoing(40001, 1);
	struct conn_view view = example_view(&b);

	view.inferred = true;
	add(&a);
	rollup_add(rollup, &view);
	cr_assert_eq(rollup->used, 2);
	cr_expect_not(rollup_view(rollup, 0).inferred);
	cr_expect(rollup_view(rollup, 1).inferred);
}

/* Eight closed connections become five: the pairs that are alike. */
Test(rollup, of_a_mixture_each_kind_is_a_row)
{
	struct conn_record dns_a1 = outgoing(40000, 1), dns_a2 = outgoing(40001, 1);
	struct conn_record dns_b1 = outgoing(40002, 1), dns_b2 = outgoing(40003, 1);
	const struct conn_record slow = outgoing(40004, 180), in1 = incoming(50000);
	const struct conn_record in2 = incoming(50001), other = outgoing(40005, 1);
	const struct conn_record *const all[] = {&dns_a1, &slow,   &dns_b1, &in1,
						 &dns_a2, &dns_b2, &other,  &in2};

	set_udp(&dns_a1);
	set_udp(&dns_a2);
	set_udp(&dns_b1);
	set_udp(&dns_b2);
	dns_a1.remote_port = dns_a2.remote_port = dns_b1.remote_port = dns_b2.remote_port = 53;
	dns_b1.remote_ip[3] = dns_b2.remote_ip[3] = 77;
	for (size_t i = 0; i < 8; i++)
		cr_assert(add(all[i]));
	cr_assert_eq(rollup->used, 5);
	cr_expect_eq(rollup_view(rollup, 0).rolled_up, 2);
	cr_expect_eq(rollup_view(rollup, 1).record->local_port, 40004, "the slow one");
	cr_expect_eq(rollup_view(rollup, 2).rolled_up, 2);
	cr_expect_eq(rollup_view(rollup, 3).record->remote_port, 0, "the incoming ones");
	cr_expect_eq(rollup_view(rollup, 4).record->local_port, 40005, "the single one");
}

Test(rollup, round_trips_are_averages_of_those_that_were_measured_and_times_span_all)
{
	struct conn_record a = outgoing(40000, 1), b = outgoing(40001, 1), c = outgoing(40002, 1);
	struct conn_view view;

	a.srtt_us = 100;
	a.rttvar_us = 10;
	a.handshake_us = 1000;
	b.srtt_us = 300;
	b.rttvar_us = 30;
	b.handshake_us = 0;
	c.srtt_us = 0;
	c.rttvar_us = 0;
	c.handshake_us = 3000;
	b.opened_ns = 900 * S;
	b.at_ns = 950 * S;
	c.at_ns = 1050 * S;
	add(&a);
	add(&b);
	add(&c);
	view = rollup_view(rollup, 0);
	cr_expect_eq(view.record->srtt_us, 200);
	cr_expect_eq(view.record->rttvar_us, 20);
	cr_expect_eq(view.record->handshake_us, 2000);
	cr_expect_eq(view.record->opened_ns, 900 * S);
	cr_expect_eq(view.record->at_ns, 1050 * S);
}

Test(rollup, deltas_add_up_though_only_some_were_told_before)
{
	const struct conn_totals told = {.sent_bytes = 100, .recv_bytes = 67, .sent_packets = 4};
	/* More than the close shows: nothing is new, and nothing is taken from the others. */
	const struct conn_totals more = {.sent_bytes = 124, .recv_bytes = 4567, .sent_packets = 10};
	const struct conn_record a = outgoing(40000, 1), b = outgoing(40001, 1);
	const struct conn_record c = outgoing(40002, 1);
	struct conn_view view = example_view(&b);

	add(&a);
	view.previous = &told;
	rollup_add(rollup, &view);
	view = example_view(&c);
	view.previous = &more;
	rollup_add(rollup, &view);
	cr_assert_eq(rollup->used, 1);
	cr_expect_eq(delta_of(0).sent_bytes, 123 + 23);
	cr_expect_eq(delta_of(0).recv_bytes, 4567 + 4500);
	cr_expect_eq(delta_of(0).sent_packets, 9 + 5);
	cr_expect_eq(delta_of(0).recv_packets, 8 + 8 + 8);
	cr_expect_eq(rollup_view(rollup, 0).record->sent_bytes, 3 * 123);
}

Test(rollup, a_packet_counter_that_wrapped_since_it_was_told_adds_its_difference)
{
	const struct conn_totals told = {.sent_packets = UINT32_MAX - 5};
	const struct conn_record a = outgoing(40000, 1), b = outgoing(40001, 1);
	struct conn_view view = example_view(&a);

	view.previous = &told; /* 9 now: 15 more */
	rollup_add(rollup, &view);
	add(&b);
	cr_expect_eq(delta_of(0).sent_packets, 15 + 9);
}

Test(rollup, numbers_that_would_wrap_begin_a_new_row)
{
	struct conn_record a = outgoing(40000, 1), b = outgoing(40001, 1), c = outgoing(40002, 1);

	a.sent_packets = UINT32_MAX - 3;
	b.sent_packets = 4;
	c.sent_packets = 3;
	add(&a);
	add(&b);
	cr_assert_eq(rollup->used, 2);
	cr_expect_eq(rollup_view(rollup, 0).record->sent_packets, UINT32_MAX - 3);
	cr_expect_eq(rollup_view(rollup, 0).record->sent_bytes, 123, "nothing of it was mixed in");
	cr_expect_eq(rollup_view(rollup, 0).rolled_up, 0);
	cr_expect_eq(rollup_view(rollup, 1).record->local_port, 40001);
	add(&c); /* fits into the first */
	cr_expect_eq(rollup->used, 2);
	cr_expect_eq(rollup_view(rollup, 0).record->sent_packets, UINT32_MAX);
	a.sent_packets = 1;
	a.sent_bytes = UINT64_MAX;
	add(&a);
	cr_expect_eq(rollup->used, 3);
}

Test(rollup, a_sum_of_differences_that_could_not_be_told_from_a_reset_begins_a_new_row)
{
	const struct conn_totals told = {.sent_packets = 1};
	struct conn_record a = outgoing(40000, 1), b = outgoing(40001, 1);
	struct conn_view view = example_view(&b);

	a.sent_packets = 1U << 30;
	b.sent_packets = (1U << 30) + 1;
	view.previous = &told;
	add(&a);
	rollup_add(rollup, &view);
	cr_assert_eq(rollup->used, 2);
	cr_expect_eq(delta_of(0).sent_packets, 1U << 30);
	cr_expect_eq(delta_of(1).sent_packets, 1U << 30);
}

Test(rollup, a_row_that_is_missing_is_said_and_changes_nothing)
{
	struct conn_record record = outgoing(40000, 1);

	rollup_init(rollup, 2);
	for (uint32_t pid = 1; pid <= 3; pid++) {
		record.pid = pid;
		cr_expect_eq(add(&record), pid <= 2, "%u", pid);
	}
	record.pid = 2;
	record.local_port = 40001;
	cr_expect(add(&record), "to a row that is there");
	cr_expect_eq(rollup->used, 2);
	cr_expect_eq(rollup_view(rollup, 1).rolled_up, 2);
	rollup_init(rollup, 0);
	cr_expect_not(add(&record));
}

Test(rollup, there_are_as_many_rows_as_the_header_says)
{
	struct conn_record record = outgoing(40000, 1);
	uint32_t pid = 1;

	rollup_init(rollup, UINT32_MAX);
	for (; pid < 5000; pid++) {
		record.pid = pid;
		if (!add(&record))
			break;
	}
	cr_expect_eq(pid, ROLLUP_ROWS_MAX + 1);
	for (pid = 1; pid <= ROLLUP_ROWS_MAX; pid++) {
		record.pid = pid;
		record.local_port = 40001;
		cr_assert(add(&record));
	}
	for (uint32_t row = 0; row < ROLLUP_ROWS_MAX; row++)
		cr_assert_eq(rollup_view(rollup, row).rolled_up, 2);
}

Test(rollup, a_flow_whose_direction_is_fixed_is_rolled_up_by_the_right_one)
{
	for (uint16_t port = 40000; port < 40003; port++) {
		struct conn_record record = outgoing(port, 1);
		struct conn_view view = example_view(&record);

		set_udp(&record);
		record.remote_port = 53;
		/* The second one was seen from its middle on. */
		record.direction = port == 40001 ? RECORD_DIRECTION_INCOMING
						 : RECORD_DIRECTION_OUTGOING;
		view.direction = port == 40001 ? RECORD_DIRECTION_OUTGOING : 0;
		cr_assert(rollup_add(rollup, &view));
	}
	cr_assert_eq(rollup->used, 1);
	cr_expect_eq(rollup_view(rollup, 0).rolled_up, 3);
	cr_expect_eq(rollup_view(rollup, 0).record->local_port, 0);
	cr_expect_eq(rollup_view(rollup, 0).record->remote_port, 53);
	cr_expect_eq(rollup_view(rollup, 0).record->direction, RECORD_DIRECTION_OUTGOING);
}
