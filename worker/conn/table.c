/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/table.h"

#include "common/lazy_memory.h"

#include <errno.h>
#include <string.h>

/* At least half of the slots stay empty. */
static uint32_t slot_bits_for(uint32_t capacity)
{
	uint32_t bits = 1;

	while ((1U << bits) < 2 * capacity)
		bits++;
	return bits;
}

uint64_t conn_table_bytes(uint32_t capacity)
{
	return (sizeof(struct conn_entry) + sizeof(struct conn_meta)) * (uint64_t)capacity +
	       (sizeof(uint32_t) << slot_bits_for(capacity));
}

int conn_table_init(struct conn_table *table, uint32_t capacity)
{
	memset(table, 0, sizeof(*table));
	if (capacity == 0 || capacity > CONN_TABLE_CAPACITY_MAX)
		return -EINVAL;
	table->capacity = capacity;
	table->free = CONN_TABLE_NONE;
	table->slot_bits = slot_bits_for(capacity);
	table->entries = lazy_memory_reserve(sizeof(*table->entries) * capacity);
	table->metas = lazy_memory_reserve(sizeof(*table->metas) * capacity);
	table->slots = lazy_memory_reserve(sizeof(*table->slots) << table->slot_bits);
	if (!table->entries || !table->metas || !table->slots) {
		conn_table_fini(table);
		return -ENOMEM;
	}
	return 0;
}

void conn_table_fini(struct conn_table *table)
{
	lazy_memory_release(table->entries, sizeof(*table->entries) * table->capacity);
	lazy_memory_release(table->metas, sizeof(*table->metas) * table->capacity);
	lazy_memory_release(table->slots, sizeof(*table->slots) << table->slot_bits);
	memset(table, 0, sizeof(*table));
}

static uint32_t slot_mask(const struct conn_table *table)
{
	return (1U << table->slot_bits) - 1;
}

/* Ids are counted up: Fibonacci hashing (Knuth, volume 3, 6.4) spreads them evenly. */
static uint32_t home_slot(const struct conn_table *table, uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15ULL) >> (64 - table->slot_bits));
}

/* The slot that holds id, or the empty one where it would go. Half of the slots are empty. */
static uint32_t slot_of(const struct conn_table *table, uint64_t id)
{
	uint32_t slot = home_slot(table, id);

	while (table->slots[slot] != 0 && table->metas[table->slots[slot] - 1].id != id)
		slot = (slot + 1) & slot_mask(table);
	return slot;
}

uint32_t conn_table_find(const struct conn_table *table, uint64_t id)
{
	const uint32_t found = table->slots[slot_of(table, id)];

	return found ? found - 1 : CONN_TABLE_NONE;
}

bool conn_table_place(struct conn_table *table, uint32_t index, uint64_t id)
{
	struct conn_meta *meta;

	if (index >= table->capacity || table->metas[index].in_use || table->metas[index].missed ||
	    conn_table_find(table, id) != CONN_TABLE_NONE)
		return false;
	meta = &table->metas[index];
	memset(meta, 0, sizeof(*meta));
	meta->id = id;
	meta->in_use = true;
	table->slots[slot_of(table, id)] = index + 1;
	table->used++;
	if (index >= table->high)
		table->high = index + 1;
	return true;
}

bool conn_table_place_free(struct conn_table *table, uint32_t *last, uint32_t index)
{
	struct conn_meta *meta;

	if (index >= table->capacity || table->metas[index].in_use || table->metas[index].missed)
		return false;
	meta = &table->metas[index];
	/* In the chain: it cannot be put there again. A free entry's meta is zeroed when it is taken. */
	meta->missed = 1;
	meta->seen = CONN_TABLE_NONE;
	if (*last == CONN_TABLE_NONE)
		table->free = index;
	else
		table->metas[*last].seen = index;
	*last = index;
	if (index >= table->high)
		table->high = index + 1;
	return true;
}

uint32_t conn_table_next_free(const struct conn_table *table, uint32_t index)
{
	return index == CONN_TABLE_NONE ? table->free : table->metas[index].seen;
}

uint32_t conn_table_add(struct conn_table *table, uint64_t id)
{
	uint32_t index = table->free;

	if (index != CONN_TABLE_NONE)
		table->free = table->metas[index].seen;
	else if (table->high < table->capacity)
		index = table->high++;
	else
		return CONN_TABLE_NONE;
	memset(&table->metas[index], 0, sizeof(table->metas[index]));
	table->metas[index].id = id;
	table->metas[index].in_use = true;
	table->slots[slot_of(table, id)] = index + 1;
	table->used++;
	return index;
}

/* Closes the hole at slot: what was probed past it moves back (Knuth, volume 3, 6.4, algorithm R). */
static void empty_slot(struct conn_table *table, uint32_t hole)
{
	uint32_t slot = hole;

	for (;;) {
		uint32_t home;

		table->slots[hole] = 0;
		do {
			slot = (slot + 1) & slot_mask(table);
			if (table->slots[slot] == 0)
				return;
			home = home_slot(table, table->metas[table->slots[slot] - 1].id);
		} while (((slot - home) & slot_mask(table)) < ((slot - hole) & slot_mask(table)));
		table->slots[hole] = table->slots[slot];
		hole = slot;
	}
}

void conn_table_remove(struct conn_table *table, uint32_t index)
{
	struct conn_meta *meta = &table->metas[index];

	empty_slot(table, slot_of(table, meta->id));
	meta->in_use = false;
	meta->seen = table->free;
	table->free = index;
	table->used--;
}
