/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control group ids to paths, and to the container that a path is of: a cache of fixed size, filled
 * from the cgroups iterator's records. Sets of eight: what is put into a full set takes the place of
 * the set's oldest. An id that is not in it makes it want to be filled again: at once, since a
 * connection may be told only once, but over the time not more often than every 100 ms. A fill that
 * did not find what was wanted has to wait for that long too.
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_CGROUPS_H
#define SOCKWARDEN_WORKER_INTAKE_CGROUPS_H

#include "proto/record.h"
#include "worker/intake/container.h"

#include <stdbool.h>
#include <stdint.h>

#define CGROUPS_SETS 512
#define CGROUPS_WAYS 8
#define CGROUPS_CREDIT_MAX 16

struct cgroups_entry {
	uint64_t id;			     /* 0: empty */
	char path[RECORD_CGROUP_PATH_BYTES]; /* NUL-terminated */
	char container[CONTAINER_ID_BYTES];  /* of path; empty: none */
};

struct cgroups {
	struct cgroups_entry entries[CGROUPS_SETS][CGROUPS_WAYS];
	uint8_t oldest[CGROUPS_SETS];
	uint64_t filled_ns;
	uint8_t credit; /* fills that are allowed at once, up to CGROUPS_CREDIT_MAX */
	bool filled;
	bool wanted; /* an unknown id turned up since the last fill, and nothing new was put in since */
};

/* Zeroed memory is an empty cache. */

/* Makes an entry of a record that is valid. */
void cgroups_entry_set(struct cgroups_entry *entry, const struct cgroup_record *record);

/* Puts one record in; false if it is malformed. */
bool cgroups_put(struct cgroups *cgroups, const struct cgroup_record *record);

/* What is known of a group, good until the next put; NULL: nothing (always for id 0). */
const struct cgroups_entry *cgroups_find(struct cgroups *cgroups, uint64_t id);

/*
 * Shall it be filled now? When that was tried, cgroups_find() for what was wanted and then
 * cgroups_filled() are to follow.
 */
bool cgroups_is_due(const struct cgroups *cgroups, uint64_t now_ns);

void cgroups_filled(struct cgroups *cgroups, uint64_t now_ns);

#endif
