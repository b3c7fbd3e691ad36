/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where flows are kept, and the one function that updates them: flow_update() for a datagram,
 * flow_release() for the end of a socket. bpf/flow.h says what a flow is. The socket's facts are the
 * caller's to get; NULL: there was no room for them.
 */
#ifndef SOCKWARDEN_BPF_FLOW_TABLE_H
#define SOCKWARDEN_BPF_FLOW_TABLE_H

#include "bpf/flow.h"

#include <asm/errno.h>

#ifdef CONN_OLD_KERNEL

#define FLOWS 65536

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOWS);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flow_sets SEC(".maps"); /* named as what is walked over elsewhere */

/* A flow is too large for the stack. One for each direction: what arrives may interrupt what is sent. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, struct flow);
} new_flow SEC(".maps");

/* Begins a flow with the datagram; false: there is no room, or another CPU was first. */
static __always_inline bool flow_make(const struct datagram *datagram, struct facts *facts,
				      u64 now_ns)
{
	u32 direction = datagram->direction;
	struct flow *flow = bpf_map_lookup_elem(&new_flow, &direction);

	facts->HAS_OTHERS = true;
	if (!flow)
		return false;
	flow->key = datagram->key;
	flow_begin(flow, flow_number(), datagram, facts, now_ns);
	if (bpf_map_update_elem(&flow_sets, &datagram->key, flow, BPF_NOEXIST))
		return false;
	COUNT(opened);
	return true;
}

static __always_inline void flow_update(void *ctx, struct datagram *datagram, struct facts *facts)
{
	u64 now_ns = bpf_ktime_get_ns();
	struct flow *flow;

	if (!facts) {
		COUNT(storage_failed);
		flow_overflow(datagram);
		return;
	}
	datagram->key.socket = facts->id;
	flow = bpf_map_lookup_elem(&flow_sets, &datagram->key);
	if (!flow) {
		if (flow_make(datagram, facts, now_ns))
			return;
		flow = bpf_map_lookup_elem(&flow_sets, &datagram->key);
		if (!flow) {
			flow_overflow(datagram);
			return;
		}
	}
	if (flow_is_idle(flow, now_ns)) {
		flow_emit(ctx, flow, RECORD_END_IDLE);
		flow_begin(flow, flow_number(), datagram, facts, now_ns);
		COUNT(opened);
		return;
	}
	if (flow->pid_source != RECORD_PID_TRAFFIC && datagram->by_process)
		flow_take_process(flow, facts);
	flow_add(flow, datagram, now_ns);
}

/* The sweep finds the flows of a socket that is gone. */
static __always_inline void flow_release(void *ctx, u64 socket, bool by_process)
{
	struct facts *facts = udp_facts_get(socket);

	if (!facts)
		return;
	if (facts->HAS_OTHERS)
		COUNT(orphaned);
	facts_drop((const struct sock *)socket);
}

#else

#define FLOW_SETS_BITS 13
#define FLOW_SETS (1 << FLOW_SETS_BITS)
#define FLOW_WAYS 8
/* Who has it does some fifty loads and stores. */
#define FLOW_LOCK_TRIES 512
#define FLOW_WALK_TRIES 16 /* of a pass, which comes again */

/* One cache line. */
struct flow_set {
	u16 tags[FLOW_WAYS];   /* of the flows' hashes; 0: free */
	u32 stamps[FLOW_WAYS]; /* time of the last datagram in about ms, to find the oldest */
	u64 busy;	       /* the lock: its owner's CPU and one, or 0 */
	u16 displaced; /* not 0: flows of this set may be in its neighbour; flow_full_mark() */
	u16 ending;    /* not 0: who has the lock is ending one of its flows */
	u32 way;       /* where who has the lock keeps a number from the verifier */
};

_Static_assert(sizeof(struct flow_set) == 64, "struct flow_set");

/* Mappable for the sake of their alignment; nobody gets their descriptors. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOW_SETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct flow_set);
} flow_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOW_SETS *FLOW_WAYS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct flow);
} flows SEC(".maps");

static __always_inline struct flow *flow_at(u32 set, u32 way)
{
	u32 index = set * FLOW_WAYS + way;
	struct flow *flow = bpf_map_lookup_elem(&flows, &index);

	barrier_var(flow);
	return flow;
}

/* A way as an index: the verifier must see that it is one, wherever the compiler kept the number. */
static __always_inline u32 flow_index(u32 way)
{
	barrier_var(way);
	return way & (FLOW_WAYS - 1);
}

