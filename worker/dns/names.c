/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/names.h"

#include "common/lazy_memory.h"
#include "worker/dns/names_table.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S 1000000000ULL
/* What one second looks at, of addresses and of further names: some 0.1 ms. */
#define LOOKED_AT_PER_S 4096
/* Superseded names in use that are passed over before another way to make room is taken. */
#define PASSED_OVER_MAX 64
uint64_t names_bytes(uint32_t max_addresses)
{
	const uint64_t others = names_others_for(max_addresses);

	return (sizeof(struct names_entry) + sizeof(struct index_link)) * (uint64_t)max_addresses +
	       (sizeof(struct names_other) + 2 * sizeof(struct index_link)) * others +
	       slots_bytes(max_addresses) + slots_bytes((uint32_t)others) +
	       name_pool_bytes(names_blocks_for(max_addresses));
}

static int reserve(struct names *names)
{
	const uint32_t addresses = names->settings.max_addresses;
	const uint32_t others = names_others_for(addresses);

	names->entries = lazy_memory_reserve(sizeof(*names->entries) * addresses);
	names->links = lazy_memory_reserve(sizeof(*names->links) * addresses);
	names->others = lazy_memory_reserve(sizeof(*names->others) * others);
	names->other_links = lazy_memory_reserve(sizeof(*names->other_links) * others);
	names->age_links = lazy_memory_reserve(sizeof(*names->age_links) * others);
	if (!names->entries || !names->links || !names->others || !names->other_links ||
	    !names->age_links || slots_init(&names->slots, addresses) < 0 ||
	    slots_init(&names->other_slots, others) < 0)
		return -ENOMEM;
	return name_pool_init(&names->pool, names_blocks_for(addresses), &names->key);
}

int names_init(struct names *names, const struct names_settings *settings, const char *secret)
{
	memset(names, 0, sizeof(*names));
	if (settings->max_addresses == 0 || settings->max_addresses > NAMES_CAPACITY_MAX ||
	    settings->max_per_address == 0)
		return -EINVAL;
	names->settings = *settings;
	names->key = hash_key_of(secret);
	names->entry_pool = index_pool_of(settings->max_addresses);
	names->other_pool = index_pool_of(names_others_for(settings->max_addresses));
	names->idle = index_list_empty();
	names->in_use = index_list_empty();
	names->superseded = index_list_empty();
	names->interval = 1;
	if (reserve(names) < 0) {
		names_fini(names);
		return -ENOMEM;
	}
	return 0;
}

void names_fini(struct names *names)
{
	const size_t addresses = names->settings.max_addresses;
	const size_t others = names_others_for(names->settings.max_addresses);

	lazy_memory_release(names->entries, sizeof(*names->entries) * addresses);
	lazy_memory_release(names->links, sizeof(*names->links) * addresses);
	lazy_memory_release(names->others, sizeof(*names->others) * others);
	lazy_memory_release(names->other_links, sizeof(*names->other_links) * others);
	lazy_memory_release(names->age_links, sizeof(*names->age_links) * others);
	slots_fini(&names->slots);
	slots_fini(&names->other_slots);
	name_pool_fini(&names->pool);
	memset(names, 0, sizeof(*names));
}

static bool has_expired(const struct names *names, const struct names_name *name)
{
	const bool was_used = name->used != 0 &&
			      names->interval - name->used <= 1 + names->settings.late_intervals;

	return names->now_s > (uint64_t)name->deadline_s + names->settings.keep_s && !was_used;
}

/* Makes an address the youngest of a list. */
static void touch(struct names *names, uint32_t index, bool used)
{
	struct names_entry *entry = &names->entries[index];
	struct index_list *from = entry->was_used ? &names->in_use : &names->idle;
	struct index_list *to = used ? &names->in_use : &names->idle;

	entry->touched = ++names->touches;
	entry->was_used = used;
	if (to->newest == index)
		return;
	index_list_remove(from, names->links, index);
	index_list_push(to, names->links, index);
}

/* Makes a name the newest of the others; there is a place. */
static void put_other(struct names *names, uint32_t address, const struct names_name *name)
{
	const uint32_t other = index_pool_take(&names->other_pool, names->other_links);

	names->others[other] = (struct names_other){.name = *name, .address = address};
	slots_add(&names->other_slots, names_other_tag(names, address, name->name), other);
	index_list_push(&names->entries[address].others, names->other_links, other);
	index_list_push(&names->superseded, names->age_links, other);
}

