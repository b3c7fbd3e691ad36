/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Iterators over the flows, which put a record for each onto the stage: of those that were silent for
 * their time, or whose socket is gone, the last one. And the one that finds the owners of UDP sockets at
 * start. Included by udp.bpf.c.
 */
#ifndef SOCKWARDEN_BPF_FLOW_LIST_H
#define SOCKWARDEN_BPF_FLOW_LIST_H

#include "bpf/flow_table.h"
#include "bpf/stage.h"
#include "bpf/walk.h"

/* session_id of the pass that has the stage. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} flow_pass SEC(".maps");

static __always_inline struct snapshot_stage *flow_stage(u64 session_id, u32 records)
{
	u32 zero = 0;
	u64 *owner = bpf_map_lookup_elem(&flow_pass, &zero);

	return owner ? stage_take(owner, session_id, records) : NULL;
}

/* Why a flow is over, or RECORD_END_NONE. The socket is known by the key of its facts. */
static __always_inline u32 flow_end(const struct flow *flow, u64 now_ns)
{
	const struct facts *facts = udp_facts_get(flow->socket);

	if (!facts || facts->id != flow->key.socket)
		return RECORD_END_RELEASED;
	return flow_is_idle(flow, now_ns) ? RECORD_END_IDLE : RECORD_END_NONE;
}

/* Writes a flow that ended so, or lives, to the stage's next place, which is taken when count says so. */
static __always_inline struct conn_record *
flow_stage_put(struct snapshot_stage *place, const struct flow *flow, u32 end, u64 now_ns)
{
	struct conn_record *record = &place->records[place->count % RECORD_STAGE_CAPACITY];

	record->kind = end == RECORD_END_NONE ? RECORD_KIND_SNAPSHOT : RECORD_KIND_CLOSE;
	flow_record(record, flow, end, end == RECORD_END_IDLE ? flow->last_ns : now_ns);
	return record;
}

#ifdef CONN_OLD_KERNEL

/*
 * Without a lock a datagram may be added to a flow while it is being ended; its bytes are lost then, which
 * takes one that comes within some ten ns of the end of its flow's long silence.
 */
static __always_inline int flow_walk_one(u64 session_id, const struct flow_key *found,
					 const struct flow *flow, bool only_ends, bool *is_gone)
{
	struct snapshot_stage *place = flow_stage(session_id, 1);
	u64 now_ns = bpf_ktime_get_ns();
	u32 end;

	*is_gone = false;
	if (!place || !found || !flow)
		return iterator_result(!place);
	end = flow_end(flow, now_ns);
	*is_gone = end != RECORD_END_NONE;
	if (*is_gone) {
		struct flow_key key = *found;

		flow_stage_put(place, flow, end, now_ns);
		/* Who takes it out tells it: its socket's release may have done so just now. */
		place->count += !bpf_map_delete_elem(&flow_sets, &key);
	} else if (!only_ends) {
		flow_stage_put(place, flow, end, now_ns);
		place->count++;
	}
	return 0;
}

static __always_inline int flows_walk(struct bpf_iter__bpf_map_elem *ctx, bool only_ends)
{
	bool is_gone;

	return flow_walk_one(ctx->meta->session_id, ctx->key, ctx->value, only_ends, &is_gone);
}

static long walk_flow(void *map, const struct flow_key *key, struct flow *flow,
		      struct walk_run *run)
{
	bool is_gone;

	if (run->seen++ < run->at)
		return 0;
	if (flow_walk_one(run->session_id, key, flow, run->only_ends, &is_gone)) {
		run->is_full = 1;
		return 1;
	}
	run->at += !is_gone;
	run->seen -= is_gone;
	return 0;
}

SEC("iter/task")
int list_flows_by_task(struct bpf_iter__task *ctx)
{
	const u64 session_id = ctx->meta->session_id;

	flow_stage(session_id, 0);
	return walk_hash(WALK_FLOWS, session_id, &flow_sets, walk_flow, false);
}

SEC("iter/task")
int sweep_flows_by_task(struct bpf_iter__task *ctx)
{
	const u64 session_id = ctx->meta->session_id;

	flow_stage(session_id, 0);
	return walk_hash(WALK_ENDED_FLOWS, session_id, &flow_sets, walk_flow, true);
}

#else

/*
 * A flow that lives is read without the lock, which others would wait for if this CPU stood still meanwhile
 * (interrupts; a hypervisor): it counts if nobody began to end it or has made another one of it.
 */
