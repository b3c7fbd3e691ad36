/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where the iterators put records for the worker, which has it mapped.
 */
#ifndef SOCKWARDEN_BPF_STAGE_H
#define SOCKWARDEN_BPF_STAGE_H

#include "bpf/kernel.h"
#include "proto/record.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct snapshot_stage);
} stage SEC(".maps");

/*
 * Where the pass' next records go; NULL when there is no room for so many, of which the reader must
 * be told: returning 1 then makes read() give EAGAIN and come back to the same object.
 *
 * *owner is the pass that has the stage: session_id of its iterator. The number of an object does not
 * tell where a pass begins: the call at the end of a pass over one object has its number.
 *
 * What is written to the iterator itself leaves in pieces of 32 KiB, and behind each piece the
 * kernel looks for its place in the map again: with a hash's long buckets that is most of the time.
 */
static __always_inline struct snapshot_stage *stage_take(u64 *owner, u64 session_id, u32 records)
{
	struct snapshot_stage *place;
	u32 zero = 0;

	place = bpf_map_lookup_elem(&stage, &zero);
	if (!place)
		return NULL;
	/* A new pass, or the reader has come back for more. */
	if (*owner != session_id || place->handed_out) {
		*owner = session_id;
		place->count = 0;
		place->handed_out = 0;
	}
	if (place->count + records > RECORD_STAGE_CAPACITY) {
		place->handed_out = 1;
		return NULL;
	}
	return place;
}

/* The verifier must see that it is 0 or 1, wherever the compiler kept it. */
static __always_inline int iterator_result(int result)
{
	barrier_var(result);
	return result ? 1 : 0;
}

#endif
