/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "tests/unit/example_nat.h"
#include "tests/unit/resident.h"
#include "worker/nat/table.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define KEEP_NS 1000000000ULL
#define START_NS 5000000000ULL

static struct nat_table table;
static struct conn_nat nat;
static uint32_t used_index;

static void make_table(void)
{
	cr_assert_eq(nat_table_init(&table, 64, KEEP_NS, "secret"), 0);
	nat_table_tick(&table, START_NS);
}

static void free_table(void)
{
	nat_table_fini(&table);
}

TestSuite(nat_table, .init = make_table, .fini = free_table);

static void take(struct nat_event event, enum nat_event_kind kind)
{
	event.kind = (uint8_t)kind;
	event.read_ns = table.now_ns;
	nat_table_take(&table, &event);
}

/* A connection of the client or of the server; opened before the table's first moment. */
static struct conn_record record_of(const struct nat_event *event, bool client)
{
	struct conn_record record = example_record();

	example_nat_ends(&record, event, client);
	record.opened_ns = START_NS - 1;
	return record;
}

static bool find(const struct nat_event *event, bool client)
{
	const struct conn_record record = record_of(event, client);

	return nat_table_find(&table, &record, &nat, &used_index);
}

static bool find_any(struct nat_event event, bool client)
{
	return find(&event, client);
}

static void expect_other_side(const struct nat_event *event, bool client)
{
	const struct nat_tuple *other = client ? &event->reply : &event->original;

	cr_assert(find(event, client));
	cr_expect_arr_eq(nat.local_ip, other->destination_ip, 16);
	cr_expect_arr_eq(nat.remote_ip, other->source_ip, 16);
	cr_expect_eq(nat.local_port, other->destination_port);
	cr_expect_eq(nat.remote_port, other->source_port);
}

Test(nat_table, tells_both_ends_how_the_other_side_sees_them)
{
	const struct nat_event four = example_nat_event(1), six = example_nat_event_ipv6(1);

	take(four, NAT_EVENT_NEW);
	take(six, NAT_EVENT_UPDATE);
	expect_other_side(&four, true);
	cr_expect_eq(nat.local_port, 7001, "the client looks like the gateway");
	cr_expect_eq(nat.remote_port, 80, "its server is the one that it asked");
	expect_other_side(&four, false);
	cr_expect_eq(nat.remote_port, 1001, "the server's peer is the client");
	expect_other_side(&six, true);
	expect_other_side(&six, false);
	cr_expect_eq(table.counts.registered, 2);
}

Test(nat_table, finds_by_all_of_the_tuple_and_the_protocol)
{
	const struct nat_event event = example_nat_event(1);
	struct conn_record cases[7];

	take(event, NAT_EVENT_NEW);
	for (unsigned i = 0; i < 7; i++)
		cases[i] = record_of(&event, true);
	cases[0].local_ip[3]++;
	cases[1].remote_ip[0]++;
	cases[2].local_port++;
	cases[3].remote_port++;
	cases[4].protocol = IPPROTO_UDP;
	cases[5].family = RECORD_FAMILY_IPV6;
	/* The tuple from the other end: the server as it is asked, which no socket has. */
	cases[6] = record_of(&event, true);
	memcpy(cases[6].local_ip, event.original.destination_ip, 16);
	memcpy(cases[6].remote_ip, event.original.source_ip, 16);
	cases[6].local_port = 80;
	cases[6].remote_port = 1001;
	for (unsigned i = 0; i < 7; i++)
		cr_expect_not(nat_table_find(&table, &cases[i], &nat, &used_index), "%u", i);
}

Test(nat_table, the_root_namespace_counts_first)
{
	struct nat_event other = example_nat_event(1);
	const struct nat_event root = other;

	other.nsid = 3;
	other.reply.destination_port = 9000;
	take(other, NAT_EVENT_NEW);
	expect_other_side(&other, true);
	take(root, NAT_EVENT_NEW);
	expect_other_side(&root, true);
	expect_other_side(&other, false);
	take(root, NAT_EVENT_DESTROY);
	nat_table_tick(&table, START_NS + 2 * KEEP_NS);
	expect_other_side(&other, true);
}

Test(nat_table, namespaces_that_do_not_agree_tell_nothing)
{
	struct nat_event one = example_nat_event(1), two = one;

	one.nsid = 3;
	two.nsid = 4;
	take(one, NAT_EVENT_NEW);
	take(two, NAT_EVENT_NEW);
	expect_other_side(&one, true);
	cr_expect_eq(used_index, NAT_TABLE_NONE, "both say it");
	two.reply.destination_port = 9000;
	take(two, NAT_EVENT_NEW);
	cr_expect_eq(table.used, 2);
	cr_expect_not(find(&one, true));
	cr_expect_eq(table.counts.ambiguous, 1);
	expect_other_side(&one, false);
	expect_other_side(&two, false);
	take(two, NAT_EVENT_DESTROY);
	nat_table_tick(&table, START_NS + 2 * KEEP_NS);
	expect_other_side(&one, true);
}

