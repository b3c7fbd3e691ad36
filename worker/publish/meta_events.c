/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/meta_events.h"

#include "worker/publish/event_head.h"
#include "worker/publish/facts_json.h"

void meta_events_init(struct meta_events *events)
{
	events->seq = 1;
}

size_t meta_events_make(struct meta_events *events, const struct metrics *metrics,
			const struct worker_facts *facts, uint64_t wall_ns, bool listened,
			const char **bytes)
{
	uint64_t seq = events->seq++;
	struct json json;

	if (!listened)
		return 0;
	json_init(&json, events->buffer, sizeof(events->buffer));
	event_head_write(&json, "meta.v1", &facts->identity, seq, wall_ns);
	JSON_TEXT(&json, ",\"counters\":");
	metrics_json_write(&json, metrics, METRIC_KIND_COUNTER);
	JSON_TEXT(&json, ",\"gauges\":");
	metrics_json_write(&json, metrics, METRIC_KIND_GAUGE);
	JSON_TEXT(&json, ",");
	facts_json_health(&json, facts);
	JSON_TEXT(&json, ",\"completeness\":");
	facts_json_completeness(&json, &facts->loss.interval);
	JSON_TEXT(&json, ",\"sandbox\":");
	facts_json_sandbox(&json, facts);
	JSON_TEXT(&json, ",\"kernel\":");
	facts_json_kernel(&json, facts);
	JSON_TEXT(&json, "}");
	/* META_EVENTS_BYTES_MAX has room for every name with every number at its longest. */
	if (json.overflow)
		return 0;
	*bytes = events->buffer;
	return json_length(&json);
}
