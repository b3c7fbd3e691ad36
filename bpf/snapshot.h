/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * All live connections of all namespaces: iterators over the maps of facts, which put a record for
 * each into a mapped stage. Included by conn.bpf.c.
 */
#ifndef SOCKWARDEN_BPF_SNAPSHOT_H
#define SOCKWARDEN_BPF_SNAPSHOT_H

#include "bpf/fact_table.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct snapshot_stage);
} stage SEC(".maps");

/*
 * The pass that has the stage: session_id of its iterator. The number of an object does not tell
 * where a pass begins, since the call at the end of a pass over a single object has its number.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} stage_pass SEC(".maps");

/* The maps hold addresses: everything behind them is read by copying. */
#undef READ
#define READ(pointer, field) BPF_CORE_READ(pointer, field)
#define FILL(name) name##_by_address
#include "bpf/fill.h"

/*
 * Whether the socket at this address is still the one that the facts are of: sockets' memory is
 * used again for other sockets at any time.
 */
static __always_inline bool sock_is_same(const struct sock *sk, const struct facts *facts)
{
#ifdef CONN_OLD_KERNEL
	return true;
#else
	u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	return (cookie ^ (u64)facts->reused << 48) == facts->id;
#endif
}

/*
 * Where the pass' next records go; NULL when there is no room for so many, of which the reader must
 * be told: returning 1 then makes read() give EAGAIN and come back to the same object.
 *
 * What is written to the iterator itself leaves in pieces of 32 KiB, and behind each piece the
 * kernel looks for its place in the map again: with a hash's long buckets that is most of the time.
 */
static __always_inline struct snapshot_stage *stage_take(u64 pass, u32 records)
{
	struct snapshot_stage *place;
	u64 *last_pass;
	u32 zero = 0;

	place = bpf_map_lookup_elem(&stage, &zero);
	last_pass = bpf_map_lookup_elem(&stage_pass, &zero);
	if (!place || !last_pass)
		return NULL;
	/* A new pass, or the reader has come back for more. */
	if (*last_pass != pass || place->handed_out) {
		*last_pass = pass;
		place->count = 0;
		place->handed_out = 0;
	}
	if (place->count + records > RECORD_STAGE_CAPACITY) {
		place->handed_out = 1;
		return NULL;
	}
	return place;
}

/*
 * The third chance: a socket that is gone while its facts are still open. Both runs that its end
 * makes were skipped (softirq interrupted the same programs; some kernels run none at all while
 * certain processes are interrupted). What was counted still stands in its memory, which is given
 * to other sockets only, and the cookie tells whether it was. True if it is ours to report: not if
 * the address has been taken meanwhile.
 */
static __always_inline bool facts_end_dead(struct facts *facts, const struct facts *seen)
{
#ifdef CONN_OLD_KERNEL
	return false;
#else
	struct facts ended = *seen;

	ended.phase = FACTS_REPORTED;
	return __sync_bool_compare_and_swap(&facts->word, seen->word, ended.word);
#endif
}

/* Puts a connection on the stage. */
static __always_inline void stage_put(struct snapshot_stage *place, const struct sock *sk,
				      struct facts *facts)
{
	struct conn_record *record = &place->records[place->count % RECORD_STAGE_CAPACITY];
	bool is_dead = BPF_CORE_READ(sk, __sk_common.skc_refcnt.refs.counter) == 0;
	struct facts seen, copy;

	/* Before it is established an accepted connection is none. */
	if (facts->phase != FACTS_OPEN)
		return;
	__builtin_memcpy(&seen, facts, sizeof(seen));
	copy = seen;
	facts_adopt_accepted(&copy, sk);
	record->kind = is_dead ? RECORD_KIND_CLOSE : RECORD_KIND_SNAPSHOT;
	record->at_ns = bpf_ktime_get_ns();
	record_fill_by_address(record, (const struct tcp_sock *)sk, &copy,
			       READ(sk, __sk_common.skc_state), is_dead ? RECORD_SECOND_CHANCE : 0);
	if (!sock_is_same(sk, &copy))
		return;
	if (is_dead) {
		if (!facts_end_dead(facts, &seen))
			return;
		COUNT(third_chance);
	}
	place->count++;
}

/* The verifier must see that it is 0 or 1, wherever the compiler kept it. */
static __always_inline int iterator_result(int result)
{
	barrier_var(result);
	return result ? 1 : 0;
}

/* The hash: of those that found no room in the table, or, on old kernels, of all. */
SEC("iter/bpf_map_elem")
int snapshot_spilled(struct bpf_iter__bpf_map_elem *ctx)
{
	struct snapshot_stage *place = stage_take(ctx->meta->session_id, 1);
	struct facts *facts = ctx->value;
	const u64 *owner = ctx->key;

	if (place && owner && facts)
		stage_put(place, (const struct sock *)*owner, facts);
	return iterator_result(!place);
}

#ifndef CONN_OLD_KERNEL

SEC("iter/bpf_map_elem")
int snapshot(struct bpf_iter__bpf_map_elem *ctx)
{
	struct snapshot_stage *place = stage_take(ctx->meta->session_id, FACTS_WAYS);
	const struct facts_set *set = ctx->value;
	const u32 *index = ctx->key;

	if (!place || !set || !index)
		return iterator_result(!place);
	for (u32 way = 0; way < FACTS_WAYS; way++) {
		u64 owner = set->owners[way];
		struct facts *facts;

		if (!owner)
			continue;
		facts = facts_at(*index, way);
		if (facts)
			stage_put(place, (const struct sock *)owner, facts);
	}
	return 0;
}

#endif

#endif