static __always_inline u32 flow_stamp(u64 now_ns)
{
	return now_ns >> 20;
}

/* The hash of a key: its upper bits are the number of its set, the lower half its tag, never 0. */
static __always_inline u32 flow_tag(const struct flow_key *key)
{
	u64 hash = key->socket * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ key->remote[0]) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ key->remote[1] ^ hash >> 32) * 0x94d049bb133111ebULL;
	hash = (hash ^ key->local[0] ^ hash >> 29) * 0x9e3779b97f4a7c15ULL;
	hash ^= key->local[1] ^ hash >> 32;
	hash = (hash ^ ((u64)key->remote_port << 16 | key->local_port)) * 0xbf58476d1ce4e5b9ULL;
	return (u32)(hash >> 32) | 1;
}

static __always_inline u32 flow_home(u32 tag)
{
	return tag >> (32 - FLOW_SETS_BITS);
}

/* The set of a socket's first flow: sockets that are made one after the other share its cache lines. */
static __always_inline u32 flow_first(const struct facts *facts)
{
	return facts->id >> 2 & (FLOW_SETS - 1);
}

/* The set that takes what finds its own one full. */
static __always_inline u32 flow_neighbour(u32 set, u32 tag)
{
	return set ^ ((tag & (FLOW_SETS - 1)) | 1);
}

/* What stands in displaced while a set whose neighbour was full does not ask it again: about 1 s. */
static __always_inline u16 flow_full_mark(u64 now_ns)
{
	return now_ns >> 30 | 1 << 15;
}

/*
 * Takes the lock; -EBUSY if another CPU did not give it back in time, -EDEADLK if it is held by what
 * we have interrupted on this one.
 */
static __always_inline long flow_set_lock(struct flow_set *set, u32 tries)
{
	const u64 own = bpf_get_smp_processor_id() + 1;

	for (u32 i = 0; i < tries; i++) {
		u64 owner = __sync_val_compare_and_swap(&set->busy, 0, own);

		if (!owner)
			return 0;
		if (owner == own)
			return -EDEADLK;
	}
	return -EBUSY;
}

/* Without a branch for each part: the verifier follows all of them. */
static __always_inline bool flow_has_key(const struct flow *flow, const struct flow_key *key)
{
	const u64 *own = (const u64 *)&flow->key, *other = (const u64 *)key;

	return ((own[0] ^ other[0]) | (own[1] ^ other[1]) | (own[2] ^ other[2]) |
		(own[3] ^ other[3]) | (own[4] ^ other[4]) | (own[5] ^ other[5])) == 0;
}

/* The way of a set that has the key, or FLOW_WAYS. */
static __always_inline u32 flow_find(const struct flow_set *set, u32 index, u32 tag,
				     const struct flow_key *key)
{
	for (u32 way = 0; way < FLOW_WAYS; way++) {
		const struct flow *flow;

		if (set->tags[way] != (u16)tag)
			continue;
		flow = flow_at(index, way);
		if (flow && flow_has_key(flow, key))
			return way;
	}
	return FLOW_WAYS;
}

/*
 * The same way, of which the verifier no longer knows which one it is: it would follow all that comes
 * behind once for each.
 */
static __always_inline u32 flow_forget(struct flow_set *set, u32 way)
{
	*(volatile u32 *)&set->way = way;
	return *(volatile u32 *)&set->way;
}

/* A free way, or FLOW_WAYS. */
static __always_inline u32 flow_free_way(const struct flow_set *set)
{
	for (u32 way = 0; way < FLOW_WAYS; way++) {
		if (!set->tags[way])
			return way;
	}
	return FLOW_WAYS;
}

static __always_inline u32 flow_oldest_way(const struct flow_set *set, u32 now)
{
	u32 oldest = 0, age = 0;

	for (u32 way = 0; way < FLOW_WAYS; way++) {
		u32 own = now - set->stamps[way];

		if (own > age) {
			age = own;
			oldest = way;
		}
	}
	return oldest;
}

/*
 * Makes the last record of a flow. Nobody may add to it from here on, until it has begun anew or its
 * place is free: then ending becomes 0 again.
 */
static __always_inline void flow_set_end(void *ctx, struct flow_set *set, const struct flow *flow,
					 u32 end)
{
	STORE_AFTER(set->ending, 1);
	flow_emit(ctx, flow, end);
}

