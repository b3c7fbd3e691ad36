/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on reverse names and on a plain reference of them: no hash, no lists, every
 * question answered by looking at everything.
 */
#include "proto/record.h"
#include "tests/unit/example_names.h"
#include "worker/dns/names.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#define CAPACITY 8
#define OTHERS (CAPACITY * NAMES_OTHERS_PER_ADDRESS)
#define BLOCKS (CAPACITY + CAPACITY / 2 + NAME_POOL_BLOCKS_PER_NAME)
#define PER_ADDRESS 6
#define LATE 2
#define KEEP_S 50
#define ADDRESSES 16
#define NAMES 24
#define S_NS 1000000000ULL

struct model_name {
	uint32_t number;
	uint32_t used;
	uint64_t deadline_s;
	uint64_t superseded; /* order among those that are not the newest */
};

/* In the order in which they are told. */
struct model_address {
	uint32_t count; /* 0: it is not there */
	uint32_t used;
	uint64_t touched;
	struct model_name name[PER_ADDRESS + 1];
};

struct model {
	struct model_address address[ADDRESSES];
	uint64_t steps; /* counts touches and supersessions */
	uint64_t now_s;
	uint32_t interval;
	struct names_counts counts;
};

static struct names names;
static struct model model;

/* One block, three, or five. */
static uint8_t length_of(uint32_t number)
{
	if (number % 8 == 7)
		return 255;
	return number % 8 == 6 ? 150 : 20;
}

static uint32_t blocks_of(uint32_t number)
{
	if (number % 8 == 7)
		return 5;
	return number % 8 == 6 ? 3 : 1;
}

static bool is_needed(uint32_t used)
{
	return used != 0 && model.interval - used <= 1;
}

static bool has_expired(const struct model_name *name)
{
	const bool was_used = name->used != 0 && model.interval - name->used <= 1 + LATE;

	return model.now_s > name->deadline_s + KEEP_S && !was_used;
}

static uint32_t find_name(const struct model_address *address, uint32_t number)
{
	uint32_t i = 0;

	while (i < address->count && address->name[i].number != number)
		i++;
	return i;
}

static bool is_text_known(uint32_t number)
{
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		if (find_name(&model.address[i], number) < model.address[i].count)
			return true;
	}
	return false;
}

static bool has_room_for_text(uint32_t number)
{
	uint32_t blocks = blocks_of(number);

	for (uint32_t i = 0; i < NAMES; i++)
		blocks += is_text_known(i) ? blocks_of(i) : 0;
	return blocks <= BLOCKS;
}

static uint32_t count_addresses(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < ADDRESSES; i++)
		count += model.address[i].count > 0;
	return count;
}

static uint32_t count_others(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < ADDRESSES; i++)
		count += model.address[i].count > 0 ? model.address[i].count - 1 : 0;
	return count;
}

static void remove_name(struct model_address *address, uint32_t i)
{
	address->count--;
	memmove(&address->name[i], &address->name[i + 1],
		(address->count - i) * sizeof(address->name[0]));
}

static void put_newest(struct model_address *address, const struct model_name *name)
{
	if (address->count > 0)
		address->name[0].superseded = ++model.steps;
	memmove(&address->name[1], &address->name[0], address->count * sizeof(address->name[0]));
	address->name[0] = *name;
	address->count++;
}

static bool evict_oldest(const struct model_address *except)
{
	struct model_address *oldest = NULL;
	uint64_t evicted = 0;

	for (uint32_t i = 0; i < ADDRESSES; i++) {
		struct model_address *address = &model.address[i];

		if (address->count == 0 || address == except || is_needed(address->used))
			continue;
		if (!oldest || address->touched < oldest->touched)
			oldest = address;
	}
	if (!oldest)
		return false;
	for (uint32_t i = 0; i < oldest->count; i++)
		evicted += !has_expired(&oldest->name[i]);
	model.counts.expired += oldest->count - evicted;
	model.counts.evicted += evicted > 0;
	model.counts.evicted_names += evicted;
	oldest->count = 0;
	return true;
}