Test(nat_table, zones_keep_their_entries_apart)
{
	struct nat_event one = example_nat_event(1), two = one;

	two.zone = 5;
	two.id++;
	take(one, NAT_EVENT_NEW);
	take(two, NAT_EVENT_NEW);
	cr_expect_eq(table.used, 2);
	take(two, NAT_EVENT_DESTROY);
	cr_expect_eq(table.ended, 1);
	expect_other_side(&one, true);
}

Test(nat_table, an_entry_that_has_ended_counts_for_connections_that_began_before)
{
	const struct nat_event event = example_nat_event(1);
	struct conn_record record = record_of(&event, true);

	take(event, NAT_EVENT_NEW);
	nat_table_tick(&table, START_NS + 10);
	take(event, NAT_EVENT_DESTROY);
	cr_expect_eq(table.counts.destroyed, 1);
	cr_expect(nat_table_find(&table, &record, &nat, &used_index));
	record.opened_ns = 0; /* not known: it is older than the tracer */
	cr_expect(nat_table_find(&table, &record, &nat, &used_index));
	record.opened_ns = START_NS + 11;
	cr_expect_not(nat_table_find(&table, &record, &nat, &used_index), "the tuple's next one");
	record.opened_ns = 1;
	nat_table_tick(&table, START_NS + 10 + KEEP_NS);
	cr_expect(nat_table_find(&table, &record, &nat, &used_index));
	nat_table_tick(&table, START_NS + 11 + KEEP_NS);
	cr_expect_not(nat_table_find(&table, &record, &nat, &used_index));
	cr_expect_eq(table.used, 0);
}

Test(nat_table, an_end_is_of_the_time_when_it_was_read_not_of_the_tick_before)
{
	struct nat_event event = example_nat_event(1);
	struct conn_record record = record_of(&event, true);

	take(event, NAT_EVENT_NEW);
	event.kind = NAT_EVENT_DESTROY;
	event.read_ns = START_NS + 20;
	nat_table_take(&table, &event);
	record.opened_ns = START_NS + 15;
	cr_expect(nat_table_find(&table, &record, &nat, &used_index));
	record.opened_ns = START_NS + 21;
	cr_expect_not(nat_table_find(&table, &record, &nat, &used_index));
	/* No earlier than the end before, or the list would not be in the order of time. */
	event = example_nat_event(2);
	event.kind = NAT_EVENT_DESTROY;
	event.read_ns = START_NS;
	nat_table_take(&table, &event);
	cr_expect_eq(table.entries[table.gone.newest].destroyed_ns, START_NS + 20);
	nat_table_tick(&table, START_NS + 20 + KEEP_NS);
	cr_expect_eq(table.used, 2);
	nat_table_tick(&table, START_NS + 21 + KEEP_NS);
	cr_expect_eq(table.used, 0);
}

Test(nat_table, an_end_may_be_the_first_that_is_heard)
{
	const struct nat_event event = example_nat_event(1);

	take(event, NAT_EVENT_DESTROY);
	expect_other_side(&event, true);
	expect_other_side(&event, false);
	cr_expect_eq(table.ended, 1);
	cr_expect_eq(table.counts.registered, 1);
	take(event, NAT_EVENT_DESTROY);
	cr_expect_eq(table.counts.destroyed, 1, "told twice, ended once");
}

Test(nat_table, a_new_entry_takes_the_place_of_the_one_with_its_tuple)
{
	struct nat_event event = example_nat_event(1);

	take(event, NAT_EVENT_NEW);
	take(event, NAT_EVENT_UPDATE);
	cr_expect_eq(table.counts.registered, 1);
	take(event, NAT_EVENT_DESTROY);
	event.id++;
	event.reply.destination_port = 9000;
	take(event, NAT_EVENT_NEW);
	cr_expect_eq(table.used, 1);
	cr_expect_eq(table.ended, 0);
	cr_expect_eq(table.counts.registered, 2);
	expect_other_side(&event, true);
	expect_other_side(&event, false);
}

Test(nat_table, the_end_of_another_entry_with_the_same_tuple_is_not_taken_for_its_own)
{
	struct nat_event event = example_nat_event(1);

	take(event, NAT_EVENT_NEW);
	event.id++;
	take(event, NAT_EVENT_DESTROY);
	cr_expect_eq(table.ended, 0);
	cr_expect_eq(table.counts.unmatched, 1);
	event.id = 0; /* a kernel that does not tell ids */
	take(event, NAT_EVENT_DESTROY);
	cr_expect_eq(table.ended, 1);
}

