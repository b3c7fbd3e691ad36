/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process has in memory, by the page table: statm adds up counters that lag behind by some
 * hundred KiB on each CPU.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_RESIDENT_H
#define SOCKWARDEN_TESTS_UNIT_RESIDENT_H

#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>

/* Code that runs for the first time, and with a sanitizer the shadow of all that was touched. */
#ifdef SOCKWARDEN_ASAN
#define RESIDENT_SLACK_BYTES (4U << 20)
#else
#define RESIDENT_SLACK_BYTES (256U << 10)
#endif

static inline uint64_t resident_bytes(void)
{
	unsigned long long kib = 0;
	char line[256];
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	cr_assert_not_null(file);
	while (kib == 0 && fgets(line, sizeof(line), file))
		(void)sscanf(line, "Rss: %llu kB", &kib);
	fclose(file);
	cr_assert_gt(kib, 0);
	return kib * 1024;
}

#endif
