/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings that begin while much of DNS is under way, and what is refused of such a beginning. */
#include "common/clock.h"
#include "tests/unit/example_dns_world.h"
#include "tests/unit/example_tape.h"
#include "worker/recording.h"
#include "worker/tape/state.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>

static struct config config;
static struct engine *engine;
static struct metrics metrics;
static struct recording recording;
static struct example_bytes published;
static struct example_dns_world world;

static void settle(void *ctx)
{
	(void)ctx;
}

static int keep(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	example_bytes_add(&published, bytes, length);
	example_bytes_add(&published, "\n", 1);
	return 0;
}

static void no_cgroups(void *ctx)
{
	(void)ctx;
}

static void open_world(void)
{
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};
	const struct engine_sink sink = {.settle = settle, .send = keep, .ask_cgroups = no_cgroups};
	const struct engine_settings settings = engine_settings_of(&config);

	engine = calloc(1, sizeof(*engine));
	cr_assert_eq(engine_init(engine, &settings, &sink, &identity, &metrics), 0);
	cr_assert_eq(recording_init(&recording, engine, &config), 0);
	published.length = 0;
	example_bytes_add(&published, "", 0);
	world.engine = engine;
	world.now_ns = 1000 * NS_PER_S;
}

/* Tables that are full all the time. */
static void make_small_world(void)
{
	config_default(&config);
	config.state_max_connections = 64;
	config.publish_interval_s = 1;
	config.dns_max_stats = 64;
	config.dns_max_in_flight = 64;
	config.dns_max_names = 64;
	config.dns_max_names_per_ip = 4;
	config.dns_domains = true;
	world = (struct example_dns_world){
		.dice = 88172645463325252ULL,
		.names = 50,
		.hosts = 36,
		.clients = 20,
		.answers = 4,
	};
	open_world();
}

/* More names than one tick looks at, and more rows than one step tells. */
static void make_large_world(void)
{
	make_small_world();
	recording_fini(&recording);
	engine_fini(engine);
	free(engine);
	config.dns_max_stats = 3000;
	config.dns_max_in_flight = 5000;
	config.dns_max_names = 6000;
	world = (struct example_dns_world){
		.dice = 362436069362436069ULL,
		.names = 3000,
		.hosts = 2700,
		.clients = 2000,
		.answers = 40,
	};
	open_world();
}

static void free_world(void)
{
	recording_fini(&recording);
	engine_fini(engine);
	free(engine);
	free(published.text);
	published = (struct example_bytes){.text = NULL};
}

TestSuite(recording_dns, .init = make_small_world, .fini = free_world);
TestSuite(recording_dns_large, .init = make_large_world, .fini = free_world);

/* Whether everything that a beginning can have is there. */
static bool is_busy(void)
{
	const struct dns *dns = &engine->dns;
	const struct dns_flows *flows = &dns->stream.flows;
	const struct names *names = &dns->names;

	return dns->in_flight.pool.used > 0 && dns->news.first != dns->news.next &&
	       world.now_ns - engine->names_told_ns < NS_PER_S &&
	       names->idle.oldest != INDEX_NONE && names->in_use.oldest != INDEX_NONE &&
	       names->superseded.oldest != INDEX_NONE && names->entry_pool.free != INDEX_NONE &&
	       names->other_pool.free != INDEX_NONE && dns->stats.changed.oldest != INDEX_NONE &&
	       dns->stats.counts.evicted > 0 && flows->live.oldest != INDEX_NONE &&
	       flows->ended.oldest != INDEX_NONE && flows->filling.oldest != INDEX_NONE &&
	       flows->held.oldest != INDEX_NONE;
}

/* Between the beginning of a round of publishing and its first step, with changes of both. */
static void begin_round(void)
{
	engine_active_begin(engine);
	for (unsigned i = 0; i < 10; i++)
		example_dns_ask(&world);
}

static void live_until_busy(unsigned questions)
{
	for (unsigned steps = 0; steps < 100 || !is_busy(); steps++) {
		cr_assert_lt(steps, 20000);
		example_dns_live(&world, questions);
	}
	begin_round();
}

static bool fetch(struct example_tape *tape, uint32_t id)
{
	uint8_t piece[65536];
	bool over = false;
	long length;

	do {
		length = recording_read(&recording, id, tape->bytes.length, piece, sizeof(piece),
					world.now_ns, &over);
		cr_assert_geq(length, 0);
		example_bytes_add(&tape->bytes, piece, (size_t)length);
	} while (length > 0 && !over);
	return over;
}

