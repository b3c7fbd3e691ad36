/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP connections, seen at their changes of state and nowhere else: nothing here runs when data
 * is sent or received, and nothing reads payload or a process' memory.
 *
 *   state_change   tp_btf/inet_sock_set_state   who opens, when it is established, the end
 *   destroy        tp_btf/tcp_destroy_sock      the second chance for an end that was missed
 *   accept_*       fexit or kretprobe           who accepts (where the kernel allows)
 *   list_cgroups   iterator                     paths of the control groups that were met
 *   ..._by_task    iterators over tasks         the same and snapshots, where those are refused (walk.h)
 *
 * and in bpf/snapshot.h and bpf/seed.h what walks over all connections, at any time and at start.
 *
 * Compiled twice: for kernels from 5.12 on and, with CONN_OLD_KERNEL, for those before (facts.h).
 */
#include "bpf/batch.h"
#include "bpf/fact_table.h"
#define FILL(name) name
#include "bpf/fill.h"
#include "bpf/kernel.h"
#include "bpf/process.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set by the loader where accept() is seen, by fexit or by kretprobe. */
const volatile bool accept_is_hooked SEC(".rodata.accept") = false;

/*
 * Who accepted a socket whose facts could not be written at that moment: a kretprobe cannot know
 * them, and a socket may be accepted while the packet that ends its handshake is still being worked
 * on. The first who needs it takes it over.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64); /* address of the accepted socket */
	__type(value, struct process);
} accepted SEC(".maps");

static __always_inline bool sock_is_tcp(const struct sock *sk)
{
	u16 family = READ(sk, __sk_common.skc_family);

	return READ(sk, sk_protocol) == IPPROTO_TCP && (family == AF_INET || family == AF_INET6);
}

/*
 * Begins a connection's facts at its first sight. The caller fills in its number, its process and
 * its time.
 */
static __always_inline void facts_open(struct facts *facts, u8 direction)
{
	/* The socket carried a connection before, whose end may have been missed. */
	if (facts->phase == FACTS_OPEN)
		COUNT(ends_missed);
	if (facts->phase == FACTS_REPORTED || facts->phase == FACTS_OPEN)
		facts->reused++;
	facts->opened_ns = 0;
	facts->direction = direction;
	facts->established = false;
	facts->preexisting = false;
	facts->handshake_us = 0;
	facts->fin_sent = false;
	facts->phase = FACTS_OPEN;
	COUNT(opened);
}

/* What stands at the address of a new socket is of one that is gone. */
static __always_inline void facts_forget(struct facts *facts)
{
	if (facts->phase == FACTS_OPEN)
		COUNT(ends_missed);
	__builtin_memset(facts, 0, sizeof(*facts));
}

/*
 * The facts of a socket that has ended, or is about to. Where runs were skipped, at its address may
 * stand those of a socket that had it before: then they are forgotten, and new.
 */
static __always_inline struct facts *facts_of(const struct sock *sk)
{
	struct facts *facts = facts_get(sk);

#ifndef CONN_OLD_KERNEL
	if (facts && facts->id &&
	    ((u64)READ(sk, __sk_common.skc_cookie.counter) ^ (u64)facts->reused << 48) != facts->id)
		facts_forget(facts);
#endif
	return facts;
}

/* Takes over what was noted at accept(), if nothing better is known. */
static __always_inline void facts_adopt_accepted(struct facts *facts, const struct sock *sk)
{
	u64 key = (u64)sk;
	struct process *process;

	if (!accept_is_hooked)
		return;
	if (facts->pid_source != RECORD_PID_LISTENER && facts->pid_source != RECORD_PID_NONE)
		return;
	process = bpf_map_lookup_elem(&accepted, &key);
	if (!process)
		return;
	facts->process = *process;
	facts->pid_source = RECORD_PID_ACCEPT;
}