/* Adds the datagram to the flow that has this way of a set that is locked. */
static __always_inline void flow_touch(void *ctx, struct flow_set *set, u32 index, u32 way,
				       const struct datagram *datagram, struct facts *facts,
				       u64 now_ns)
{
	struct flow *flow = flow_at(index, way);

	if (!flow)
		return;
	if (flow_is_idle(flow, now_ns)) {
		flow_set_end(ctx, set, flow, RECORD_END_IDLE);
		flow_begin(flow, flow_number(), datagram, facts, now_ns);
		COUNT(opened);
		STORE_AFTER(set->ending, 0);
	} else {
		if (flow->pid_source != RECORD_PID_TRAFFIC && datagram->by_process)
			flow_take_process(flow, facts);
		flow_add(flow, datagram, now_ns);
	}
	set->stamps[flow_index(way)] = flow_stamp(now_ns);
	/* A line that is only read is not taken from the other CPU. */
	if (facts->LAST_FLOW != index * FLOW_WAYS + way + 1)
		facts->LAST_FLOW = index * FLOW_WAYS + way + 1;
}

/* Gives this way, which is free, to a new flow. */
static __always_inline void flow_put(struct flow_set *set, u32 index, u32 way, u32 tag,
				     const struct datagram *datagram, struct facts *facts,
				     u64 now_ns)
{
	struct flow *flow = flow_at(index, way);
	u64 id;

	if (!flow)
		return;
	/* First what is atomic: it would wait for the stores below, which miss the cache. */
	COUNT(opened);
	id = flow_number();
	flow->key = datagram->key;
	flow_begin(flow, id, datagram, facts, now_ns);
	set->stamps[flow_index(way)] = flow_stamp(now_ns);
	STORE_AFTER(set->tags[flow_index(way)], (u16)tag);
	STORE_AFTER(set->ending, 0);
	if (facts->LAST_FLOW)
		facts->HAS_OTHERS = true;
	facts->LAST_FLOW = index * FLOW_WAYS + way + 1;
}

/*
 * Adds the datagram to its flow in a set that is locked by what we have interrupted: its owner does
 * nothing until we are done, and what it may be in the middle of is adding, too.
 */
static __always_inline void flow_add_nested(const struct flow_set *set, u32 index, u32 tag,
					    const struct datagram *datagram, u64 now_ns)
{
	u32 way = set->ending ? FLOW_WAYS : flow_find(set, index, tag, &datagram->key);
	struct flow *flow = way < FLOW_WAYS ? flow_at(index, way) : NULL;

	if (flow)
		flow_add(flow, datagram, now_ns);
	else
		flow_overflow(datagram);
}

/* Where the neighbour had to end one that lives, the set need not ask it for a while. */
static __always_inline void flow_note_full(u32 index, u32 tag, u64 now_ns)
{
	u32 home = flow_home(tag);
	struct flow_set *set = bpf_map_lookup_elem(&flow_sets, &home);

	if (set && home != index)
		set->displaced = flow_full_mark(now_ns);
}

/* Adds the datagram to its flow in this set; false if the set has not got it, nor room for it. */
static __always_inline bool flow_update_in(void *ctx, u32 index, u32 tag, bool evict,
					   const struct datagram *datagram, struct facts *facts,
					   u64 now_ns)
{
	struct flow_set *set = bpf_map_lookup_elem(&flow_sets, &index);
	bool done = true;
	long error;
	u32 way;

	if (!set)
		return false;
	error = flow_set_lock(set, FLOW_LOCK_TRIES);
	if (error) {
		if (error == -EDEADLK)
			flow_add_nested(set, index, tag, datagram, now_ns);
		else
			flow_overflow(datagram);
		return true;
	}
	way = flow_forget(set, flow_find(set, index, tag, &datagram->key));
	if (way < FLOW_WAYS) {
		flow_touch(ctx, set, index, way, datagram, facts, now_ns);
		goto release;
	}
	way = flow_forget(set, flow_free_way(set));
	if (way >= FLOW_WAYS && (evict || set->displaced == flow_full_mark(now_ns))) {
		struct flow *flow;

		way = flow_forget(set, flow_oldest_way(set, flow_stamp(now_ns)));
		flow = flow_at(index, way);
		if (flow && flow_is_idle(flow, now_ns)) {
			flow_set_end(ctx, set, flow, RECORD_END_IDLE);
		} else if (flow) {
			flow_set_end(ctx, set, flow, RECORD_END_EVICTED);
			COUNT(evicted);
			flow_note_full(index, tag, now_ns);
		}
	}
	if (way < FLOW_WAYS)
		flow_put(set, index, way, tag, datagram, facts, now_ns);
	else
		done = false;
	if (!done)
		set->displaced = 1;
release:
	lock_release(&set->busy);
	return done;
}

