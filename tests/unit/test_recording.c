/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "tests/unit/example_nat.h"
#include "tests/unit/example_tape.h"
#include "worker/recording.h"
#include "worker/tape/state.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define START_NS 5000000000ULL
#define WALL_OFFSET_NS 1795330000000000000ULL

/* An engine that runs as in a worker; its messages are kept. */
struct world {
	struct config config;
	struct engine *engine;
	struct metrics metrics;
	struct recording recording;
	struct example_bytes published;
	unsigned cgroups_asked;
	uint64_t now_ns;
};

static struct world world;

static void settle(void *ctx)
{
	(void)ctx;
}

static int keep(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	example_bytes_add(&world.published, bytes, length);
	example_bytes_add(&world.published, "\n", 1);
	return 0;
}

/* Each time that it asks there is one control group more. */
static void answer_cgroups(void *ctx)
{
	(void)ctx;
	world.cgroups_asked++;
	for (unsigned i = 1; i <= world.cgroups_asked; i++) {
		struct cgroup_record record = {
			.kind = RECORD_KIND_CGROUP, .version = RECORD_VERSION, .id = i};

		snprintf(record.path, sizeof(record.path), "/slice/%u", i);
		cr_assert(engine_cgroup(world.engine, &record));
	}
}

static void make_world(void)
{
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};
	const struct engine_sink sink = {
		.settle = settle, .send = keep, .ask_cgroups = answer_cgroups};
	struct engine_settings settings;

	config_default(&world.config);
	world.config.state_max_connections = 256;
	world.config.publish_interval_s = 1;
	world.config.nat_max_entries = 64;
	world.config.udp_stream_timeout_s = 1;
	settings = engine_settings_of(&world.config);
	world.engine = calloc(1, sizeof(*world.engine));
	cr_assert_eq(engine_init(world.engine, &settings, &sink, &identity, &world.metrics), 0);
	cr_assert_eq(recording_init(&world.recording, world.engine, &world.config), 0);
	world.now_ns = START_NS;
	example_bytes_add(&world.published, "", 0);
}

static void free_world(void)
{
	recording_fini(&world.recording);
	engine_fini(world.engine);
	free(world.engine);
	free(world.published.text);
}

TestSuite(recording, .init = make_world, .fini = free_world);

/* The same numbers in each run. */
static uint32_t roll(uint64_t *state, uint32_t sides)
{
	/* xorshift (Marsaglia 2003). */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state % sides);
}

static uint32_t dice(uint32_t sides)
{
	static uint64_t state = 88172645463325252ULL;

	return roll(&state, sides);
}

/* Of translations: connections come as they would without them. */
static uint32_t nat_dice(uint32_t sides)
{
	static uint64_t state = 88172645463325252ULL;

	return roll(&state, sides);
}

/* Which of some translations an event or a connection is about. */
static struct nat_event any_translation(void)
{
	struct nat_event event = example_nat_event((uint16_t)nat_dice(100));

	event.nsid = (int32_t)nat_dice(3) - 1;
	event.reply.destination_port = (uint16_t)(event.reply.destination_port + 100 * nat_dice(2));
	return event;
}

static void take_translations(void)
{
	for (unsigned i = nat_dice(20); i > 0; i--) {
		struct nat_event event = any_translation();

		event.kind = (uint8_t)(1 + nat_dice(3));
		engine_nat(world.engine, &event);
	}
}

static struct conn_record any_record(bool live)
{
	struct conn_record record = example_record();

	record.kind = live ? RECORD_KIND_SNAPSHOT : RECORD_KIND_CLOSE;
	/* Some that a pass saw never close: they are inferred. */
	record.id = (live ? 1 : 200) + dice(1000);
	record.at_ns = world.now_ns;
	record.opened_ns = world.now_ns - dice(1000000000);
	record.cgroup_id = dice(40);
	record.sent_bytes = dice(1000);
	record.recv_bytes = dice(1000);
	if (nat_dice(2)) {
		const struct nat_event event = any_translation();

		example_nat_ends(&record, &event, nat_dice(2));
	}
	return record;
}

/* A pass over a random part of what lives: some are missed so often that they are inferred. */
static void take_pass(void)
{
	engine_pass_begin(world.engine, world.now_ns, dice(100000));
	for (unsigned i = dice(100); i > 0; i--) {
		const struct conn_record record = any_record(true);

		engine_seen(world.engine, &record);
	}
	if (dice(10) > 0)
		engine_pass_end(world.engine, world.now_ns);
}

