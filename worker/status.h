/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status answer: health, whether the books balance (opened = closed + live + inferred + lost),
 * what was lost at which stage, and what the kernel and the sandbox are. Made of the metrics
 * and the facts only.
 */
#ifndef SOCKWARDEN_WORKER_STATUS_H
#define SOCKWARDEN_WORKER_STATUS_H

#include "common/json.h"
#include "worker/facts.h"
#include "worker/metrics.h"

/* Records lost for good, by the stage that lost them; table loses none and is not of the budget. */
struct status_loss {
	uint64_t bpf;	/* the programs gave the record up: its CPU's ring had no room */
	uint64_t ring;	/* lost by a ring without a program's knowledge */
	uint64_t batch; /* in a gap of batch numbers */
	uint64_t table; /* snapshots of live connections that found no place; their closes are told */
};

void status_loss(struct status_loss *loss, const struct metrics *metrics);

/*
 * opened - closed - live - inferred or lost: 0 when at rest, a handful while records travel. What was
 * both lost and inferred counts once.
 */
int64_t status_unaccounted(const struct metrics *metrics);

/* Appends the whole answer object. */
void status_json_write(struct json *json, const struct metrics *metrics,
		       const struct worker_facts *facts);

#endif
