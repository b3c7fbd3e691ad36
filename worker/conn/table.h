/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections that are known to live: a table of fixed capacity, allocated once. Entries keep their
 * index while they are in, so that a reader can page through them; a hash of twice as many
 * slots (open addressing, linear probing) finds them by id. What is looked at in every pass stands
 * apart from the records, so that going over all of them touches little memory.
 */
#ifndef SOCKWARDEN_WORKER_CONN_TABLE_H
#define SOCKWARDEN_WORKER_CONN_TABLE_H

#include "proto/record.h"
#include "worker/conn/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_TABLE_NONE UINT32_MAX
#define CONN_TABLE_CAPACITY_MAX (1U << 24)

struct conn_entry {
	struct conn_record record;    /* the last snapshot's */
	struct conn_totals published; /* as last told; good if meta.is_published */
};

/* Zeroed when an entry is added; id and in_use are the table's, the rest is its user's. */
struct conn_meta {
	uint64_t id;
	uint64_t opened_ns; /* of a tombstone: when it became one */
	uint32_t seen;	    /* the pass that saw it last; in a free entry: the next free one */
	uint8_t phase;
	uint8_t missed; /* complete passes since then */
	bool is_published;
	bool in_use;
};

struct conn_table {
	struct conn_entry *entries;
	struct conn_meta *metas;
	uint32_t *slots; /* index + 1, 0: empty */
	uint32_t capacity;
	uint32_t slot_bits; /* 1 << slot_bits slots */
	uint32_t used;
	uint32_t high; /* indices from here on were never used */
	uint32_t free; /* a chain, or CONN_TABLE_NONE */
};

/* capacity is 1..CONN_TABLE_CAPACITY_MAX. Memory is touched only when used. 0, -EINVAL, -ENOMEM. */
int conn_table_init(struct conn_table *table, uint32_t capacity);
void conn_table_fini(struct conn_table *table);

/* Bytes that a table of this capacity may take. */
uint64_t conn_table_bytes(uint32_t capacity);

/* The index of id, or CONN_TABLE_NONE. */
uint32_t conn_table_find(const struct conn_table *table, uint64_t id);

/* Adds an id that is not in yet; its meta is zeroed. CONN_TABLE_NONE: the table is full. */
uint32_t conn_table_add(struct conn_table *table, uint64_t id);

/*
 * Puts a table back as it was, one that was never used: each entry at its index (its meta is
 * zeroed but for what is the table's), then the free ones in the order of conn_table_next_free();
 * together they are all indices below table->high. False for what no table can hold.
 */
bool conn_table_place(struct conn_table *table, uint32_t index, uint64_t id);
bool conn_table_place_free(struct conn_table *table, uint32_t *last, uint32_t index);

/* The free index behind one (CONN_TABLE_NONE: the first), or CONN_TABLE_NONE. */
uint32_t conn_table_next_free(const struct conn_table *table, uint32_t index);

/* Removes an entry; its index may be given to another. */
void conn_table_remove(struct conn_table *table, uint32_t index);

#endif