/* Where the number-th entry (0: the first) of a type begins, or 0. */
static size_t find_entry(const struct example_tape *tape, unsigned type, unsigned number)
{
	struct tape_entry_head head;

	for (size_t at = sizeof(struct tape_header); at < tape->bytes.length;
	     at += sizeof(head) + head.length) {
		memcpy(&head, tape->bytes.text + at, sizeof(head));
		if (head.type == type && number-- == 0)
			return at;
	}
	return 0;
}

/* Records while so many steps are lived, and compares what comes out. */
static void record_and_compare(unsigned steps, unsigned questions)
{
	struct example_tape tape = {.writer = {.put = NULL}};
	struct example_output output;
	size_t before;
	uint32_t id;

	cr_assert_eq(recording_begin(&recording, world.now_ns, &id), 0);
	before = published.length;
	for (unsigned i = 0; i < steps; i++) {
		example_dns_live(&world, questions);
		cr_expect_not(fetch(&tape, id));
	}
	engine_flush(engine, world.now_ns, true);
	cr_assert_eq(recording_end(&recording, id), 0);
	cr_assert(fetch(&tape, id));
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	cr_expect_eq(output.bytes.length, published.length - before);
	cr_expect(strcmp(output.text, published.text + before) == 0, "another output");
	cr_expect_not_null(strstr(output.text, "\ndns.v1 {"));
	cr_expect_not_null(strstr(output.text, "\nnames.v1 {"));
	cr_expect_not_null(strstr(output.text, "\"names\":[\"www"));
	example_output_free(&output);
	example_tape_free(&tape);
}

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
	for (unsigned type = TAPE_STATE_DNS; type <= TAPE_STATE_DNS_SEEN; type++)
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

/* What a text id stands for: nothing depends on its number. */
static uint32_t texts[65536];

static void note_text(const uint8_t *payload, size_t length)
{
	uint32_t id;

	memcpy(&id, payload, sizeof(id));
	cr_assert_lt(id, 65536);
	texts[id] = (uint32_t)tape_digest((const char *)payload + sizeof(id), length - sizeof(id));
}

/* The state of an engine as bytes that are the same for the same state. */
static void canonical(const struct engine *of, struct example_bytes *bytes)
{
	struct example_tape tape;
	struct tape_entry_head head;

	example_tape_begin(&tape, "{}");
	tape_state_save(&tape.writer, of);
	for (size_t at = sizeof(struct tape_header); at < tape.bytes.length;
	     at += sizeof(head) + head.length) {
		uint8_t *payload = (uint8_t *)tape.bytes.text + at + sizeof(head);
		uint32_t *text = NULL;

		memcpy(&head, tape.bytes.text + at, sizeof(head));
		if (head.type == TAPE_STATE_DNS_TEXT) {
			note_text(payload, head.length);
			continue;
		}
		if (head.type == TAPE_STATE_DNS_ADDRESS)
			text = (void *)(payload + offsetof(struct names_saved_address, text));
		if (head.type == TAPE_STATE_DNS_OTHER)
			text = (void *)(payload + offsetof(struct names_saved_other, text));
		if (text) {
			uint32_t id;

			memcpy(&id, text, sizeof(id));
			memcpy(text, &texts[id], sizeof(id));
		}
		example_bytes_add(bytes, &head, sizeof(head));
		example_bytes_add(bytes, payload, head.length);
	}
	example_tape_free(&tape);
}

/* What was saved of an engine, into a new one. */
static struct engine *engine_from(const struct engine *saved)
{
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};
	const struct engine_sink sink = {.settle = settle, .send = keep, .ask_cgroups = no_cgroups};
	const struct engine_settings settings = engine_settings_of(&config);
	struct engine *made = calloc(1, sizeof(*made));
	static struct tape_reader reader;
	struct tape_state_loader loader;
	struct example_tape tape;
	struct example_ends ends = {.in = &tape.bytes};
	struct tape_entry entry;

	cr_assert_eq(engine_init(made, &settings, &sink, &identity, &metrics), 0);
	example_tape_begin(&tape, "{}");
	tape_state_save(&tape.writer, saved);
	tape_end(&tape.writer);
	cr_assert_eq(tape_reader_init(&reader, example_fill, &ends), 0);
	tape_state_loader_init(&loader, made);
	while (tape_reader_next(&reader, &entry) > 0) {
		const char *wrong =
			tape_type_is_state(entry.type) ? tape_state_load(&loader, &entry) : NULL;

		cr_assert_null(wrong, "%s", wrong);
	}
	cr_assert_null(tape_state_loaded(&loader));
	example_tape_free(&tape);
	return made;
}