/* Takes a name out of the others; the reference to it is the caller's. */
static struct names_name take_other(struct names *names, uint32_t other)
{
	const struct names_other taken = names->others[other];

	slots_remove(&names->other_slots, names_other_tag(names, taken.address, taken.name.name),
		     other);
	index_list_remove(&names->entries[taken.address].others, names->other_links, other);
	index_list_remove(&names->superseded, names->age_links, other);
	names->others[other].address = INDEX_NONE;
	index_pool_give(&names->other_pool, names->other_links, other);
	return taken.name;
}

static void remove_other(struct names *names, uint32_t other)
{
	names->entries[names->others[other].address].count--;
	name_pool_release(&names->pool, take_other(names, other).name);
}

/* An address without others goes. */
static void remove_address(struct names *names, uint32_t index)
{
	struct names_entry *entry = &names->entries[index];

	name_pool_release(&names->pool, entry->newest.name);
	entry->count = 0;
	slots_remove(&names->slots, entry->tag, index);
	index_list_remove(entry->was_used ? &names->in_use : &names->idle, names->links, index);
	index_pool_give(&names->entry_pool, names->links, index);
}

static void count_removed(struct names *names, const struct names_name *name, uint64_t *evicted)
{
	if (has_expired(names, name))
		names->counts.expired++;
	else
		(*evicted)++;
}

static void evict(struct names *names, uint32_t index)
{
	const struct names_entry *entry = &names->entries[index];
	uint64_t evicted = 0;

	count_removed(names, &entry->newest, &evicted);
	while (entry->others.oldest != INDEX_NONE) {
		count_removed(names, &names->others[entry->others.oldest].name, &evicted);
		remove_other(names, entry->others.oldest);
	}
	remove_address(names, index);
	names->counts.evicted += evicted > 0;
	names->counts.evicted_names += evicted;
}

static uint32_t oldest_but(const struct names *names, const struct index_list *list,
			   uint32_t except)
{
	if (list->oldest == except && except != INDEX_NONE)
		return names->links[except].newer;
	return list->oldest;
}

/* Evicts the address that was touched the longest time ago and is not needed; false: there is none. */
static bool evict_oldest(struct names *names, uint32_t except)
{
	const uint32_t idle = oldest_but(names, &names->idle, except);
	uint32_t used = oldest_but(names, &names->in_use, except);

	/* Who was used later stands behind: if the first is needed all are. */
	if (used != INDEX_NONE && names_is_needed(names, names->entries[used].used))
		used = INDEX_NONE;
	if (idle == INDEX_NONE && used == INDEX_NONE)
		return false;
	if (used == INDEX_NONE ||
	    (idle != INDEX_NONE && names->entries[idle].touched < names->entries[used].touched))
		evict(names, idle);
	else
		evict(names, used);
	return true;
}

/* Drops the name that was superseded the longest time ago; false: there is none that is not needed. */
static bool drop_superseded(struct names *names)
{
	for (unsigned i = 0; i < PASSED_OVER_MAX; i++) {
		const uint32_t oldest = names->superseded.oldest;

		if (oldest == INDEX_NONE)
			return false;
		if (!names_is_needed(names, names->others[oldest].name.used)) {
			remove_other(names, oldest);
			names->counts.dropped++;
			return true;
		}
		index_list_remove(&names->superseded, names->age_links, oldest);
		index_list_push(&names->superseded, names->age_links, oldest);
	}
	return false;
}

/* Drops an address's oldest name. Its only one leaves it without: another one follows. */
static void drop_oldest(struct names *names, uint32_t index)
{
	struct names_entry *entry = &names->entries[index];

	names->counts.dropped++;
	if (entry->others.oldest != INDEX_NONE) {
		remove_other(names, entry->others.oldest);
		return;
	}
	name_pool_release(&names->pool, entry->newest.name);
	entry->count = 0;
}

/* Makes room for the text of a name at the cost of others than an address (INDEX_NONE: of any). */
static bool make_room_for_text(struct names *names, uint8_t length, uint32_t except)
{
	for (unsigned i = 0; i < NAMES_DROPPED_PER_ADD; i++) {
		if (name_pool_has_room(&names->pool, length))
			return true;
		if (!drop_superseded(names) && !evict_oldest(names, except))
			break;
	}
	while (except != INDEX_NONE && !name_pool_has_room(&names->pool, length) &&
	       names->entries[except].others.oldest != INDEX_NONE)
		drop_oldest(names, except);
	return name_pool_has_room(&names->pool, length);
}