/* Sends a record outside the batch order. */
static __always_inline void emit_lone(void *ctx, const struct tcp_sock *tp,
				      const struct facts *facts, u8 state, u8 flags)
{
	struct conn_lone lone = {
		.kind = RECORD_KIND_LONE,
		.version = RECORD_VERSION,
		.cpu = bpf_get_smp_processor_id(),
	};

	lone.record.kind = RECORD_KIND_CLOSE;
	lone.record.at_ns = closed_ns(tp, state, flags);
	record_fill(&lone.record, tp, facts, state, flags);
	if (!facts)
		lone.record.id = facts_id((const struct sock *)tp, 0);
	COUNT(lone);
	if (bpf_perf_event_output(ctx, &rings, BPF_F_CURRENT_CPU, &lone, sizeof(lone))) {
		COUNT(output_errors);
		COUNT(ring_full);
	}
}

/* Makes the close record of a connection and puts it into this CPU's batch. */
static __always_inline void emit_close(void *ctx, const struct sock *sk, const struct facts *facts,
				       u8 state, u8 flags)
{
	const struct tcp_sock *tp = sock_tcp(sk);
	u32 cpu = bpf_get_smp_processor_id();
	struct conn_batch *batch;
	u32 len;

	if (flags & RECORD_SECOND_CHANCE)
		COUNT(second_chance);
	batch = bpf_map_lookup_elem(&batches, &cpu);
	if (!tp || !batch) {
		COUNT(ring_full);
		return;
	}
	if (!lock_try(&batch->busy)) {
		emit_lone(ctx, tp, facts, state, flags);
		return;
	}
	if (batch->len >= RECORD_BATCH_CAPACITY && !batch_send(ctx, batch)) {
		COUNT(ring_full);
		goto release;
	}
	len = batch->len;
	if (len >= RECORD_BATCH_CAPACITY)
		goto release;
	batch->records[len].kind = RECORD_KIND_CLOSE;
	batch->records[len].at_ns = closed_ns(tp, state, flags);
	record_fill(&batch->records[len], tp, facts, state, flags);
	if (!facts)
		batch->records[len].id = facts_id(sk, 0);
	STORE_AFTER(batch->len, len + 1);
	if (len + 1 == RECORD_BATCH_CAPACITY)
		batch_send(ctx, batch);
release:
	lock_release(&batch->busy);
}

/* connect(): the caller opens a connection. */
static __always_inline void on_connect(const struct sock *sk)
{
	struct facts *facts = facts_make(sk);

	if (!facts) {
		COUNT(storage_failed);
		return;
	}
	facts_open(facts, RECORD_DIRECTION_OUTGOING);
	facts->id = facts_id(sk, facts->reused);
	facts->opened_ns = bpf_ktime_get_ns();
	facts->pid_source = RECORD_PID_CONNECT;
	process_of_current(&facts->process);
}

/* listen(): remembered for the sockets that this one will accept. */
static __always_inline void on_listen(const struct sock *sk)
{
	struct facts *facts = facts_make(sk);

	if (!facts) {
		COUNT(storage_failed);
		return;
	}
	if (facts->phase == FACTS_OPEN)
		facts_forget(facts);
	facts->phase = FACTS_LISTENER;
	facts->pid_source = RECORD_PID_LISTENER;
	process_of_current(&facts->process);
}

/*
 * A listener's handshake makes a socket (in softirq: the running task has no part in it). It is
 * counted when it is established: its cookie may still be the listener's here, and of two that
 * race for one handshake the loser is thrown away without another word.
 */
static __always_inline void on_child(const struct sock *sk)
{
	const struct facts *listener = facts_get(listener_of_clone(sk));
	struct facts *facts = facts_make(sk);

	if (!facts) {
		COUNT(storage_failed);
		return;
	}
	facts_forget(facts);
	facts->phase = FACTS_CHILD;
	if (listener && listener->phase == FACTS_LISTENER &&
	    listener->pid_source != RECORD_PID_NONE) {
		facts->process = listener->process;
		facts->pid_source = RECORD_PID_LISTENER;
	}
}

static __always_inline void child_open(struct facts *facts, const struct sock *sk)
{
	facts_open(facts, RECORD_DIRECTION_INCOMING);
	facts->id = facts_id(sk, facts->reused);
}

/*
 * Established by the packet that is being worked on, at the time that TCP took for it: reading
 * the clock costs more than all the rest here.
 */