Test(recording_dns, what_is_put_back_is_all_that_was_saved)
{
	for (unsigned round = 0; round < 20; round++) {
		struct example_bytes before = {.text = NULL}, after = {.text = NULL};
		struct engine *made;

		live_until_busy(30);
		made = engine_from(engine);
		canonical(engine, &before);
		canonical(made, &after);
		cr_expect_eq(before.length, after.length);
		cr_expect_eq(memcmp(before.text, after.text, before.length), 0);
		/* The same memory is in use, so that the same will make room. */
		cr_expect_eq(made->dns.names.pool.pool.used, engine->dns.names.pool.pool.used);
		cr_expect_eq(made->dns.names.pool.names, engine->dns.names.pool.names);
		cr_expect_eq(made->dns.stream.flows.block_pool.used,
			     engine->dns.stream.flows.block_pool.used);
		cr_expect_eq(made->dns.stream.flows.flow_pool.used,
			     engine->dns.stream.flows.flow_pool.used);
		engine_fini(made);
		free(made);
		free(before.text);
		free(after.text);
	}
}

Test(recording_dns, what_a_packet_brought_too_late_for_the_last_tick_is_due_on_both_sides)
{
	struct example_tape tape = {.writer = {.put = NULL}};
	struct example_output output;
	size_t before;
	uint32_t id;

	engine_tick(engine, world.now_ns, (struct clock_offsets){5, 6}, true);
	example_dns_message(&world, 1, false);
	world.now_ns -= 20 * NS_PER_S;
	example_capture(&world, 1, false, IPPROTO_UDP, world.message.bytes, world.message.length,
			world.message.length, 0, 0);
	world.now_ns += 20 * NS_PER_S;
	cr_assert_eq(recording_begin(&recording, world.now_ns, &id), 0);
	before = published.length;
	engine_active_begin(engine);
	engine_active_step(engine);
	cr_assert_eq(recording_end(&recording, id), 0);
	cr_assert(fetch(&tape, id));
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	cr_expect_str_eq(output.text, published.text + before);
	cr_expect_not_null(strstr(output.text, "\"timeouts\":1"));
	example_output_free(&output);
	example_tape_free(&tape);
}

/* Another one for each number, of as many bytes as a name may have. */
static void longest_name(struct dns_name *name, uint32_t number)
{
	memset(name->wire, 'x', sizeof(name->wire));
	for (unsigned label = 0; label < 3; label++)
		name->wire[label * 64] = 63;
	name->wire[192] = 61;
	name->wire[254] = 0;
	name->length = 255;
	for (unsigned digit = 0; digit < 8; digit++)
		name->wire[1 + digit] = (uint8_t)('a' + (number >> (4 * digit)) % 16);
}

Test(recording_dns, the_largest_state_fits)
{
	const uint64_t bound = tape_state_dns_bytes_max(&engine->settings.dns);
	struct example_tape tape;

	for (uint32_t number = 0; number < 2 * DNS_NEWS_CAPACITY; number++) {
		struct dns_address address = {.family = RECORD_FAMILY_IPV4};
		struct dns_query query = {.family = RECORD_FAMILY_IPV4, .protocol = IPPROTO_UDP};
		struct dns_name name;

		longest_name(&name, number);
		memcpy(address.ip, &number, sizeof(number));
		query.name_length = name.length;
		memcpy(query.name, name.wire, name.length);
		dns_in_flight_query(&engine->dns.in_flight, &query, world.now_ns);
		dns_stats_query(&engine->dns.stats, &query);
		dns_news_put(&engine->dns.news, &address, &name);
		names_add(&engine->dns.names, address.family, address.ip, name.wire, name.length,
			  60, world.now_ns);
		engine->dns.duplicates.places[number % DUPLICATES_PLACES].hash = 1;
	}
	example_tape_begin(&tape, "{}");
	tape_state_dns_save(&tape.writer, engine);
	cr_expect_leq(tape.bytes.length, bound);
	/* Streams are bounded by what they take in memory. */
	cr_expect_geq(tape.bytes.length, (bound - DNS_STREAM_BYTES) * 9 / 10);
	example_tape_free(&tape);
}
