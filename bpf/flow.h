/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * UDP flows: what one socket exchanges with one peer. A flow begins with its first datagram, ends when
 * its socket is released or when it was silent for its time, and makes one record like any
 * connection's (bpf/batch.h).
 *
 * What all flows of a socket share are the socket's facts (bpf/fact_table.h, phase FACTS_UDP), found
 * by the socket's cookie or, where a hook cannot ask for that, its address. Flows themselves are
 * kept in a table of sets in plain arrays: a set is one cache line of tags, and its lock. A flow that
 * finds its set full goes to the set's neighbour; when that is full too, that one's flow that was
 * silent for the longest time is ended to make room, and for a while the set's own. Before 5.12, without exchanging atomics,
 * flows are in a hash, and what finds it full is counted in the overflow.
 */
#ifndef SOCKWARDEN_BPF_FLOW_H
#define SOCKWARDEN_BPF_FLOW_H

#include "bpf/batch.h"
#include "bpf/fact_table.h"
#include "bpf/process.h"

struct flow_key {
	u64 socket; /* facts.id of the socket that has it, never 0 */
	u64 local[2];
	u64 remote[2]; /* as in records: IPv4 is the first four bytes */
	u16 local_port;
	u16 remote_port;
	u32 family; /* enum record_family */
};

/* Three cache lines: what finds it, what each datagram writes, what does not change. */
struct flow {
	struct flow_key key;
	u64 socket; /* the key of its facts: cookie or address */
	u64 id;

	u64 opened_ns;
	u64 last_ns; /* of the last datagram */
	u64 sent_bytes;
	u64 recv_bytes;
	u32 sent_packets;
	u32 recv_packets;
	u8 pid_source;
	u8 direction; /* of the first datagram: enum record_direction */
	u8 last;      /* of the last one */
	u8 turns;     /* times that the other side spoke, the first time included; 3: assured */
	u32 netns;
	u64 unused[2];

	struct process process;
	u64 padding[3];
};

#define FLOW_TURNS_ASSURED 3

/*
 * The facts of a UDP socket. Some have another meaning there: a UDP socket shakes no hands, and is
 * not opened but used.
 */
#define LAST_FLOW handshake_us /* the place of its last flow, and one */
#define HAS_OTHERS fin_sent    /* it may have other flows than that */
#define SOCKET_NETNS opened_ns /* inode of its network namespace; 0: not looked up yet */

/* Sockets are known by address, not by cookie: set by the loader where a hook cannot ask for that. */
const volatile bool sockets_by_address SEC(".rodata.sockets") = false;

_Static_assert(sizeof(struct flow_key) == 48, "struct flow_key");
_Static_assert(sizeof(struct flow) == 192, "struct flow");

/* One message that was handed to IP, or to a reader. */
struct datagram {
	struct flow_key key; /* socket is filled in by flow_update() */
	u64 socket;	     /* its facts' key: cookie or address */
	u64 bytes;	     /* payload */
	u32 packets;	     /* more than one where segmentation is offloaded */
	u8 direction;
	bool by_process; /* the running task sends or reads it */
};

/* Written by the worker through its mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct udp_settings);
} udp_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} next_flow SEC(".maps");

/* A number that no flow and no socket had before: bit 63, ten bits of CPU, a count. */
static __always_inline u64 flow_number(void)
{
	u64 cpu = bpf_get_smp_processor_id() & (RECORD_CPUS_MAX - 1), number = 0;
	u32 zero = 0;
	u64 *next = bpf_map_lookup_elem(&next_flow, &zero);

	if (next) {
#ifdef CONN_OLD_KERNEL
		number = ++*next;
#else
		number = __sync_fetch_and_add(next, 1) + 1;
#endif
	}
	return 1ULL << 63 | cpu << 53 | number;
}

static __always_inline bool flow_is_assured(const struct flow *flow)
{
	return flow->turns >= FLOW_TURNS_ASSURED;
}