/* A reference to a name, or NAME_POOL_NONE. */
static uint32_t take_name(struct names *names, const uint8_t *name, uint8_t length, uint32_t except)
{
	if (name_pool_find(&names->pool, name, length) == NAME_POOL_NONE &&
	    !make_room_for_text(names, length, except))
		return NAME_POOL_NONE;
	return name_pool_take(&names->pool, name, length);
}

static enum names_added refuse(struct names *names)
{
	names->counts.refused++;
	return NAMES_REFUSED;
}

static enum names_added add_address(struct names *names, const struct names_key *key, uint32_t tag,
				    const struct names_name *name)
{
	struct names_entry *entry;
	uint32_t index;

	if (index_pool_is_full(&names->entry_pool) && !evict_oldest(names, INDEX_NONE)) {
		name_pool_release(&names->pool, name->name);
		return refuse(names);
	}
	index = index_pool_take(&names->entry_pool, names->links);
	entry = &names->entries[index];
	*entry = (struct names_entry){
		.touched = ++names->touches,
		.newest = *name,
		.others = index_list_empty(),
		.count = 1,
		.tag = tag,
		.family = key->family,
	};
	memcpy(entry->ip, key->ip, sizeof(entry->ip));
	slots_add(&names->slots, tag, index);
	index_list_push(&names->idle, names->links, index);
	names->counts.added++;
	return NAMES_NEW;
}

/* Gives a known address a name that it does not have. */
static void add_newest(struct names *names, uint32_t index, const struct names_name *name)
{
	struct names_entry *entry = &names->entries[index];

	if (entry->count >= names->settings.max_per_address)
		drop_oldest(names, index);
	if (entry->count > 0 && index_pool_is_full(&names->other_pool) && !drop_superseded(names))
		drop_oldest(names, index);
	if (entry->count > 0)
		put_other(names, index, &entry->newest);
	entry->newest = *name;
	entry->count++;
	names->counts.added++;
}

/* An address was given a name again that it has. */
static void renew(struct names *names, uint32_t index, uint32_t place, uint32_t deadline_s)
{
	struct names_entry *entry = &names->entries[index];

	if (place != NAMES_AT_NEWEST) {
		const struct names_name again = take_other(names, place);

		put_other(names, index, &entry->newest);
		entry->newest = again;
	}
	if (entry->newest.deadline_s < deadline_s)
		entry->newest.deadline_s = deadline_s;
}

static enum names_added add_to(struct names *names, uint32_t index, const uint8_t *text,
			       uint8_t length, uint32_t deadline_s)
{
	struct names_name name = {
		.deadline_s = deadline_s,
		.name = name_pool_find(&names->pool, text, length),
	};
	uint32_t place = INDEX_NONE;

	if (!names_is_needed(names, names->entries[index].used))
		touch(names, index, false);
	if (name.name != NAME_POOL_NONE)
		place = names_place_of(names, index, name.name);
	if (place != INDEX_NONE) {
		renew(names, index, place, deadline_s);
		return NAMES_KNOWN;
	}
	name.name = take_name(names, text, length, index);
	if (name.name == NAME_POOL_NONE)
		return refuse(names);
	add_newest(names, index, &name);
	return NAMES_NEW;
}

static uint32_t deadline_of(uint32_t ttl_s, uint64_t now_ns)
{
	if (ttl_s < NAMES_TTL_MIN_S)
		ttl_s = NAMES_TTL_MIN_S;
	if (ttl_s > NAMES_TTL_MAX_S)
		ttl_s = NAMES_TTL_MAX_S;
	return (uint32_t)((now_ns + NS_PER_S - 1) / NS_PER_S) + ttl_s;
}

enum names_added names_add(struct names *names, uint8_t family, const uint8_t ip[static 16],
			   const uint8_t *name, uint8_t length, uint32_t ttl_s, uint64_t now_ns)
{
	const struct names_key key = names_key_of(family, ip);
	const uint32_t tag = names_key_tag(names, &key);
	const uint32_t index = names_index_of(names, &key, tag);
	const uint32_t deadline_s = deadline_of(ttl_s, now_ns);
	uint8_t text[NAME_POOL_NAME_BYTES];
	struct names_name fresh = {.deadline_s = deadline_s};

	/* The lengths of labels, 0..63, are no letters. */
	for (unsigned i = 0; i < length; i++)
		text[i] = name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i];
	if (index != SLOTS_NONE)
		return add_to(names, index, text, length, deadline_s);
	fresh.name = take_name(names, text, length, INDEX_NONE);
	if (fresh.name == NAME_POOL_NONE)
		return refuse(names);
	return add_address(names, &key, tag, &fresh);
}

