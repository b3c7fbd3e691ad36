/* SPDX-License-Identifier: Apache-2.0 */
#include "common/slots.h"

#include "common/lazy_memory.h"

#include <errno.h>
#include <string.h>

static uint32_t bits_for(uint32_t capacity)
{
	uint32_t bits = 2;

	while ((1U << bits) < capacity + capacity / 2 + 1)
		bits++;
	return bits;
}

uint64_t slots_bytes(uint32_t capacity)
{
	return sizeof(struct slot) << bits_for(capacity);
}

int slots_init(struct slots *slots, uint32_t capacity)
{
	slots->bits = bits_for(capacity);
	slots->slot = lazy_memory_reserve(sizeof(*slots->slot) << slots->bits);
	return slots->slot ? 0 : -ENOMEM;
}

void slots_fini(struct slots *slots)
{
	lazy_memory_release(slots->slot, sizeof(*slots->slot) << slots->bits);
	memset(slots, 0, sizeof(*slots));
}

void slots_add(struct slots *slots, uint32_t tag, uint32_t index)
{
	const uint32_t mask = (1U << slots->bits) - 1;
	uint32_t at = slots_home(slots, tag);

	while (slots->slot[at].entry != 0)
		at = (at + 1) & mask;
	slots->slot[at] = (struct slot){.tag = tag, .entry = index + 1};
}

/* Closes the hole: what was probed past it moves back (Knuth, volume 3, 6.4, algorithm R). */
static void close_hole(struct slots *slots, uint32_t hole)
{
	const uint32_t mask = (1U << slots->bits) - 1;
	uint32_t at = hole;

	for (;;) {
		uint32_t home;

		slots->slot[hole].entry = 0;
		do {
			at = (at + 1) & mask;
			if (slots->slot[at].entry == 0)
				return;
			home = slots_home(slots, slots->slot[at].tag);
		} while (((at - home) & mask) < ((at - hole) & mask));
		slots->slot[hole] = slots->slot[at];
		hole = at;
	}
}

void slots_remove(struct slots *slots, uint32_t tag, uint32_t index)
{
	const uint32_t mask = (1U << slots->bits) - 1;
	uint32_t at = slots_home(slots, tag);

	while (slots->slot[at].entry != index + 1)
		at = (at + 1) & mask;
	close_hole(slots, at);
}
