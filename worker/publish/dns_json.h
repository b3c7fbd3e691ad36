/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of DNS statistics as the JSON object that dns.v1 and the answer to "dns" hold. Keys are always
 * there; in the overflow row, which stands for rows that had to make room, those that tell rows apart
 * are null. And a connection's dns: the same numbers of its conversation, with sums in place of histograms.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_DNS_JSON_H
#define SOCKWARDEN_WORKER_PUBLISH_DNS_JSON_H

#include "common/json.h"
#include "worker/dns/conversations.h"
#include "worker/dns/stats.h"

/* No row is longer: a name of 250 bytes that are all escaped, every rcode, two full histograms. */
#define DNS_JSON_ROW_BYTES_MAX 4096

void dns_json_write(struct json *json, const struct dns_stats_view *view);

/* null for NULL. */
void dns_json_write_conversation(struct json *json, const struct dns_conversation_numbers *numbers);

#endif
