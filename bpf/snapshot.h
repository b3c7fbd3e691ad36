/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * All live connections of all namespaces: iterators over the maps of facts, which put a record for
 * each into a mapped stage. Included by conn.bpf.c.
 */
#ifndef SOCKWARDEN_BPF_SNAPSHOT_H
#define SOCKWARDEN_BPF_SNAPSHOT_H

#include "bpf/fact_table.h"
#include "bpf/stage.h"
#include "bpf/walk.h"

#define SOCK_COPY_BYTES 4096 /* a tcp_sock has some 2,300 */

/* What a pass works with. */
struct snapshot_pass {
	u64 session_id; /* the pass that has the stage */
	u8 sock[SOCK_COPY_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct snapshot_pass);
} snapshot_pass SEC(".maps");

/*
 * The maps hold addresses, and what is behind an address can only be read by copying: a whole socket
 * at once, since forty fields one by one cost more.
 */
#undef READ
#undef FOLLOW
#define READ(pointer, field) ((pointer)->field)
#define FOLLOW(pointer, field) BPF_CORE_READ(pointer, field)
#define FILL(name) name##_of_copy
#include "bpf/fill.h"

static __always_inline struct snapshot_pass *pass_of_iterator(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&snapshot_pass, &zero);
}

/* Returns 0, or -EFAULT. */
static __always_inline long sock_copy(struct snapshot_pass *pass, const struct sock *sk)
{
	u32 size = bpf_core_type_size(struct tcp_sock);

	if (size > SOCK_COPY_BYTES)
		size = SOCK_COPY_BYTES;
	return bpf_probe_read_kernel(pass->sock, size, sk);
}

/*
 * Whether the socket at this address is still the one that the facts are of: sockets' memory is
 * used again for other sockets at any time.
 */
static __always_inline bool sock_is_same(const struct sock *copy, const struct facts *facts)
{
#ifdef CONN_OLD_KERNEL
	return true;
#else
	u64 cookie = READ(copy, __sk_common.skc_cookie.counter);

	return (cookie ^ (u64)facts->reused << 48) == facts->id;
#endif
}

/*
 * The third chance: a socket that is gone while its facts are still open. Both runs that its end
 * makes were skipped (softirq interrupted the same programs; some kernels run none at all while
 * certain processes are interrupted). What was counted still stands in its memory, and the cookie
 * tells whether it is still this socket's. True if it is ours to report: not if the address has
 * been taken meanwhile. (Looked at once more by ourselves: of two passes at a time each writes over
 * the other's copy.)
 */
static __always_inline bool facts_end_dead(const struct sock *sk, struct facts *facts,
					   const struct facts *seen)
{
#ifdef CONN_OLD_KERNEL
	return false;
#else
	u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	if ((cookie ^ (u64)seen->reused << 48) != seen->id ||
	    BPF_CORE_READ(sk, __sk_common.skc_refcnt.refs.counter) != 0)
		return false;
	return __sync_bool_compare_and_swap(&facts->word, seen->word, 0); /* FACTS_NEW */
#endif
}

/*
 * Puts a connection on the stage. Facts that are open after their socket was seen dead are nobody's
 * any more, so the socket is read first.
 */
static __always_inline void stage_put(struct snapshot_stage *place, struct snapshot_pass *pass,
				      const struct sock *sk, struct facts *facts)
{
	struct conn_record *record = &place->records[place->count % RECORD_STAGE_CAPACITY];
	const struct tcp_sock *tp = (const struct tcp_sock *)pass->sock;
	struct facts seen, copy;
	bool is_dead;

	/* Before it is established an accepted connection is none. */
	if (facts->phase != FACTS_OPEN)
		return;
	if (sock_copy(pass, sk))
		return;
	barrier();
	__builtin_memcpy(&seen, facts, sizeof(seen));
	if (seen.phase != FACTS_OPEN)
		return;
	copy = seen;
	facts_adopt_accepted(&copy, sk);
	if (!sock_is_same((const struct sock *)tp, &copy))
		return;
	is_dead = READ((const struct sock *)tp, __sk_common.skc_refcnt.refs.counter) == 0;
	record->kind = is_dead ? RECORD_KIND_CLOSE : RECORD_KIND_SNAPSHOT;
	record->at_ns = bpf_ktime_get_ns();
	record_fill_of_copy(record, tp, &copy, READ((const struct sock *)tp, __sk_common.skc_state),
			    is_dead ? RECORD_SECOND_CHANCE : 0);
	if (is_dead) {
		if (!facts_end_dead(sk, facts, &seen))
			return;
		COUNT(third_chance);
	}
	place->count++;
}

/* One of the hash; 1 if there is no room. */
static __always_inline int spilled_put(u64 session_id, const u64 *owner, struct facts *facts)
{
	struct snapshot_pass *pass = pass_of_iterator();
	struct snapshot_stage *place;

	if (!pass)
		return 0;
	place = stage_take(&pass->session_id, session_id, 1);
	if (place && owner && facts)
		stage_put(place, pass, (const struct sock *)*owner, facts);
	return iterator_result(!place);
}

/* The hash: of those that found no room in the table, or, on old kernels, of all. */
SEC("iter/bpf_map_elem")
int snapshot_spilled(struct bpf_iter__bpf_map_elem *ctx)
{
	return spilled_put(ctx->meta->session_id, ctx->key, ctx->value);
}

static long walk_spilled(void *map, const u64 *owner, struct facts *facts, struct walk_run *run)
{
	if (run->seen++ < run->at)
		return 0;
	if (spilled_put(run->session_id, owner, facts)) {
		run->is_full = 1;
		return 1;
	}
	run->at++;
	return 0;
}

SEC("iter/task")
int snapshot_spilled_by_task(struct bpf_iter__task *ctx)
{
	const u64 session_id = ctx->meta->session_id;
	struct snapshot_pass *pass = pass_of_iterator();

	if (pass)
		stage_take(&pass->session_id, session_id, 0);
	return walk_hash(WALK_SPILLED, session_id, &spilled_facts, walk_spilled, false);
}

#ifndef CONN_OLD_KERNEL

/* One set of the table; 1 if there is no room. */
static __always_inline int set_put(u64 session_id, const u32 *index, const struct facts_set *set)
{
	struct snapshot_pass *pass = pass_of_iterator();
	struct snapshot_stage *place;

	if (!pass)
		return 0;
	place = stage_take(&pass->session_id, session_id, FACTS_WAYS);
	if (!place || !set || !index)
		return iterator_result(!place);
	for (u32 way = 0; way < FACTS_WAYS; way++) {
		u64 owner = set->owners[way];
		struct facts *facts;

		if (!owner)
			continue;
		facts = facts_at(*index, way);
		if (facts)
			stage_put(place, pass, (const struct sock *)owner, facts);
	}
	return 0;
}

SEC("iter/bpf_map_elem")
int snapshot(struct bpf_iter__bpf_map_elem *ctx)
{
	return set_put(ctx->meta->session_id, ctx->key, ctx->value);
}

static long walk_set(u32 step, void *context)
{
	struct walk_run *run = context;
	u32 index = run->at;
	struct facts_set *set = bpf_map_lookup_elem(&fact_sets, &index);

	if (!set)
		return 1;
	if (set_put(run->session_id, &index, set)) {
		run->is_full = 1;
		return 1;
	}
	run->at++;
	return 0;
}

SEC("iter/task")
int snapshot_by_task(struct bpf_iter__task *ctx)
{
	return walk_array(WALK_SNAPSHOT, ctx->meta->session_id, walk_set, FACTS_SETS, false);
}

#endif

#endif
