/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds meta.v1 messages: all counters and gauges by name, health, sandbox and kernel.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_META_EVENTS_H
#define SOCKWARDEN_WORKER_PUBLISH_META_EVENTS_H

#include "worker/facts.h"
#include "worker/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define META_EVENTS_BYTES_MAX 16384

struct meta_events {
	uint64_t seq; /* of the next message */
	char buffer[META_EVENTS_BYTES_MAX];
};

void meta_events_init(struct meta_events *events);

/*
 * Makes one message, or, if nobody listens, only uses up its seq and returns 0. Otherwise returns
 * its length and sets *bytes, which are good until the next call.
 */
size_t meta_events_make(struct meta_events *events, const struct metrics *metrics,
			const struct worker_facts *facts, uint64_t wall_ns, bool listened,
			const char **bytes);

#endif
