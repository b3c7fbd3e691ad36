/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings that begin while much of DNS is under way, and what is refused of such a beginning. */
#include "tests/unit/recording_dns_rig.h"

TestSuite(recording_dns, .init = make_small_world, .fini = free_world);
TestSuite(recording_dns_large, .init = make_large_world, .fini = free_world);

Test(recording_dns, a_replay_gives_what_was_published_while_tables_are_full)
{
	for (unsigned round = 0; round < 5; round++) {
		live_until_busy(30);
		record_and_compare(200, 30);
	}
	cr_expect_gt(engine->dns.names.counts.evicted, 100);
	cr_expect_gt(engine->dns.names.counts.dropped, 100);
	cr_expect_gt(engine->dns.names.counts.expired, 100);
	cr_expect_gt(engine->dns.stats.counts.folded, 100);
	cr_expect_gt(engine->dns.in_flight.counts.evicted, 100);
	cr_expect_gt(engine->dns.in_flight.counts.retries, 100);
	cr_expect_gt(engine->dns.stream.counts.holes, 100);
	cr_expect_gt(engine->dns.stream.counts.found, 100);
	cr_expect_gt(engine->dns.counts.duplicates, 100);
}

Test(recording_dns_large, a_replay_lets_names_expire_and_tells_rows_where_the_engine_stood)
{
	for (unsigned i = 0; i < 200; i++)
		example_dns_live(&world, 300);
	begin_round();
	cr_expect_gt(engine->dns.names.entry_pool.high, 4096);
	cr_expect_gt(engine->dns.stats.change_pool.used, 768);
	record_and_compare(300, 60);
	cr_expect_gt(engine->dns.names.counts.expired, 1000);
}

/* A recording that holds entries of every type, and little more. */
static void make_tape(struct example_tape *tape)
{
	uint32_t id;

	*tape = (struct example_tape){.writer = {.put = NULL}};
	live_until_busy(30);
	cr_assert_eq(recording_begin(&recording, world.now_ns, &id), 0);
	example_dns_live(&world, 5);
	cr_assert_eq(recording_end(&recording, id), 0);
	cr_assert(fetch(tape, id));
	for (unsigned type = TAPE_STATE_DNS; type <= TAPE_STATE_DNS_CONVERSATION; type++)
		cr_assert_neq(find_entry(tape, type, 0), 0, "no entry of type %u", type);
}

static size_t entry_bytes(const struct example_tape *tape, size_t at)
{
	struct tape_entry_head head;

	memcpy(&head, tape->bytes.text + at, sizeof(head));
	return sizeof(head) + head.length;
}

enum change {
	SET,	/* some bytes of the payload have another value */
	DROP,	/* the entry is not there */
	DOUBLE, /* it is there twice */
};

struct broken {
	unsigned type;
	unsigned number;
	enum change change;
	size_t at;
	size_t size;
	uint64_t value;
	const char *error;
};

/* A copy of the tape's bytes, with a change. */
static void break_tape(const struct example_tape *whole, const struct broken *broken,
		       struct example_tape *tape)
{
	const size_t at = find_entry(whole, broken->type, broken->number);
	const size_t length = entry_bytes(whole, at);
	const size_t behind = at + (broken->change == DOUBLE ? 0 : length);
	const size_t kept = at + (broken->change == DROP ? 0 : length);

	cr_assert_neq(at, 0);
	*tape = (struct example_tape){.writer = {.put = NULL}};
	example_bytes_add(&tape->bytes, whole->bytes.text, kept);
	if (broken->change == SET) {
		cr_assert_leq(sizeof(struct tape_entry_head) + broken->at + broken->size, length);
		memcpy(tape->bytes.text + at + sizeof(struct tape_entry_head) + broken->at,
		       &broken->value, broken->size);
	}
	example_bytes_add(&tape->bytes, whole->bytes.text + behind, whole->bytes.length - behind);
}

