/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients are told, one case after the other: who acknowledges, does not, is interrupted, comes late,
 * and a log that is too small.
 */
#include "tests/unit/clients_rig.h"

#include <errno.h>

static void finish(uint64_t id, uint64_t bytes)
{
	const struct conn_record record = make(id, bytes);

	finish_record(&record);
}

/* A whole batch. */
static struct told ask(const char *name, uint64_t ack)
{
	struct client *client;
	struct told told;

	cr_assert_eq(begin(&told, name, ack, &client), 0, "%s, ack %lu", name, (unsigned long)ack);
	while (step(&told, client))
		;
	return told;
}

#define EXPECT(batch_, closed_, live_, bytes)                                       \
	do {                                                                        \
		const struct told t = (batch_);                                     \
		cr_expect_eq(t.closed, (unsigned)(closed_), "%u closed", t.closed); \
		cr_expect_eq(t.live, (unsigned)(live_), "%u live", t.live);         \
		cr_expect_eq(t.delta.sent_bytes, (uint64_t)(bytes), "%lu bytes",    \
			     (unsigned long)t.delta.sent_bytes);                    \
	} while (0)

Test(clients, a_closed_connection_keeps_the_translation_that_was_found_when_it_closed)
{
	const struct conn_nat nat = {{192, 0, 2, 1}, {10, 0, 0, 9}, 7000, 443};
	const struct conn_record plain = make(8, 1);
	struct conn_record record = make(7, 1);
	struct conn_view view = example_view(&record), told;
	struct client *client;

	open_clients(2, 8);
	cr_assert_eq(clients_begin(&clients, "a", 0, now_ns, &client), 0);
	view.nat = &nat;
	clients_close(&clients, &view, CONN_TABLE_NONE);
	view = example_view(&plain);
	clients_close(&clients, &view, CONN_TABLE_NONE);
	cr_assert_eq(clients_begin(&clients, "a", 0, now_ns, &client), 0);
	cr_assert(clients_closed_next(&clients, client, &told));
	cr_assert_not_null(told.nat);
	cr_expect_arr_eq((const char *)told.nat, (const char *)&nat, sizeof(nat));
	clients_closed_told(client);
	cr_assert(clients_closed_next(&clients, client, &told));
	cr_expect_null(told.nat);
	close_clients();
}

Test(clients, who_registers_late_is_told_of_the_live_ones_and_not_of_what_closed_before)
{
	open_clients(4, 16);
	finish(1, 10);
	see(2, 7);
	EXPECT(ask("a", 0), 0, 1, 7);
	finish(3, 5);
	EXPECT(ask("b", 0), 0, 1, 7);
	EXPECT(ask("a", 1), 1, 0, 5);
	close_clients();
}

Test(clients, a_closed_connection_is_told_once_to_each_that_was_registered)
{
	open_clients(4, 16);
	ask("a", 0);
	ask("b", 0);
	finish(1, 10);
	EXPECT(ask("a", 1), 1, 0, 10);
	EXPECT(ask("a", 2), 0, 0, 0);
	EXPECT(ask("b", 1), 1, 0, 10);
	EXPECT(ask("b", 2), 0, 0, 0);
	close_clients();
}

Test(clients, idle_connections_cost_no_output)
{
	struct told told;

	open_clients(4, 16);
	see(1, 10);
	see(2, 20);
	EXPECT(ask("a", 0), 0, 2, 30);
	see(1, 10);
	see(2, 20);
	EXPECT(ask("a", 1), 0, 0, 0);
	see(2, 25);
	told = ask("a", 2);
	EXPECT(told, 0, 1, 5);
	cr_expect_eq(told.last_id, 2);
	cr_expect_eq(told.last_total, 25);
	close_clients();
}

Test(clients, each_gets_deltas_since_what_it_saw_itself)
{
	open_clients(4, 16);
	ask("c", 0);
	ask("d", 0);
	see(1, 3);
	EXPECT(ask("c", 1), 0, 1, 3);
	see(1, 5);
	EXPECT(ask("c", 2), 0, 1, 2);
	/* d skipped a poll. */
	EXPECT(ask("d", 1), 0, 1, 5);
	see(1, 9);
	EXPECT(ask("c", 3), 0, 1, 4);
	EXPECT(ask("d", 2), 0, 1, 4);
	close_clients();
}

