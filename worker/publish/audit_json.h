/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker can do right now, as the answer to {"op":"audit"}:
 *   {"ok":true,"worker":{uid, gid, capabilities, seccomp, landlock_abi, no_new_privs,
 *    "system_calls":[{name, arguments_checked, reason}]},"kernel":{release, hooks}}
 * The system calls come from the table of which the filter is made.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_AUDIT_JSON_H
#define SOCKWARDEN_WORKER_PUBLISH_AUDIT_JSON_H

#include "common/json.h"
#include "worker/facts.h"

void audit_json_write(struct json *json, const struct worker_facts *facts);

#endif