#define MEMBER(type, member) offsetof(type, member), sizeof(((type *)0)->member)
#define HEAD(member) TAPE_STATE_DNS, 0, SET, MEMBER(struct tape_state_dns, member)
#define TEXT(member) TAPE_STATE_DNS_TEXT, 3, SET, MEMBER(struct names_saved_text, member)
#define ADDRESS(member) TAPE_STATE_DNS_ADDRESS, 1, SET, MEMBER(struct names_saved_address, member)
#define OTHER(member) TAPE_STATE_DNS_OTHER, 0, SET, MEMBER(struct names_saved_other, member)
#define ORDER(member) TAPE_STATE_DNS_ORDER, 0, SET, MEMBER(struct tape_state_dns_order, member)
#define ROW(member) TAPE_STATE_DNS_ROW, 1, SET, MEMBER(struct dns_stats_saved_row, member)
#define CHANGE(member) TAPE_STATE_DNS_CHANGE, 0, SET, MEMBER(struct dns_stats_saved_change, member)
#define QUERY(member) TAPE_STATE_DNS_QUERY, 0, SET, MEMBER(struct tape_state_dns_query, member)
#define NEWS(member) TAPE_STATE_DNS_NEWS, 0, SET, MEMBER(struct tape_state_dns_news, member)
#define FLOW(member) TAPE_STATE_DNS_FLOW, 0, SET, MEMBER(struct dns_stream_saved_flow, member)
#define BLOCK(member) TAPE_STATE_DNS_BLOCK, 0, SET, MEMBER(struct dns_stream_saved_block, member)
#define SEEN(member) TAPE_STATE_DNS_SEEN, 0, SET, MEMBER(struct tape_state_dns_seen, member)
#define CONVERSATION(member) \
	TAPE_STATE_DNS_CONVERSATION, 0, SET, MEMBER(struct tape_state_dns_conversation, member)
#define TWICE(type) type, 0, DOUBLE, 0, 0, 0
#define WITHOUT(type) type, 0, DROP, 0, 0, 0

#define NO_LENGTH "an entry's length is not what is in it"
#define NO_PLACE "a part of the state of DNS is not in its place"
#define NO_TABLE "no table of names can be this"
#define NO_STATS "no table of DNS statistics can be this"
#define NO_NAME "no name can be this"
#define NO_TEXT "an address has a name that is not there"
#define NO_ADDRESS "no address with a name can be this"
#define NO_OTHER "no further name can be this"
#define NO_ROW "no row of DNS statistics can be this"
#define NO_CHANGE "no change of DNS statistics can be this"
#define NO_QUERY "no DNS query can be this"
#define NO_NEWS "no news of names can be this"
#define NO_FLOW "no TCP flow can be this"
#define NO_BLOCK "no part of a message can be this"
#define NO_CONVERSATION "no DNS conversation can be this"
#define NO_PACKET "no packet that was seen can be this"
#define OTHERS_ADDRESS "an address has another one's place"
#define OTHERS_ROW "a row of DNS statistics has another one's place"
#define OTHERS_FLOW "a TCP flow has another one's place"
#define NO_ROW_OF_ITS_OWN "a change of DNS statistics has no row of its own"

