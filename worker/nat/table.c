/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/nat/table.h"

#include "common/lazy_memory.h"

#include <errno.h>
#include <string.h>

/* Entries whose time is over that one tick lets go: less than a millisecond. */
#define EXPIRED_PER_TICK 4096

enum direction {
	ORIGINAL = 0,
	REPLY = 1,
};

/* What is looked for: one tuple of a protocol, in any namespace. */
struct key {
	uint8_t family;
	uint8_t protocol;
	struct nat_tuple tuple;
};

/* Two keys for each entry, and at least half of the slots stay empty. */
static uint32_t slot_bits_for(uint32_t capacity)
{
	uint32_t bits = 2;

	while ((1U << bits) < 4 * capacity)
		bits++;
	return bits;
}

uint64_t nat_table_bytes(uint32_t capacity)
{
	if (capacity == 0)
		return 0;
	return sizeof(struct nat_entry) * (uint64_t)capacity +
	       (sizeof(struct nat_slot) << slot_bits_for(capacity));
}

/* FNV-1a, from two starts. */
static uint64_t digest(const char *text, uint64_t start)
{
	for (; *text != '\0'; text++)
		start = (start ^ (unsigned char)*text) * 1099511628211ULL;
	return start;
}

int nat_table_init(struct nat_table *table, uint32_t capacity, uint64_t keep_ns, const char *secret)
{
	memset(table, 0, sizeof(*table));
	if (capacity > NAT_TABLE_CAPACITY_MAX)
		return -EINVAL;
	table->capacity = capacity;
	table->keep_ns = keep_ns;
	table->free = NAT_TABLE_NONE;
	table->live = (struct nat_list){NAT_TABLE_NONE, NAT_TABLE_NONE};
	table->gone = table->live;
	table->hash_key[0] = digest(secret, 14695981039346656037ULL);
	table->hash_key[1] = digest(secret, 0x9e3779b97f4a7c15ULL);
	if (capacity == 0)
		return 0;
	table->slot_bits = slot_bits_for(capacity);
	table->entries = lazy_memory_reserve(sizeof(*table->entries) * capacity);
	table->slots = lazy_memory_reserve(sizeof(*table->slots) << table->slot_bits);
	if (!table->entries || !table->slots) {
		nat_table_fini(table);
		return -ENOMEM;
	}
	return 0;
}

void nat_table_fini(struct nat_table *table)
{
	lazy_memory_release(table->entries, sizeof(*table->entries) * table->capacity);
	lazy_memory_release(table->slots, sizeof(*table->slots) << table->slot_bits);
	memset(table, 0, sizeof(*table));
}

