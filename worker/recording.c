/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/recording.h"

#include "common/config/write.h"
#include "common/json.h"
#include "worker/tape/state.h"

#include <errno.h>

_Static_assert(CONFIG_JSON_BYTES_MAX <= TAPE_PAYLOAD_BYTES_MAX, "a tape holds any configuration");

int recording_init(struct recording *recording, struct engine *engine, const struct config *config)
{
	recording->engine = engine;
	recording->config = config;
	return recorder_init(&recording->recorder, recorder_bytes(config->state_max_connections,
								  engine->settings.nat_max_entries,
								  &engine->settings.dns));
}

void recording_fini(struct recording *recording)
{
	recorder_fini(&recording->recorder);
}

int recording_begin(struct recording *recording, uint64_t now_ns, uint32_t *id)
{
	static char text[CONFIG_JSON_BYTES_MAX];
	struct recorder *recorder = &recording->recorder;
	struct tape_writer *writer = &recorder->writer;
	struct engine *engine = recording->engine;
	const struct conn_events *events = &engine->events;
	struct json json;
	int result = recorder_begin(recorder, now_ns);

	if (result < 0)
		return result;
	/*
	 * The tape begins with the last tick. What packets have brought since may be due by that
	 * already: it is worked off in a replay, so it is here, too.
	 */
	dns_tick(&engine->dns, events->now_ns);
	engine_flush(engine, now_ns, true);
	json_init(&json, text, sizeof(text));
	config_write(&json, recording->config);
	tape_begin(writer, &events->identity, text, json_length(&json));
	tape_state_save(writer, engine);
	tape_put_tick(writer, events->now_ns, events->wall, events->listened);
	if (events->has_unattributed) {
		tape_put(writer, TAPE_UNATTRIBUTED, &events->unattributed_told,
			 sizeof(events->unattributed_told));
		tape_put(writer, TAPE_UNATTRIBUTED, &events->unattributed,
			 sizeof(events->unattributed));
	}
	engine->tape = writer;
	*id = recorder->id;
	return 0;
}

int recording_end(struct recording *recording, uint32_t id)
{
	struct recorder *recorder = &recording->recorder;

	if (!recorder->open || recorder->id != id)
		return -ESTALE;
	if (recorder->filling) {
		recording->engine->tape = NULL;
		tape_end(&recorder->writer);
		recorder_stop(recorder);
	}
	return 0;
}

static void drop(struct recording *recording)
{
	recording->engine->tape = NULL;
	recorder_drop(&recording->recorder);
}

long recording_read(struct recording *recording, uint32_t id, uint64_t offset, uint8_t *bytes,
		    size_t capacity, uint64_t now_ns, bool *over)
{
	struct recorder *recorder = &recording->recorder;
	const long length = recorder_read(recorder, id, offset, bytes, capacity, now_ns);

	*over = length >= 0 && !recorder->filling && offset + (uint64_t)length == recorder->written;
	if (*over || length == -EOVERFLOW)
		drop(recording);
	return length;
}

void recording_tick(struct recording *recording, uint64_t now_ns)
{
	struct recorder *recorder = &recording->recorder;

	if (recorder_expire(recorder, now_ns) || recorder->missed > 0)
		recording->engine->tape = NULL;
}
