/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what parsing a DNS message costs, in ns, beside glibc's ns_parserr and ldns on the same
 * messages: the three in turns, each time in another order of the messages; medians of the rounds, and
 * of each round's ratios. All three read whole messages that are right; sockwarden's also follows
 * the aliases.
 *
 *   bench_parse [rounds]
 */
#include "common/clock.h"
#include "tests/bench/dns/corpus.h"
#include "worker/dns/message.h"

#include <arpa/nameser.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ROUNDS_MAX 1001
/* Over all messages, in a round. */
#define PASSES 8

enum parser {
	SOCKWARDEN,
	GLIBC,
	LDNS,
	PARSERS,
};

static const char *const names[PARSERS] = {"sockwarden", "ns_parserr", "ldns_wire2pkt"};

/* A message as it stands among others, one behind the other, as in a ring. */
struct placed {
	const uint8_t *bytes;
	size_t length;
};

static struct corpus_message messages[CORPUS_MESSAGES];
static uint8_t ring[sizeof(messages)];
static struct placed placed[CORPUS_MESSAGES];
static double figures[PARSERS][ROUNDS_MAX];
static double ratios[PARSERS][ROUNDS_MAX];

static bool parse_ours(const struct placed *message)
{
	static struct dns_message parsed;

	return dns_message_parse(message->bytes, message->length, false, &parsed) ==
	       DNS_REJECT_NONE;
}

static bool parse_glibc(const struct placed *message)
{
	ns_msg handle;
	ns_rr record;

	if (ns_initparse(message->bytes, (int)message->length, &handle) < 0)
		return false;
	for (int section = ns_s_qd; section < ns_s_max; section++) {
		const int count = ns_msg_count(handle, (ns_sect)section);

		for (int i = 0; i < count; i++) {
			if (ns_parserr(&handle, (ns_sect)section, i, &record) < 0)
				return false;
		}
	}
	return true;
}

static bool parse_ldns(const struct placed *message)
{
	ldns_pkt *packet;

	if (ldns_wire2pkt(&packet, message->bytes, message->length) != LDNS_STATUS_OK)
		return false;
	ldns_pkt_free(packet);
	return true;
}

static void shuffle(void)
{
	for (size_t i = CORPUS_MESSAGES - 1; i > 0; i--) {
		const size_t other = (size_t)random() % (i + 1);
		const struct corpus_message kept = messages[i];

		messages[i] = messages[other];
		messages[other] = kept;
	}
	for (size_t i = 0, at = 0; i < CORPUS_MESSAGES; at += messages[i++].length) {
		memcpy(ring + at, messages[i].bytes, messages[i].length);
		placed[i] = (struct placed){.bytes = ring + at, .length = messages[i].length};
	}
}

/* ns per message. */
static double measure_once(enum parser parser)
{
	static bool (*const parse[])(const struct placed *message) = {parse_ours, parse_glibc,
								      parse_ldns};
	const uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned pass = 0; pass < PASSES; pass++) {
		for (size_t i = 0; i < CORPUS_MESSAGES; i++) {
			if (!parse[parser](&placed[i])) {
				fprintf(stderr, "%s refuses a message\n", names[parser]);
				exit(1);
			}
		}
	}
	return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / PASSES / CORPUS_MESSAGES;
}

static int by_value(const void *left, const void *right)
{
	const double *a = left;
	const double *b = right;

	return (*a > *b) - (*a < *b);
}

static void measure(const char *what, unsigned rounds)
{
	size_t bytes = 0;

	for (size_t i = 0; i < CORPUS_MESSAGES; i++)
		bytes += messages[i].length;
	for (unsigned round = 0; round < rounds; round++) {
		shuffle();
		for (unsigned i = 0; i < PARSERS; i++) {
			const unsigned parser = (round + i) % PARSERS;

			figures[parser][round] = measure_once((enum parser)parser);
		}
		for (unsigned parser = 0; parser < PARSERS; parser++)
			ratios[parser][round] = figures[parser][round] / figures[SOCKWARDEN][round];
	}
	printf("%s: %d messages, %.0f bytes on average\n", what, CORPUS_MESSAGES,
	       (double)bytes / CORPUS_MESSAGES);
	for (unsigned parser = 0; parser < PARSERS; parser++) {
		qsort(figures[parser], rounds, sizeof(double), by_value);
		qsort(ratios[parser], rounds, sizeof(double), by_value);
		printf("  %-14s %7.1f ns (fastest %.1f), %.1f times sockwarden's\n", names[parser],
		       figures[parser][rounds / 2], figures[parser][0], ratios[parser][rounds / 2]);
	}
}

static void print_machine(void)
{
	char line[256], model[256] = "unknown processor";
	FILE *file = fopen("/proc/cpuinfo", "re");
	struct utsname system;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "model name : %255[^\n]", model) == 1)
			break;
	}
	if (file)
		fclose(file);
	uname(&system);
	printf("%s, %ld processors, Linux %s %s\n", model, sysconf(_SC_NPROCESSORS_ONLN),
	       system.release, system.machine);
}

int main(int argc, char **argv)
{
	const unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 31;

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_parse [1..%d rounds]\n", ROUNDS_MAX);
		return 2;
	}
	print_machine();
	corpus_make_typical(messages);
	measure("one alias and two addresses", rounds);
	corpus_make(messages);
	measure("all kinds", rounds);
	return 0;
}
