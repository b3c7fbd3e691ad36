/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a socket's facts are found by its address. In front is a table of sets, in plain arrays: to
 * look up is to compare a few numbers, without a call, and nothing is allocated. What finds its set
 * full is spilled into a hash; a set knows how many of its sockets were, so that nobody looks there
 * for nothing. Before 5.12, without exchanging atomics, all goes to the hash.
 *
 * (Not the kernel's socket storage: docs/design.md says why.)
 */
#ifndef SOCKWARDEN_BPF_FACT_TABLE_H
#define SOCKWARDEN_BPF_FACT_TABLE_H

#include "bpf/batch.h"
#include "bpf/facts.h"

#define SPILLED_ENTRIES 262144

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SPILLED_ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct facts);
} spilled_facts SEC(".maps");

static __always_inline struct facts *spilled_get(const struct sock *sk)
{
	u64 key = (u64)sk;

	return bpf_map_lookup_elem(&spilled_facts, &key);
}

static __always_inline struct facts *spilled_make(const struct sock *sk)
{
	static const struct facts none;
	u64 key = (u64)sk;

	bpf_map_update_elem(&spilled_facts, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&spilled_facts, &key);
}

/* Returns 0 if there were any. */
static __always_inline long spilled_drop(const struct sock *sk)
{
	u64 key = (u64)sk;

	return bpf_map_delete_elem(&spilled_facts, &key);
}

#ifdef CONN_OLD_KERNEL

static __always_inline struct facts *facts_get(const struct sock *sk)
{
	return spilled_get(sk);
}

static __always_inline struct facts *facts_make(const struct sock *sk)
{
	return spilled_make(sk);
}

static __always_inline void facts_drop(const struct sock *sk)
{
	spilled_drop(sk);
}

#else

#define FACTS_SETS_BITS 13
#define FACTS_SETS (1 << FACTS_SETS_BITS)
#define FACTS_WAYS 7

/* One cache line. */
struct facts_set {
	u64 owners[FACTS_WAYS]; /* addresses of sockets; 0: free */
	u64 spilled;		/* sockets of this set whose facts are in the hash */
};

/* Mappable for the sake of its alignment; nobody gets its descriptor. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FACTS_SETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct facts_set);
} fact_sets SEC(".maps");

/* The facts of fact_sets' owners, set by set. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FACTS_SETS *FACTS_WAYS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct facts);
} sock_facts SEC(".maps");

/*
 * The verifier lets nobody multiply a pointer, but takes a 32-bit move of one for a number. The
 * compiler would rather shift.
 */
static __always_inline u32 facts_set_index(const struct sock *sk)
{
	u32 low;

#ifdef FACTS_OF_COOKIES
	/* Cookies count up: sockets that are made one after the other share cache lines. */
	if (!((u64)sk >> 63))
		return (u64)sk >> 2 & (FACTS_SETS - 1);
#endif
	asm volatile("%0 = %1" : "=w"(low) : "w"((u32)(u64)sk));
	return low * 0x9e3779b1U >> (32 - FACTS_SETS_BITS);
}

/*
 * The barrier keeps the compiler from making one call of this look-up and of one in the hash: the
 * kernel would not know the map then, and call where it could put the array's arithmetic in place.
 */
static __always_inline struct facts *facts_at(u32 set, u32 way)
{
	u32 index = set * FACTS_WAYS + way;
	struct facts *facts = bpf_map_lookup_elem(&sock_facts, &index);

	barrier_var(facts);
	return facts;
}

/* The owner's way of its set, FACTS_WAYS if it has none. */
static __always_inline u32 facts_way(const struct facts_set *set, u64 owner)
{
	u32 way = 0;

#pragma unroll
	for (; way < FACTS_WAYS; way++) {
		if (set->owners[way] == owner)
			break;
	}
	return way;
}

static __always_inline struct facts *facts_get(const struct sock *sk)
{
	u32 index = facts_set_index(sk);
	const struct facts_set *set = bpf_map_lookup_elem(&fact_sets, &index);
	u32 way;

	if (!set)
		return NULL;
	way = facts_way(set, (u64)sk);
	if (way < FACTS_WAYS)
		return facts_at(index, way);
	return set->spilled ? spilled_get(sk) : NULL;
}

static __always_inline struct facts *facts_spill(struct facts_set *set, const struct sock *sk)
{
	struct facts *facts;

	__sync_fetch_and_add(&set->spilled, 1); /* before it can be dropped again */
	facts = spilled_make(sk);
	if (facts)
		COUNT(spilled);
	else
		__sync_fetch_and_add(&set->spilled, -1);
	return facts;
}

/*
 * The socket's facts, all zero if there were none; NULL if there is no room. (Should seeding and an
 * event make them at the same moment, each may take a way: only the first is found from then on,
 * and both are dropped in the end.)
 */
static __always_inline struct facts *facts_make(const struct sock *sk)
{
	struct facts *facts = facts_get(sk);
	struct facts_set *set;
	u32 index;

	if (facts)
		return facts;
	index = facts_set_index(sk);
	set = bpf_map_lookup_elem(&fact_sets, &index);
	if (!set)
		return NULL;
#pragma unroll
	for (u32 way = 0; way < FACTS_WAYS; way++) {
		if (!set->owners[way] &&
		    __sync_bool_compare_and_swap(&set->owners[way], 0, (u64)sk))
			return facts_at(index, way);
	}
	return facts_spill(set, sk);
}

static __always_inline void facts_drop(const struct sock *sk)
{
	u32 index = facts_set_index(sk);
	struct facts_set *set = bpf_map_lookup_elem(&fact_sets, &index);

	if (!set)
		return;
#pragma unroll
	for (u32 way = 0; way < FACTS_WAYS; way++) {
		struct facts *facts;

		if (set->owners[way] != (u64)sk)
			continue;
		facts = facts_at(index, way);
		if (facts)
			__builtin_memset(facts, 0, sizeof(*facts));
		STORE_AFTER(set->owners[way], 0);
	}
	if (set->spilled && spilled_drop(sk) == 0) {
		__sync_fetch_and_add(&set->spilled, -1);
		COUNT(unspilled);
	}
}

#endif

#endif