static struct names_name *name_at(const struct names *names, uint32_t address, uint32_t place)
{
	return place == NAMES_AT_NEWEST ? &names->entries[address].newest
					: &names->others[place].name;
}

static uint32_t place_behind(const struct names *names, uint32_t address, uint32_t place)
{
	return place == NAMES_AT_NEWEST ? names->entries[address].others.newest
					: names->other_links[place].older;
}

/* The first name, from a place on, that was alive at the cursor's time. */
static uint32_t alive_from(const struct names *names, const struct names_cursor *cursor,
			   uint32_t place)
{
	while (place != INDEX_NONE &&
	       name_at(names, cursor->address, place)->deadline_s <= cursor->at_s)
		place = place_behind(names, cursor->address, place);
	return place;
}

bool names_find(struct names *names, uint8_t family, const uint8_t ip[static 16], uint64_t at_ns,
		struct names_cursor *cursor)
{
	const struct names_key key = names_key_of(family, ip);

	names->counts.lookups++;
	cursor->at_s = at_ns / NS_PER_S;
	cursor->current = INDEX_NONE;
	cursor->next = INDEX_NONE;
	cursor->address = names_index_of(names, &key, names_key_tag(names, &key));
	if (cursor->address == SLOTS_NONE)
		return false;
	cursor->next = alive_from(names, cursor, NAMES_AT_NEWEST);
	if (cursor->next == INDEX_NONE)
		return false;
	names->counts.hits++;
	return true;
}

const uint8_t *names_next(const struct names *names, struct names_cursor *cursor, uint8_t *length)
{
	const uint32_t place = cursor->next;

	if (place == INDEX_NONE)
		return NULL;
	cursor->current = place;
	cursor->next = alive_from(names, cursor, place_behind(names, cursor->address, place));
	return name_pool_read(&names->pool, name_at(names, cursor->address, place)->name,
			      cursor->buffer, length);
}

void names_use(struct names *names, const struct names_cursor *cursor)
{
	struct names_entry *entry = &names->entries[cursor->address];

	name_at(names, cursor->address, cursor->current)->used = names->interval;
	if (entry->used == names->interval)
		return;
	entry->used = names->interval;
	touch(names, cursor->address, true);
}

void names_interval(struct names *names)
{
	names->interval++;
}

static void expire_newest(struct names *names, uint32_t index)
{
	struct names_entry *entry = &names->entries[index];
	const uint32_t next = entry->others.newest;

	names->counts.expired++;
	if (next == INDEX_NONE) {
		remove_address(names, index);
		return;
	}
	name_pool_release(&names->pool, entry->newest.name);
	entry->newest = take_other(names, next);
	entry->count--;
}

static void expire_addresses(struct names *names)
{
	uint32_t left = names->entry_pool.high;

	for (left = left < LOOKED_AT_PER_S ? left : LOOKED_AT_PER_S; left > 0; left--) {
		const uint32_t at = names->entry_at < names->entry_pool.high ? names->entry_at : 0;
		const struct names_entry *entry = &names->entries[at];

		names->entry_at = at + 1;
		if (entry->count > 0 && has_expired(names, &entry->newest))
			expire_newest(names, at);
	}
}

static void expire_others(struct names *names)
{
	uint32_t left = names->other_pool.high;

	for (left = left < LOOKED_AT_PER_S ? left : LOOKED_AT_PER_S; left > 0; left--) {
		const uint32_t at = names->other_at < names->other_pool.high ? names->other_at : 0;
		const struct names_other *other = &names->others[at];

		names->other_at = at + 1;
		if (other->address != INDEX_NONE && has_expired(names, &other->name)) {
			remove_other(names, at);
			names->counts.expired++;
		}
	}
}

void names_tick(struct names *names, uint64_t now_ns)
{
	const uint64_t now_s = now_ns / NS_PER_S;

	if (now_s == names->now_s)
		return;
	names->now_s = now_s;
	expire_others(names);
	expire_addresses(names);
}
