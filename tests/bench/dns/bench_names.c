/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what reverse names cost, in ns: a table of the default's size, full, each address with a name of
 * 30 characters of its own, one in eight with three. All is asked for in random order, so that caches
 * hold no more of it than they would in a worker.
 *
 *   bench_names [rounds]
 *
 * Fails if 65,536 connections take more than 10 ms to look up.
 */
#include "proto/record.h"
#include "tests/bench/dns/bench.h"
#include "worker/dns/names.h"

#define ADDRESSES 100000
#define CONNECTIONS 65536
#define GOAL_NS (10e6 / CONNECTIONS)
#define NOW_NS 1000000000000ULL

struct address {
	uint8_t family;
	uint8_t ip[16];
};

static struct names names;
static struct address connections[CONNECTIONS];
static uint8_t texts[CONNECTIONS][40];
static uint8_t text_lengths[CONNECTIONS];
static struct names_cursor cursor;
/* What is computed goes here, so that computing it is not left out. */
static volatile uint64_t sink;

static struct address address_of(uint32_t i)
{
	struct address address = {.family = i % 2 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4};

	if (i % 2)
		memcpy(address.ip, "\x20\x01\x0d\xb8", 4);
	memcpy(address.ip + (i % 2 ? 12 : 0), &i, 4);
	return address;
}

/* 30 characters: a label of 16, one of 7, and "example", as wire form. */
static uint8_t text_of(uint32_t i, uint8_t text[static 40])
{
	char labels[40];

	snprintf(labels, sizeof(labels), "%cservice-%08x%czone%03u%cexample", 16, i, 7, i % 1000,
		 7);
	memcpy(text, labels, 33);
	text[33] = 0;
	return 34;
}

static void add(uint32_t address, uint32_t name)
{
	const struct address at = address_of(address);
	uint8_t text[40];
	const uint8_t length = text_of(name, text);

	sink += names_add(&names, at.family, at.ip, text, length, 300, NOW_NS);
}

static void fill(void)
{
	for (uint32_t i = 0; i < ADDRESSES; i++)
		add(i, i);
	for (uint32_t i = 0; i < ADDRESSES; i += 8) {
		add(i, ADDRESSES + i);
		add(i, 2 * ADDRESSES + i);
	}
}

static void choose(uint32_t first)
{
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		connections[i] = address_of(first + (uint32_t)random() % ADDRESSES);
	names_interval(&names);
}

static void choose_known(unsigned round)
{
	(void)round;
	choose(0);
}

static void choose_unknown(unsigned round)
{
	(void)round;
	choose(0x40000000);
}

static bool find(uint32_t i)
{
	return names_find(&names, connections[i].family, connections[i].ip, NOW_NS, &cursor);
}

static void find_all(unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		sink += find(i);
}

static void find_and_read(unsigned round)
{
	uint8_t length = 0;

	(void)round;
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		const uint8_t *name = find(i) ? names_next(&names, &cursor, &length) : NULL;

		sink += name ? name[length - 2] : 0;
	}
}

static void find_and_use_all(unsigned round)
{
	const uint8_t *name;
	uint8_t length = 0;

	(void)round;
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		if (!find(i))
			continue;
		while ((name = names_next(&names, &cursor, &length))) {
			sink += name[length - 2];
			names_use(&names, &cursor);
		}
	}
}

/* New ones in each round, and texts are made before it. */
static void make_new(unsigned round)
{
	names_interval(&names);
	names_interval(&names);
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		const uint32_t number = 0x10000000 + round * CONNECTIONS + i;

		connections[i] = address_of(number);
		text_lengths[i] = text_of(number, texts[i]);
	}
}

static void make_known(unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		const uint32_t number = (uint32_t)random() % ADDRESSES;

		connections[i] = address_of(number);
		text_lengths[i] = text_of(number, texts[i]);
	}
}

static void add_all(unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		sink += names_add(&names, connections[i].family, connections[i].ip, texts[i],
				  text_lengths[i], 300, NOW_NS);
}

int main(int argc, char **argv)
{
	const struct names_settings settings = {
		.max_addresses = ADDRESSES,
		.max_per_address = 1000,
		.keep_s = 60,
	};
	const unsigned rounds = bench_rounds(argc, argv);
	double used;

	if (rounds == 0)
		return 2;
	if (names_init(&names, &settings, "bench") < 0)
		return 1;
	bench_print_machine();
	fill();
	names_tick(&names, NOW_NS);
	if (names.entry_pool.used != ADDRESSES || names.counts.added != ADDRESSES + ADDRESSES / 4)
		return 1;
	bench_measure("look-up, no such address", rounds, CONNECTIONS, choose_unknown, find_all);
	bench_measure("look-up", rounds, CONNECTIONS, choose_known, find_all);
	bench_measure("look-up, the newest name read", rounds, CONNECTIONS, choose_known,
		      find_and_read);
	used = bench_measure("look-up, all names read and used", rounds, CONNECTIONS, choose_known,
			     find_and_use_all);
	printf("65,536 connections: %.1f ms (goal 10)\n", used * CONNECTIONS / 1e6);
	bench_measure("answer, address and name known", rounds, CONNECTIONS, make_known, add_all);
	bench_measure("answer, both new, evicting an address", rounds, CONNECTIONS, make_new,
		      add_all);
	printf("at most %.1f MiB\n", (double)names_bytes(ADDRESSES) / (1 << 20));
	names_fini(&names);
	return used <= GOAL_NS ? 0 : 1;
}
