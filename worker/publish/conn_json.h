/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection as the JSON object that conn.v1 and the snapshot answer hold: every key, in the
 * same order always, null where a fact is not known.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_CONN_JSON_H
#define SOCKWARDEN_WORKER_PUBLISH_CONN_JSON_H

#include "common/clock.h"
#include "common/json.h"
#include "worker/conn/view.h"

/* What the remote end's names take: one of any length, some forty usual ones. */
#define CONN_JSON_NAMES_BYTES 2048
/* No connection is longer, whatever its record holds (a path of 255 bytes that are all escaped). */
#define CONN_JSON_BYTES_MAX (4096 + CONN_JSON_NAMES_BYTES)

/*
 * Appends the object. wall makes the record's times wall clock times.
 */
void conn_json_write(struct json *json, const struct conn_view *view, struct clock_offsets wall);

#endif
