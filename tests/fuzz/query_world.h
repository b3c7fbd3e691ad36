/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for fuzz_query: some places with a connection each, that grow, close and are reported again,
 * an engine that is told of them, and the sum of all bytes that clients are to be told of. Moves
 * are two characters, what and how much:
 *
 *   g P   the connection at place P grows         c P   it closes; the next one there is another
 *   C P   the one that closed last there is reported again, with one more byte
 *   b P   its numbers are read as less than they were (a snapshot may read so, and a close)
 *   t N   N seconds pass                          u N   N bytes could be given to no flow
 *   f N   N / 2 short connections, long when told      r .   rollup is switched
 *   z .   the kernel gives no snapshots, or does again
 */
#ifndef SOCKWARDEN_TESTS_FUZZ_QUERY_WORLD_H
#define SOCKWARDEN_TESTS_FUZZ_QUERY_WORLD_H

#include "common/lazy_memory.h"
#include "tests/fuzz/invariant.h"
#include "tests/unit/example_conn.h"
#include "worker/engine.h"

#include <errno.h>
#include <string.h>

#define WORLD_CLIENTS 3
#define WORLD_PLACES 24
#define WORLD_EXCLUDED_PLACE 20 /* from here on */
#define WORLD_EXCLUDED_IP "10.9.9.9"
#define WORLD_CLOSED_MAX 128 /* the log's */
#define WORLD_NS_PER_S 1000000000ULL
/* Whoever closed longer ago may have been forgotten, and would be told again. */
#define WORLD_REMEMBERED 1024
/* Its id and its path, which is as long as can be and escaped in each character. */
#define WORLD_CGROUP 99

struct world_place {
	uint64_t id; /* 0: nothing is here */
	uint64_t bytes;
	uint64_t less;		   /* that are read */
	struct conn_record closed; /* the last one; id 0: none */
	uint64_t closed_at;	   /* world.closed then */
};

struct world {
	struct engine *engine; /* lazy memory: most of it stays untouched */
	struct metrics metrics;
	struct world_place places[WORLD_PLACES];
	uint64_t now_ns;
	uint64_t next_id;
	uint64_t closed;       /* connections */
	uint64_t closed_bytes; /* of those that are told */
	uint64_t less_bytes;   /* of these: that the closes did not show */
	struct conn_sums lone; /* of no flow */
	bool rollup;
	bool is_busy;
};

static inline void world_nothing(void *ctx)
{
	(void)ctx;
}

static inline int world_send(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	(void)bytes;
	(void)length;
	return 0;
}

static inline void world_tick(struct world *world)
{
	engine_tick(world->engine, world->now_ns, (struct clock_offsets){1, 2}, false);
}

static inline void world_name_cgroup(struct world *world)
{
	struct cgroup_record record = {
		.kind = RECORD_KIND_CGROUP, .version = RECORD_VERSION, .id = WORLD_CGROUP};

	memset(record.path, '\1', sizeof(record.path) - 1);
	INVARIANT(engine_cgroup(world->engine, &record));
	engine_cgroups_filled(world->engine, world->now_ns);
}

static inline void world_open(struct world *world)
{
	static struct config_excludes none, excluded = {.count = 1};
	static const struct engine_sink sink = {
		.settle = world_nothing, .send = world_send, .ask_cgroups = world_nothing};
	static const struct identity identity = {.host = "h", .instance = "i"};
	const struct engine_settings settings = {
		.max_connections = 64,
		.interval_ns = 30 * WORLD_NS_PER_S,
		.tcp_enabled = true,
		.udp_enabled = true,
		.ipv6_enabled = true,
		.exclude_source = &none,
		.exclude_destination = &excluded,
		.max_clients = WORLD_CLIENTS,
		.max_closed = WORLD_CLOSED_MAX,
		.client_expiry_ns = 120 * WORLD_NS_PER_S,
		.ephemeral = PORT_RANGE_DEFAULT,
	};
	const char *why;

	INVARIANT(exclude_prefix_parse(&excluded.item[0].prefix, WORLD_EXCLUDED_IP, &why) == 0);
	INVARIANT(exclude_ports_parse(&excluded.item[0].ports, "*", &why) == 0);
	memset(world, 0, sizeof(*world));
	world->now_ns = 1000 * WORLD_NS_PER_S;
	world->engine = lazy_memory_reserve(sizeof(*world->engine));
	INVARIANT(world->engine != NULL);
	INVARIANT(engine_init(world->engine, &settings, &sink, &identity, &world->metrics) == 0);
	world_tick(world);
	world_name_cgroup(world);
}

static inline void world_close(struct world *world)
{
	engine_fini(world->engine);
	lazy_memory_release(world->engine, sizeof(*world->engine));
}