Test(clients, the_delta_of_a_close_is_since_the_last_look_at_the_live_connection)
{
	struct told told;

	open_clients(4, 16);
	ask("a", 0);
	see(1, 3);
	EXPECT(ask("a", 1), 0, 1, 3);
	finish(1, 8);
	told = ask("a", 2);
	EXPECT(told, 1, 0, 5);
	cr_expect_eq(told.last_total, 8);
	EXPECT(ask("a", 3), 0, 0, 0);
	close_clients();
}

Test(clients, one_tuple_again_and_again_is_as_many_connections)
{
	/* Short-lived; two in one interval; one that crosses an interval; late joiner. */
	open_clients(4, 16);
	ask("c", 0);
	finish(1, 3);
	EXPECT(ask("c", 1), 1, 0, 3);
	finish(2, 3);
	finish(3, 5);
	EXPECT(ask("c", 2), 2, 0, 8);
	see(4, 1);
	EXPECT(ask("c", 3), 0, 1, 1);
	finish(4, 2);
	see(5, 1);
	EXPECT(ask("c", 4), 1, 1, 2);
	EXPECT(ask("d", 0), 0, 1, 1);
	finish(5, 2);
	EXPECT(ask("c", 5), 1, 0, 1);
	EXPECT(ask("d", 1), 1, 0, 1);
	EXPECT(ask("e", 0), 0, 0, 0);
	close_clients();
}

Test(clients, the_place_of_a_closed_connection_in_the_table_may_be_anothers_at_once)
{
	open_clients(4, 16);
	see(1, 100);
	EXPECT(ask("a", 0), 0, 1, 100);
	finish(1, 101);
	see(2, 50);
	EXPECT(ask("a", 1), 1, 1, 51);
	close_clients();
}

Test(clients, what_is_not_acknowledged_is_given_again_merged_with_what_came_since)
{
	open_clients(4, 16);
	ask("a", 0);
	see(1, 10);
	finish(2, 5);
	EXPECT(ask("a", 1), 1, 1, 15);
	EXPECT(ask("a", 0), 1, 1, 15);
	see(1, 12);
	finish(3, 1);
	EXPECT(ask("a", 0), 2, 1, 18);
	finish(1, 20);
	EXPECT(ask("a", 0), 3, 0, 26);
	EXPECT(ask("a", 5), 0, 0, 0);
	close_clients();
}

Test(clients, a_number_that_does_not_wait_is_refused_and_one_accepted_before_changes_nothing)
{
	struct client *client;
	struct told told;

	open_clients(4, 16);
	cr_expect_eq(begin(&told, "new", 1, &client), -ESTALE, "a client that is not known");
	cr_expect_eq(clients.count, 0);
	ask("a", 0);
	finish(1, 10);
	EXPECT(ask("a", 1), 1, 0, 10);
	EXPECT(ask("a", 0), 1, 0, 10);
	cr_expect_eq(begin(&told, "a", 2, &client), -ESTALE, "it was given again as 3");
	cr_expect_eq(begin(&told, "a", 4, &client), -ESTALE, "there is none yet");
	EXPECT(ask("a", 1), 1, 0, 10);
	EXPECT(ask("a", 4), 0, 0, 0);
	EXPECT(ask("a", 4), 0, 0, 0);
	close_clients();
}

Test(clients, an_incomplete_batch_cannot_be_acknowledged_and_is_owed)
{
	struct client *client;
	struct told told;

	open_clients(4, 16);
	ask("a", 0);
	finish(1, 10);
	finish(2, 20);
	cr_assert_eq(begin(&told, "a", 1, &client), 0);
	cr_assert(step(&told, client));
	cr_expect_eq(begin(&told, "a", 2, &client), -EBUSY);
	EXPECT(ask("a", 0), 2, 0, 30);
	close_clients();
}

