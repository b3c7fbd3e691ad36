/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/dns_events.h"

#include "proto/record.h"
#include "worker/publish/dns_json.h"
#include "worker/publish/event_head.h"
#include "worker/publish/names_json.h"

/* {"ip":"...","names":[...],"ttl_s":...} */
#define NAMES_RECORD_BYTES_MAX (NAMES_JSON_NAME_BYTES_MAX + 128)

_Static_assert(DNS_EVENTS_BYTES_FULL + EVENT_HEAD_BYTES_MAX + DNS_JSON_ROW_BYTES_MAX + 16 <
		       DNS_EVENTS_BYTES_MAX,
	       "a full message and its last row fit");
_Static_assert(NAMES_RECORD_BYTES_MAX < DNS_JSON_ROW_BYTES_MAX, "and so does a name");

void dns_events_init(struct dns_events *events, const struct identity *identity)
{
	events->identity = *identity;
	events->stats_seq = 1;
	events->names_seq = 1;
}

void dns_events_tick(struct dns_events *events, uint64_t wall_ns, bool listened)
{
	events->wall_ns = wall_ns;
	events->listened = listened;
}

static void begin(struct dns_events *events, struct json *json, const char *topic, uint64_t seq)
{
	json_init(json, events->buffer, sizeof(events->buffer));
	event_head_write(json, topic, &events->identity, seq, events->wall_ns);
}

static bool is_full(const struct dns_events *events, const struct json *json, uint32_t records)
{
	return events->listened ? json_length(json) >= DNS_EVENTS_BYTES_FULL
				: records == DNS_EVENTS_ROWS_TYPICAL;
}

/* Closes the list and the object; false if nothing is in it. */
static bool finish(struct dns_events *events, struct json *json, uint64_t *seq,
		   struct dns_events_message *message)
{
	if (message->records == 0)
		return false;
	(*seq)++;
	if (!events->listened)
		return true;
	JSON_TEXT(json, "]}");
	message->bytes = events->buffer;
	message->length = json_length(json);
	return true;
}

bool dns_events_stats(struct dns_events *events, struct dns_stats *stats,
		      struct dns_events_message *message)
{
	struct dns_stats_view view;
	struct json json;

	*message = (struct dns_events_message){.bytes = NULL};
	begin(events, &json, "dns.v1", events->stats_seq);
	JSON_TEXT(&json, ",\"dns\":[");
	while (!is_full(events, &json, message->records) && dns_stats_publish_next(stats, &view)) {
		if (events->listened) {
			if (message->records > 0)
				JSON_TEXT(&json, ",");
			dns_json_write(&json, &view);
		}
		dns_stats_publish_told(stats);
		message->records++;
	}
	return finish(events, &json, &events->stats_seq, message);
}

static void write_name(struct json *json, const struct dns_news_item *item)
{
	char text[DNS_NAME_TEXT_BYTES];

	JSON_TEXT(json, "{\"ip\":");
	json_address(json, item->address.family == RECORD_FAMILY_IPV6, item->address.ip);
	JSON_TEXT(json, ",\"names\":[");
	json_string(json, text, dns_name_text(&item->name, text));
	JSON_TEXT(json, "],\"ttl_s\":");
	json_u64(json, item->address.ttl_s);
	JSON_TEXT(json, "}");
}

bool dns_events_names(struct dns_events *events, struct dns_news *news,
		      struct dns_events_message *message)
{
	const struct dns_news_item *item;
	struct json json;

	*message = (struct dns_events_message){.bytes = NULL};
	begin(events, &json, "names.v1", events->names_seq);
	JSON_TEXT(&json, ",\"names\":[");
	while (!is_full(events, &json, message->records) && (item = dns_news_take(news))) {
		if (events->listened) {
			if (message->records > 0)
				JSON_TEXT(&json, ",");
			write_name(&json, item);
		}
		message->records++;
	}
	return finish(events, &json, &events->names_seq, message);
}
