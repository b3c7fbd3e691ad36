/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of what is told without its detail, as the JSON object that stands in the list "overflow":
 *   {"direction","protocol","remote_port","connections","delta":{...}}
 * and the two rows there can be: connections that had to make room (worker/conn/overflow.h), and
 * what the programs could give to no UDP flow, whose direction, port and number are null.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_OVERFLOW_JSON_H
#define SOCKWARDEN_WORKER_PUBLISH_OVERFLOW_JSON_H

#include "common/json.h"
#include "worker/conn/overflow.h"

/* No row is longer. */
#define OVERFLOW_JSON_BYTES_MAX 320

void overflow_json_write_row(struct json *json, const struct overflow_row *row);
void overflow_json_write_unattributed(struct json *json, const struct conn_sums *sums);

#endif