Test(recording_dns, a_beginning_that_no_worker_writes_is_refused_with_its_reason)
{
	static const struct broken cases[] = {
		{HEAD(stats_seq), 0, "no state of DNS can be this"},
		{HEAD(names_seq), 0, "no state of DNS can be this"},
		{HEAD(names.interval), 0, NO_TABLE},
		{HEAD(names.address_high), 65, NO_TABLE},
		{HEAD(names.other_high), 129, NO_TABLE},
		{HEAD(names.entry_at), 65, NO_TABLE},
		{HEAD(names.other_at), 129, NO_TABLE},
		{HEAD(names.pad0), 1, NO_TABLE},
		{HEAD(stats.used), 65, NO_STATS},
		{HEAD(stats.used), 63, NO_STATS},
		{TWICE(TAPE_STATE_DNS), NO_PLACE},
		{WITHOUT(TAPE_STATE_DNS), NO_PLACE},
		{TEXT(id), 101, NO_NAME},
		{TEXT(wire[0]), 64, NO_NAME},
		{TEXT(wire[1]), 'A', NO_NAME},
		{TEXT(length), 255, NO_LENGTH},
		{TWICE(TAPE_STATE_DNS_TEXT), "a name comes twice"},
		{WITHOUT(TAPE_STATE_DNS_TEXT), NO_TEXT},
		{ADDRESS(family), 5, NO_ADDRESS},
		{ADDRESS(pad0[1]), 1, NO_ADDRESS},
		{ADDRESS(was_used), 2, NO_ADDRESS},
		{ADDRESS(deadline_s), 0, NO_ADDRESS},
		{ADDRESS(touched), 0, NO_ADDRESS},
		{ADDRESS(touched), UINT64_MAX, NO_ADDRESS},
		{ADDRESS(used), UINT32_MAX, NO_ADDRESS},
		{ADDRESS(name_used), UINT32_MAX, NO_ADDRESS},
		{ADDRESS(text), 101, NO_TEXT},
		{ADDRESS(text), UINT32_MAX, NO_TEXT},
		{ADDRESS(index), 64, OTHERS_ADDRESS},
		{ADDRESS(index), UINT32_MAX, OTHERS_ADDRESS},
		{TWICE(TAPE_STATE_DNS_ADDRESS), NO_ADDRESS},
		{OTHER(deadline_s), 0, NO_OTHER},
		{OTHER(used), UINT32_MAX, NO_OTHER},
		{OTHER(text), 101, NO_TEXT},
		{OTHER(index), 128, "a further name has another one's place"},
		{TWICE(TAPE_STATE_DNS_OTHER), "a further name has another one's place"},
		{WITHOUT(TAPE_STATE_DNS_OTHER), "no further name is at a place of the order"},
		{ORDER(order), 4, "a free place of the names is not free"},
		{ORDER(order), NAMES_ORDER_FREE_OTHERS, "a free place of the names is not free"},
		{ORDER(places[0]), 128, "no further name is at a place of the order"},
		{TWICE(TAPE_STATE_DNS_ORDER), "no further name is at a place of the order"},
		{WITHOUT(TAPE_STATE_DNS_ORDER), "places are missing among the names"},
		{TAPE_STATE_DNS_ORDER, 1, DROP, 0, 0, 0, "places are missing among the names"},
		{TAPE_STATE_DNS_ORDER, 1, DOUBLE, 0, 0, 0, "a free place of the names is not free"},
		{TAPE_STATE_DNS_ORDER, 2, DOUBLE, 0, 0, 0, "a free place of the names is not free"},
		{ROW(index), 64, NO_ROW},
		{ROW(index), 65, OTHERS_ROW},
		{ROW(key.family), 5, NO_ROW},
		{ROW(key.protocol), IPPROTO_ICMP, NO_ROW},
		{ROW(key.name[0]), 64, NO_ROW},
		{ROW(key.name_length), 255, NO_LENGTH},
		{ROW(total.latency_us.scale), 7, NO_ROW},
		{ROW(total.latency_us.used), 23, NO_ROW},
		{ROW(total.failure_latency_us.offset), 5000, NO_ROW},
		{TWICE(TAPE_STATE_DNS_ROW), OTHERS_ROW},
		{CHANGE(row), 65, NO_ROW_OF_ITS_OWN},
		{CHANGE(round), UINT32_MAX, NO_CHANGE},
		{CHANGE(numbers.latency_us.used), 23, NO_CHANGE},
		{TWICE(TAPE_STATE_DNS_CHANGE), NO_ROW_OF_ITS_OWN},
		{QUERY(query.family), 5, NO_QUERY},
		{QUERY(query.protocol), 1, NO_QUERY},
		{QUERY(query.name[0]), 64, NO_QUERY},
		{QUERY(query.name_length), 255, NO_LENGTH},
		{TWICE(TAPE_STATE_DNS_QUERY), "a DNS query has no place"},
		{NEWS(family), 5, NO_NEWS},
		{NEWS(wire[0]), 64, NO_NEWS},
		{NEWS(length), 255, NO_LENGTH},
		{FLOW(ends.family), 5, NO_FLOW},
		{FLOW(ends.pad[2]), 1, NO_FLOW},
		{FLOW(pad0[0]), 1, NO_FLOW},
		{FLOW(state), DNS_FLOW_ENDED + 1, NO_FLOW},
		{FLOW(has_fin), 2, NO_FLOW},
		{FLOW(skip), 65538, NO_FLOW},
		{FLOW(index), UINT32_MAX, OTHERS_FLOW},
		{TWICE(TAPE_STATE_DNS_FLOW), OTHERS_FLOW},
		{BLOCK(flow), 100000, "a part of a message is of no TCP flow"},
		{BLOCK(have), 16000, NO_LENGTH},
		{BLOCK(seq), 1, NO_BLOCK},
		{TWICE(TAPE_STATE_DNS_BLOCK), NO_BLOCK},
		{SEEN(pad0), 1, NO_PACKET},
		{SEEN(hash), 0, NO_PACKET},
		{TWICE(TAPE_STATE_DNS_SEEN), NO_PACKET},
		{CONVERSATION(key.family), 5, NO_CONVERSATION},
		{CONVERSATION(key.protocol), 1, NO_CONVERSATION},
		{CONVERSATION(key.pad[1]), 1, NO_CONVERSATION},
		{CONVERSATION(is_ended), 2, NO_CONVERSATION},
		{CONVERSATION(is_ended), 1ULL << 32, NO_CONVERSATION},
		{TWICE(TAPE_STATE_DNS_CONVERSATION), NO_CONVERSATION},
	};
	struct example_output output;
	struct example_tape whole;

	make_tape(&whole);
	cr_assert_eq(example_tape_replay(&whole, &output), 0, "%s", output.error);
	example_output_free(&output);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct example_tape tape;

		break_tape(&whole, &cases[i], &tape);
		cr_expect_eq(example_tape_replay(&tape, &output), -EBADMSG, "case %zu", i);
		cr_expect_not_null(strstr(output.error, cases[i].error), "case %zu: %s, not %s", i,
				   output.error, cases[i].error);
		example_output_free(&output);
		example_tape_free(&tape);
	}
	example_tape_free(&whole);
}

