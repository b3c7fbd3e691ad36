/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections that are older than the tracer, found once, at start:
 *
 *   seed_files     sockets of running processes
 *   seed_orphans   connections that no process holds
 *
 * Included by conn.bpf.c.
 */
#ifndef SOCKWARDEN_BPF_SEED_H
#define SOCKWARDEN_BPF_SEED_H

#include "bpf/fact_table.h"
#include "bpf/process.h"

#ifndef CONN_OLD_KERNEL
#undef READ
#define READ(pointer, field) ((pointer)->field)
#endif

/* Begins the facts of a socket that is older than the tracer. */
static __always_inline struct facts *seed(const struct sock *sk)
{
	u8 state = READ(sk, __sk_common.skc_state);
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
	if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)
		direction = direction_by_syn(tp);
	facts_open(facts, direction);
	facts->preexisting = true;
	facts->established = state != TCP_SYN_SENT && state != TCP_SYN_RECV;
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
	socket = file_socket(file);
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

#endif