/* The other that was superseded first, or NULL; *at is its address. */
static struct model_name *first_superseded(struct model_address **at)
{
	struct model_name *first = NULL;

	for (uint32_t i = 0; i < ADDRESSES; i++) {
		for (uint32_t j = 1; j < model.address[i].count; j++) {
			struct model_name *name = &model.address[i].name[j];

			if (!first || name->superseded < first->superseded) {
				first = name;
				*at = &model.address[i];
			}
		}
	}
	return first;
}

/* Those in use are passed over: 64 are more than there are. */
static bool drop_superseded(void)
{
	for (unsigned i = 0; i < 64; i++) {
		struct model_address *address = NULL;
		struct model_name *name = first_superseded(&address);

		if (!name)
			return false;
		if (!is_needed(name->used)) {
			remove_name(address, (uint32_t)(name - address->name));
			model.counts.dropped++;
			return true;
		}
		name->superseded = ++model.steps;
	}
	return false;
}

static void drop_oldest(struct model_address *address)
{
	address->count--;
	model.counts.dropped++;
}

static bool make_room_for_text(uint32_t number, struct model_address *except)
{
	for (unsigned i = 0; i < NAMES_DROPPED_PER_ADD && !has_room_for_text(number); i++) {
		if (!drop_superseded() && !evict_oldest(except))
			break;
	}
	while (except && !has_room_for_text(number) && except->count > 1)
		drop_oldest(except);
	return has_room_for_text(number);
}

static enum names_added refuse(void)
{
	model.counts.refused++;
	return NAMES_REFUSED;
}

static enum names_added model_add_new(struct model_address *address, const struct model_name *name)
{
	if (!is_text_known(name->number) && !make_room_for_text(name->number, NULL))
		return refuse();
	if (count_addresses() == CAPACITY && !evict_oldest(NULL))
		return refuse();
	address->used = 0;
	address->touched = ++model.steps;
	put_newest(address, name);
	model.counts.added++;
	return NAMES_NEW;
}

static enum names_added model_add(struct model_address *address, uint32_t number, uint32_t ttl_s,
				  uint64_t now_s)
{
	struct model_name name = {
		.number = number,
		.deadline_s = now_s + (ttl_s < NAMES_TTL_MIN_S ? NAMES_TTL_MIN_S : ttl_s),
	};
	uint32_t i;

	if (address->count == 0)
		return model_add_new(address, &name);
	if (!is_needed(address->used))
		address->touched = ++model.steps;
	i = find_name(address, number);
	if (i < address->count) {
		const uint64_t deadline_s = name.deadline_s;

		name = address->name[i];
		if (name.deadline_s < deadline_s)
			name.deadline_s = deadline_s;
		remove_name(address, i);
		if (i == 0) {
			memmove(&address->name[1], &address->name[0],
				address->count * sizeof(address->name[0]));
			address->name[0] = name;
			address->count++;
		} else {
			put_newest(address, &name);
		}
		return NAMES_KNOWN;
	}
	if (!is_text_known(number) && !make_room_for_text(number, address))
		return refuse();
	if (address->count >= PER_ADDRESS)
		drop_oldest(address);
	if (address->count > 0 && count_others() == OTHERS && !drop_superseded())
		drop_oldest(address);
	put_newest(address, &name);
	model.counts.added++;
	return NAMES_NEW;
}

/* Of each address the newest is looked at once, after all others. */
static void model_tick(uint64_t now_s)
{
	if (now_s == model.now_s)
		return;
	model.now_s = now_s;
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		for (uint32_t j = model.address[i].count; j-- > 1;) {
			if (has_expired(&model.address[i].name[j])) {
				remove_name(&model.address[i], j);
				model.counts.expired++;
			}
		}
		if (model.address[i].count > 0 && has_expired(&model.address[i].name[0])) {
			remove_name(&model.address[i], 0);
			model.counts.expired++;
		}
	}
}