/* Whether a set has it, at this moment: the set is not locked. */
static __always_inline bool flow_is_in(u32 index, u32 tag, const struct flow_key *key)
{
	const struct flow_set *set = bpf_map_lookup_elem(&flow_sets, &index);

	return set && flow_find(set, index, tag, key) < FLOW_WAYS;
}

/* Whether the neighbour has it, who is looked at only where the set's own flows were sent there. */
static __always_inline bool flow_is_displaced(u32 index, u32 tag, const struct flow_key *key)
{
	const struct flow_set *set = bpf_map_lookup_elem(&flow_sets, &index);

	return set && set->displaced && flow_find(set, index, tag, key) == FLOW_WAYS &&
	       flow_is_in(flow_neighbour(index, tag), tag, key);
}

/* Most sockets speak with one peer: adds the datagram to the socket's last flow if it is of that. */
static __always_inline bool flow_update_last(void *ctx, const struct datagram *datagram,
					     struct facts *facts, u64 now_ns)
{
	u32 place = facts->LAST_FLOW - 1, index = place / FLOW_WAYS, way = place % FLOW_WAYS;
	struct flow_set *set = bpf_map_lookup_elem(&flow_sets, &index);
	struct flow *flow = flow_at(index, way);
	bool done;

	/* What cannot be locked is for the way round to deal with. */
	if (!set || !flow || !flow_has_key(flow, &datagram->key) ||
	    flow_set_lock(set, FLOW_LOCK_TRIES))
		return false;
	done = set->tags[flow_index(way)] && flow_has_key(flow, &datagram->key);
	if (done)
		flow_touch(ctx, set, index, way, datagram, facts, now_ns);
	lock_release(&set->busy);
	return done;
}

static __always_inline void flow_update(void *ctx, struct datagram *datagram, struct facts *facts)
{
	u64 now_ns = bpf_ktime_get_ns();
	u32 tag, index;

	if (!facts) {
		COUNT(storage_failed);
		flow_overflow(datagram);
		return;
	}
	datagram->key.socket = facts->id;
	if (flow_update_last(ctx, datagram, facts, now_ns))
		return;
	tag = flow_tag(&datagram->key);
	index = flow_first(facts);
	if ((!facts->LAST_FLOW || flow_is_in(index, tag, &datagram->key)) &&
	    flow_update_in(ctx, index, tag, false, datagram, facts, now_ns))
		return;
	index = flow_home(tag);
	if (!flow_is_displaced(index, tag, &datagram->key) &&
	    flow_update_in(ctx, index, tag, false, datagram, facts, now_ns))
		return;
	flow_update_in(ctx, flow_neighbour(index, tag), tag, true, datagram, facts, now_ns);
}

/* Ends the flow of this place if it is the socket's. */
static __always_inline void flow_end_at(void *ctx, u32 place, struct facts *facts, bool by_process)
{
	u32 index = place / FLOW_WAYS, way = place % FLOW_WAYS;
	struct flow_set *set = bpf_map_lookup_elem(&flow_sets, &index);
	struct flow *flow = flow_at(index, way);

	if (!set || !flow)
		return;
	if (flow_set_lock(set, FLOW_LOCK_TRIES)) {
		COUNT(orphaned);
		return;
	}
	if (set->tags[flow_index(way)] && flow->key.socket == facts->id) {
		if (flow->pid_source == RECORD_PID_NONE && by_process) {
			process_of_current(&flow->process);
			flow->pid_source = RECORD_PID_CLOSE;
		}
		flow_set_end(ctx, set, flow, RECORD_END_RELEASED);
		flow->key.socket = 0;
		STORE_AFTER(set->tags[flow_index(way)], 0);
		STORE_AFTER(set->ending, 0);
	}
	lock_release(&set->busy);
}

/* Its last flow ends at once, and is nearly always the only one; the sweep finds the others. */
static __always_inline void flow_release(void *ctx, u64 socket, bool by_process)
{
	struct facts *facts = udp_facts_get(socket);

	if (!facts)
		return;
	if (facts->LAST_FLOW)
		flow_end_at(ctx, facts->LAST_FLOW - 1, facts, by_process);
	if (facts->HAS_OTHERS)
		COUNT(orphaned);
	facts_drop((const struct sock *)socket);
}

#endif

#endif
