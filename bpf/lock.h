/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Order of stores and loads, and a right that one program on a CPU has at a time. Nobody waits for it: who
 * finds it taken does without.
 *
 * x86 keeps the order of stores among each other, and of loads; elsewhere a full barrier stands between them.
 */
#ifndef SOCKWARDEN_BPF_LOCK_H
#define SOCKWARDEN_BPF_LOCK_H

#include "bpf/kernel.h"

#ifdef __TARGET_ARCH_x86
#define STORE_AFTER(place, value)                                  \
	do {                                                       \
		asm volatile("" ::: "memory");                     \
		*(volatile __typeof__(place) *)&(place) = (value); \
		asm volatile("" ::: "memory");                     \
	} while (0)
#define LOADS_IN_ORDER() asm volatile("" ::: "memory")
#else
#define STORE_AFTER(place, value)                                  \
	do {                                                       \
		LOADS_IN_ORDER();                                  \
		*(volatile __typeof__(place) *)&(place) = (value); \
	} while (0)
#define LOADS_IN_ORDER()                              \
	do {                                          \
		u64 fence_ = 0;                       \
		__sync_lock_test_and_set(&fence_, 1); \
	} while (0)
#endif

/* Takes the right; false if another program on this CPU has it. */
static __always_inline bool lock_try(u64 *busy)
{
#ifdef CONN_OLD_KERNEL
	/* Kernels without exchanging atomics (before 5.12) run these programs unpreemptibly: who
	 * comes in between is an interrupt, and has gone again before we go on. */
	if (*busy)
		return false;
	STORE_AFTER(*busy, 1);
	return true;
#else
	return __sync_lock_test_and_set(busy, 1) == 0;
#endif
}

static __always_inline void lock_release(u64 *busy)
{
	STORE_AFTER(*busy, 0);
}

#endif