/* All bytes that whoever was there from the beginning is to be told of. */
static inline uint64_t world_counted(const struct world *world)
{
	return world->closed_bytes + world->lone.sent_bytes;
}

/* Of any kind, after its id: all that rollup and direction look at differs somewhere. */
static inline struct conn_record world_record(const struct world *world, uint64_t id,
					      uint64_t bytes)
{
	struct conn_record record = example_record();

	record.id = id;
	record.at_ns = world->now_ns;
	record.opened_ns = world->now_ns - (id % 7 == 0 ? 200 : 1) * WORLD_NS_PER_S;
	record.sent_bytes = bytes;
	record.recv_bytes = 2 * bytes;
	record.direction = (uint8_t)(id % 3);
	record.remote_port = (uint16_t)(id % 5 == 0 ? 40000 + id % 19 : 53 + id % 2);
	record.local_port = (uint16_t)(id % 5 == 0 ? 80 : 40000 + id % 4);
	record.cgroup_id = 0;
	if (id % 4 == 0) {
		record.protocol = IPPROTO_UDP;
		record.tcp_state = 0;
		record.end = RECORD_END_IDLE;
	}
	return record;
}

static inline struct conn_record world_record_at(const struct world *world, unsigned number)
{
	const struct world_place *place = &world->places[number];
	struct conn_record record = world_record(world, place->id, place->bytes - place->less);

	/* Some have a row of the overflow to themselves. */
	if (number % 2 == 0)
		record.remote_port = (uint16_t)(1000 + number);
	if (number >= WORLD_EXCLUDED_PLACE)
		memcpy(record.remote_ip, (uint8_t[]){10, 9, 9, 9}, 4);
	return record;
}

/* A complete pass, which shows every connection that lives; -EAGAIN: none can be had. */
static inline int world_refresh(struct world *world)
{
	if (world->is_busy)
		return -EAGAIN;
	engine_pass_begin(world->engine, world->now_ns, 0);
	engine_unattributed(world->engine, &world->lone);
	for (unsigned i = 0; i < WORLD_PLACES; i++) {
		struct conn_record record = world_record_at(world, i);

		if (world->places[i].id == 0)
			continue;
		record.kind = RECORD_KIND_SNAPSHOT;
		record.end = RECORD_END_NONE;
		engine_seen(world->engine, &record);
	}
	engine_pass_end(world->engine, world->now_ns);
	return 0;
}

static inline void world_grow(struct world *world, unsigned number)
{
	struct world_place *place = &world->places[number];

	if (place->id == 0)
		place->id = ++world->next_id;
	place->bytes += 1 + number;
	place->less = 0;
}

static inline void world_finish(struct world *world, unsigned number)
{
	struct world_place *place = &world->places[number];

	if (place->id == 0)
		return;
	place->closed = world_record_at(world, number);
	engine_close(world->engine, &place->closed);
	place->closed_at = ++world->closed;
	if (number < WORLD_EXCLUDED_PLACE) {
		world->closed_bytes += place->bytes;
		world->less_bytes += place->less;
	}
	place->id = 0;
	place->bytes = 0;
	place->less = 0;
}

static inline void world_close_all(struct world *world)
{
	for (unsigned i = 0; i < WORLD_PLACES; i++)
		world_finish(world, i);
}

static inline void world_close_again(struct world *world, unsigned number)
{
	struct world_place *place = &world->places[number];

	if (place->closed.id == 0 || world->closed - place->closed_at > WORLD_REMEMBERED)
		return;
	place->closed.sent_bytes++;
	engine_close(world->engine, &place->closed);
	world->closed_bytes += number < WORLD_EXCLUDED_PLACE;
}

static inline void world_flood(struct world *world, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct conn_record record = world_record(world, ++world->next_id, 1 + i % 9);

		engine_close(world->engine, &record);
		world->closed++;
		world->closed_bytes += record.sent_bytes;
	}
}

/* Pairs of characters; what is no move does nothing. */
static inline void world_move(struct world *world, const char *moves, size_t length)
{
	for (size_t i = 0; i + 1 < length; i += 2) {
		const unsigned much = (unsigned char)moves[i + 1];
		const unsigned number = much % WORLD_PLACES;

		switch (moves[i]) {
		case 'g':
			world_grow(world, number);
			break;
		case 'c':
			world_finish(world, number);
			break;
		case 'C':
			world_close_again(world, number);
			break;
		case 'b':
			world->places[number].less = world->places[number].bytes > 0;
			break;
		case 't':
			world->now_ns += much * WORLD_NS_PER_S;
			world_tick(world);
			break;
		case 'u':
			world->lone.sent_bytes += much;
			break;
		case 'f':
			world_flood(world, much / 2);
			break;
		case 'r':
			world->rollup = !world->rollup;
			break;
		case 'z':
			world->is_busy = !world->is_busy;
			break;
		default:
			break;
		}
	}
}

#endif
