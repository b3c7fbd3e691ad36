/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading clocks. Stages take times as parameters; only the loops and main call these.
 */
#ifndef SOCKWARDEN_COMMON_CLOCK_H
#define SOCKWARDEN_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000ULL

/* The clock in ns; clock is CLOCK_MONOTONIC, CLOCK_REALTIME or CLOCK_THREAD_CPUTIME_ID. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* What makes the times of two clocks wall clock times. */
struct clock_offsets {
	uint64_t monotonic_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	uint64_t boot_ns;      /* CLOCK_REALTIME - CLOCK_BOOTTIME, which goes on in suspend */
};

/*
 * Brings the offsets up to what was measured, but for differences that come of reading one clock after
 * the other and of NTP's steady pull: what was told once is to be told as the same time again. A clock
 * that is set is followed.
 */
void clock_offsets_follow(struct clock_offsets *offsets, struct clock_offsets measured);

#endif
