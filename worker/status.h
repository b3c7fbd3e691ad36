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

/*
 * opened - closed - live - inferred or lost: 0 when at rest, a handful while records travel. What was
 * both lost and inferred counts once.
 */
int64_t status_unaccounted(const struct metrics *metrics);

/* Appends the whole answer object. */
void status_json_write(struct json *json, const struct metrics *metrics,
		       const struct worker_facts *facts);

#endif