/* What a worker's loop may do to its engine, in any order. */
static void live(unsigned steps)
{
	for (unsigned step = 0; step < steps; step++) {
		struct conn_view view;
		struct conn_record record;

		world.now_ns += dice(200000000);
		engine_tick(world.engine, world.now_ns,
			    (struct clock_offsets){WALL_OFFSET_NS + dice(1000), dice(1000)},
			    dice(20) > 0);
		take_translations();
		for (unsigned i = dice(40); i > 0; i--) {
			record = any_record(false);
			engine_close(world.engine, &record);
		}
		if (dice(4) == 0)
			take_pass();
		if (dice(5) == 0)
			engine_active_begin(world.engine);
		engine_active_step(world.engine);
		/* A query for what lives. */
		for (size_t slot = 0; dice(5) == 0;)
			slot = engine_live_next(world.engine, slot, &view);
		engine_flush(world.engine, world.now_ns, dice(10) == 0);
	}
}

/* Fetches everything that there is, in pieces; true when the tape is over. */
static bool fetch(struct example_tape *tape, uint32_t id, size_t capacity)
{
	uint8_t piece[4096];
	bool over = false;
	long length;

	do {
		length = recording_read(&world.recording, id, tape->bytes.length, piece, capacity,
					world.now_ns, &over);
		cr_assert_geq(length, 0);
		example_bytes_add(&tape->bytes, piece, (size_t)length);
	} while (length > 0 && !over);
	return over;
}

Test(recording, a_replay_gives_what_was_published_from_the_beginning_of_the_recording_on)
{
	struct example_tape tape = {.writer = {.put = NULL}};
	struct example_output output;
	struct nat_event translation;
	uint64_t inferred;
	size_t before;
	uint32_t id;

	live(400);
	/* One that has ended, in the state that is recorded. */
	translation = world.engine->nat.entries[world.engine->nat.live.oldest].event;
	translation.kind = NAT_EVENT_DESTROY;
	engine_nat(world.engine, &translation);
	cr_expect_gt(world.engine->nat.ended, 0);
	cr_assert_eq(recording_begin(&world.recording, world.now_ns, &id), 0);
	before = world.published.length;
	inferred = world.engine->state.counts.inferred;
	for (unsigned i = 0; i < 40; i++) {
		live(10);
		cr_expect_not(fetch(&tape, id, 1 + dice(4096)));
	}
	cr_assert_eq(recording_end(&world.recording, id), 0);
	cr_assert(fetch(&tape, id, 4096));

	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	cr_expect_str_eq(output.text, world.published.text + before);
	/* All that is worth replaying happened on both sides of the beginning. */
	cr_expect_gt(before, 100000);
	cr_expect_gt(output.bytes.length, 100000);
	cr_expect_gt(inferred, 0);
	cr_expect_gt(world.engine->state.counts.inferred, inferred);
	cr_expect_gt(world.engine->state.counts.table_full, 0);
	cr_expect_not_null(strstr(output.text, "\"inferred\":true"));
	cr_expect_not_null(strstr(output.text, "\"state\":\"active\""));
	cr_expect_not_null(strstr(output.text, "\"cgroup\":\"/slice/"));
	cr_expect_not_null(strstr(output.text, "\"cgroup\":null"));
	cr_expect_not_null(strstr(output.text, "\"nat\":{\"local\":"));
	cr_expect_gt(world.engine->nat.counts.evicted, 0);
	cr_expect_gt(world.engine->nat.counts.ambiguous, 0);
	cr_expect_gt(world.engine->nat.counts.destroyed, 100);
	example_output_free(&output);
	example_tape_free(&tape);
}

Test(recording, there_is_one_at_a_time_and_it_must_be_named_right)
{
	uint8_t piece[64];
	uint32_t id, other;
	bool over;

	cr_expect_eq(recording_end(&world.recording, 0), -ESTALE);
	cr_expect_eq(recording_read(&world.recording, 0, 0, piece, 64, START_NS, &over), -ESTALE);
	cr_assert_eq(recording_begin(&world.recording, START_NS, &id), 0);
	cr_expect_eq(recording_begin(&world.recording, START_NS, &other), -EBUSY);
	cr_expect_eq(recording_end(&world.recording, id + 1), -ESTALE);
	cr_expect_eq(recording_read(&world.recording, id, 1U << 30, piece, 64, START_NS, &over),
		     -ESTALE);
	cr_expect_eq(recording_read(&world.recording, id, 0, piece, 64, START_NS, &over), 64);
	cr_expect_eq(recording_read(&world.recording, id, 64, piece, 64, START_NS, &over), 64);
	/* What was asked for again still is there, what lies before it is not. */
	cr_expect_eq(recording_read(&world.recording, id, 64, piece, 64, START_NS, &over), 64);
	cr_expect_eq(recording_read(&world.recording, id, 0, piece, 64, START_NS, &over), -ESTALE);
}