static __always_inline void on_established(const struct sock *sk, int oldstate)
{
	struct facts *facts = facts_get(sk);
	const struct tcp_sock *tp;
	u64 now_ns;

	if (!facts && oldstate == TCP_SYN_RECV) { /* the run that makes them was skipped */
		facts = facts_make(sk);
		if (!facts)
			COUNT(storage_failed);
	}
	if (!facts)
		return;
	/* Of another socket, unless both sides' SYNs crossed: nothing is established twice. */
	if (oldstate == TCP_SYN_RECV && facts->phase != FACTS_CHILD &&
	    (facts->phase != FACTS_OPEN || facts->established))
		facts_forget(facts);
	if (oldstate == TCP_SYN_RECV && facts->phase != FACTS_OPEN)
		child_open(facts, sk);
	if (facts->phase != FACTS_OPEN)
		return;
	facts->established = true;
	tp = sock_tcp(sk);
	if (!tp)
		return;
	now_ns = READ(tp, tcp_mstamp) * 1000;
	/* Also when both sides' SYNs crossed (RFC 9293 3.5), by way of SYN_RECV. */
	if (facts->direction == RECORD_DIRECTION_OUTGOING) {
		if (facts->opened_ns && now_ns > facts->opened_ns)
			facts->handshake_us = (now_ns - facts->opened_ns) / 1000;
		return;
	}
	/* The first RTT sample of an accepted connection is that of its SYN-ACK. */
	facts->opened_ns = now_ns;
	facts->handshake_us = READ(tp, srtt_us) >> 3;
}

/* Where nothing better is known, the process that ends the connection stands for it. */
static __always_inline void facts_adopt_closer(struct facts *facts, const struct sock *sk)
{
	if (facts->pid_source != RECORD_PID_LISTENER && facts->pid_source != RECORD_PID_NONE)
		return;
	facts_adopt_accepted(facts, sk);
	if (facts->pid_source == RECORD_PID_ACCEPT) {
		u64 key = (u64)sk;

		bpf_map_delete_elem(&accepted, &key);
		return;
	}
	if (!sock_is_owned(sk))
		return;
	facts->pid_source = RECORD_PID_CLOSE;
	process_of_current(&facts->process);
}

/* The owning process closes or shuts down: a FIN is sent. */
static __always_inline void on_fin_sent(const struct sock *sk)
{
	struct facts *facts = facts_of(sk);

	if (!facts || facts->phase == FACTS_NEW) {
		const struct tcp_sock *tp = sock_tcp(sk);

		/* The run that would have begun them was skipped. The FIN is not written yet. */
		facts = tp ? facts_make(sk) : NULL;
		if (!facts)
			return;
		facts_forget(facts);
		facts_open(facts, direction_by_syn(tp));
		facts->id = facts_id(sk, facts->reused);
		facts->established = true;
	} else if (facts->phase == FACTS_CHILD) { /* data before the handshake ends (RFC 7413) */
		child_open(facts, sk);
	}
	if (facts->phase != FACTS_OPEN)
		return;
	facts->fin_sent = true;
	facts_adopt_closer(facts, sk);
}

