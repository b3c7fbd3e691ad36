/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what an event of address translation and a connection's look-up cost, in ns: the median of
 * rounds, and the fastest. The table is the default's, and full; all is asked for in random order,
 * so that caches hold no more of it than they would in a worker.
 *
 *   bench_nat [rounds]
 */
#include "common/clock.h"
#include "tests/unit/example_nat.h"
#include "worker/nat/table.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTRIES 131072
#define ROUNDS_MAX 1001
#define KEEP_NS 1000000000ULL

struct datagram {
	uint16_t length;
	uint8_t bytes[510];
};

static struct nat_table table;
static struct datagram *datagrams;
static struct nat_event *events;
static struct conn_record *records;
/* What is computed goes here, so that computing it is not left out. */
static volatile uint64_t sink;

/* Entry number i of all that there ever are; each has its own ends. */
static struct nat_event event_of(uint32_t i)
{
	struct nat_event event = example_nat_event(0);

	event.id = i + 1;
	event.original.source_ip[1] = (uint8_t)(i >> 24);
	event.original.source_ip[2] = (uint8_t)(i >> 16);
	event.original.source_port = (uint16_t)(i | 1);
	event.original.source_ip[3] = (uint8_t)(1 + (i & 1));
	event.reply.destination_ip[2] = (uint8_t)(i >> 16);
	event.reply.destination_ip[1] = (uint8_t)(i >> 24);
	event.reply.destination_port = (uint16_t)(i | 1);
	event.reply.destination_ip[3] = (uint8_t)(1 + (i & 1));
	return event;
}

static void make_datagrams(uint32_t first)
{
	static struct example_message message;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		events[i] = event_of(first + i);
		message.length = 0;
		example_nat_message(&message, &events[i]);
		if (message.length > sizeof(datagrams[i].bytes))
			abort();
		datagrams[i].length = (uint16_t)message.length;
		memcpy(datagrams[i].bytes, message.bytes, message.length);
	}
}

/* Connections in random order: of entries that are in the table, or of none. */
static void make_records(uint32_t first)
{
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const struct nat_event event = event_of(first + (uint32_t)random() % ENTRIES);

		records[i] = (struct conn_record){.opened_ns = 1};
		example_nat_ends(&records[i], &event, random() & 1);
	}
}

static void parse(bool store)
{
	struct nat_message_counts counts = {0};

	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct nat_messages messages = {
			.datagram = reader_of(datagrams[i].bytes, datagrams[i].length),
			.nsid = NAT_NSID_ROOT,
		};
		struct nat_event event;

		while (nat_messages_next(&messages, &event, &counts)) {
			if (store)
				nat_table_take(&table, &event);
			else
				sink += event.id;
		}
	}
}

static void find(bool use)
{
	struct conn_nat nat;
	uint32_t index;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		if (!nat_table_find(&table, &records[i], &nat, &index))
			continue;
		sink += nat.local_port;
		if (use)
			nat_table_use(&table, index);
	}
}

static int by_value(const void *left, const void *right)
{
	const double *a = left;
	const double *b = right;

	return (*a > *b) - (*a < *b);
}

enum work {
	PARSE,
	STORE,
	FIND_HIT,
	TELL_HIT,
	FIND_MISS,
	FIND_EMPTY,
};

static double measure_once(enum work work, unsigned round)
{
	uint64_t start;

	/* What is stored is new each time, and takes the place of what is there. */
	if (work == STORE)
		make_datagrams((round + 1) * ENTRIES);
	if (work == FIND_HIT || work == TELL_HIT)
		make_records(0);
	else if (work != PARSE && work != STORE)
		make_records(0x80000000);
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (work == PARSE || work == STORE)
		parse(work == STORE);
	else
		find(work == TELL_HIT);
	return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / ENTRIES;
}

static void measure(const char *name, unsigned rounds, enum work work)
{
	static double ns[ROUNDS_MAX];

	for (unsigned round = 0; round < rounds; round++)
		ns[round] = measure_once(work, round);
	qsort(ns, rounds, sizeof(ns[0]), by_value);
	printf("%-48s %7.1f ns (fastest %.1f)\n", name, ns[rounds / 2], ns[0]);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 31;

	datagrams = calloc(ENTRIES, sizeof(*datagrams));
	events = calloc(ENTRIES, sizeof(*events));
	records = calloc(ENTRIES, sizeof(*records));
	if (rounds < 1 || rounds > ROUNDS_MAX || !datagrams || !events || !records ||
	    nat_table_init(&table, ENTRIES, KEEP_NS, "bench") < 0) {
		fprintf(stderr, "usage: bench_nat [1..%d rounds]\n", ROUNDS_MAX);
		return 2;
	}
	measure("look-up, empty table", rounds, FIND_EMPTY);
	make_datagrams(0);
	parse(true);
	if (table.used != ENTRIES || table.counts.evicted != 0)
		return 1;
	measure("event: parsed", rounds, PARSE);
	measure("look-up, full table: not translated", rounds, FIND_MISS);
	measure("look-up, full table: translated", rounds, FIND_HIT);
	measure("look-up and noted as told", rounds, TELL_HIT);
	measure("event: parsed and stored, evicting another", rounds, STORE);
	return table.counts.evicted == (uint64_t)rounds * ENTRIES ? 0 : 1;
}
