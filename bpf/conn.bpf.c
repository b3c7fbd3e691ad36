/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP connections, seen at their changes of state and nowhere else: nothing here runs when data
 * is sent or received, and nothing reads payload or a process' memory.
 *
 *   state_change   tp_btf/inet_sock_set_state   who opens, when it is established, the end
 *   destroy        tp_btf/tcp_destroy_sock      the second chance for an end that was missed
 *   accept_*       fexit or kretprobe           who accepts (where the kernel allows)
 *   snapshot       iterator                     all live connections of all namespaces
 *   seed_files     iterator                     at start: sockets of running processes
 *   seed_orphans   iterator                     at start: connections that no process holds
 *   list_cgroups   iterator                     paths of the control groups that were met
 *
 * Compiled twice: for kernels from 5.12 on and, with CONN_OLD_KERNEL, for those before (facts.h).
 */
#include "bpf/batch.h"
#include "bpf/facts.h"
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
static __always_inline void facts_open(struct facts *facts, u8 direction, u8 flags)
{
	/*
	 * A socket that is not new or cloned from a listener carried a connection before, whose
	 * end may have been missed.
	 */
	if (facts->phase == FACTS_REPORTED || facts->phase == FACTS_OPEN)
		facts->reused++;
	facts->opened_ns = 0;
	facts->direction = direction;
	facts->flags = flags;
	facts->handshake_us = 0;
	facts->fin_sent = 0;
	facts->phase = FACTS_OPEN;
	COUNT(opened);
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

	COUNT(closed);
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
	facts_open(facts, RECORD_DIRECTION_OUTGOING, 0);
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
	facts->phase = FACTS_LISTENER;
	facts->pid_source = RECORD_PID_LISTENER;
	process_of_current(&facts->process);
	facts_offer(sk, facts);
}

/* Begins the facts of an accepted connection, over what was cloned from its listener. */
static __always_inline void child_open(struct facts *facts, const struct sock *sk)
{
	facts_inherit(sk, facts);
	facts->reused = 0;
	facts->phase = FACTS_NEW;
	facts_open(facts, RECORD_DIRECTION_INCOMING, 0);
	facts->id = 0; /* facts_identify() */
}

static __always_inline void facts_identify(struct facts *facts, const struct sock *sk)
{
	if (!facts->id)
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
	if (!facts && oldstate == TCP_SYN_RECV) { /* its listener had none */
		facts = facts_make(sk);
		if (!facts)
			COUNT(storage_failed);
	}
	if (!facts)
		return;
	/*
	 * A listener's handshake made this socket (in softirq: the running task has no part in it).
	 * It counts from here on: at SYN_RECV its cookie may still be the listener's, and of two that
	 * raced for one handshake the loser is thrown away without another word.
	 */
	if (oldstate == TCP_SYN_RECV && facts->phase != FACTS_OPEN)
		child_open(facts, sk);
	if (facts->phase != FACTS_OPEN)
		return;
	facts_identify(facts, sk);
	facts->flags |= RECORD_ESTABLISHED;
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
	struct facts *facts = facts_get(sk);

	if (!facts) {
		const struct tcp_sock *tp = sock_tcp(sk);

		/* The run that would have begun them was skipped. The FIN is not written yet. */
		facts = tp ? facts_make(sk) : NULL;
		if (!facts)
			return;
		facts_open(facts, direction_by_syn(tp), RECORD_ESTABLISHED);
	}
	if (facts->phase != FACTS_OPEN)
		return;
	facts->fin_sent = 1;
	facts_adopt_closer(facts, sk);
}

