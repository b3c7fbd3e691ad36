/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/names_save.h"

#include "worker/dns/name.h"
#include "worker/dns/names_table.h"

/* While a table is loaded: the link of one of the others that is not in the order yet. */
#define NOT_ORDERED (INDEX_NONE - 1)
/* The same: at an address's place without names, that it is in the chain of free ones. */
#define FREE_TOUCH 1

void names_save_head(const struct names *names, struct names_saved *saved)
{
	*saved = (struct names_saved){
		.touches = names->touches,
		.now_s = names->now_s,
		.interval = names->interval,
		.entry_at = names->entry_at,
		.other_at = names->other_at,
		.address_high = names->entry_pool.high,
		.other_high = names->other_pool.high,
	};
}

bool names_save_text(const struct names *names, uint32_t *at, struct names_saved_text *text)
{
	const uint32_t id = slots_walk(&names->pool.slots, at);
	uint8_t buffer[NAME_POOL_NAME_BYTES];
	const uint8_t *wire;

	if (id == SLOTS_NONE)
		return false;
	text->id = id;
	wire = name_pool_read(&names->pool, id, buffer, &text->length);
	memcpy(text->wire, wire, text->length);
	return true;
}

static uint32_t address_behind(const struct names *names, uint32_t index)
{
	uint32_t next = names->idle.oldest;

	if (index != INDEX_NONE)
		next = names->links[index].newer;
	if (next == INDEX_NONE && (index == INDEX_NONE || !names->entries[index].was_used))
		next = names->in_use.oldest;
	return next;
}

bool names_save_address(const struct names *names, uint32_t *index,
			struct names_saved_address *saved)
{
	const struct names_entry *entry;

	*index = address_behind(names, *index);
	if (*index == INDEX_NONE)
		return false;
	entry = &names->entries[*index];
	*saved = (struct names_saved_address){
		.touched = entry->touched,
		.index = *index,
		.used = entry->used,
		.deadline_s = entry->newest.deadline_s,
		.name_used = entry->newest.used,
		.text = entry->newest.name,
		.family = entry->family,
		.was_used = entry->was_used,
	};
	memcpy(saved->ip, entry->ip, sizeof(saved->ip));
	return true;
}

bool names_save_other(const struct names *names, uint32_t address, uint32_t *other,
		      struct names_saved_other *saved)
{
	const struct names_name *name;

	*other = *other == INDEX_NONE ? names->entries[address].others.oldest
				      : names->other_links[*other].newer;
	if (*other == INDEX_NONE)
		return false;
	name = &names->others[*other].name;
	*saved = (struct names_saved_other){
		.index = *other,
		.deadline_s = name->deadline_s,
		.used = name->used,
		.text = name->name,
	};
	return true;
}

uint32_t names_save_order(const struct names *names, enum names_order order, uint32_t after)
{
	switch (order) {
	case NAMES_ORDER_SUPERSEDED:
		return after == INDEX_NONE ? names->superseded.oldest
					   : names->age_links[after].newer;
	case NAMES_ORDER_FREE_ADDRESSES:
		return index_pool_next_free(&names->entry_pool, names->links, after);
	case NAMES_ORDER_FREE_OTHERS:
		return index_pool_next_free(&names->other_pool, names->other_links, after);
	}
	return INDEX_NONE;
}

uint32_t names_save_others_max(uint32_t max_addresses)
{
	return names_others_for(max_addresses);
}

uint64_t names_save_texts_bytes_max(uint32_t max_addresses, size_t head_bytes)
{
	/* A name of several blocks has one head, and no more bytes than its blocks have. */
	return names_blocks_for(max_addresses) *
	       (uint64_t)(head_bytes + offsetof(struct names_saved_text, wire) +
			  NAME_POOL_MORE_BYTES);
}