Test(recording, one_that_nobody_fetches_is_given_up)
{
	uint8_t piece[64];
	uint32_t id;
	bool over;

	cr_assert_eq(recording_begin(&world.recording, START_NS, &id), 0);
	recording_tick(&world.recording, START_NS + RECORDER_PATIENCE_NS - 1);
	cr_expect_not_null(world.engine->tape);
	cr_expect_eq(recording_read(&world.recording, id, 0, piece, 64,
				    START_NS + RECORDER_PATIENCE_NS - 1, &over),
		     64);
	recording_tick(&world.recording, START_NS + 2 * RECORDER_PATIENCE_NS - 2);
	cr_expect_not_null(world.engine->tape);
	recording_tick(&world.recording, START_NS + 2 * RECORDER_PATIENCE_NS - 1);
	cr_expect_null(world.engine->tape);
	cr_expect_eq(recording_read(&world.recording, id, 64, piece, 64, START_NS, &over), -ESTALE);
	cr_expect_eq(recording_begin(&world.recording, START_NS, &id), 0);
}

Test(recording, one_that_is_not_fetched_as_fast_as_it_grows_is_spoilt_and_counted)
{
	const size_t capacity = recorder_bytes(world.config.state_max_connections,
					       world.config.nat_max_entries,
					       &world.engine->settings.dns);
	const struct conn_record record = any_record(true);
	uint8_t piece[64];
	uint32_t id;
	bool over;

	cr_assert_eq(recording_begin(&world.recording, START_NS, &id), 0);
	cr_expect_eq(recording_read(&world.recording, id, 0, piece, 64, START_NS, &over), 64);
	for (size_t bytes = 0; bytes < capacity; bytes += sizeof(record))
		engine_seen(world.engine, &record);
	cr_expect_eq(world.recording.recorder.overflows, 1);
	recording_tick(&world.recording, START_NS);
	cr_expect_null(world.engine->tape, "it costs nothing any more");
	cr_expect_eq(recording_read(&world.recording, id, 64, piece, 64, START_NS, &over),
		     -EOVERFLOW);
	cr_expect_eq(recording_read(&world.recording, id, 64, piece, 64, START_NS, &over), -ESTALE);
	cr_expect_eq(recording_begin(&world.recording, START_NS, &id), 0, "another may be made");
}

Test(recording, the_largest_state_but_for_dns_fits)
{
	const struct dns_settings no_dns = {.enabled = false};
	struct conn_record record = any_record(true);
	uint32_t id;

	engine_tick(world.engine, world.now_ns, (struct clock_offsets){0}, true);
	engine_pass_begin(world.engine, world.now_ns, 0);
	for (record.id = 1; record.id <= world.config.state_max_connections; record.id++)
		engine_seen(world.engine, &record);
	for (uint64_t group = 1; group <= 4 * CGROUPS_SETS * CGROUPS_WAYS; group++) {
		const struct cgroup_record cgroup = {.kind = RECORD_KIND_CGROUP,
						     .version = RECORD_VERSION,
						     .id = group,
						     .path = "/x"};

		cr_assert(engine_cgroup(world.engine, &cgroup));
	}
	record = any_record(false);
	for (uint32_t number = 0; number < 16 * LOCAL_ADDRESS_SETS * LOCAL_ADDRESS_WAYS; number++) {
		record.id = 1000000 + number;
		memcpy(record.local_ip, &(uint32_t){htonl(0x0a000000 + number)}, 4);
		engine_close(world.engine, &record);
	}
	for (uint16_t i = 0; i < 100; i++) {
		const struct nat_event event = example_nat_event(i);

		engine_nat(world.engine, &event);
	}
	cr_assert_eq(recording_begin(&world.recording, START_NS, &id), 0);
	cr_expect_eq(world.recording.recorder.missed, 0);
	cr_expect_leq(world.recording.recorder.written + RECORDER_ROOM_BYTES,
		      world.recording.recorder.capacity);
	cr_expect_geq(world.recording.recorder.written,
		      tape_state_bytes_max(world.config.state_max_connections,
					   world.config.nat_max_entries, &no_dns) *
			      9 / 10);
}
