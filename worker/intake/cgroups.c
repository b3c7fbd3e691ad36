/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/cgroups.h"

#include "common/clock.h"
#include "worker/intake/record_check.h"

#include <stddef.h>
#include <string.h>

#define FILL_INTERVAL_NS (100 * NS_PER_MS)

static unsigned set_of(uint64_t id)
{
	/* Fibonacci hashing (Knuth, volume 3, 6.4): the top bits of a product. */
	return (unsigned)((id * 0x9e3779b97f4a7c15ULL) >> 32) % CGROUPS_SETS;
}

static struct cgroups_entry *find(struct cgroups *cgroups, uint64_t id)
{
	struct cgroups_entry *set = cgroups->entries[set_of(id)];

	for (unsigned way = 0; way < CGROUPS_WAYS; way++) {
		if (set[way].id == id)
			return &set[way];
	}
	return NULL;
}

void cgroups_entry_set(struct cgroups_entry *entry, const struct cgroup_record *record)
{
	entry->id = record->id;
	memcpy(entry->path, record->path, sizeof(entry->path));
	container_id_of(entry->path, entry->container);
}

bool cgroups_put(struct cgroups *cgroups, const struct cgroup_record *record)
{
	struct cgroups_entry *entry;

	if (record->id == 0 || !cgroup_record_is_valid(record))
		return false;
	entry = find(cgroups, record->id);
	if (!entry) {
		const unsigned set = set_of(record->id);

		entry = &cgroups->entries[set][cgroups->oldest[set]];
		cgroups->oldest[set] = (uint8_t)((cgroups->oldest[set] + 1) % CGROUPS_WAYS);
		cgroups->wanted = false;
	}
	cgroups_entry_set(entry, record);
	return true;
}

const struct cgroups_entry *cgroups_find(struct cgroups *cgroups, uint64_t id)
{
	const struct cgroups_entry *entry;

	if (id == 0)
		return NULL;
	entry = find(cgroups, id);
	if (!entry)
		cgroups->wanted = true;
	return entry;
}

bool cgroups_is_due(const struct cgroups *cgroups, uint64_t now_ns)
{
	if (!cgroups->filled)
		return true;
	return cgroups->wanted &&
	       (cgroups->credit > 0 || now_ns - cgroups->filled_ns >= FILL_INTERVAL_NS);
}

void cgroups_filled(struct cgroups *cgroups, uint64_t now_ns)
{
	const uint64_t earned = cgroups->filled ? (now_ns - cgroups->filled_ns) / FILL_INTERVAL_NS
						: UINT64_MAX;
	const unsigned room = CGROUPS_CREDIT_MAX - cgroups->credit;

	cgroups->credit = (uint8_t)(cgroups->credit + (earned < room ? earned : room));
	/* Still wanted: whoever asked did not get it, and would not if he asked again at once. */
	if (cgroups->wanted)
		cgroups->credit = 0;
	else if (cgroups->credit > 0)
		cgroups->credit--;
	cgroups->filled = true;
	cgroups->wanted = false;
	cgroups->filled_ns = now_ns;
}