static __always_inline void flow_walk_living(struct snapshot_stage *place,
					     const struct flow_set *set, const struct flow *flow,
					     u32 way, u64 now_ns)
{
	const u64 id = *(volatile const u64 *)&flow->id;
	const struct conn_record *record;

	LOADS_IN_ORDER();
	if (*(volatile const u16 *)&set->ending || !*(volatile const u16 *)&set->tags[way])
		return;
	LOADS_IN_ORDER();
	record = flow_stage_put(place, flow, RECORD_END_NONE, now_ns);
	LOADS_IN_ORDER();
	if (*(volatile const u16 *)&set->ending || !*(volatile const u16 *)&set->tags[way])
		return;
	LOADS_IN_ORDER();
	place->count += *(volatile const u64 *)&flow->id == id && record->id == id;
}

/* Ends a flow that is over; who cannot have the lock finds it in the next pass. */
static __always_inline void flow_walk_over(struct snapshot_stage *place, struct flow_set *set,
					   struct flow *flow, u32 way, u64 now_ns)
{
	u32 end;

	if (flow_set_lock(set, FLOW_WALK_TRIES))
		return;
	end = set->tags[way] ? flow_end(flow, now_ns) : RECORD_END_NONE;
	if (end != RECORD_END_NONE) {
		STORE_AFTER(set->ending, 1);
		flow_stage_put(place, flow, end, now_ns);
		place->count++;
		flow->key.socket = 0;
		STORE_AFTER(set->tags[way], 0);
		STORE_AFTER(set->ending, 0);
	}
	lock_release(&set->busy);
}

static __always_inline void flow_walk_way(struct snapshot_stage *place, struct flow_set *set,
					  u32 index, u32 way, bool only_ends)
{
	struct flow *flow;
	u64 now_ns;

	if (!set->tags[way])
		return;
	flow = flow_at(index, way);
	now_ns = bpf_ktime_get_ns();
	if (!flow)
		return;
	if (flow_end(flow, now_ns) != RECORD_END_NONE)
		flow_walk_over(place, set, flow, way, now_ns);
	else if (!only_ends)
		flow_walk_living(place, set, flow, way, now_ns);
}

/* A set; 1 if there is no room. */
static __always_inline int flow_walk_set(u64 session_id, u32 index, bool only_ends)
{
	struct snapshot_stage *place = flow_stage(session_id, FLOW_WAYS);
	struct flow_set *set;

	if (!place)
		return iterator_result(1);
	set = bpf_map_lookup_elem(&flow_sets, &index);
	if (!set)
		return 0;
	for (u32 way = 0; way < FLOW_WAYS; way++)
		flow_walk_way(place, set, index, way, only_ends);
	return 0;
}

static __always_inline int flows_walk(struct bpf_iter__bpf_map_elem *ctx, bool only_ends)
{
	const u32 *found = ctx->key;

	return found ? flow_walk_set(ctx->meta->session_id, *found, only_ends) : 0;
}

static long walk_flow_set(u32 step, void *context)
{
	struct walk_run *run = context;
	u32 index = run->at;

	if (index >= FLOW_SETS || flow_walk_set(run->session_id, index, run->only_ends))
		return 1;
	run->at++;
	return 0;
}

SEC("iter/task")
int list_flows_by_task(struct bpf_iter__task *ctx)
{
	return walk_array(WALK_FLOWS, ctx->meta->session_id, walk_flow_set, FLOW_SETS, false);
}

SEC("iter/task")
int sweep_flows_by_task(struct bpf_iter__task *ctx)
{
	return walk_array(WALK_ENDED_FLOWS, ctx->meta->session_id, walk_flow_set, FLOW_SETS, true);
}

#endif

SEC("iter/bpf_map_elem")
int list_flows(struct bpf_iter__bpf_map_elem *ctx)
{
	return flows_walk(ctx, false);
}

SEC("iter/bpf_map_elem")
int sweep_flows(struct bpf_iter__bpf_map_elem *ctx)
{
	return flows_walk(ctx, true);
}

/* Whose the UDP sockets are that exist already. */
SEC("iter/task_file")
int seed_udp(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct facts *facts;
	struct sock *sk;
	u64 key;

	if (!task || !file)
		return 0;
	socket = file_socket(file);
	if (!socket)
		return 0;
	sk = READ(socket, sk);
	if (!sk || READ(sk, sk_protocol) != IPPROTO_UDP || READ(sk, sk_type) != SOCK_DGRAM)
		return 0;
#ifdef CONN_OLD_KERNEL
	/* A cookie cannot be asked for here; it is there if somebody else has. */
	key = sockets_by_address ? (u64)sk : READ(sk, __sk_common.skc_cookie.counter);
#else
	key = sockets_by_address ? (u64)sk : bpf_get_socket_cookie(sk);
#endif
	facts = key ? udp_facts_make(key) : NULL;
	if (!facts || facts->pid_source != RECORD_PID_NONE)
		return 0;
	process_of(&facts->process, task);
	facts->pid_source = RECORD_PID_SEED;
	return 0;
}

#endif
