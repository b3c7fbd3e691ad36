/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/conn_events.h"

#include "worker/publish/conn_json.h"
#include "worker/publish/event_head.h"
#include "worker/publish/overflow_json.h"

#include <errno.h>

_Static_assert(CONN_EVENTS_HEAD_BYTES + CONN_EVENTS_BYTES_FULL + CONN_JSON_BYTES_MAX <
		       EVENT_BYTES_MAX,
	       "a full message and its last connection fit");

static void begin(struct conn_events *events)
{
	events->records = 0;
	events->encoded = events->listened;
	/* The head holds the time of sending, so it is put before the list when that is known. */
	json_init(&events->json, events->buffer + CONN_EVENTS_HEAD_BYTES,
		  sizeof(events->buffer) - CONN_EVENTS_HEAD_BYTES);
}

void conn_events_init(struct conn_events *events, const struct identity *identity)
{
	memset(events, 0, sizeof(*events));
	events->identity = *identity;
	events->seq = 1;
	begin(events);
}

void conn_events_tick(struct conn_events *events, uint64_t now_ns, struct clock_offsets wall,
		      bool listened)
{
	events->now_ns = now_ns;
	events->wall = wall;
	events->listened = listened;
	if (events->records == 0) {
		begin(events);
	} else if (listened && !events->encoded) {
		events->seq++;
		begin(events);
	}
}

int conn_events_add(struct conn_events *events, const struct conn_view *view)
{
	if (conn_events_is_full(events))
		return -ENOSPC;
	if (events->records == 0)
		events->oldest_ns = events->now_ns;
	if (events->encoded) {
		if (events->records > 0)
			JSON_TEXT(&events->json, ",");
		conn_json_write(&events->json, view, events->wall);
	}
	events->records++;
	return 0;
}

bool conn_events_is_full(const struct conn_events *events)
{
	size_t bytes = events->encoded ? json_length(&events->json)
				       : (size_t)events->records * CONN_EVENTS_RECORD_BYTES_TYPICAL;

	return bytes >= CONN_EVENTS_BYTES_FULL;
}

uint32_t conn_events_pending(const struct conn_events *events)
{
	return events->records;
}

uint64_t conn_events_oldest_ns(const struct conn_events *events)
{
	return events->oldest_ns;
}

void conn_events_unattributed(struct conn_events *events, const struct conn_sums *sums)
{
	if (!events->has_unattributed)
		events->unattributed_told = *sums;
	events->has_unattributed = true;
	events->unattributed = *sums;
}

static struct conn_sums untold(const struct conn_events *events)
{
	return conn_sums_since(&events->unattributed, &events->unattributed_told);
}

void conn_events_tell_unattributed(struct conn_events *events)
{
	const struct conn_sums sums = untold(events);

	events->tells_unattributed = !conn_sums_are_zero(&sums);
}

/* What stands before the list of connections. */
static void write_head(struct json *json, const struct conn_events *events)
{
	const struct conn_sums sums = untold(events);

	event_head_write(json, "conn.v1", &events->identity, events->seq,
			 events->now_ns + events->wall.monotonic_ns);
	JSON_TEXT(json, ",\"overflow\":[");
	if (events->tells_unattributed)
		overflow_json_write_unattributed(json, &sums);
	JSON_TEXT(json, "],\"connections\":[");
}

bool conn_events_finish(struct conn_events *events, struct conn_events_message *message)
{
	char head[CONN_EVENTS_HEAD_BYTES];
	struct json json;
	size_t head_bytes;

	if (events->records == 0 && !events->tells_unattributed)
		return false;
	*message = (struct conn_events_message){.records = events->records};
	if (events->encoded) {
		json_init(&json, head, sizeof(head));
		write_head(&json, events);
		head_bytes = json_length(&json);
		JSON_TEXT(&events->json, "]}");
		memcpy(events->buffer + CONN_EVENTS_HEAD_BYTES - head_bytes, head, head_bytes);
		message->bytes = events->buffer + CONN_EVENTS_HEAD_BYTES - head_bytes;
		message->length = head_bytes + json_length(&events->json);
	}
	if (events->tells_unattributed)
		events->unattributed_told = events->unattributed;
	events->tells_unattributed = false;
	events->seq++;
	begin(events);
	return true;
}
