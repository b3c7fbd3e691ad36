/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/closed_ids.h"

#include <stddef.h>

/* Cookies count up: a multiplication spreads them (Knuth, volume 3, 6.4). */
static uint32_t set_of(uint64_t id)
{
	return (uint32_t)(id * 0x9e3779b97f4a7c15ULL >> 32) % CLOSED_IDS_SETS;
}

struct closed_id *closed_ids_find(struct closed_ids *ids, uint64_t id)
{
	struct closed_id *ways = ids->ways[set_of(id)];

	for (unsigned way = 0; way < CLOSED_IDS_WAYS; way++) {
		if (ways[way].id == id)
			return id == 0 ? NULL : &ways[way];
	}
	return NULL;
}

void closed_ids_put(struct closed_ids *ids, uint64_t id, const struct conn_totals *totals)
{
	const uint32_t set = set_of(id);
	const uint8_t way = ids->oldest[set];

	ids->ways[set][way] = (struct closed_id){.id = id, .totals = *totals};
	ids->oldest[set] = (uint8_t)((way + 1) % CLOSED_IDS_WAYS);
}
