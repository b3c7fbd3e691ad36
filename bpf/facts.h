/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is remembered of each socket while it lives: who opened it and when. Where it is kept is in
 * bpf/fact_table.h.
 *
 * CONN_OLD_KERNEL is for kernels before 5.12, where tracing programs can neither ask for cookies nor
 * exchange atomically nor get at the running task's or a file's structures with their types. READ()
 * follows a kernel pointer: by bpf_probe_read_kernel() there, directly elsewhere.
 */
#ifndef SOCKWARDEN_BPF_FACTS_H
#define SOCKWARDEN_BPF_FACTS_H

#include "bpf/kernel.h"
#include "proto/record.h"

enum facts_phase {
	FACTS_NEW = 0,	    /* just made */
	FACTS_LISTENER = 1, /* a listening socket: process facts for those that it accepts */
	FACTS_CHILD = 2,    /* made by a listener's handshake that has not ended */
	FACTS_OPEN = 3,	    /* a connection that was counted as opened */
	FACTS_REPORTED = 4, /* its close record was made */
	FACTS_UDP = 5,	    /* a UDP socket (bpf/flow.h) */
};

struct process {
	u64 cgroup_id;
	u64 start_ns; /* CLOCK_BOOTTIME */
	u32 pid;
	u32 uid;
	char comm[RECORD_COMM_BYTES];
};

/* One cache line. */
struct facts {
	u64 id;
	u64 opened_ns;
	struct process process;
	union {
		struct {
			u32 handshake_us;
			u16 reused;	    /* connections that this socket had before */
			u8 pid_source;	    /* enum record_pid_source; NONE: process is zero */
			u8 phase : 3;	    /* enum facts_phase */
			u8 direction : 2;   /* enum record_direction */
			u8 established : 1; /* the handshake was completed */
			u8 preexisting : 1; /* older than the tracer */
			u8 fin_sent : 1;
		};
		u64 word; /* these, to be exchanged at once */
	};
};

_Static_assert(sizeof(struct facts) == 64, "struct facts");

#ifdef CONN_OLD_KERNEL
#define READ(pointer, field) BPF_CORE_READ(pointer, field)
#else
#define READ(pointer, field) ((pointer)->field)
#endif
#define FOLLOW(pointer, field) READ(pointer, field)

#ifdef CONN_OLD_KERNEL

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} next_id SEC(".maps");

/* Socket cookies cannot be asked for here: each CPU counts its own part of the numbers. */
static __always_inline u64 facts_id(const struct sock *sk, u16 reused)
{
	u32 zero = 0;
	u64 *next = bpf_map_lookup_elem(&next_id, &zero);

	if (!next)
		return bpf_ktime_get_ns();
	*next += 1;
	return ((u64)bpf_get_smp_processor_id() + 1) << 48 | *next;
}

static __always_inline struct tcp_sock *sock_tcp(const struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

#else

/* The socket's cookie, as `ss -e` shows it; a socket that connects again gets another number. */
static __always_inline u64 facts_id(const struct sock *sk, u16 reused)
{
	return bpf_get_socket_cookie((void *)sk) ^ (u64)reused << 48;
}

static __always_inline struct tcp_sock *sock_tcp(const struct sock *sk)
{
	return bpf_skc_to_tcp_sock((void *)sk);
}

#endif

/*
 * The listener whose copy sk is, at the moment that the copy enters SYN_RECV: sk_clone_lock() has
 * copied everything, and the queue of sent segments, empty in a listener, still points to itself
 * there; tcp_create_openreq_child() has not yet made it anew. (4.16 to 7.2. Whatever else may stand
 * there is not the address of a listener that we know.)
 */
static __always_inline const struct sock *listener_of_clone(const struct sock *sk)
{
	const struct tcp_sock *tp = sock_tcp(sk);

	return tp ? (const void *)READ(tp, tsorted_sent_queue.next) -
			       bpf_core_field_offset(tp->tsorted_sent_queue)
		  : NULL;
}

#endif
