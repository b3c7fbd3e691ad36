/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash side of a table of fixed capacity: from 32 bits of a key's hash (its tag) to the indices
 * of the entries that have it. The entries and their keys are the table's own; it compares the keys of
 * what is found here, which is hardly ever another's:
 *
 *   uint32_t at = slots_home(&slots, tag), index;
 *
 *   while ((index = slots_next(&slots, tag, &at)) != SLOTS_NONE)
 *           if (entry index has the key)
 *                   ...
 *
 * Open addressing with linear probing; a third of the slots or more is always empty, and nothing is
 * left behind where one was removed.
 */
#ifndef SOCKWARDEN_COMMON_SLOTS_H
#define SOCKWARDEN_COMMON_SLOTS_H

#include <stdint.h>

#define SLOTS_NONE UINT32_MAX
#define SLOTS_CAPACITY_MAX (1U << 28)

struct slot {
	uint32_t tag;	/* its top bits say where the slot would best be */
	uint32_t entry; /* 1 + index; 0: empty */
};

struct slots {
	struct slot *slot;
	uint32_t bits;
};

/* For 1..SLOTS_CAPACITY_MAX entries. Memory is touched only when used. 0 or -ENOMEM. */
int slots_init(struct slots *slots, uint32_t capacity);
void slots_fini(struct slots *slots);

/* Bytes that slots of this capacity may take. */
uint64_t slots_bytes(uint32_t capacity);

/* At most as many as the capacity; index is below SLOTS_NONE - 1. */
void slots_add(struct slots *slots, uint32_t tag, uint32_t index);

/* What was added with this tag. */
void slots_remove(struct slots *slots, uint32_t tag, uint32_t index);

static inline uint32_t slots_home(const struct slots *slots, uint32_t tag)
{
	return tag >> (32 - slots->bits);
}

/* The next entry with this tag, from slot *at on, which is moved behind it; SLOTS_NONE: no more. */
static inline uint32_t slots_next(const struct slots *slots, uint32_t tag, uint32_t *at)
{
	const uint32_t mask = (1U << slots->bits) - 1;

	for (;;) {
		const struct slot slot = slots->slot[*at];

		if (slot.entry == 0)
			return SLOTS_NONE;
		*at = (*at + 1) & mask;
		if (slot.tag == tag)
			return slot.entry - 1;
	}
}

/*
 * Whatever was added, in no order that means anything: the next index from slot *at on, 0 at first, which
 * is moved behind it; SLOTS_NONE: no more.
 */
static inline uint32_t slots_walk(const struct slots *slots, uint32_t *at)
{
	while (*at < 1U << slots->bits) {
		const struct slot slot = slots->slot[(*at)++];

		if (slot.entry != 0)
			return slot.entry - 1;
	}
	return SLOTS_NONE;
}

#endif
