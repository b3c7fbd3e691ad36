/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of an address as a JSON array of strings: those that were told last come first, in the text of
 * zone files (RFC 1035 5.1), in lower case.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_NAMES_JSON_H
#define SOCKWARDEN_WORKER_PUBLISH_NAMES_JSON_H

#include "common/json.h"
#include "worker/dns/names.h"

/* One name at its longest, quotes and comma included: 250 bytes as \\DDD, points between labels. */
#define NAMES_JSON_NAME_BYTES_MAX 1280

/*
 * Appends the array: as many names as there is room for within bytes_max, which is at least
 * NAMES_JSON_NAME_BYTES_MAX and two; found is left as it was. Without names (NULL) it is empty.
 */
void names_json_write(struct json *json, const struct names *names,
		      const struct names_cursor *found, size_t bytes_max);

#endif