const char *names_load_begin(struct names_loader *loader, struct names *names,
			     const struct names_saved *saved)
{
	*loader = (struct names_loader){
		.names = names,
		.address = INDEX_NONE,
		.last_free_address = INDEX_NONE,
		.last_free_other = INDEX_NONE,
	};
	if (saved->interval == 0 || saved->pad0 != 0 ||
	    saved->address_high > names->entry_pool.capacity ||
	    saved->other_high > names->other_pool.capacity ||
	    saved->entry_at > saved->address_high || saved->other_at > saved->other_high)
		return "no table of names can be this";
	names->touches = saved->touches;
	names->now_s = saved->now_s;
	names->interval = saved->interval;
	names->entry_at = saved->entry_at;
	names->other_at = saved->other_at;
	names->entry_pool.high = saved->address_high;
	names->other_pool.high = saved->other_high;
	return NULL;
}

/*
 * What a text is called now. The pool does not use its links' other half: while a table is loaded, it
 * tells 1 + the id here for each id on the tape.
 */
static uint32_t *id_of(struct names *names, uint32_t saved)
{
	return &names->pool.links[saved].older;
}

const char *names_load_text(struct names_loader *loader, const struct names_saved_text *text)
{
	struct names *names = loader->names;
	struct name_pool *pool = &names->pool;
	uint32_t id;

	if (text->id >= pool->pool.capacity || !dns_name_is_plain(text->wire, text->length))
		return "no name can be this";
	if (*id_of(names, text->id) != 0 ||
	    name_pool_find(pool, text->wire, text->length) != NAME_POOL_NONE)
		return "a name comes twice";
	id = name_pool_take(pool, text->wire, text->length);
	if (id == NAME_POOL_NONE)
		return "a name has no room";
	/* Addresses that have it hold it. */
	pool->blocks[id].first.references = 0;
	*id_of(names, text->id) = 1 + id;
	loader->unused_texts++;
	return NULL;
}

/* The id of a text that is there, or NAME_POOL_NONE. */
static uint32_t find_text(const struct names_loader *loader, uint32_t saved)
{
	if (saved >= loader->names->pool.pool.capacity || *id_of(loader->names, saved) == 0)
		return NAME_POOL_NONE;
	return *id_of(loader->names, saved) - 1;
}

static void hold_text(struct names_loader *loader, uint32_t id)
{
	if (loader->names->pool.blocks[id].first.references++ == 0)
		loader->unused_texts--;
}

static bool is_address(const struct names_saved_address *saved)
{
	static const uint8_t zero[12];
	const struct names_key key = names_key_of(saved->family, saved->ip);

	return saved->pad0[0] == 0 && saved->pad0[1] == 0 && saved->was_used <= 1 &&
	       saved->deadline_s != 0 && saved->name_used <= saved->used &&
	       (saved->family == RECORD_FAMILY_IPV6 ||
		(saved->family == RECORD_FAMILY_IPV4 &&
		 memcmp(saved->ip + 4, zero, sizeof(zero)) == 0)) &&
	       key.family == saved->family;
}

/* Whether an address may stand behind those that are in its list. */
static bool is_in_order(const struct names *names, const struct names_saved_address *saved)
{
	const struct index_list *list = saved->was_used ? &names->in_use : &names->idle;
	const struct names_entry *before =
		list->newest == INDEX_NONE ? NULL : &names->entries[list->newest];

	if (saved->touched == 0 || saved->touched > names->touches ||
	    saved->used > names->interval || (before && saved->touched <= before->touched))
		return false;
	if (saved->was_used)
		return saved->used != 0 && (!before || saved->used >= before->used);
	return !names_is_needed(names, saved->used);
}

static bool is_free_address(const struct names *names, uint32_t index)
{
	return index < names->entry_pool.high && names->entries[index].count == 0 &&
	       names->entries[index].touched == 0;
}

static bool is_free_other(const struct names *names, uint32_t index)
{
	return index < names->other_pool.high && names->others[index].name.deadline_s == 0 &&
	       names->others[index].address != INDEX_NONE;
}