static __always_inline void on_close(void *ctx, const struct sock *sk, int oldstate)
{
	struct facts *facts = facts_get(sk);
	u8 flags = sock_is_owned(sk) ? RECORD_CLOSED_LOCALLY : 0;

	/* A handshake that did not end, so that nobody could accept it. */
	if (oldstate == TCP_SYN_RECV && (!facts || facts->phase == FACTS_LISTENER))
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
		/* Cloned from a listener, and every run until this one was skipped. */
		if (facts->phase == FACTS_LISTENER) {
			child_open(facts, sk);
			facts->flags |= RECORD_ESTABLISHED;
		}
		if (facts->phase != FACTS_OPEN)
			return;
		facts_identify(facts, sk);
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
	struct facts *facts = facts_get(sk);

	if (!facts)
		return 0;
	if (facts->phase == FACTS_OPEN) {
		facts->phase = FACTS_REPORTED;
		facts_identify(facts, sk);
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
	if (!facts || facts->phase != FACTS_OPEN)
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

/* The hash's iterator gives addresses: everything behind them is read by copying. */
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
 * Puts a connection on the stage. What is written to the iterator itself leaves in pieces of
 * 32 KiB, and behind each piece the kernel walks a whole bucket again to find its place: with some
 * ten thousand sockets and few buckets (there are as many as CPUs) that is most of the time.
 * Returning 1 makes read() give EAGAIN and come back to the same socket.
 */
static __always_inline int snapshot_one(u64 pass, struct sock *sk, struct facts *facts)
{
	struct snapshot_stage *place;
	struct conn_record *record;
	struct facts copy;
	u64 *last_pass;
	u32 zero = 0;

	place = bpf_map_lookup_elem(&stage, &zero);
	last_pass = bpf_map_lookup_elem(&stage_pass, &zero);
	if (!place || !last_pass)
		return 0;
	/* A new pass, or the reader has come back for more. */
	if (*last_pass != pass || place->handed_out) {
		*last_pass = pass;
		place->count = 0;
		place->handed_out = 0;
	}
	/* A connection without a number is still in its handshake. */
	if (!sk || !facts || facts->phase != FACTS_OPEN || !facts->id)
		return 0;
	if (place->count >= RECORD_STAGE_CAPACITY) {
		place->handed_out = 1;
		return 1;
	}
	__builtin_memcpy(&copy, facts, sizeof(copy));
	facts_adopt_accepted(&copy, sk);
	record = &place->records[place->count % RECORD_STAGE_CAPACITY];
	record->kind = RECORD_KIND_SNAPSHOT;
	record->at_ns = bpf_ktime_get_ns();
	record_fill_by_address(record, (const struct tcp_sock *)sk, &copy,
			       READ(sk, __sk_common.skc_state), 0);
	place->count += sock_is_same(sk, &copy);
	return 0;
}

/* The verifier must see that it is 0 or 1, wherever the compiler kept it. */
static __always_inline int iterator_result(int result)
{
	barrier_var(result);
	return result ? 1 : 0;
}

SEC("iter/bpf_map_elem")
int snapshot(struct bpf_iter__bpf_map_elem *ctx)
{
	u64 *key = ctx->key;

	return iterator_result(
		snapshot_one(ctx->meta->session_id, key ? (struct sock *)*key : NULL, ctx->value));
}

SEC("iter/bpf_map_elem")
int list_cgroups(struct bpf_iter__bpf_map_elem *ctx)
{
	struct cgroup_record *record = ctx->value;

	if (record)
		bpf_seq_write(ctx->meta->seq, record, sizeof(*record));
	return 0;
}

#ifndef CONN_OLD_KERNEL
#undef READ
#define READ(pointer, field) ((pointer)->field)
#endif

/* Begins the facts of a socket that is older than the tracer. */
static __always_inline struct facts *seed(const struct sock *sk)
{
	u8 state = READ(sk, __sk_common.skc_state), flags = RECORD_PREEXISTING;
	u8 direction = RECORD_DIRECTION_UNKNOWN;
	const struct tcp_sock *tp;
	struct facts *facts;

	if (!sock_is_tcp(sk) || state == TCP_CLOSE || state == TCP_TIME_WAIT ||
	    state == TCP_NEW_SYN_RECV)
		return NULL;
	tp = sock_tcp(sk);
	facts = facts_get(sk);
	if (!tp || facts)
		return facts;
	facts = facts_make(sk);
	if (!facts) {
		COUNT(storage_failed);
		return NULL;
	}
	/* Closed meanwhile, and reported as a connection without facts. */
	if (facts->phase != FACTS_NEW || READ(sk, __sk_common.skc_state) == TCP_CLOSE) {
		facts->phase = FACTS_REPORTED;
		return NULL;
	}
	if (state == TCP_LISTEN) {
		facts->phase = FACTS_LISTENER;
		return facts;
	}
	if (state == TCP_SYN_SENT)
		direction = RECORD_DIRECTION_OUTGOING;
	else
		flags |= RECORD_ESTABLISHED;
	if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)
		direction = direction_by_syn(tp);
	facts_open(facts, direction, flags);
	facts->id = facts_id(sk, facts->reused);
	return facts;
}

SEC("iter/task_file")
int seed_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct facts *facts;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
#ifdef CONN_OLD_KERNEL
	struct inode *inode = READ(file, f_inode);
	struct super_block *super_block = READ(inode, i_sb);

	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK ||
	    READ(super_block, s_magic) != SOCKFS_MAGIC)
		return 0;
	socket = READ(file, private_data);
#else
	socket = bpf_sock_from_file(file);
#endif
	if (!socket)
		return 0;
	sk = READ(socket, sk);
	if (!sk)
		return 0;
	facts = seed(sk);
	if (!facts || facts->pid_source != RECORD_PID_NONE)
		return 0;
	facts->pid_source = RECORD_PID_SEED;
	process_of(&facts->process, task);
	if (facts->phase == FACTS_LISTENER)
		facts_offer(sk, facts);
	return 0;
}

/* Connections of one network namespace that no process has a descriptor of. */
SEC("iter/tcp")
int seed_orphans(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk_common = ctx->sk_common; /* checked and used as one value */
	struct tcp_sock *tp;

	if (!sk_common)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk_common);
	if (tp)
		seed((const struct sock *)tp);
	return 0;
}