Test(recording_dns, any_byte_of_a_beginning_may_be_wrong)
{
	struct example_tape whole;
	size_t begin, end;

	make_tape(&whole);
	begin = find_entry(&whole, TAPE_STATE_DNS, 0);
	end = find_entry(&whole, TAPE_TICK, 0);
	/* What comes out does not matter: that it ends does, and that a sanitizer says nothing. */
	for (unsigned i = 0; i < 200; i++) {
		char *byte =
			&whole.bytes.text[begin + example_dice(&world, (uint32_t)(end - begin))];
		const char before = *byte;
		struct example_output output;

		*byte = (char)example_dice(&world, 256);
		cr_expect_leq(example_tape_replay(&whole, &output), 0);
		example_output_free(&output);
		*byte = before;
	}
	example_tape_free(&whole);
}

Test(recording_dns, there_is_no_such_state_where_the_configuration_does_not_look_at_it)
{
	const struct tape_state state = {.seq = 1};
	const struct tape_state_dns dns = {
		.stats_seq = 1, .names_seq = 1, .names = {.interval = 1}};
	struct example_output output;
	struct example_tape tape;

	example_tape_begin(&tape, "{\"dns\":{\"enabled\":false}}");
	tape_put(&tape.writer, TAPE_STATE, &state, sizeof(state));
	tape_put(&tape.writer, TAPE_STATE_DNS, &dns, sizeof(dns));
	tape_end(&tape.writer);
	cr_expect_eq(example_tape_replay(&tape, &output), -EBADMSG);
	cr_expect_not_null(strstr(output.error, "which the configuration does not look at"));
	example_output_free(&output);
	example_tape_free(&tape);
}