/* Both halves of a product carry all bits of both factors on (as in wyhash). */
static uint64_t mix(uint64_t left, uint64_t right)
{
	const unsigned __int128 product = (unsigned __int128)left * right;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word_at(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static uint32_t half_at(const uint8_t *bytes)
{
	uint32_t half;

	memcpy(&half, bytes, sizeof(half));
	return half;
}

static uint32_t tag_of(const struct nat_table *table, const struct key *key)
{
	const struct nat_tuple *tuple = &key->tuple;
	const uint64_t rest = (uint64_t)tuple->source_port << 48 |
			      (uint64_t)tuple->destination_port << 32 | key->protocol;
	uint64_t hash = mix(rest ^ table->hash_key[0], table->hash_key[1]);

	if (key->family == RECORD_FAMILY_IPV6) {
		hash = mix(hash ^ word_at(tuple->source_ip),
			   word_at(tuple->source_ip + 8) ^ table->hash_key[1]);
		hash = mix(hash ^ word_at(tuple->destination_ip),
			   word_at(tuple->destination_ip + 8) ^ table->hash_key[1]);
	} else {
		hash = mix(hash ^ (uint64_t)half_at(tuple->source_ip) << 32 ^
				   half_at(tuple->destination_ip),
			   table->hash_key[1] ^ table->hash_key[0]);
	}
	return (uint32_t)(hash >> 32);
}

static uint32_t slot_mask(const struct nat_table *table)
{
	return (1U << table->slot_bits) - 1;
}

static uint32_t home_slot(const struct nat_table *table, uint32_t tag)
{
	return tag >> (32 - table->slot_bits);
}

static const struct nat_tuple *tuple_of(const struct nat_entry *entry, unsigned direction)
{
	return direction == ORIGINAL ? &entry->event.original : &entry->event.reply;
}

static bool has_key(const struct nat_entry *entry, unsigned direction, const struct key *key)
{
	return entry->event.protocol == key->protocol && entry->event.family == key->family &&
	       memcmp(tuple_of(entry, direction), &key->tuple, sizeof(key->tuple)) == 0;
}

static struct key key_of(const struct nat_event *event, unsigned direction)
{
	return (struct key){
		.family = event->family,
		.protocol = event->protocol,
		.tuple = direction == ORIGINAL ? event->original : event->reply,
	};
}

static void add_key(struct nat_table *table, uint32_t index, unsigned direction)
{
	const struct key key = key_of(&table->entries[index].event, direction);
	const uint32_t tag = tag_of(table, &key);
	uint32_t slot = home_slot(table, tag);

	while (table->slots[slot].key != 0)
		slot = (slot + 1) & slot_mask(table);
	table->slots[slot] = (struct nat_slot){.tag = tag, .key = 1 + 2 * index + direction};
}

/* Closes the hole at slot: what was probed past it moves back (Knuth, volume 3, 6.4, algorithm R). */
static void empty_slot(struct nat_table *table, uint32_t hole)
{
	uint32_t slot = hole;

	for (;;) {
		uint32_t home;

		table->slots[hole].key = 0;
		do {
			slot = (slot + 1) & slot_mask(table);
			if (table->slots[slot].key == 0)
				return;
			home = home_slot(table, table->slots[slot].tag);
		} while (((slot - home) & slot_mask(table)) < ((slot - hole) & slot_mask(table)));
		table->slots[hole] = table->slots[slot];
		hole = slot;
	}
}

static void remove_key(struct nat_table *table, uint32_t index, unsigned direction)
{
	const struct key key = key_of(&table->entries[index].event, direction);
	uint32_t slot = home_slot(table, tag_of(table, &key));

	while (table->slots[slot].key != 1 + 2 * index + direction)
		slot = (slot + 1) & slot_mask(table);
	empty_slot(table, slot);
}

static struct nat_list *list_of(struct nat_table *table, uint32_t index)
{
	return table->entries[index].destroyed_ns != 0 ? &table->gone : &table->live;
}

/* Puts an entry, which is in no list, to the youngest of its own. */
static void link_newest(struct nat_table *table, uint32_t index)
{
	struct nat_list *list = list_of(table, index);
	struct nat_entry *entry = &table->entries[index];

	entry->older = list->newest;
	entry->newer = NAT_TABLE_NONE;
	if (list->newest != NAT_TABLE_NONE)
		table->entries[list->newest].newer = index;
	else
		list->oldest = index;
	list->newest = index;
}

static void unlink_entry(struct nat_table *table, uint32_t index)
{
	struct nat_list *list = list_of(table, index);
	const struct nat_entry *entry = &table->entries[index];

	if (entry->older != NAT_TABLE_NONE)
		table->entries[entry->older].newer = entry->newer;
	else
		list->oldest = entry->newer;
	if (entry->newer != NAT_TABLE_NONE)
		table->entries[entry->newer].older = entry->older;
	else
		list->newest = entry->older;
}

static void remove_entry(struct nat_table *table, uint32_t index)
{
	struct nat_entry *entry = &table->entries[index];

	remove_key(table, index, ORIGINAL);
	remove_key(table, index, REPLY);
	unlink_entry(table, index);
	table->ended -= entry->destroyed_ns != 0;
	table->used--;
	entry->newer = table->free;
	table->free = index;
}

/* A free index; there is one. */
static uint32_t take_index(struct nat_table *table)
{
	const uint32_t index = table->free;

	if (index == NAT_TABLE_NONE)
		return table->high++;
	table->free = table->entries[index].newer;
	return index;
}

static void add_entry(struct nat_table *table, const struct nat_event *event, uint64_t destroyed_ns)
{
	const uint32_t index = take_index(table);

	table->entries[index] = (struct nat_entry){.event = *event, .destroyed_ns = destroyed_ns};
	add_key(table, index, ORIGINAL);
	add_key(table, index, REPLY);
	link_newest(table, index);
	table->ended += destroyed_ns != 0;
	table->used++;
}

static void make_room(struct nat_table *table)
{
	if (table->used < table->capacity)
		return;
	if (table->gone.oldest != NAT_TABLE_NONE) {
		remove_entry(table, table->gone.oldest);
		return;
	}
	remove_entry(table, table->live.oldest);
	table->counts.evicted++;
}

/* The entry of this very conversation: its original tuple, in its namespace and zone. */
static uint32_t find_same(const struct nat_table *table, const struct nat_event *event)
{
	const struct key key = key_of(event, ORIGINAL);
	const uint32_t tag = tag_of(table, &key);
	uint32_t slot = home_slot(table, tag);

	for (; table->slots[slot].key != 0; slot = (slot + 1) & slot_mask(table)) {
		const uint32_t found = table->slots[slot].key - 1;
		const struct nat_entry *entry = &table->entries[found / 2];

		if (table->slots[slot].tag == tag && found % 2 == ORIGINAL &&
		    entry->event.nsid == event->nsid && entry->event.zone == event->zone &&
		    has_key(entry, ORIGINAL, &key))
			return found / 2;
	}
	return NAT_TABLE_NONE;
}

/* Puts an entry in again as what an event says now, as the youngest of its list. */
static void replace(struct nat_table *table, uint32_t index, const struct nat_event *event,
		    uint64_t destroyed_ns)
{
	remove_entry(table, index);
	add_entry(table, event, destroyed_ns);
}

/*
 * When an entry has ended, at the latest; zero stands for one that lives. A connection that began
 * before may still be told. Not earlier than the end before: the list is in the order of time.
 */
static uint64_t end_of(const struct nat_table *table, const struct nat_event *event)
{
	const uint32_t last = table->gone.newest;
	const uint64_t least = last != NAT_TABLE_NONE ? table->entries[last].destroyed_ns : 1;

	return event->read_ns > least ? event->read_ns : least;
}

/* How long an entry has been over; the clock of a tick may be behind that of an event. */
static uint64_t age_of(const struct nat_table *table, const struct nat_entry *entry)
{
	return table->now_ns > entry->destroyed_ns ? table->now_ns - entry->destroyed_ns : 0;
}

static void take_end(struct nat_table *table, uint32_t index, const struct nat_event *event)
{
	const struct nat_entry *entry = &table->entries[index];

	if (event->id != 0 && entry->event.id != 0 && event->id != entry->event.id) {
		table->counts.unmatched++;
		return;
	}
	if (entry->destroyed_ns != 0)
		return;
	table->counts.destroyed++;
	replace(table, index, event, end_of(table, event));
}

void nat_table_take(struct nat_table *table, const struct nat_event *event)
{
	const bool ends = event->kind == NAT_EVENT_DESTROY;
	uint32_t index;

	if (table->capacity == 0)
		return;
	index = find_same(table, event);
	if (index != NAT_TABLE_NONE && ends) {
		take_end(table, index, event);
		return;
	}
	if (index != NAT_TABLE_NONE) {
		table->counts.registered += table->entries[index].event.id != event->id;
		replace(table, index, event, 0);
		return;
	}
	/* An end can be the first that is heard of a translation: some connection may still be told. */
	make_room(table);
	add_entry(table, event, ends ? end_of(table, event) : 0);
	table->counts.registered++;
	table->counts.destroyed += ends;
}

void nat_table_tick(struct nat_table *table, uint64_t now_ns)
{
	table->now_ns = now_ns;
	for (unsigned i = 0; i < EXPIRED_PER_TICK && table->gone.oldest != NAT_TABLE_NONE; i++) {
		const uint32_t oldest = table->gone.oldest;

		if (age_of(table, &table->entries[oldest]) <= table->keep_ns)
			break;
		remove_entry(table, oldest);
	}
}

/* Whether an entry can be that of a connection: it lives, or has ended while the connection did. */
static bool applies(const struct nat_table *table, const struct nat_entry *entry,
		    const struct conn_record *record)
{
	return entry->destroyed_ns == 0 ||
	       (record->opened_ns <= entry->destroyed_ns && age_of(table, entry) <= table->keep_ns);
}

/* The other tuple, turned round. */
static struct conn_nat other_side(const struct nat_entry *entry, unsigned direction)
{
	const struct nat_tuple *other = tuple_of(entry, !direction);
	struct conn_nat nat = {
		.local_port = other->destination_port,
		.remote_port = other->source_port,
	};

	memcpy(nat.local_ip, other->destination_ip, sizeof(nat.local_ip));
	memcpy(nat.remote_ip, other->source_ip, sizeof(nat.remote_ip));
	return nat;
}

/* What was found in one class of namespaces. Nothing in it depends on the order of the slots. */
struct answer {
	bool found;
	bool ambiguous;
	uint32_t index; /* NAT_TABLE_NONE: several say the same */
	struct conn_nat nat;
};

static void add_to_answer(struct answer *answer, uint32_t index, const struct conn_nat *nat)
{
	if (!answer->found) {
		*answer = (struct answer){.found = true, .index = index, .nat = *nat};
		return;
	}
	if (memcmp(&answer->nat, nat, sizeof(*nat)) != 0)
		answer->ambiguous = true;
	if (answer->index != index)
		answer->index = NAT_TABLE_NONE;
}

static struct key key_of_record(const struct conn_record *record)
{
	struct key key = {
		.family = record->family,
		.protocol = record->protocol,
		.tuple = {.source_port = record->local_port,
			  .destination_port = record->remote_port},
	};

	memcpy(key.tuple.source_ip, record->local_ip, sizeof(key.tuple.source_ip));
	memcpy(key.tuple.destination_ip, record->remote_ip, sizeof(key.tuple.destination_ip));
	return key;
}

/* A miss costs one line of slots: the tag tells others' keys from this one without a look at them. */
bool nat_table_find(struct nat_table *table, const struct conn_record *record, struct conn_nat *nat,
		    uint32_t *index)
{
	struct answer root = {.found = false}, others = {.found = false};
	const struct answer *answer;
	struct key key;
	uint32_t tag, slot;

	if (table->used == 0)
		return false;
	key = key_of_record(record);
	tag = tag_of(table, &key);
	slot = home_slot(table, tag);
	for (; table->slots[slot].key != 0; slot = (slot + 1) & slot_mask(table)) {
		const uint32_t found = table->slots[slot].key - 1;
		const struct nat_entry *entry = &table->entries[found / 2];
		struct conn_nat seen;

		if (table->slots[slot].tag != tag || !has_key(entry, found % 2, &key) ||
		    !applies(table, entry, record))
			continue;
		seen = other_side(entry, found % 2);
		add_to_answer(entry->event.nsid == NAT_NSID_ROOT ? &root : &others, found / 2,
			      &seen);
	}
	answer = root.found ? &root : &others;
	table->counts.ambiguous += answer->ambiguous;
	if (!answer->found || answer->ambiguous)
		return false;
	*nat = answer->nat;
	*index = answer->index;
	return true;
}

void nat_table_use(struct nat_table *table, uint32_t index)
{
	if (index == NAT_TABLE_NONE || table->entries[index].destroyed_ns != 0 ||
	    table->live.newest == index)
		return;
	unlink_entry(table, index);
	link_newest(table, index);
}

uint32_t nat_table_next(const struct nat_table *table, uint32_t after)
{
	uint32_t next;

	if (after == NAT_TABLE_NONE)
		next = table->live.oldest;
	else
		next = table->entries[after].newer;
	/* Behind those that live come those that have ended. */
	if (next == NAT_TABLE_NONE &&
	    (after == NAT_TABLE_NONE || table->entries[after].destroyed_ns == 0))
		next = table->gone.oldest;
	return next;
}

bool nat_table_put(struct nat_table *table, const struct nat_event *event, uint64_t destroyed_ns)
{
	const uint32_t last = table->gone.newest;

	if (table->used == table->capacity || find_same(table, event) != NAT_TABLE_NONE)
		return false;
	if (destroyed_ns != 0 && last != NAT_TABLE_NONE &&
	    destroyed_ns < table->entries[last].destroyed_ns)
		return false;
	add_entry(table, event, destroyed_ns);
	return true;
}
