/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tape/replay.h"

#include "common/config/config.h"
#include "worker/engine.h"
#include "worker/intake/record_check.h"
#include "worker/publish/query.h"
#include "worker/tape/state.h"
#include "worker/tape/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replay {
	const struct replay_ends *ends;
	struct tape_reader reader;
	struct engine engine;
	struct metrics metrics;
	struct config config;
	struct identity identity;
	struct query *query; /* NULL until somebody asks */
	struct tape_state_loader loader;
	bool has_engine;
	bool has_inputs; /* the state's part of the tape is over */
	int result;	 /* the first error that came up within the engine's callbacks */
	char config_error[CONFIG_ERROR_BYTES];
};

static int send_message(void *ctx, const char *bytes, size_t length)
{
	struct replay *replay = ctx;
	int result;

	if (replay->result < 0)
		return replay->result;
	result = replay->ends->send(replay->ends->ctx, bytes, length);
	if (result < 0)
		replay->result = result;
	return result;
}

static void settle(void *ctx)
{
	(void)ctx;
}

static int take_cgroup(struct replay *replay, const struct tape_entry *entry)
{
	struct cgroup_record record;

	memcpy(&record, entry->payload, sizeof(record));
	if (!engine_cgroup(&replay->engine, &record))
		return tape_reader_reject(&replay->reader, "no control group can be this");
	return 0;
}

/* The answer to the engine's question is what comes next on the tape; it may be that there is none. */
static void ask_cgroups(void *ctx)
{
	struct replay *replay = ctx;
	struct tape_entry entry;
	int result;

	while ((result = tape_reader_next(&replay->reader, &entry)) > 0) {
		if (entry.type == TAPE_CGROUPS_FILLED)
			return;
		if (entry.type != TAPE_CGROUP) {
			tape_reader_unread(&replay->reader);
			return;
		}
		result = take_cgroup(replay, &entry);
		if (result < 0)
			break;
	}
	if (replay->result == 0)
		replay->result = result;
}

static int take_config(struct replay *replay, const struct tape_entry *entry)
{
	const char *text = (const char *)entry->payload;
	const struct tape_header *header = &replay->reader.header;
	const struct engine_sink sink = {
		.ctx = replay,
		.settle = settle,
		.send = send_message,
		.ask_cgroups = ask_cgroups,
	};
	struct engine_settings settings;
	int result;

	if (replay->has_engine)
		return tape_reader_reject(&replay->reader, "a second configuration");
	if (tape_digest(text, entry->length) != header->config_digest)
		return tape_reader_reject(&replay->reader, "the configuration's digest is wrong");
	config_default(&replay->config);
	if (config_apply(&replay->config, "configuration", text, entry->length,
			 replay->config_error, sizeof(replay->config_error)) < 0)
		return tape_reader_reject(&replay->reader, replay->config_error);
	settings = engine_settings_of(&replay->config);
	memcpy(replay->identity.host, header->host, sizeof(replay->identity.host) - 1);
	memcpy(replay->identity.instance, header->instance, sizeof(replay->identity.instance) - 1);
	result =
		engine_init(&replay->engine, &settings, &sink, &replay->identity, &replay->metrics);
	if (result < 0)
		return result;
	replay->has_engine = true;
	tape_state_loader_init(&replay->loader, &replay->engine);
	return 0;
}

static int take_state(struct replay *replay, const struct tape_entry *entry)
{
	const char *wrong = "state comes after an input";

	if (!replay->has_inputs)
		wrong = tape_state_load(&replay->loader, entry);
	return wrong ? tape_reader_reject(&replay->reader, wrong) : 0;
}

static int take_record(struct replay *replay, const struct tape_entry *entry)
{
	const bool is_close = entry->type == TAPE_CLOSE;
	struct conn_record record;

	memcpy(&record, entry->payload, sizeof(record));
	if (!conn_record_is_valid(&record, is_close ? RECORD_KIND_CLOSE : RECORD_KIND_SNAPSHOT))
		return tape_reader_reject(&replay->reader, "no record can be this");
	if (is_close)
		engine_close(&replay->engine, &record);
	else
		engine_seen(&replay->engine, &record);
	return 0;
}

static int take_nat(struct replay *replay, const struct tape_entry *entry)
{
	struct nat_event event;

	memcpy(&event, entry->payload, sizeof(event));
	if (!nat_event_is_valid(&event))
		return tape_reader_reject(&replay->reader, "no translation can be this");
	engine_nat(&replay->engine, &event);
	return 0;
}

static int take_packet(struct replay *replay, const struct tape_entry *entry)
{
	const struct perf_sample sample = {.payload = entry->payload, .length = entry->length};
	struct packet packet;

	if (!packet_read(&sample, &packet))
		return tape_reader_reject(&replay->reader, "no packet can be this");
	engine_packet(&replay->engine, &packet);
	return 0;
}

static int take_tick(struct replay *replay, const struct tape_entry *entry)
{
	struct clock_offsets wall;
	struct tape_tick tick;

	memcpy(&tick, entry->payload, sizeof(tick));
	if (tick.listened > 1)
		return tape_reader_reject(&replay->reader, "a tick's flag is neither 0 nor 1");
	wall = (struct clock_offsets){tick.monotonic_offset_ns, tick.boot_offset_ns};
	engine_tick(&replay->engine, tick.now_ns, wall, tick.listened);
	return 0;
}

static int take_flush(struct replay *replay, const struct tape_entry *entry)
{
	struct tape_flush flush;

	memcpy(&flush, entry->payload, sizeof(flush));
	if (flush.force > 1)
		return tape_reader_reject(&replay->reader, "a flush's flag is neither 0 nor 1");
	engine_flush(&replay->engine, flush.now_ns, flush.force);
	return 0;
}