Test(clients, what_closes_while_a_batch_is_told_is_in_the_next_one)
{
	struct client *client;
	struct told told;

	open_clients(4, 16);
	see(1, 10);
	see(2, 20);
	see(3, 30);
	ask("a", 0);
	see(1, 11);
	see(2, 21);
	see(3, 31);
	cr_assert_eq(begin(&told, "a", 1, &client), 0);
	cr_assert(step(&told, client)); /* 1 */
	finish(1, 15);			/* told in this batch */
	finish(2, 25);			/* not yet */
	while (step(&told, client))
		;
	EXPECT(told, 0, 2, 2);
	EXPECT(ask("a", 2), 2, 0, 4 + 5);
	close_clients();
}

Test(clients, what_a_lost_batch_told_of_a_connection_that_then_closed_is_still_owed)
{
	struct client *client;
	struct told told;

	open_clients(4, 16);
	see(1, 10);
	ask("a", 0);
	see(1, 17);
	EXPECT(ask("a", 1), 0, 1, 7); /* lost */
	cr_assert_eq(begin(&told, "a", 0, &client), 0);
	finish(1, 20); /* behind the end of the batch that has begun */
	while (step(&told, client))
		;
	EXPECT(told, 0, 0, 0);
	EXPECT(ask("a", 3), 1, 0, 10);
	close_clients();
}

Test(clients, a_full_log_keeps_the_sums_of_what_makes_room_by_direction_protocol_and_port)
{
	struct client *client;
	struct told told;

	open_clients(4, 4);
	ask("a", 0);
	ask("b", 0);
	for (uint64_t id = 1; id <= 4; id++)
		finish(id, id);
	EXPECT(ask("b", 1), 4, 0, 10);
	ask("b", 2); /* acknowledged: nobody but a is owed these any more */
	for (uint64_t id = 5; id <= 7; id++) {
		struct conn_record record = make(id, id);

		record.remote_port = 80;
		finish_record(&record);
	}
	EXPECT(ask("b", 3), 3, 0, 18);
	cr_expect_eq(clients.folded, 3);
	cr_assert_eq(begin(&told, "a", 1, &client), 0);
	cr_expect_eq(told.folded, 3);
	cr_expect_eq(told.delta.sent_bytes, 6);
	cr_expect_eq(told.delta.retransmits, 30);
	while (step(&told, client))
		;
	EXPECT(told, 4, 0, 28);
	cr_expect_eq(client->overflow.rows[OVERFLOW_PORTLESS_ROWS].remote_port, 443);
	EXPECT(ask("a", 2), 0, 0, 0);
	cr_expect_eq(client->overflow.used, 0);
	close_clients();
}

Test(clients, what_makes_room_after_it_was_told_is_not_owed_twice)
{
	struct client *client;
	struct told told;

	open_clients(4, 4);
	see(9, 100);
	ask("a", 0);
	see(9, 130);
	for (uint64_t id = 1; id <= 3; id++)
		finish(id, id);
	finish(9, 150);
	cr_assert_eq(begin(&told, "a", 1, &client), 0);
	cr_assert(step(&told, client));
	cr_assert(step(&told, client)); /* 1 and 2 are told */
	for (uint64_t id = 10; id <= 12; id++)
		finish(id, id); /* 1, 2 and 3 make room */
	while (step(&told, client))
		;
	EXPECT(told, 3, 0, 1 + 2 + 50); /* 3 was too late for this batch */
	told = ask("a", 2);
	EXPECT(told, 3, 0, 3 + 10 + 11 + 12);
	cr_expect_eq(told.folded, 1);
	close_clients();
}

Test(clients, bytes_that_belong_to_no_flow_are_owed_to_each)
{
	struct client *client;
	struct told told;

	open_clients(4, 4);
	clients.unattributed.sent_bytes = 1000;
	ask("a", 0);
	clients.unattributed.sent_bytes = 1300;
	cr_assert_eq(clients_begin(&clients, "a", 1, now_ns, &client), 0);
	cr_expect_eq(clients_unattributed(&clients, client).sent_bytes, 300);
	clients_overflow_told(&clients, client);
	clients_complete(client);
	clients.unattributed.sent_bytes = 1500;
	cr_assert_eq(clients_begin(&clients, "a", 0, now_ns, &client), 0);
	cr_expect_eq(clients_unattributed(&clients, client).sent_bytes, 500);
	clients_overflow_told(&clients, client);
	clients_complete(client);
	cr_assert_eq(clients_begin(&clients, "a", 3, now_ns, &client), 0);
	cr_expect_eq(clients_unattributed(&clients, client).sent_bytes, 0);
	cr_assert_eq(begin(&told, "b", 0, &client), 0);
	cr_expect_eq(clients_unattributed(&clients, client).sent_bytes, 0);
	close_clients();
}