Test(nat_table, a_full_table_gives_up_what_has_ended_and_then_what_was_not_used_longest)
{
	for (uint16_t i = 0; i < 64; i++)
		take(example_nat_event(i), NAT_EVENT_NEW);
	take(example_nat_event(10), NAT_EVENT_DESTROY);
	take(example_nat_event(5), NAT_EVENT_DESTROY);
	take(example_nat_event(64), NAT_EVENT_NEW);
	cr_expect_eq(table.counts.evicted, 0);
	cr_expect_not(find_any(example_nat_event(10), true));
	take(example_nat_event(65), NAT_EVENT_NEW);
	cr_expect_eq(table.counts.evicted, 0);
	/* 0 is told with a connection, so 1 is the one that goes. */
	cr_assert(find_any(example_nat_event(0), true));
	nat_table_use(&table, used_index);
	take(example_nat_event(66), NAT_EVENT_NEW);
	cr_expect_eq(table.counts.evicted, 1);
	cr_expect(find_any(example_nat_event(0), true));
	cr_expect_not(find_any(example_nat_event(1), true));
	cr_expect(find_any(example_nat_event(2), true));
	cr_expect_eq(table.used, 64);
}

Test(nat_table, an_entry_whose_two_tuples_are_the_same_is_found_once)
{
	/* A client that reaches itself through a gateway, behind the address that it asked for. */
	struct nat_event event = example_nat_event(1);

	event.reply = event.original;
	take(event, NAT_EVENT_NEW);
	cr_assert(find(&event, true));
	cr_expect_neq(used_index, NAT_TABLE_NONE);
	cr_expect_eq(table.counts.ambiguous, 0);
	take(event, NAT_EVENT_DESTROY);
	nat_table_tick(&table, START_NS + 2 * KEEP_NS);
	cr_expect_eq(table.used, 0);
	cr_expect_not(find(&event, true));
}

Test(nat_table, without_room_nothing_is_kept)
{
	struct nat_table none;
	const struct nat_event event = example_nat_event(1);
	const struct conn_record record = record_of(&event, true);

	cr_assert_eq(nat_table_init(&none, 0, KEEP_NS, "secret"), 0);
	nat_table_take(&none, &event);
	cr_expect_not(nat_table_find(&none, &record, &nat, &used_index));
	cr_expect_eq(nat_table_bytes(0), 0);
	nat_table_fini(&none);
	cr_expect_eq(nat_table_init(&none, NAT_TABLE_CAPACITY_MAX + 1, KEEP_NS, ""), -EINVAL);
}

static struct nat_event any_event(uint32_t number)
{
	const uint16_t tuple = number >> 1 & 127;
	struct nat_event event = number & 1 ? example_nat_event_ipv6(tuple)
					    : example_nat_event(tuple);

	event.nsid = (int32_t)(number >> 8) % 3 - 1;
	return event;
}

/* The same numbers in each run. */
static uint32_t dice(uint32_t sides)
{
	static uint64_t state = 88172645463325252ULL;

	/* xorshift (Marsaglia 2003). */
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state % sides);
}

/* A plain list that does the same. */
struct model {
	struct {
		struct nat_event event;
		uint64_t destroyed_ns; /* 1: it lives */
	} entries[1024];
	unsigned count;
};

static bool is_same(const struct nat_event *one, const struct nat_event *other)
{
	return one->nsid == other->nsid && one->family == other->family &&
	       memcmp(&one->original, &other->original, sizeof(one->original)) == 0;
}

static void model_take(struct model *model, const struct nat_event *event, uint64_t now_ns)
{
	const uint64_t end_ns = event->kind == NAT_EVENT_DESTROY ? now_ns : 1;
	unsigned i;

	for (i = 0; i < model->count && !is_same(&model->entries[i].event, event); i++)
		;
	if (i == model->count)
		model->count++;
	else if (end_ns != 1 && model->entries[i].destroyed_ns != 1 &&
		 now_ns - model->entries[i].destroyed_ns <= KEEP_NS)
		return;
	model->entries[i].event = *event;
	model->entries[i].destroyed_ns = end_ns;
}

/* How many entries of the model say something of a connection, and the last of them. */
static unsigned model_find(const struct model *model, const struct nat_event *event, bool client,
			   bool root, uint64_t now_ns, struct nat_event *found)
{
	unsigned matches = 0;

	for (unsigned i = 0; i < model->count; i++) {
		const struct nat_event *one = &model->entries[i].event;

		if ((one->nsid == NAT_NSID_ROOT) != root || one->family != event->family ||
		    (model->entries[i].destroyed_ns != 1 &&
		     now_ns - model->entries[i].destroyed_ns > KEEP_NS) ||
		    memcmp(client ? &one->original : &one->reply,
			   client ? &event->original : &event->reply, sizeof(one->original)) != 0)
			continue;
		matches++;
		*found = *one;
	}
	return matches;
}

