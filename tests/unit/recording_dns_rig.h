/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine in the midst of DNS, recorded and replayed: what the tests of recordings' beginnings share.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_RECORDING_DNS_RIG_H
#define SOCKWARDEN_TESTS_UNIT_RECORDING_DNS_RIG_H

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

static inline void settle(void *ctx)
{
	(void)ctx;
}

static inline int keep(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	example_bytes_add(&published, bytes, length);
	example_bytes_add(&published, "\n", 1);
	return 0;
}

static inline void no_cgroups(void *ctx)
{
	(void)ctx;
}

static inline void open_world(void)
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
static inline void make_small_world(void)
{
	config_default(&config);
	config.state_max_connections = 64;
	config.publish_interval_s = 1;
	config.state_client_expiry_s = 1;
	config.dns_max_stats = 64;
	config.dns_max_in_flight = 64;
	config.dns_max_names = 64;
	config.dns_max_names_per_ip = 4;
	config.dns_domains = true;
	world = (struct example_dns_world){
		.dice = 88172645463325252ULL,
		.names = 50,
		.hosts = 33,
		.clients = 20,
		.answers = 4,
	};
	open_world();
}

/* More names than one tick looks at, and more rows than one step tells. */
static inline void make_large_world(void)
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

static inline void free_world(void)
{
	recording_fini(&recording);
	engine_fini(engine);
	free(engine);
	free(published.text);
	published = (struct example_bytes){.text = NULL};
}

/* Whether everything that a beginning can have is there. */
static inline bool is_busy(void)
{
	const struct dns *dns = &engine->dns;
	const struct dns_flows *flows = &dns->stream.flows;
	const struct names *names = &dns->names;

	return dns->in_flight.pool.used > 0 && dns->news.first != dns->news.next &&
	       world.now_ns - engine->names_told_ns < NS_PER_S &&
	       names->idle.oldest != INDEX_NONE && names->in_use.oldest != INDEX_NONE &&
	       names->superseded.oldest != INDEX_NONE && names->entry_pool.free != INDEX_NONE &&
	       names->other_pool.free != INDEX_NONE &&
	       dns->conversations.live.oldest != INDEX_NONE &&
	       dns->conversations.ended.oldest != INDEX_NONE &&
	       dns->stats.changed.oldest != INDEX_NONE && dns->stats.counts.evicted > 0 &&
	       flows->live.oldest != INDEX_NONE && flows->ended.oldest != INDEX_NONE &&
	       flows->filling.oldest != INDEX_NONE && flows->held.oldest != INDEX_NONE;
}

/* Between the beginning of a round of publishing and its first step, with changes of both. */
static inline void begin_round(void)
{
	engine_active_begin(engine);
	for (unsigned i = 0; i < 3; i++)
		example_dns_ask(&world);
}

static inline void live_until_busy(unsigned questions)
{
	for (unsigned steps = 0; steps < 100; steps++)
		example_dns_live(&world, questions);
	for (unsigned steps = 0;; steps++) {
		begin_round();
		if (is_busy())
			return;
		cr_assert_lt(steps, 20000);
		example_dns_live(&world, questions);
	}
}

static inline bool fetch(struct example_tape *tape, uint32_t id)
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
static inline size_t find_entry(const struct example_tape *tape, unsigned type, unsigned number)
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
static inline void record_and_compare(unsigned steps, unsigned questions)
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
	cr_expect_not_null(strstr(output.text, "\"dns\":{\"queries\":"));
	example_output_free(&output);
	example_tape_free(&tape);
}

#endif