Test(clients, there_are_so_many_and_no_more_and_who_does_not_ask_is_forgotten)
{
	struct client *client;
	struct told told;

	open_clients(2, 16);
	ask("a", 0);
	now_ns += EXPIRY_NS / 2;
	ask("b", 0);
	cr_expect_eq(begin(&told, "c", 0, &client), -EUSERS);
	cr_expect_eq(clients.refused, 1);
	now_ns += EXPIRY_NS / 2 - 1;
	clients_expire(&clients, now_ns);
	cr_expect_eq(clients.count, 2);
	now_ns += 1;
	/* a, whose time is over, makes room. */
	ask("c", 0);
	cr_expect_null(clients_find(&clients, "a"));
	cr_expect_not_null(clients_find(&clients, "b"));
	cr_expect_eq(clients.expired, 1);
	clients_remove(&clients, clients_find(&clients, "b"));
	ask("a", 0);
	close_clients();
}

Test(clients, who_comes_back_after_having_been_forgotten_begins_anew)
{
	open_clients(2, 16);
	see(1, 10);
	ask("a", 0);
	ask("a", 1);
	clients_remove(&clients, clients_find(&clients, "a"));
	cr_expect_eq(clients.log.next, 0, "nobody is owed anything");
	finish(2, 99);
	cr_expect_eq(clients.log.next, 0);
	EXPECT(ask("a", 0), 0, 1, 10);
	close_clients();
}

Test(clients, a_counter_that_is_read_as_less_is_told_as_nothing)
{
	open_clients(2, 16);
	see(1, 10);
	EXPECT(ask("a", 0), 0, 1, 10);
	see(1, 9);
	EXPECT(ask("a", 1), 0, 0, 0);
	see(1, 12);
	EXPECT(ask("a", 2), 0, 1, 2);
	close_clients();
}

Test(clients, a_packet_counter_that_wraps_goes_on)
{
	struct conn_record record = make(1, 1);
	struct told told;

	open_clients(2, 16);
	record.sent_packets = UINT32_MAX - 5;
	conn_state_seen(&state, &record);
	ask("a", 0);
	record.sent_packets = 10;
	conn_state_seen(&state, &record);
	told = ask("a", 1);
	cr_expect_eq(told.delta.sent_packets, 16);
	record.sent_packets = 12;
	finish_record(&record);
	told = ask("a", 2);
	cr_expect_eq(told.delta.sent_packets, 2);
	close_clients();
}

Test(clients, a_close_that_shows_less_than_was_told_leaves_nothing_owed)
{
	struct client *client;
	struct told told;

	open_clients(2, 2);
	see(1, 100);
	ask("a", 0);
	see(1, 130);
	EXPECT(ask("a", 1), 0, 1, 30);
	finish(1, 129);
	finish(2, 7);
	finish(3, 7); /* 1 makes room */
	cr_assert_eq(begin(&told, "a", 2, &client), 0);
	cr_expect_eq(told.delta.sent_bytes, 0, "%lu", (unsigned long)told.delta.sent_bytes);
	cr_expect_eq(told.delta.retransmits, 0);
	cr_expect_eq(told.folded, 1);
	close_clients();
}

Test(clients, a_connection_that_counted_nothing_is_told_again_if_its_batch_was_lost)
{
	open_clients(2, 2);
	see(1, 0);
	EXPECT(ask("a", 0), 0, 1, 0);
	EXPECT(ask("a", 0), 0, 1, 0);
	EXPECT(ask("a", 2), 0, 0, 0);
	close_clients();
}
