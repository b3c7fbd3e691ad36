/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Walks over maps without iterators over maps' elements, which some hardened kernels refuse (one of 6.18
 * was met): an iterator over tasks is borrowed, and does not look at them. Its first run goes over as
 * much of the map as there is room for on the stage, and asks to come back to the same task until it is
 * at the end; for all other tasks there is nothing left. Needs bpf_loop() (5.17) and
 * bpf_for_each_map_elem() (5.13): an older kernel that refuses those iterators is not traced.
 */
#ifndef SOCKWARDEN_BPF_WALK_H
#define SOCKWARDEN_BPF_WALK_H

#include "bpf/kernel.h"

#define WALK_STEPS_MAX 65536 /* of one run: what read() may take at a time */

enum walk_of {
	WALK_SNAPSHOT,
	WALK_SPILLED,
	WALK_CGROUPS,
	WALK_FLOWS,
	WALK_ENDED_FLOWS,
	WALKS,
};

struct walk {
	u64 session_id; /* the pass that is under way */
	u32 at;		/* elements before it are done */
	u32 is_over;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WALKS);
	__type(key, u32);
	__type(value, struct walk);
} walks SEC(".maps");

/* What one run has in hand. */
struct walk_run {
	u64 session_id;
	u32 at;
	u32 seen;      /* elements of a hash that were passed */
	u32 is_full;   /* there was no room: come back */
	u32 only_ends; /* of flows */
	u32 written;   /* of control groups */
	struct seq_file *seq;
};

/* Where a pass is; NULL when it is over. */
static __always_inline struct walk *walk_take(u32 of, u64 session_id)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &of);

	if (!walk)
		return NULL;
	if (walk->session_id != session_id) {
		walk->session_id = session_id;
		walk->at = 0;
		walk->is_over = 0;
	}
	return walk->is_over ? NULL : walk;
}

/*
 * A run over an array's elements, of which there are so many: step(number of the step, run) looks at
 * element run->at, and stops with 1 where it could not.
 */
static __always_inline int walk_array(u32 of, u64 session_id, long (*step)(u32, void *),
				      u32 elements, bool only_ends)
{
	struct walk_run run = {.session_id = session_id, .only_ends = only_ends};
	struct walk *walk = walk_take(of, session_id);

	if (!walk)
		return 0;
	run.at = walk->at;
	bpf_loop(WALK_STEPS_MAX, step, &run, 0);
	walk->at = run.at;
	walk->is_over = run.at >= elements;
	return !walk->is_over;
}

/*
 * The same over a hash, whose order may change meanwhile: a pass may miss what is there, or have it twice.
 * It may be empty, and nothing calls step() then: the caller has taken the stage, or the reader would
 * find there what the pass before this one left.
 */
static __always_inline int walk_hash(u32 of, u64 session_id, void *map, void *step, bool only_ends)
{
	struct walk_run run = {.session_id = session_id, .only_ends = only_ends};
	struct walk *walk = walk_take(of, session_id);

	if (!walk)
		return 0;
	run.at = walk->at;
	bpf_for_each_map_elem(map, step, &run, 0);
	walk->at = run.at;
	walk->is_over = !run.is_full;
	return !walk->is_over;
}

#endif
