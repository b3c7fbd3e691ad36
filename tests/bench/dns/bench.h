/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds of a measurement: the median of what one operation takes, in ns of this thread's processor time,
 * and the fastest round. The machine is printed first, without which the figures say nothing.
 */
#ifndef SOCKWARDEN_TESTS_BENCH_DNS_BENCH_H
#define SOCKWARDEN_TESTS_BENCH_DNS_BENCH_H

#include "common/clock.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BENCH_ROUNDS_MAX 1001

/* 0: what the command line says is no number of rounds, which was printed. */
static inline unsigned bench_rounds(int argc, char **argv)
{
	const unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 31;

	if (argc <= 2 && rounds >= 1 && rounds <= BENCH_ROUNDS_MAX)
		return (unsigned)rounds;
	fprintf(stderr, "usage: %s [1..%d rounds]\n", argv[0], BENCH_ROUNDS_MAX);
	return 0;
}

static inline void bench_print_machine(void)
{
	char line[256], model[256] = "a processor that does not say its name";
	FILE *file = fopen("/proc/cpuinfo", "re");
	struct utsname system;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "model name : %255[^\n]", model) == 1)
			break;
	}
	if (file)
		fclose(file);
	if (uname(&system) < 0)
		memset(&system, 0, sizeof(system));
	printf("%s, %ld processors, %s %s\n", model, sysconf(_SC_NPROCESSORS_ONLN), system.sysname,
	       system.release);
}

static inline int bench_by_value(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/*
 * prepare (NULL: nothing) is done before each round, which is work and does so many operations. Returns
 * the median.
 */
static inline double bench_measure(const char *name, unsigned rounds, unsigned operations,
				   void (*prepare)(unsigned round), void (*work)(unsigned round))
{
	static double ns[BENCH_ROUNDS_MAX];

	for (unsigned round = 0; round < rounds; round++) {
		uint64_t start;

		if (prepare)
			prepare(round);
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		work(round);
		ns[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / operations;
	}
	qsort(ns, rounds, sizeof(ns[0]), bench_by_value);
	printf("%-56s %7.1f ns (fastest %.1f)\n", name, ns[rounds / 2], ns[0]);
	return ns[rounds / 2];
}

#endif
