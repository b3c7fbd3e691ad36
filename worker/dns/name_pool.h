/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, each kept once however often it is used: a pool of fixed capacity, allocated once. It is made of
 * blocks of one cache line. A name of up to 51 bytes is one block, the longest (255) are five: so
 * there are no holes that nothing fits into, and a usual name is one access to memory.
 *
 * A name is known by its id, which is good as long as somebody holds a reference to it.
 */
#ifndef SOCKWARDEN_WORKER_DNS_NAME_POOL_H
#define SOCKWARDEN_WORKER_DNS_NAME_POOL_H

#include "common/hash.h"
#include "common/index_list.h"
#include "common/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_POOL_NONE UINT32_MAX
#define NAME_POOL_NAME_BYTES 255
#define NAME_POOL_FIRST_BYTES 51
#define NAME_POOL_MORE_BYTES 60
#define NAME_POOL_BLOCKS_PER_NAME 5

/* A name's first block. */
struct name_pool_first {
	uint32_t next; /* the next block, or INDEX_NONE */
	uint32_t references;
	uint32_t tag;
	uint8_t length; /* of the whole name */
	uint8_t bytes[NAME_POOL_FIRST_BYTES];
};

struct name_pool_more {
	uint32_t next;
	uint8_t bytes[NAME_POOL_MORE_BYTES];
};

union name_pool_block {
	struct name_pool_first first;
	struct name_pool_more more;
};

_Static_assert(sizeof(union name_pool_block) == 64, "one cache line");
_Static_assert(NAME_POOL_FIRST_BYTES + (NAME_POOL_BLOCKS_PER_NAME - 1) * NAME_POOL_MORE_BYTES >=
		       NAME_POOL_NAME_BYTES,
	       "every name fits");

struct name_pool {
	union name_pool_block *blocks;
	struct index_link *links; /* of free ones */
	struct index_pool pool;
	struct slots slots;
	struct hash_key key;
	uint32_t names;
};

/* capacity is 1..SLOTS_CAPACITY_MAX blocks. Memory is touched only when used. 0 or -ENOMEM. */
int name_pool_init(struct name_pool *pool, uint32_t capacity, const struct hash_key *key);
void name_pool_fini(struct name_pool *pool);

/* Bytes that a pool of so many blocks may take. */
uint64_t name_pool_bytes(uint32_t capacity);

/* The id of a name of 1..255 bytes, or NAME_POOL_NONE; no reference is taken. */
uint32_t name_pool_find(const struct name_pool *pool, const uint8_t *name, uint8_t length);

/* The same with a reference; a name that is not known is added. NAME_POOL_NONE: no room. */
uint32_t name_pool_take(struct name_pool *pool, const uint8_t *name, uint8_t length);

/* Whether name_pool_take() would succeed with any unknown name of this length. */
bool name_pool_has_room(const struct name_pool *pool, uint8_t length);

/* Gives a reference back; with the last one the name goes. */
void name_pool_release(struct name_pool *pool, uint32_t id);

/* The name's bytes, *length of them: in place, or put together in buffer. Good until it is released. */
const uint8_t *name_pool_read(const struct name_pool *pool, uint32_t id,
			      uint8_t buffer[static NAME_POOL_NAME_BYTES], uint8_t *length);

#endif