static void make_text(uint32_t number, uint8_t text[static 255])
{
	memset(text, 'x', 255);
	text[length_of(number) - 1] = (uint8_t)number;
}

static void step_add(uint64_t now_s)
{
	const uint32_t i = (uint32_t)random() % ADDRESSES;
	const uint32_t number = (uint32_t)random() % NAMES;
	const uint32_t ttl_s = (uint32_t)random() % 200;
	uint8_t ip[16], text[255];
	const uint8_t family = example_address(i, ip);
	enum names_added added;

	make_text(number, text);
	added = names_add(&names, family, ip, text, length_of(number), ttl_s, now_s * S_NS);
	cr_assert_eq(added, model_add(&model.address[i], number, ttl_s, now_s));
}

/* Looks at all of an address, and uses the first of what is found. */
static void step_find(uint32_t i, uint64_t at_s, uint32_t used)
{
	struct model_address *address = &model.address[i];
	struct names_cursor cursor;
	uint8_t ip[16], text[255], length = 0;
	bool found = false;

	model.counts.lookups++;
	names_find(&names, example_address(i, ip), ip, at_s * S_NS, &cursor);
	for (uint32_t j = 0; j < address->count; j++) {
		struct model_name *name = &address->name[j];
		const uint8_t *got;

		if (name->deadline_s <= at_s)
			continue;
		found = true;
		got = names_next(&names, &cursor, &length);
		make_text(name->number, text);
		cr_assert_not_null(got);
		cr_assert_eq(length, length_of(name->number));
		cr_assert_arr_eq(got, text, length);
		if (used == 0)
			continue;
		used--;
		names_use(&names, &cursor);
		name->used = model.interval;
		if (address->used != model.interval)
			address->touched = ++model.steps;
		address->used = model.interval;
	}
	cr_assert_null(names_next(&names, &cursor, &length));
	model.counts.hits += found;
}

static void compare(uint64_t now_s)
{
	for (uint32_t i = 0; i < ADDRESSES; i++)
		step_find(i, random() % 2 ? now_s : now_s - (uint64_t)random() % 100, 0);
	cr_assert_eq(names.entry_pool.used, count_addresses());
	cr_assert_eq(names.other_pool.used, count_others());
	cr_assert_arr_eq(&names.counts, &model.counts, sizeof(model.counts));
}

static void step(uint64_t now_s, unsigned chance_of_use)
{
	const unsigned what = (unsigned)random() % 100;

	if (what < 60) {
		step_add(now_s);
	} else if (what < 60 + chance_of_use) {
		step_find((uint32_t)random() % ADDRESSES, now_s - (uint64_t)random() % 30,
			  (uint32_t)random() % 4);
	} else if (what < 95) {
		names_tick(&names, now_s * S_NS);
		model_tick(now_s);
	} else {
		names_interval(&names);
		model.interval++;
	}
}

Test(dns_names_model, names_do_what_a_plain_list_does_whatever_comes)
{
	const struct names_settings settings = {
		.max_addresses = CAPACITY,
		.max_per_address = PER_ADDRESS,
		.keep_s = KEEP_S,
		.late_intervals = LATE,
	};
	uint64_t now_s = 1000;

	cr_assert_eq(names_init(&names, &settings, "secret"), 0);
	model.interval = 1;
	for (unsigned i = 0; i < 300000; i++) {
		/* Times of much use and little, of slow and fast clocks. */
		now_s += (uint64_t)random() % (i / 5000 % 3 ? 3 : 40);
		step(now_s, i / 10000 % 4 == 0 ? 34 : 8);
		compare(now_s);
	}
	cr_expect_gt(names.counts.expired, 1000);
	cr_expect_gt(names.counts.evicted, 1000);
	cr_expect_gt(names.counts.dropped, 1000);
	cr_expect_gt(names.counts.refused, 1000);
	cr_expect_gt(names.counts.evicted_names, names.counts.evicted + 1000);
	names_fini(&names);
}
