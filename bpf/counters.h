/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the programs of all objects count (struct conn_counters), in one array that the worker maps. The
 * first object that is loaded makes it; the loader gives it to the others.
 */
#ifndef SOCKWARDEN_BPF_COUNTERS_H
#define SOCKWARDEN_BPF_COUNTERS_H

#include "bpf/kernel.h"
#include "proto/record.h"

/* One value per possible CPU; its size is set at load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct conn_counters);
} counters SEC(".maps");

/* Adds one to a counter of this CPU; an interrupt in between does no harm. */
#define COUNT(field)                                                                     \
	do {                                                                             \
		u32 cpu_ = bpf_get_smp_processor_id();                                   \
		struct conn_counters *counters_ = bpf_map_lookup_elem(&counters, &cpu_); \
		if (counters_)                                                           \
			__sync_fetch_and_add(&counters_->field, 1);                      \
	} while (0)

#endif
