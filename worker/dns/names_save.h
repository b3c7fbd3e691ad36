/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of names, piece by piece, and put back from pieces that may be any bytes. All that decides
 * what will be found, expire or make room comes back the same: the place of each name, since what has
 * expired is looked for place by place; the orders of the lists; the places that are free. Texts may get
 * other ids: nothing depends on those.
 *
 *   save:  names_save_head(); all texts; each address, and its others behind it; the orders
 *   load:  names_load_begin(); the same, in the same order; names_load_end()
 *
 * A walk's argument is INDEX_NONE at first (the texts': 0), and is moved on. The members of what is saved
 * are those of the same name in names.h; there is no padding.
 */
#ifndef SOCKWARDEN_WORKER_DNS_NAMES_SAVE_H
#define SOCKWARDEN_WORKER_DNS_NAMES_SAVE_H

#include "worker/dns/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names_saved {
	uint64_t touches;
	uint64_t now_s;
	uint32_t interval;
	uint32_t entry_at;
	uint32_t other_at;
	uint32_t address_high; /* places that were ever in use */
	uint32_t other_high;
	uint32_t pad0;
};

/* Saved is its first names_saved_text_bytes(). */
struct names_saved_text {
	uint32_t id; /* what it is called in the names that follow */
	uint8_t length;
	uint8_t wire[NAME_POOL_NAME_BYTES];
};

/* An address, first of those that are idle, by touch, then of those in use; and its newest name. */
struct names_saved_address {
	uint8_t ip[16];
	uint64_t touched;
	uint32_t index;
	uint32_t used;
	uint32_t deadline_s;
	uint32_t name_used;
	uint32_t text;
	uint8_t family;
	uint8_t was_used;
	uint8_t pad0[2];
};

/* Another name of the address before it, the oldest first. */
struct names_saved_other {
	uint32_t index;
	uint32_t deadline_s;
	uint32_t used;
	uint32_t text;
};

_Static_assert(sizeof(struct names_saved) == 40, "no padding");
_Static_assert(sizeof(struct names_saved_text) == 260, "no padding");
_Static_assert(sizeof(struct names_saved_address) == 48, "no padding");
_Static_assert(sizeof(struct names_saved_other) == 16, "no padding");

/* Places in an order. */
enum names_order {
	NAMES_ORDER_SUPERSEDED = 1, /* all others, by when they were superseded */
	NAMES_ORDER_FREE_ADDRESSES = 2,
	NAMES_ORDER_FREE_OTHERS = 3,
};

static inline size_t names_saved_text_bytes(const struct names_saved_text *text)
{
	return offsetof(struct names_saved_text, wire) + text->length;
}

void names_save_head(const struct names *names, struct names_saved *saved);

/* Each text that a name has, once, in any order. False: no more. */
bool names_save_text(const struct names *names, uint32_t *at, struct names_saved_text *text);

/* The next address: *index is its place. */
bool names_save_address(const struct names *names, uint32_t *index,
			struct names_saved_address *saved);

/* The next one of an address's others. */
bool names_save_other(const struct names *names, uint32_t address, uint32_t *other,
		      struct names_saved_other *saved);

/* The next place of an order behind another one; INDEX_NONE: no more. */
uint32_t names_save_order(const struct names *names, enum names_order order, uint32_t after);

/* The most further names that there can be. */
uint32_t names_save_others_max(uint32_t max_addresses);

/* The most bytes of all texts, with head_bytes more for each. */
uint64_t names_save_texts_bytes_max(uint32_t max_addresses, size_t head_bytes);

struct names_loader {
	struct names *names;
	uint32_t address; /* the last one; INDEX_NONE: none yet */
	uint32_t last_free_address;
	uint32_t last_free_other;
	uint32_t free_addresses;
	uint32_t free_others;
	uint32_t superseded;
	uint32_t unused_texts;
};

/* Each of these returns NULL, or a constant text that says what is wrong; then the table is not to be used. */

/* *names is as names_init() left it. */
const char *names_load_begin(struct names_loader *loader, struct names *names,
			     const struct names_saved *saved);
/* text->length bytes are there. */
const char *names_load_text(struct names_loader *loader, const struct names_saved_text *text);
const char *names_load_address(struct names_loader *loader,
			       const struct names_saved_address *saved);
const char *names_load_other(struct names_loader *loader, const struct names_saved_other *saved);
const char *names_load_order(struct names_loader *loader, uint32_t order, uint32_t index);
const char *names_load_end(const struct names_loader *loader);

#endif
