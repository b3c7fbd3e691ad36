/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_tape into the folder that is its only argument. They are made by the
 * build because a tape carries the hash of the records' layout.
 */
#include "tests/fuzz/seed_file.h"
#include "tests/unit/example_conn.h"
#include "tests/unit/example_dns_world.h"
#include "tests/unit/example_nat.h"
#include "tests/unit/example_tape.h"
#include "worker/tape/state.h"

#include <stdio.h>

static int write_seed(const char *folder, const char *name, char kind, struct example_tape *tape)
{
	FILE *file = seed_open(folder, name);
	bool written;

	if (!file)
		return -1;
	written = fputc(kind, file) == kind &&
		  fwrite(tape->bytes.text, tape->bytes.length, 1, file) == 1;
	example_tape_free(tape);
	return fclose(file) == 0 && written ? 0 : -1;
}

static void put_record(struct example_tape *tape, enum tape_type type, uint64_t id)
{
	struct conn_record record = example_record();

	record.id = id;
	if (type == TAPE_SEEN)
		record.kind = RECORD_KIND_SNAPSHOT;
	tape_put(&tape->writer, type, &record, sizeof(record));
}

static void put_cgroup(struct example_tape *tape)
{
	const struct cgroup_record record = {
		.kind = RECORD_KIND_CGROUP,
		.version = RECORD_VERSION,
		.id = 99,
		.path = "/system.slice/x.service",
	};

	tape_put(&tape->writer, TAPE_CGROUP, &record, sizeof(record));
	tape_put_time(&tape->writer, TAPE_CGROUPS_FILLED, 1);
}

static void put_translation(struct example_tape *tape)
{
	const struct nat_event event = example_nat_event(1);
	struct conn_record record = example_record();

	record.id = 77;
	example_nat_ends(&record, &event, true);
	tape_put(&tape->writer, TAPE_NAT, &event, sizeof(event));
	tape_put(&tape->writer, TAPE_CLOSE, &record, sizeof(record));
}

/* One of each input. */
static void put_inputs(struct example_tape *tape)
{
	tape_put_tick(&tape->writer, 2000000000, (struct clock_offsets){5, 6}, true);
	put_record(tape, TAPE_CLOSE, 1);
	put_cgroup(tape);
	put_translation(tape);
	for (unsigned pass = 0; pass < 6; pass++) {
		tape_put_pass_begin(&tape->writer, 2000000000 + pass * 2000000000ULL, 7);
		if (pass < 2)
			put_record(tape, TAPE_SEEN, 2 + pass);
		tape_put_time(&tape->writer, TAPE_PASS_END, 3000000000 + pass * 2000000000ULL);
		tape_put(&tape->writer, TAPE_ACTIVE_BEGIN, NULL, 0);
		tape_put(&tape->writer, TAPE_ACTIVE_STEP, NULL, 0);
	}
	tape_put_flush(&tape->writer, 20000000000, true);
	tape_end(&tape->writer);
}

static void put_state(struct example_tape *tape)
{
	const struct tape_state state = {.seq = 9, .pass = 3, .high = 3, .cgroups_filled = 1};
	const struct tape_state_nat nat = {.destroyed_ns = 5, .event = example_nat_event(1)};
	const uint32_t free_index = 1;

	tape_put(&tape->writer, TAPE_STATE, &state, sizeof(state));
	for (uint32_t index = 0; index < 3; index += 2) {
		struct tape_state_conn conn = {
			.index = index, .seen = 3, .is_published = 1, .record = example_record()};

		conn.record.kind = RECORD_KIND_SNAPSHOT;
		conn.record.id = 2 + index;
		tape_put(&tape->writer, TAPE_STATE_CONN, &conn, sizeof(conn));
	}
	tape_put(&tape->writer, TAPE_STATE_FREE, &free_index, sizeof(free_index));
	tape_put(&tape->writer, TAPE_STATE_NAT, &nat, sizeof(nat));
}

static void settle(void *ctx)
{
	(void)ctx;
}

static int send_nowhere(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	(void)bytes;
	(void)length;
	return 0;
}

static void ask(struct example_dns_world *world, unsigned questions)
{
	engine_tick(world->engine, world->now_ns, (struct clock_offsets){5, 6}, true);
	engine_flush(world->engine, world->now_ns, false);
	for (unsigned i = 0; i < questions; i++)
		example_dns_ask(world);
}

/*
 * Questions and answers: with_state the first ones are in the state at the beginning, the others are
 * inputs. All of it is less than the 4,096 bytes that a fuzzer looks at.
 */
static int put_dns(struct example_tape *tape, bool with_state, uint64_t dice)
{
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};
	const struct engine_sink sink = {
		.settle = settle, .send = send_nowhere, .ask_cgroups = settle};
	static struct engine engine;
	static struct metrics metrics;
	static struct config config;
	struct example_dns_world world = {
		.engine = &engine,
		.now_ns = 1000000000000ULL,
		.dice = dice,
		.names = 2,
		.hosts = 3,
		.clients = 2,
		.answers = 2,
	};
	struct engine_settings settings;

	config_default(&config);
	config.state_max_connections = 64;
	config.nat_max_entries = 64;
	config.dns_max_names = 64;
	config.dns_max_stats = 64;
	config.dns_max_in_flight = 64;
	settings = engine_settings_of(&config);
	memset(&engine, 0, sizeof(engine));
	if (engine_init(&engine, &settings, &sink, &identity, &metrics) < 0)
		return -1;
	ask(&world, with_state ? 3 : 0);
	if (with_state)
		tape_state_save(&tape->writer, &engine);
	engine.tape = &tape->writer;
	ask(&world, with_state ? 1 : 7);
	engine_active_begin(&engine);
	engine_active_step(&engine);
	engine_flush(&engine, world.now_ns, true);
	tape_end(&tape->writer);
	engine_fini(&engine);
	return 0;
}

int main(int argc, char **argv)
{
	/* Of which the states have all types of entries between them. */
	static const struct {
		const char *name;
		bool with_state;
		uint64_t dice;
	} dns[] = {
		{"dns", false, 11},
		{"dns_state", true, 197988},
		{"dns_names", true, 2241090},
	};
	/* Behind the header and the configuration that fuzz_tape writes itself. */
	struct example_tape rest = {.writer = {.put = example_tape_take, .entries = 1}};
	struct example_tape whole;
	int result;

	if (argc != 2)
		return 2;
	rest.writer.ctx = &rest.bytes;
	put_inputs(&rest);
	result = write_seed(argv[1], "inputs", 1, &rest);
	rest = (struct example_tape){
		.writer = {.put = example_tape_take, .ctx = &rest.bytes, .entries = 1}};
	put_state(&rest);
	put_inputs(&rest);
	result |= write_seed(argv[1], "state", 1, &rest);
	for (size_t i = 0; i < sizeof(dns) / sizeof(dns[0]); i++) {
		rest = (struct example_tape){
			.writer = {.put = example_tape_take, .ctx = &rest.bytes, .entries = 1}};
		result |= put_dns(&rest, dns[i].with_state, dns[i].dice);
		result |= write_seed(argv[1], dns[i].name, 1, &rest);
	}
	example_tape_begin(&whole, "{\"state\":{\"max_connections\":64,\"max_clients\":1},"
				   "\"nat\":{\"max_entries\":64}}");
	put_inputs(&whole);
	result |= write_seed(argv[1], "whole", 2, &whole);
	return result == 0 ? 0 : 1;
}
