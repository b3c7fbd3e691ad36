/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every event begins with: the topic, one space, and the keys schema, host, instance, seq
 * and ts_ns of its object. The object is left open.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_EVENT_HEAD_H
#define SOCKWARDEN_WORKER_PUBLISH_EVENT_HEAD_H

#include "common/json.h"
#include "worker/facts.h"

/* A host name of 64 bytes that are all escaped, and the rest. */
#define EVENT_HEAD_BYTES_MAX 576

/* wall_ns is CLOCK_REALTIME. */
static inline void event_head_write(struct json *json, const char *topic,
				    const struct identity *identity, uint64_t seq, uint64_t wall_ns)
{
	json_raw(json, topic, strlen(topic));
	JSON_TEXT(json, " {\"schema\":");
	json_word(json, topic);
	JSON_TEXT(json, ",\"host\":");
	json_string(json, identity->host, strnlen(identity->host, sizeof(identity->host)));
	JSON_TEXT(json, ",\"instance\":");
	json_word(json, identity->instance);
	JSON_TEXT(json, ",\"seq\":");
	json_number(json, seq);
	JSON_TEXT(json, ",\"ts_ns\":");
	json_u64_string(json, wall_ns);
}

#endif