static __always_inline void on_close(void *ctx, const struct sock *sk, int oldstate)
{
	struct facts *facts = facts_of(sk);
	u8 flags = sock_is_owned(sk) ? RECORD_CLOSED_LOCALLY : 0;

	/* A handshake that did not end, so that nobody could accept it. */
	if (oldstate == TCP_SYN_RECV && (!facts || facts->phase != FACTS_OPEN))
		return;
	if (!facts || facts->phase == FACTS_NEW) {
		if (facts) /* a seed is about to fill them in */
			facts->phase = FACTS_REPORTED;
		facts = NULL;
		COUNT(opened);
		COUNT(no_facts);
		flags |= RECORD_NO_FACTS;
		if (oldstate != TCP_SYN_SENT && oldstate != TCP_SYN_RECV)
			flags |= RECORD_ESTABLISHED;
	} else {
		/* Every run between its beginning and this one was skipped. */
		if (facts->phase == FACTS_CHILD) {
			child_open(facts, sk);
			facts->established = true;
		}
		if (facts->phase != FACTS_OPEN)
			return;
		facts_adopt_closer(facts, sk);
		facts->phase = FACTS_REPORTED;
	}
	/* A server may send data and FIN before the handshake ends (RFC 7413): no ESTABLISHED then. */
	if (oldstate == TCP_FIN_WAIT2 || oldstate == TCP_CLOSING || oldstate == TCP_LAST_ACK)
		flags |= RECORD_ESTABLISHED;
	emit_close(ctx, sk, facts, oldstate, flags);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_change, const struct sock *sk, int oldstate, int newstate)
{
	if (!sock_is_tcp(sk))
		return 0;
	switch (newstate) {
	case TCP_SYN_SENT:
		on_connect(sk);
		break;
	case TCP_SYN_RECV:
		if (oldstate == TCP_LISTEN)
			on_child(sk);
		break;
	case TCP_LISTEN:
		on_listen(sk);
		break;
	case TCP_ESTABLISHED:
		on_established(sk, oldstate);
		break;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		on_fin_sent(sk);
		break;
	case TCP_CLOSE:
		if (oldstate != TCP_CLOSE && oldstate != TCP_LISTEN)
			on_close(ctx, sk, oldstate);
		break;
	}
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy, struct sock *sk)
{
	struct facts *facts = facts_of(sk);

	if (!facts)
		return 0;
	if (facts->phase == FACTS_OPEN) {
		facts->phase = FACTS_REPORTED;
		emit_close(ctx, sk, facts, READ(sk, __sk_common.skc_state), RECORD_SECOND_CHANCE);
	}
	facts_drop(sk);
	return 0;
}

/* For facts_adopt_accepted(). */
static __always_inline int accept_note(const struct sock *sk)
{
	struct process process = {};
	u64 key = (u64)sk;

	process_of_current(&process);
	bpf_map_update_elem(&accepted, &key, &process, BPF_ANY);
	return 0;
}

static __always_inline int on_accept(const struct sock *sk)
{
	struct facts *facts;

	if (!sk)
		return 0;
	facts = facts_get(sk);
	if (facts && facts->phase == FACTS_REPORTED) /* reset before it was accepted */
		return 0;
	if (!facts || (facts->phase != FACTS_OPEN && facts->phase != FACTS_CHILD))
		return accept_note(sk);
	facts->pid_source = RECORD_PID_ACCEPT;
	process_of_current(&facts->process);
	return 0;
}

/* struct sock *inet_csk_accept(sk, flags, err, kern): before 6.10 */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accept_of_four, struct sock *listener, int flags, int *err, bool kern, struct sock *sk)
{
	return on_accept(sk);
}

/* struct sock *inet_csk_accept(sk, arg): since 6.10 */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accept_of_two, struct sock *listener, void *arg, struct sock *sk)
{
	return on_accept(sk);
}

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(accept_by_return, struct sock *sk)
{
	return sk ? accept_note(sk) : 0;
}

SEC("iter/bpf_map_elem")
int list_cgroups(struct bpf_iter__bpf_map_elem *ctx)
{
	struct cgroup_record *record = ctx->value;

	if (record)
		bpf_seq_write(ctx->meta->seq, record, sizeof(*record));
	return 0;
}

#include "bpf/seed.h"
#include "bpf/snapshot.h"

/* One read() has 32 KiB. */
#define CGROUPS_PER_RUN 64

static long walk_cgroup(void *map, const u64 *id, struct cgroup_record *record,
			struct walk_run *run)
{
	if (run->seen++ < run->at)
		return 0;
	if (run->written == CGROUPS_PER_RUN) {
		run->is_full = 1;
		return 1;
	}
	if (bpf_seq_write(run->seq, record, sizeof(*record))) {
		/* The kernel drops what this run wrote, and comes back to the same task. */
		run->is_full = 1;
		run->written = 0;
		return 1;
	}
	run->written++;
	return 0;
}

/* What is written leaves task by task, so this one goes on with the next task, of which there are enough. */
SEC("iter/task")
int list_cgroups_by_task(struct bpf_iter__task *ctx)
{
	struct walk_run run = {.seq = ctx->meta->seq};
	struct walk *walk = walk_take(WALK_CGROUPS, ctx->meta->session_id);

	if (!walk)
		return 0;
	run.at = walk->at;
	bpf_for_each_map_elem(&cgroups, walk_cgroup, &run, 0);
	walk->at += run.written;
	walk->is_over = !run.is_full;
	return 0;
}
