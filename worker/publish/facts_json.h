/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts that meta.v1 and the status answer have in common.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_FACTS_JSON_H
#define SOCKWARDEN_WORKER_PUBLISH_FACTS_JSON_H

#include "common/json.h"
#include "worker/facts.h"
#include "worker/metrics.h"

/* Appends all metrics of a kind as {"name":number,...}. */
void metrics_json_write(struct json *json, const struct metrics *metrics, enum metric_kind kind);

/*
 * Appends members of an object:
 * "health":"good","health_reason":null,"stages":{"intake":"good",...}
 */
void facts_json_health(struct json *json, const struct worker_facts *facts);

/*
 * Appends {"interval_ms":10000,"told":999,"lost":1,"ppm":999000}; ppm is null where there was
 * nothing to tell.
 */
void facts_json_completeness(struct json *json, const struct loss_interval *interval);

/* Appends {"seccomp":2,"landlock_abi":4,"no_new_privs":1}. */
void facts_json_sandbox(struct json *json, const struct worker_facts *facts);

/* Appends {"release":"6.1.0","hooks":{"accept":"fexit",...}}; release null if not known. */
void facts_json_kernel(struct json *json, const struct worker_facts *facts);

#endif
