/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/name_pool.h"

#include "common/lazy_memory.h"

#include <errno.h>
#include <string.h>

uint64_t name_pool_bytes(uint32_t capacity)
{
	return (sizeof(union name_pool_block) + sizeof(struct index_link)) * (uint64_t)capacity +
	       slots_bytes(capacity);
}

int name_pool_init(struct name_pool *pool, uint32_t capacity, const struct hash_key *key)
{
	memset(pool, 0, sizeof(*pool));
	pool->pool = index_pool_of(capacity);
	pool->key = *key;
	pool->blocks = lazy_memory_reserve(sizeof(*pool->blocks) * capacity);
	pool->links = lazy_memory_reserve(sizeof(*pool->links) * capacity);
	if (!pool->blocks || !pool->links || slots_init(&pool->slots, capacity) < 0) {
		name_pool_fini(pool);
		return -ENOMEM;
	}
	return 0;
}

void name_pool_fini(struct name_pool *pool)
{
	lazy_memory_release(pool->blocks, sizeof(*pool->blocks) * pool->pool.capacity);
	lazy_memory_release(pool->links, sizeof(*pool->links) * pool->pool.capacity);
	slots_fini(&pool->slots);
	memset(pool, 0, sizeof(*pool));
}

static uint32_t tag_of(const struct name_pool *pool, const uint8_t *name, uint8_t length)
{
	return (uint32_t)(hash_bytes(&pool->key, name, length) >> 32);
}

static size_t first_part(uint8_t length)
{
	return length < NAME_POOL_FIRST_BYTES ? length : NAME_POOL_FIRST_BYTES;
}

static size_t next_part(size_t left)
{
	return left < NAME_POOL_MORE_BYTES ? left : NAME_POOL_MORE_BYTES;
}

static uint32_t blocks_for(uint8_t length)
{
	const size_t more = length - first_part(length);

	return 1 + (uint32_t)((more + NAME_POOL_MORE_BYTES - 1) / NAME_POOL_MORE_BYTES);
}

static bool has_bytes(const struct name_pool *pool, uint32_t id, const uint8_t *name,
		      uint8_t length)
{
	const struct name_pool_first *first = &pool->blocks[id].first;
	size_t done = first_part(length);
	uint32_t next = first->next;

	if (first->length != length || memcmp(first->bytes, name, done) != 0)
		return false;
	while (done < length) {
		const struct name_pool_more *more = &pool->blocks[next].more;
		const size_t part = next_part(length - done);

		if (memcmp(more->bytes, name + done, part) != 0)
			return false;
		done += part;
		next = more->next;
	}
	return true;
}

static uint32_t find(const struct name_pool *pool, const uint8_t *name, uint8_t length,
		     uint32_t tag)
{
	uint32_t at = slots_home(&pool->slots, tag), id;

	while ((id = slots_next(&pool->slots, tag, &at)) != SLOTS_NONE) {
		if (has_bytes(pool, id, name, length))
			break;
	}
	return id;
}

uint32_t name_pool_find(const struct name_pool *pool, const uint8_t *name, uint8_t length)
{
	return find(pool, name, length, tag_of(pool, name, length));
}

bool name_pool_has_room(const struct name_pool *pool, uint8_t length)
{
	return pool->pool.capacity - pool->pool.used >= blocks_for(length);
}

static uint32_t take_block(struct name_pool *pool)
{
	return index_pool_take(&pool->pool, pool->links);
}

/* There is room. */
static uint32_t add(struct name_pool *pool, const uint8_t *name, uint8_t length, uint32_t tag)
{
	const uint32_t id = take_block(pool);
	struct name_pool_first *first = &pool->blocks[id].first;
	uint32_t *next = &first->next;
	size_t done = first_part(length);

	first->references = 0;
	first->tag = tag;
	first->length = length;
	memcpy(first->bytes, name, done);
	while (done < length) {
		const size_t part = next_part(length - done);
		struct name_pool_more *more;

		*next = take_block(pool);
		more = &pool->blocks[*next].more;
		memcpy(more->bytes, name + done, part);
		done += part;
		next = &more->next;
	}
	*next = INDEX_NONE;
	slots_add(&pool->slots, tag, id);
	pool->names++;
	return id;
}

uint32_t name_pool_take(struct name_pool *pool, const uint8_t *name, uint8_t length)
{
	const uint32_t tag = tag_of(pool, name, length);
	uint32_t id = find(pool, name, length, tag);

	if (id == SLOTS_NONE && !name_pool_has_room(pool, length))
		return NAME_POOL_NONE;
	if (id == SLOTS_NONE)
		id = add(pool, name, length, tag);
	pool->blocks[id].first.references++;
	return id;
}

void name_pool_release(struct name_pool *pool, uint32_t id)
{
	struct name_pool_first *first = &pool->blocks[id].first;
	uint32_t next = first->next;

	if (--first->references > 0)
		return;
	slots_remove(&pool->slots, first->tag, id);
	index_pool_give(&pool->pool, pool->links, id);
	while (next != INDEX_NONE) {
		const uint32_t block = next;

		next = pool->blocks[block].more.next;
		index_pool_give(&pool->pool, pool->links, block);
	}
	pool->names--;
}

const uint8_t *name_pool_read(const struct name_pool *pool, uint32_t id,
			      uint8_t buffer[static NAME_POOL_NAME_BYTES], uint8_t *length)
{
	const struct name_pool_first *first = &pool->blocks[id].first;
	uint32_t next = first->next;
	size_t done = NAME_POOL_FIRST_BYTES;

	*length = first->length;
	if (first->length <= NAME_POOL_FIRST_BYTES)
		return first->bytes;
	memcpy(buffer, first->bytes, done);
	while (done < first->length) {
		const struct name_pool_more *more = &pool->blocks[next].more;
		const size_t part = next_part(first->length - done);

		memcpy(buffer + done, more->bytes, part);
		done += part;
		next = more->next;
	}
	return buffer;
}
