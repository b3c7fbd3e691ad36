/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order among the entries of a table of fixed capacity, by their indices. The links are an array beside
 * the entries, with one for each index: moving an entry within its list touches no other entry.
 *
 * index_pool gives out indices. Those that came back are used again first, so that a table that
 * is never full touches no more memory than its highest fill. A free index has its link in the pool's
 * chain; an index in use may be in one list of the same links.
 */
#ifndef SOCKWARDEN_COMMON_INDEX_LIST_H
#define SOCKWARDEN_COMMON_INDEX_LIST_H

#include <stdbool.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_link {
	uint32_t older;
	uint32_t newer; /* of a free index: the next free one */
};

struct index_list {
	uint32_t oldest; /* INDEX_NONE: the list is empty */
	uint32_t newest;
};

struct index_pool {
	uint32_t capacity;
	uint32_t used;
	uint32_t high; /* indices from here on were never used */
	uint32_t free; /* a chain, or INDEX_NONE */
};

static inline struct index_list index_list_empty(void)
{
	return (struct index_list){INDEX_NONE, INDEX_NONE};
}

/* Puts an index, which is in no list, to the newest end. */
static inline void index_list_push(struct index_list *list, struct index_link *links,
				   uint32_t index)
{
	links[index] = (struct index_link){.older = list->newest, .newer = INDEX_NONE};
	if (list->newest != INDEX_NONE)
		links[list->newest].newer = index;
	else
		list->oldest = index;
	list->newest = index;
}

/* Takes an index out of the list that it is in. */
static inline void index_list_remove(struct index_list *list, struct index_link *links,
				     uint32_t index)
{
	const struct index_link link = links[index];

	if (link.older != INDEX_NONE)
		links[link.older].newer = link.newer;
	else
		list->oldest = link.newer;
	if (link.newer != INDEX_NONE)
		links[link.newer].older = link.older;
	else
		list->newest = link.older;
}

static inline struct index_pool index_pool_of(uint32_t capacity)
{
	return (struct index_pool){.capacity = capacity, .free = INDEX_NONE};
}

static inline bool index_pool_is_full(const struct index_pool *pool)
{
	return pool->used == pool->capacity;
}

/* An index that is free now; the pool is not full. */
static inline uint32_t index_pool_take(struct index_pool *pool, const struct index_link *links)
{
	const uint32_t index = pool->free;

	pool->used++;
	if (index == INDEX_NONE)
		return pool->high++;
	pool->free = links[index].newer;
	return index;
}

/* Gives back an index, which is in no list. */
static inline void index_pool_give(struct index_pool *pool, struct index_link *links,
				   uint32_t index)
{
	links[index].newer = pool->free;
	pool->free = index;
	pool->used--;
}

/* The free index that would be taken after another one (INDEX_NONE: first), or INDEX_NONE. */
static inline uint32_t index_pool_next_free(const struct index_pool *pool,
					    const struct index_link *links, uint32_t after)
{
	return after == INDEX_NONE ? pool->free : links[after].newer;
}

/*
 * Makes the chain of free indices anew, in the order in which they are to be taken: index comes behind
 * last, which was put before it (INDEX_NONE: it is the first).
 */
static inline void index_pool_put_free(struct index_pool *pool, struct index_link *links,
				       uint32_t last, uint32_t index)
{
	links[index].newer = INDEX_NONE;
	if (last == INDEX_NONE)
		pool->free = index;
	else
		links[last].newer = index;
}

#endif
