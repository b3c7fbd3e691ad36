/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "worker/conn/overflow.h"

#include <criterion/criterion.h>

#include <stdlib.h>

static struct overflow overflow;

static void reset(void)
{
	memset(&overflow, 0, sizeof(overflow));
}

TestSuite(overflow, .init = reset);

static struct conn_sums sums(uint64_t bytes)
{
	return (struct conn_sums){
		.connections = 1,
		.sent_bytes = bytes,
		.recv_bytes = 2 * bytes,
		.sent_packets = 3 * bytes,
		.recv_packets = 4 * bytes,
		.retransmits = 5 * bytes,
	};
}

static void add_given(uint8_t direction, uint8_t protocol, uint16_t port, uint64_t bytes,
		      uint64_t given_bytes)
{
	const struct conn_sums owed = sums(bytes);
	struct conn_sums given = sums(given_bytes);
	struct conn_record record = example_record();

	record.direction = direction;
	record.protocol = protocol;
	record.remote_port = port;
	given.connections = given_bytes > 0;
	overflow_add(&overflow, &record, &owed, &given);
}

static void add(uint8_t direction, uint8_t protocol, uint16_t port, uint64_t bytes)
{
	add_given(direction, protocol, port, bytes, 0);
}

/* The row of a key, or NULL; there is never a second one. */
static const struct overflow_row *row_of(uint8_t direction, uint8_t protocol, uint16_t port)
{
	const struct overflow_row *found = NULL;

	for (uint32_t i = 0; i < overflow.used; i++) {
		const struct overflow_row *row = &overflow.rows[i];

		if (row->direction != direction || row->protocol != protocol ||
		    row->remote_port != port)
			continue;
		cr_assert_null(found, "two rows of port %u", port);
		found = row;
	}
	return found;
}

static uint64_t all_owed(void)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < overflow.used; i++)
		bytes += overflow.rows[i].owed.sent_bytes;
	return bytes;
}

Test(overflow, an_empty_one_owes_nothing_whatever_is_done_to_it)
{
	overflow_begin(&overflow);
	overflow_give(&overflow);
	overflow_ack(&overflow);
	cr_expect_eq(overflow.used, 0);
}

Test(overflow, a_row_is_of_one_direction_protocol_and_remote_port)
{
	const struct overflow_row *row;

	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443, 10);
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443, 5);
	add(RECORD_DIRECTION_INCOMING, IPPROTO_TCP, 443, 7);
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_UDP, 443, 3);
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 80, 1);
	cr_expect_eq(overflow.used, OVERFLOW_PORTLESS_ROWS + 4);
	row = row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443);
	cr_assert_not_null(row);
	cr_expect_eq(row->owed.connections, 2);
	cr_expect_eq(row->owed.sent_bytes, 15);
	cr_expect_eq(row->owed.recv_bytes, 30);
	cr_expect_eq(row->owed.sent_packets, 45);
	cr_expect_eq(row->owed.recv_packets, 60);
	cr_expect_eq(row->owed.retransmits, 75);
	cr_expect_eq(row_of(RECORD_DIRECTION_INCOMING, IPPROTO_TCP, 443)->owed.sent_bytes, 7);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_UDP, 443)->owed.sent_bytes, 3);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 80)->owed.sent_bytes, 1);
}

Test(overflow, who_has_no_port_has_the_row_without_one)
{
	add(RECORD_DIRECTION_UNKNOWN, IPPROTO_UDP, 0, 9);
	cr_expect_eq(overflow.used, OVERFLOW_PORTLESS_ROWS);
	cr_expect_eq(row_of(RECORD_DIRECTION_UNKNOWN, IPPROTO_UDP, 0)->owed.sent_bytes, 9);
}

Test(overflow, when_rows_run_out_new_ports_share_one_and_known_ones_keep_theirs)
{
	const unsigned ports = OVERFLOW_ROWS - OVERFLOW_PORTLESS_ROWS;

	for (unsigned port = 1; port <= ports; port++)
		add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, (uint16_t)port, 1);
	cr_expect_eq(overflow.used, OVERFLOW_ROWS);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 0)->owed.sent_bytes, 0);
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 60000, 100);
	add(RECORD_DIRECTION_INCOMING, IPPROTO_UDP, 60001, 200);
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 7, 1000);
	cr_expect_eq(overflow.used, OVERFLOW_ROWS);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 0)->owed.sent_bytes, 100);
	cr_expect_eq(row_of(RECORD_DIRECTION_INCOMING, IPPROTO_UDP, 0)->owed.sent_bytes, 200);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 7)->owed.sent_bytes, 1001);
	cr_expect_eq(all_owed(), ports + 1300);
}

Test(overflow, what_was_given_is_gone_with_its_acknowledgement_and_nothing_else_is)
{
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443, 10);
	overflow_begin(&overflow);
	overflow_give(&overflow);
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443, 4);
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 80, 6);
	overflow_ack(&overflow);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443)->owed.sent_bytes, 4);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443)->owed.connections, 1);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 80)->owed.sent_bytes, 6);
	overflow_begin(&overflow);
	overflow_give(&overflow);
	overflow_ack(&overflow);
	cr_expect_eq(overflow.used, 0);
}

Test(overflow, a_batch_that_begins_anew_has_given_nothing)
{
	add(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443, 10);
	overflow_give(&overflow);
	overflow_begin(&overflow);
	overflow_ack(&overflow);
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443)->owed.sent_bytes, 10);
}

Test(overflow, what_was_told_one_by_one_before_it_made_room_is_not_owed_again)
{
	overflow_begin(&overflow);
	overflow_give(&overflow);
	add_given(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443, 10, 10); /* whole */
	add_given(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 80, 10, 4);	/* while it lived */
	overflow_ack(&overflow);
	cr_expect_null(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 443));
	cr_expect_eq(row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, 80)->owed.sent_bytes, 6);
}

/* Rows come, go and move: each key has one row with exactly what is owed of it. */
Test(overflow, rows_are_found_again_however_they_were_packed)
{
	static uint64_t owed[400], given[400];
	uint64_t all = 0;

	srand(7);
	for (unsigned round = 0; round < 300; round++) {
		overflow_begin(&overflow);
		memset(given, 0, sizeof(given));
		for (unsigned i = 0; i < 60; i++) {
			const unsigned port = 1 + (unsigned)rand() % 399;
			const bool is_given = rand() % 2;

			add_given(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, (uint16_t)port, 3,
				  is_given ? 3 : 0);
			owed[port] += 3;
			given[port] += is_given ? 3 : 0;
		}
		overflow_ack(&overflow);
		all = 0;
		for (unsigned port = 1; port < 400; port++) {
			const struct overflow_row *row =
				row_of(RECORD_DIRECTION_OUTGOING, IPPROTO_TCP, (uint16_t)port);

			owed[port] -= given[port];
			all += owed[port];
			cr_assert_eq(row ? row->owed.sent_bytes : 0, owed[port],
				     "round %u, port %u", round, port);
		}
		cr_assert_eq(all_owed(), all);
		if (round % 50 != 49)
			continue;
		overflow_give(&overflow);
		overflow_ack(&overflow);
		memset(owed, 0, sizeof(owed));
		cr_assert_eq(overflow.used, 0);
	}
	cr_expect_gt(all, 0);
}