static __always_inline bool flow_is_idle(const struct flow *flow, u64 now_ns)
{
	u32 zero = 0;
	const struct udp_settings *settings = bpf_map_lookup_elem(&udp_settings, &zero);
	u64 timeout_ns;

	if (!settings)
		return false;
	timeout_ns = flow_is_assured(flow) ? settings->stream_timeout_ns : settings->timeout_ns;
	if (timeout_ns < RECORD_UDP_TIMEOUT_MIN_NS)
		timeout_ns = RECORD_UDP_TIMEOUT_MIN_NS;
	if (timeout_ns > RECORD_UDP_TIMEOUT_MAX_NS)
		timeout_ns = RECORD_UDP_TIMEOUT_MAX_NS;
	return now_ns > flow->last_ns && now_ns - flow->last_ns >= timeout_ns;
}

/* Writes a flow's record, all but its kind. */
static __noinline int flow_record(struct conn_record *record, const struct flow *flow, u32 end,
				  u64 at_ns)
{
	u64 *local = (u64 *)record->local_ip, *remote = (u64 *)record->remote_ip;

	if (!record || !flow)
		return 0;
	record->version = RECORD_VERSION;
	record->family = flow->key.family;
	record->direction = flow->direction;
	record->pid_source = flow->pid_source;
	record->tcp_state = 0;
	record->flags = flow_is_assured(flow) ? RECORD_ASSURED : 0;
	record->protocol = IPPROTO_UDP;
	record->id = flow->id;
	record->opened_ns = flow->opened_ns;
	record->at_ns = at_ns;
	record->sent_bytes = flow->sent_bytes;
	record->recv_bytes = flow->recv_bytes;
	record->cgroup_id = flow->process.cgroup_id;
	record->start_ns = flow->process.start_ns;
	record->sent_packets = flow->sent_packets;
	record->recv_packets = flow->recv_packets;
	record->retransmits = 0;
	record->srtt_us = 0;
	record->rttvar_us = 0;
	record->handshake_us = 0;
	record->pid = flow->process.pid;
	record->uid = flow->process.uid;
	record->netns = flow->netns;
	record->local_port = flow->key.local_port;
	record->remote_port = flow->key.remote_port;
	record->error = 0;
	record->end = end;
	record->pad0 = 0;
	record->pad1 = 0;
	local[0] = flow->key.local[0];
	local[1] = flow->key.local[1];
	remote[0] = flow->key.remote[0];
	remote[1] = flow->key.remote[1];
	__builtin_memcpy(record->comm, flow->process.comm, sizeof(record->comm));
	return 0;
}

/* When a flow that ended so is said to have ended. */
static __always_inline u64 flow_end_ns(const struct flow *flow, u32 end)
{
	return end == RECORD_END_RELEASED ? bpf_ktime_get_ns() : flow->last_ns;
}

static __always_inline void flow_emit_lone(void *ctx, const struct flow *flow, u32 end)
{
	struct conn_lone lone = {
		.kind = RECORD_KIND_LONE,
		.version = RECORD_VERSION,
		.cpu = bpf_get_smp_processor_id(),
	};

	lone.record.kind = RECORD_KIND_CLOSE;
	flow_record(&lone.record, flow, end, flow_end_ns(flow, end));
	COUNT(lone);
	if (bpf_perf_event_output(ctx, &rings, BPF_F_CURRENT_CPU, &lone, sizeof(lone))) {
		COUNT(output_errors);
		COUNT(ring_full);
	}
}

/* Puts the close record of a flow into this CPU's batch. */
static __noinline int flow_emit(void *ctx, const struct flow *flow, u32 end)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct conn_batch *batch = bpf_map_lookup_elem(&batches, &cpu);
	u32 len;

	if (!batch || !flow) {
		COUNT(ring_full);
		return 0;
	}
	if (!lock_try(&batch->busy)) {
		flow_emit_lone(ctx, flow, end);
		return 0;
	}
	if (batch->len >= RECORD_BATCH_CAPACITY && !batch_send(ctx, batch)) {
		COUNT(ring_full);
		goto release;
	}
	len = batch->len;
	if (len >= RECORD_BATCH_CAPACITY)
		goto release;
	batch->records[len].kind = RECORD_KIND_CLOSE;
	flow_record(&batch->records[len], flow, end, flow_end_ns(flow, end));
	STORE_AFTER(batch->len, len + 1);
	if (len + 1 == RECORD_BATCH_CAPACITY)
		batch_send(ctx, batch);
