/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what the books of DNS cost, in ns: queries that wait for their answer and statistics, with
 * tables of the default's size. Rows are asked for in random order; of queries 1,000 are in flight.
 *
 *   bench_stats [rounds]
 */
#include "proto/record.h"
#include "tests/bench/dns/bench.h"
#include "worker/dns/in_flight.h"
#include "worker/dns/stats.h"

#include <netinet/in.h>

#define OPERATIONS 65536
#define ROWS 20000
#define CAPACITY 10000
#define IN_FLIGHT 1000

static struct dns_in_flight in_flight;
static struct dns_stats stats;
static struct dns_query queries[OPERATIONS];
static struct histogram histogram;
static uint32_t latencies[OPERATIONS];
static uint64_t now_ns = 1000000000;
static uint32_t next_number;
/* What is computed goes here, so that computing it is not left out. */
static volatile uint64_t sink;

static struct dns_query query_of(uint32_t number, uint32_t domain)
{
	struct dns_query query = {
		.client_ip = {10, 0, 0, 5},
		.server_ip = {10, 0, 0, 1},
		.client_port = (uint16_t)(number * 7),
		.server_port = 53,
		.id = (uint16_t)(number ^ number >> 16),
		.qtype = 1,
		.family = RECORD_FAMILY_IPV4,
		.protocol = IPPROTO_UDP,
		.name_length = 34,
	};
	char labels[40];

	snprintf(labels, sizeof(labels), "%cservice-%08x%czone%03u%cexample", 16, domain, 7,
		 domain % 1000, 7);
	memcpy(query.name, labels, 34);
	return query;
}

static void choose(uint32_t first, uint32_t domains)
{
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		queries[i] = query_of(next_number++, first + (uint32_t)random() % domains);
		latencies[i] = 200 + (uint32_t)random() % 20000;
	}
}

static void choose_known(unsigned round)
{
	(void)round;
	choose(0, ROWS);
}

static void choose_new(unsigned round)
{
	for (uint32_t i = 0; i < OPERATIONS; i++)
		queries[i] = query_of(next_number++, 0x10000000 + round * OPERATIONS + i);
}

static void add_latencies(unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < OPERATIONS; i++)
		histogram_add(&histogram, latencies[i]);
	sink += histogram.count;
}

static void ask_and_answer(unsigned round)
{
	uint64_t latency_ns;

	(void)round;
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		now_ns += 10000;
		sink += dns_in_flight_query(&in_flight, &queries[i], now_ns);
		if (i >= IN_FLIGHT)
			sink += dns_in_flight_answer(&in_flight, &queries[i - IN_FLIGHT], now_ns,
						     &latency_ns);
	}
	for (uint32_t i = OPERATIONS - IN_FLIGHT; i < OPERATIONS; i++)
		sink += dns_in_flight_answer(&in_flight, &queries[i], now_ns, &latency_ns);
}

static void ask_only(unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < OPERATIONS; i++)
		sink += dns_in_flight_query(&in_flight, &queries[i], now_ns++);
}

static void count_answers(unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < OPERATIONS; i++)
		dns_stats_answer(&stats, &queries[i], 0, latencies[i]);
}

static void publish(unsigned round)
{
	struct dns_stats_view view;

	(void)round;
	dns_stats_publish_begin(&stats);
	while (dns_stats_publish_next(&stats, &view)) {
		sink += view.numbers->answers;
		dns_stats_publish_told(&stats);
	}
}

static void change_all(unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < ROWS; i++) {
		const struct dns_query query = query_of(i, i);

		dns_stats_answer(&stats, &query, i % 4 ? 0 : 3, 200 + i);
	}
}

static void look(unsigned round)
{
	struct dns_stats_numbers sum;
	struct dns_stats_view view;
	uint32_t row = 0;

	(void)round;
	while ((row = dns_stats_next(&stats, row, &sum, &view)) != DNS_STATS_NONE) {
		sink += sum.answers;
		row++;
	}
}

int main(int argc, char **argv)
{
	const struct dns_stats_settings settings = {.max_rows = ROWS, .domains = true};
	const unsigned rounds = bench_rounds(argc, argv);

	if (rounds == 0)
		return 2;
	if (dns_in_flight_init(&in_flight, CAPACITY, 15000000000ULL, "bench") < 0 ||
	    dns_stats_init(&stats, &settings, "bench") < 0)
		return 1;
	bench_print_machine();
	bench_measure("a value into a histogram", rounds, OPERATIONS, choose_known, add_latencies);
	bench_measure("a query and its answer, 1,000 in flight", rounds, OPERATIONS, choose_known,
		      ask_and_answer);
	bench_measure("a query, full table", rounds, OPERATIONS, choose_known, ask_only);
	change_all(0);
	bench_measure("an answer in statistics, 20,000 rows", rounds, OPERATIONS, choose_known,
		      count_answers);
	bench_measure("a row published (without its text)", rounds, ROWS, change_all, publish);
	bench_measure("a row looked at", rounds, ROWS, change_all, look);
	if (stats.used != ROWS || stats.counts.evicted != 0)
		return 1;
	bench_measure("an answer in statistics, evicting a row", rounds, OPERATIONS, choose_new,
		      count_answers);
	printf("at most %.1f MiB in flight, %.1f MiB of statistics\n",
	       (double)dns_in_flight_bytes(CAPACITY) / (1 << 20),
	       (double)dns_stats_bytes(ROWS) / (1 << 20));
	dns_in_flight_fini(&in_flight);
	dns_stats_fini(&stats);
	return 0;
}
