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

#endif