static uint64_t time_of(const struct tape_entry *entry)
{
	struct tape_time time;

	memcpy(&time, entry->payload, sizeof(time));
	return time.now_ns;
}

static int take_unattributed(struct replay *replay, const struct tape_entry *entry)
{
	struct conn_sums sums;

	memcpy(&sums, entry->payload, sizeof(sums));
	engine_unattributed(&replay->engine, &sums);
	return 0;
}

static int replay_refresh(void *ctx)
{
	(void)ctx; /* the passes are on the tape */
	return 0;
}

static void replay_complete(void *ctx, struct conn_view *view)
{
	engine_complete(&((struct replay *)ctx)->engine, view);
}

static bool replay_is_told(void *ctx, const struct conn_record *record)
{
	return engine_is_told(&((struct replay *)ctx)->engine, record);
}

/* Of QUERY_LONGEST_BYTES: enough for any answer. */
static char *replay_room(void *ctx, size_t bytes)
{
	(void)bytes;
	return ctx;
}

/* Answers a request as the worker would have, at this place of the tape. */
static int take_ask(struct replay *replay, const struct tape_entry *entry)
{
	struct engine *engine = &replay->engine;
	const struct query_source source = {
		.ctx = replay,
		.metrics = &replay->metrics,
		.batches =
			{
				.clients = &engine->clients,
				.table = &engine->state.table,
				.rollup = engine->settings.rollup,
				.ctx = replay,
				.refresh = replay_refresh,
				.complete = replay_complete,
				.is_told = replay_is_told,
			},
		.now_ns = engine->events.now_ns,
		.wall = engine->events.wall,
	};
	static char memory[QUERY_LONGEST_BYTES];
	const struct query_room room = {.ctx = memory, .get = replay_room};
	const char *answer;
	size_t length;
	int result = replay->query ? 0 : query_new(&replay->query);

	if (result < 0)
		return result;
	length = query_answer_client(replay->query, &source, (const char *)entry->payload,
				     entry->length, &room, &answer);
	return send_message(replay, answer, length);
}

static int take_input(struct replay *replay, const struct tape_entry *entry)
{
	struct tape_pass_begin begin;

	switch (entry->type) {
	case TAPE_TICK:
		return take_tick(replay, entry);
	case TAPE_CLOSE:
	case TAPE_SEEN:
		return take_record(replay, entry);
	case TAPE_PASS_BEGIN:
		memcpy(&begin, entry->payload, sizeof(begin));
		engine_pass_begin(&replay->engine, begin.now_ns, begin.opened);
		return 0;
	case TAPE_PASS_END:
		engine_pass_end(&replay->engine, time_of(entry));
		return 0;
	case TAPE_CGROUP:
		return take_cgroup(replay, entry);
	case TAPE_NAT:
		return take_nat(replay, entry);
	case TAPE_PACKET:
		return take_packet(replay, entry);
	case TAPE_CGROUPS_FILLED:
		engine_cgroups_filled(&replay->engine, time_of(entry));
		return 0;
	case TAPE_FLUSH:
		return take_flush(replay, entry);
	case TAPE_ACTIVE_BEGIN:
		engine_active_begin(&replay->engine);
		return 0;
	case TAPE_ACTIVE_STEP:
		engine_active_step(&replay->engine);
		return 0;
	case TAPE_UNATTRIBUTED:
		return take_unattributed(replay, entry);
	case TAPE_ASK:
		return take_ask(replay, entry);
	case TAPE_END:
		return 0;
	default:
		return tape_reader_reject(&replay->reader, "an entry that cannot be replayed");
	}
}

static int take(struct replay *replay, const struct tape_entry *entry)
{
	const char *wrong;

	if (entry->type == TAPE_CONFIG)
		return take_config(replay, entry);
	if (!replay->has_engine)
		return tape_reader_reject(&replay->reader, "the configuration does not come first");
	if (tape_type_is_state(entry->type))
		return take_state(replay, entry);
	if (!replay->has_inputs) {
		replay->has_inputs = true;
		wrong = tape_state_loaded(&replay->loader);
		if (wrong)
			return tape_reader_reject(&replay->reader, wrong);
	}
	return take_input(replay, entry);
}

static int play(struct replay *replay)
{
	struct tape_entry entry;
	int result = tape_reader_init(&replay->reader, replay->ends->fill, replay->ends->ctx);

	if (result < 0)
		return result;
	while ((result = tape_reader_next(&replay->reader, &entry)) > 0) {
		result = take(replay, &entry);
		if (result == 0)
			result = replay->result;
		if (result < 0)
			break;
	}
	return result;
}

int replay_run(const struct replay_ends *ends, struct metrics *metrics,
	       char error[static REPLAY_ERROR_BYTES])
{
	struct replay *replay = calloc(1, sizeof(*replay));
	int result = -ENOMEM;

	if (replay) {
		replay->ends = ends;
		result = play(replay);
		*metrics = replay->metrics;
	}
	if (result == -EBADMSG)
		snprintf(error, REPLAY_ERROR_BYTES, "byte %" PRIu64 ": %s", replay->reader.offset,
			 replay->reader.error);
	else if (result < 0)
		snprintf(error, REPLAY_ERROR_BYTES, "%s", strerror(-result));
	if (replay && replay->has_engine)
		engine_fini(&replay->engine);
	if (replay)
		query_free(replay->query);
	free(replay);
	return result;
}
