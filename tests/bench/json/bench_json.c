/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what one connection costs on its way out, in ns: the median of rounds, and the fastest.
 *
 *   bench_json [rounds]
 */
#include "common/clock.h"
#include "tests/unit/example_conn.h"
#include "worker/publish/bus.h"
#include "worker/publish/conn_events.h"
#include "worker/publish/conn_json.h"
#include "worker/publish/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RECORDS 1024
#define PASSES 20
#define ROUNDS_MAX 1001
#define OFFSETS ((struct clock_offsets){1795330000000000000ULL, 1795330000000000000ULL})

static struct conn_record records[RECORDS];
static struct conn_view views[RECORDS];
/* What is computed goes here, so that computing it is not left out. */
static volatile bool sink;

/* Connections that differ as real ones do, so that no branch is learnt by heart. */
static void make_records(bool ipv6)
{
	srandom(1);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct conn_record *record = &records[i];

		*record = example_record();
		record->id = ((uint64_t)random() << 20) + i;
		record->at_ns = record->opened_ns + (uint64_t)random();
		record->sent_bytes = (uint64_t)random() >> random() % 24;
		record->recv_bytes = (uint64_t)random() >> random() % 24;
		record->sent_packets = (uint32_t)random() % 5000;
		record->local_port = (uint16_t)(32768 + random() % 28000);
		record->pid = (uint32_t)random() % 4000000;
		for (unsigned byte = 1; byte < 4; byte++)
			record->remote_ip[byte] = (uint8_t)random();
		if (ipv6) {
			record->family = RECORD_FAMILY_IPV6;
			for (unsigned byte = 0; byte < 16; byte++)
				record->remote_ip[byte] = byte < 8 || byte > 12 ? (uint8_t)random()
										: 0;
			memcpy(record->local_ip, record->remote_ip, 12);
		}
		views[i] = example_view(record);
	}
}

static void encode(void *ctx)
{
	static char buffer[RECORDS * CONN_JSON_BYTES_MAX];
	size_t *bytes = ctx;
	struct json json;

	json_init(&json, buffer, sizeof(buffer));
	for (unsigned i = 0; i < RECORDS; i++)
		conn_json_write(&json, &views[i], OFFSETS);
	*bytes = json_length(&json) / RECORDS;
}

static void match(void *ctx)
{
	for (unsigned i = 0; i < RECORDS; i++)
		sink = filter_matches(ctx, &views[i]);
}

static void build_and_send(void *ctx)
{
	static struct conn_events events;
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};
	struct conn_events_message message;

	if (events.seq == 0)
		conn_events_init(&events, &identity);
	conn_events_tick(&events, 1, OFFSETS, true);
	for (unsigned i = 0; i < RECORDS; i++) {
		if (conn_events_is_full(&events) && conn_events_finish(&events, &message))
			bus_publish(ctx, message.bytes, message.length);
		conn_events_add(&events, &views[i]);
	}
}

static int by_value(const void *left, const void *right)
{
	const double *a = left;
	const double *b = right;

	return (*a > *b) - (*a < *b);
}

static void measure(const char *name, unsigned rounds, void (*work)(void *), void *ctx)
{
	static double ns[ROUNDS_MAX];

	for (unsigned round = 0; round < rounds; round++) {
		uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		for (unsigned pass = 0; pass < PASSES; pass++)
			work(ctx);
		ns[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / PASSES / RECORDS;
	}
	qsort(ns, rounds, sizeof(ns[0]), by_value);
	printf("%-34s %7.1f ns per connection (fastest %.1f)\n", name, ns[rounds / 2], ns[0]);
}

static void measure_sending(unsigned rounds)
{
	char folder[] = "/tmp/sockwarden-bench-XXXXXX";
	struct bus *bus;

	if (!mkdtemp(folder) || bus_open(&bus, folder, 1024) < 0)
		return;
	measure("build messages, no subscriber", rounds, build_and_send, bus);
	bus_close(bus);
	rmdir(folder);
}

int main(int argc, char **argv)
{
	static const char expression[] =
		"remote.port == 443 and comm ~ cur and not ip == 10.0.0.0/8";
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 51;
	static struct filter filter;
	char error[FILTER_ERROR_BYTES];
	size_t bytes = 0;

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_json [1..%d rounds]\n", ROUNDS_MAX);
		return 2;
	}
	if (filter_compile(&filter, expression, sizeof(expression) - 1, error, sizeof(error)) < 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	make_records(false);
	measure("encode, IPv4", rounds, encode, &bytes);
	printf("%-34s %7zu bytes\n", "", bytes);
	measure("filter of three comparisons", rounds, match, &filter);
	measure_sending(rounds);
	make_records(true);
	measure("encode, IPv6", rounds, encode, &bytes);
	return 0;
}
