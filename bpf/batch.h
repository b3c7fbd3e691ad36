/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Close records on their way out. A CPU's records gather in its batch, in an array that the worker
 * maps; a full batch is copied into the CPU's perf ring in one piece.
 *
 * Who may write a batch: the program that took `busy`. Another program that runs on the CPU in
 * between (an interrupt, or since tracing programs are preemptible another task) finds it taken
 * and sends its record alone. A batch that the ring has no room for stays, full, and is offered
 * again with the CPU's next record.
 *
 * Order of the stores, on which the worker's reading without locks rests: a record, then len;
 * when the batch has left, len = 0, then id.
 */
#ifndef SOCKWARDEN_BPF_BATCH_H
#define SOCKWARDEN_BPF_BATCH_H

#include "bpf/counters.h"
#include "bpf/lock.h"
#include "proto/record.h"

/* One value per possible CPU; its size is set at load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct conn_batch);
} batches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} rings SEC(".maps");

/* Sends a full batch; false: the ring has no room, and the batch stays as it is. */
static __always_inline bool batch_send(void *ctx, struct conn_batch *batch)
{
	if (bpf_perf_event_output(ctx, &rings, BPF_F_CURRENT_CPU, batch, sizeof(*batch))) {
		COUNT(output_errors);
		return false;
	}
	STORE_AFTER(batch->len, 0);
	STORE_AFTER(batch->id, batch->id + 1);
	return true;
}

#endif