const char *names_load_address(struct names_loader *loader, const struct names_saved_address *saved)
{
	struct names *names = loader->names;
	const struct names_key key = names_key_of(saved->family, saved->ip);
	const uint32_t tag = names_key_tag(names, &key);
	const uint32_t text = find_text(loader, saved->text);
	struct names_entry *entry;

	if (!is_address(saved) || !is_in_order(names, saved))
		return "no address with a name can be this";
	if (text == NAME_POOL_NONE)
		return "an address has a name that is not there";
	if (!is_free_address(names, saved->index) || names_index_of(names, &key, tag) != SLOTS_NONE)
		return "an address has another one's place";
	hold_text(loader, text);
	entry = &names->entries[saved->index];
	*entry = (struct names_entry){
		.touched = saved->touched,
		.newest = {saved->deadline_s, saved->name_used, text},
		.others = index_list_empty(),
		.count = 1,
		.used = saved->used,
		.tag = tag,
		.family = key.family,
		.was_used = saved->was_used,
	};
	memcpy(entry->ip, key.ip, sizeof(entry->ip));
	names->entry_pool.used++;
	slots_add(&names->slots, tag, saved->index);
	index_list_push(saved->was_used ? &names->in_use : &names->idle, names->links,
			saved->index);
	loader->address = saved->index;
	return NULL;
}

const char *names_load_other(struct names_loader *loader, const struct names_saved_other *saved)
{
	struct names *names = loader->names;
	const uint32_t address = loader->address;
	const uint32_t text = find_text(loader, saved->text);
	struct names_entry *entry;

	if (address == INDEX_NONE)
		return "a further name comes before its address";
	entry = &names->entries[address];
	if (saved->deadline_s == 0 || saved->used > entry->used ||
	    entry->count >= names->settings.max_per_address)
		return "no further name can be this";
	if (text == NAME_POOL_NONE)
		return "an address has a name that is not there";
	if (!is_free_other(names, saved->index) ||
	    names_place_of(names, address, text) != INDEX_NONE)
		return "a further name has another one's place";
	hold_text(loader, text);
	names->others[saved->index] = (struct names_other){
		.name = {saved->deadline_s, saved->used, text},
		.address = address,
	};
	entry->count++;
	names->other_pool.used++;
	slots_add(&names->other_slots, names_other_tag(names, address, text), saved->index);
	index_list_push(&entry->others, names->other_links, saved->index);
	names->age_links[saved->index].newer = NOT_ORDERED;
	return NULL;
}

static const char *load_superseded(struct names_loader *loader, uint32_t index)
{
	struct names *names = loader->names;

	if (index >= names->other_pool.high || names->others[index].name.deadline_s == 0 ||
	    names->age_links[index].newer != NOT_ORDERED)
		return "no further name is at a place of the order";
	index_list_push(&names->superseded, names->age_links, index);
	loader->superseded++;
	return NULL;
}

const char *names_load_order(struct names_loader *loader, uint32_t order, uint32_t index)
{
	struct names *names = loader->names;

	if (order == NAMES_ORDER_SUPERSEDED)
		return load_superseded(loader, index);
	if (order == NAMES_ORDER_FREE_ADDRESSES && is_free_address(names, index)) {
		names->entries[index].touched = FREE_TOUCH;
		index_pool_put_free(&names->entry_pool, names->links, loader->last_free_address,
				    index);
		loader->last_free_address = index;
		loader->free_addresses++;
		return NULL;
	}
	if (order == NAMES_ORDER_FREE_OTHERS && is_free_other(names, index)) {
		names->others[index].address = INDEX_NONE;
		index_pool_put_free(&names->other_pool, names->other_links, loader->last_free_other,
				    index);
		loader->last_free_other = index;
		loader->free_others++;
		return NULL;
	}
	return "a free place of the names is not free";
}

const char *names_load_end(const struct names_loader *loader)
{
	const struct names *names = loader->names;

	if (names->entry_pool.used + loader->free_addresses != names->entry_pool.high ||
	    names->other_pool.used + loader->free_others != names->other_pool.high ||
	    names->other_pool.used != loader->superseded)
		return "places are missing among the names";
	return loader->unused_texts == 0 ? NULL : "a name belongs to no address";
}