release:
	lock_release(&batch->busy);
	return 0;
}

/* The running task's process, from the socket's facts where it is the same. */
static __always_inline void flow_take_process(struct flow *flow, struct facts *facts)
{
	u32 pid = current_pid();

	if (facts->pid_source == RECORD_PID_NONE || facts->process.pid != pid) {
		process_of_current(&facts->process);
		facts->pid_source = RECORD_PID_TRAFFIC;
	}
	flow->process = facts->process;
	flow->pid_source = RECORD_PID_TRAFFIC;
}

/* A flow begins with its first datagram. Who finds a place for it counts it as opened. */
static __always_inline void flow_begin(struct flow *flow, u64 id, const struct datagram *datagram,
				       struct facts *facts, u64 now_ns)
{
	bool is_sent = datagram->direction == RECORD_DIRECTION_OUTGOING;

	flow->socket = datagram->socket;
	flow->id = id;
	flow->opened_ns = now_ns;
	flow->last_ns = now_ns;
	flow->sent_bytes = is_sent ? datagram->bytes : 0;
	flow->recv_bytes = is_sent ? 0 : datagram->bytes;
	flow->sent_packets = is_sent ? datagram->packets : 0;
	flow->recv_packets = is_sent ? 0 : datagram->packets;
	flow->netns = facts->SOCKET_NETNS;
	flow->direction = datagram->direction;
	flow->last = datagram->direction;
	flow->turns = 1;
	flow->pid_source = facts->pid_source;
	flow->process = facts->process;
	if (datagram->by_process)
		flow_take_process(flow, facts);
}

/* Adds a datagram to a flow that is locked, or on old kernels cannot be. */
static __always_inline void flow_add(struct flow *flow, const struct datagram *datagram, u64 now_ns)
{
	if (datagram->direction == RECORD_DIRECTION_OUTGOING) {
		__sync_fetch_and_add(&flow->sent_bytes, datagram->bytes);
		__sync_fetch_and_add(&flow->sent_packets, datagram->packets);
	} else {
		__sync_fetch_and_add(&flow->recv_bytes, datagram->bytes);
		__sync_fetch_and_add(&flow->recv_packets, datagram->packets);
	}
	if (flow->last != datagram->direction) {
		flow->last = datagram->direction;
		flow->turns += flow->turns < FLOW_TURNS_ASSURED;
	}
	flow->last_ns = now_ns > flow->opened_ns ? now_ns : flow->opened_ns;
}

/* What can be given to no flow. */
static __always_inline void flow_overflow(const struct datagram *datagram)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct conn_counters *sum = bpf_map_lookup_elem(&counters, &cpu);

	if (!sum)
		return;
	if (datagram->direction == RECORD_DIRECTION_OUTGOING) {
		__sync_fetch_and_add(&sum->overflow_sent_bytes, datagram->bytes);
		__sync_fetch_and_add(&sum->overflow_sent_packets, datagram->packets);
	} else {
		__sync_fetch_and_add(&sum->overflow_recv_bytes, datagram->bytes);
		__sync_fetch_and_add(&sum->overflow_recv_packets, datagram->packets);
	}
}

static __always_inline struct facts *udp_facts_get(u64 socket)
{
	struct facts *facts = facts_get((const struct sock *)socket);

	return facts && facts->phase == FACTS_UDP ? facts : NULL;
}

/*
 * Two threads may use a new socket at the same moment, so both must come to the same number: that is
 * the cookie, or of an address what the first one has put there.
 */
static __always_inline struct facts *udp_facts_make(u64 socket)
{
	struct facts *facts = facts_make((const struct sock *)socket);

	if (!facts || facts->phase == FACTS_UDP)
		return facts;
	/* Left behind by a TCP socket that had this address. */
	if (facts->phase != FACTS_NEW)
		__builtin_memset(facts, 0, sizeof(*facts));
#ifdef CONN_OLD_KERNEL
	facts->id = flow_number();
#else
	if (sockets_by_address)
		__sync_val_compare_and_swap(&facts->id, 0, flow_number());
	else
		facts->id = socket;
#endif
	facts->phase = FACTS_UDP;
	return facts;
}

#endif
