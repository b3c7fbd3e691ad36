/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the table of names.h is looked up: for those files that work on it, names.c and names_save.c.
 */
#ifndef SOCKWARDEN_WORKER_DNS_NAMES_TABLE_H
#define SOCKWARDEN_WORKER_DNS_NAMES_TABLE_H

#include "proto/record.h"
#include "worker/dns/names.h"

#include <string.h>

/* The place of an address's newest name, which is none of the others. */
#define NAMES_AT_NEWEST (INDEX_NONE - 1)

static inline uint32_t names_others_for(uint32_t max_addresses)
{
	return NAMES_OTHERS_PER_ADDRESS * max_addresses;
}

/* Answers give several addresses for a name, and most names are one block. */
static inline uint32_t names_blocks_for(uint32_t max_addresses)
{
	return max_addresses + max_addresses / 2 + NAME_POOL_BLOCKS_PER_NAME;
}

/* An address as it is looked for. */
struct names_key {
	uint8_t ip[16];
	uint8_t family;
};

static inline struct names_key names_key_of(uint8_t family, const uint8_t *ip)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	struct names_key key = {.family = family};

	if (family == RECORD_FAMILY_IPV6 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
		key.family = RECORD_FAMILY_IPV4;
		memcpy(key.ip, ip + sizeof(mapped), 4);
	} else {
		memcpy(key.ip, ip, sizeof(key.ip));
	}
	return key;
}

static inline uint32_t names_key_tag(const struct names *names, const struct names_key *key)
{
	uint64_t words[2];

	memcpy(words, key->ip, sizeof(words));
	return (uint32_t)(hash_words(&names->key, words[0], words[1], key->family) >> 32);
}

/* An address's entry, or SLOTS_NONE. */
static inline uint32_t names_index_of(const struct names *names, const struct names_key *key,
				      uint32_t tag)
{
	uint32_t at = slots_home(&names->slots, tag), index;

	while ((index = slots_next(&names->slots, tag, &at)) != SLOTS_NONE) {
		const struct names_entry *entry = &names->entries[index];

		if (entry->family == key->family &&
		    memcmp(entry->ip, key->ip, sizeof(key->ip)) == 0)
			break;
	}
	return index;
}

static inline uint32_t names_other_tag(const struct names *names, uint32_t address, uint32_t name)
{
	return (uint32_t)(hash_words(&names->key, address, name, 0) >> 32);
}

/* Where an address has a name: NAMES_AT_NEWEST, one of the others, or INDEX_NONE. */
static inline uint32_t names_place_of(const struct names *names, uint32_t address, uint32_t name)
{
	uint32_t tag, at, other;

	if (names->entries[address].newest.name == name)
		return NAMES_AT_NEWEST;
	tag = names_other_tag(names, address, name);
	at = slots_home(&names->other_slots, tag);
	while ((other = slots_next(&names->other_slots, tag, &at)) != SLOTS_NONE) {
		if (names->others[other].address == address &&
		    names->others[other].name.name == name)
			break;
	}
	return other;
}

/* Whether something that was used in an interval (0: never) is still needed. */
static inline bool names_is_needed(const struct names *names, uint32_t used)
{
	return used != 0 && names->interval - used <= 1;
}

#endif