Test(nat_table, does_what_a_plain_list_does)
{
	static struct model model;
	struct nat_table large;
	uint64_t now_ns = START_NS;
	unsigned found_some = 0;

	cr_assert_eq(nat_table_init(&large, 1024, KEEP_NS, "another secret"), 0);
	for (unsigned step = 0; step < 100000; step++) {
		struct nat_event event = any_event(dice(1024)), expected;
		struct conn_record record;
		unsigned matches;
		const bool client = dice(2);

		now_ns += dice(200000000);
		nat_table_tick(&large, now_ns);
		event.kind = (uint8_t)(dice(2) ? NAT_EVENT_DESTROY : 1 + dice(2));
		event.read_ns = now_ns;
		nat_table_take(&large, &event);
		model_take(&model, &event, now_ns);
		event = any_event(dice(1024));
		record = record_of(&event, client);
		matches = model_find(&model, &event, client, true, now_ns, &expected);
		if (matches == 0)
			matches = model_find(&model, &event, client, false, now_ns, &expected);
		cr_assert_eq(nat_table_find(&large, &record, &nat, &used_index), matches > 0);
		cr_assert(matches == 0 || (used_index == NAT_TABLE_NONE) == (matches > 1));
		found_some += matches > 0;
		if (matches > 0)
			cr_assert_eq(nat.local_port, client ? expected.reply.destination_port
							    : expected.original.destination_port);
	}
	cr_expect_gt(found_some, 10000);
	cr_expect_lt(found_some, 95000);
	nat_table_fini(&large);
}

Test(nat_table, is_put_back_as_it_was)
{
	const struct nat_event one_more = example_nat_event(999);
	struct nat_table copy;
	uint32_t index = NAT_TABLE_NONE, other = NAT_TABLE_NONE;

	for (unsigned step = 0; step < 10000; step++) {
		nat_table_tick(&table, START_NS + step * 10000ULL);
		take(any_event(dice(300)), (enum nat_event_kind)(1 + dice(3)));
		if (find_any(any_event(dice(300)), dice(2)))
			nat_table_use(&table, used_index);
	}
	take(table.entries[table.live.oldest].event, NAT_EVENT_DESTROY);
	cr_assert_eq(nat_table_init(&copy, 64, KEEP_NS, "secret"), 0);
	while ((index = nat_table_next(&table, index)) != NAT_TABLE_NONE)
		cr_assert(nat_table_put(&copy, &table.entries[index].event,
					table.entries[index].destroyed_ns));
	cr_expect_eq(copy.used, 64);
	cr_expect_eq(copy.ended, table.ended);
	cr_expect_gt(copy.ended, 0);
	for (unsigned i = 0; i < 64; i++) {
		index = nat_table_next(&table, index);
		other = nat_table_next(&copy, other);
		cr_assert_arr_eq((const char *)&table.entries[index].event,
				 (const char *)&copy.entries[other].event,
				 sizeof(struct nat_event));
		cr_assert_eq(table.entries[index].destroyed_ns, copy.entries[other].destroyed_ns);
	}
	cr_expect_not(nat_table_put(&copy, &one_more, 0), "full");
	nat_table_fini(&copy);
}

Test(nat_table, puts_nothing_back_that_it_cannot_have_held)
{
	const struct nat_event one = example_nat_event(1), two = example_nat_event(2);

	cr_expect(nat_table_put(&table, &one, 100));
	cr_expect_not(nat_table_put(&table, &one, 0), "it is there");
	cr_expect_not(nat_table_put(&table, &two, 99), "ended before the one before it");
	cr_expect(nat_table_put(&table, &two, 0));
}

Test(nat_table, takes_no_more_memory_than_its_formula_says)
{
	const uint64_t before = resident_bytes();
	struct nat_table large;
	uint64_t taken;

	cr_assert_eq(nat_table_init(&large, 60000, KEEP_NS, "secret"), 0);
	for (uint16_t i = 0; i < 60000; i++) {
		struct nat_event event = example_nat_event(0);

		event.original.source_port = (uint16_t)(i + 1);
		event.reply.destination_port = (uint16_t)(i + 1);
		nat_table_take(&large, &event);
	}
	cr_expect_eq(large.used, 60000);
	taken = resident_bytes() - before;
	cr_expect_leq(taken, nat_table_bytes(60000) + RESIDENT_SLACK_BYTES, "%llu",
		      (unsigned long long)taken);
	cr_expect_gt(taken, nat_table_bytes(60000) / 10 * 8);
	nat_table_fini(&large);
}
