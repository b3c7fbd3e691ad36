/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is remembered of each socket while it lives: who opened it and when, in a hash keyed by the
 * socket's address. Facts are dropped at tcp_destroy_sock; what a listener knows is found again by
 * namespace, port and address. (Not the kernel's socket storage: docs/design.md says why.)
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
	FACTS_OPEN = 2,	    /* a connection that was counted as opened */
	FACTS_REPORTED = 3, /* its close record was made */
};

struct process {
	u64 cgroup_id;
	u64 start_ns; /* CLOCK_BOOTTIME */
	u32 pid;
	u32 uid;
	char comm[RECORD_COMM_BYTES];
};

struct facts {
	u64 id;
	u64 opened_ns;
	struct process process;
	u32 handshake_us;
	u16 reused;    /* connections that this socket had before */
	u8 phase;      /* enum facts_phase */
	u8 direction;  /* enum record_direction */
	u8 pid_source; /* enum record_pid_source; NONE: process is all zero */
	u8 flags;      /* enum record_flag: ESTABLISHED, PREEXISTING */
	u8 fin_sent;
	u8 pad[5];
};

#ifdef CONN_OLD_KERNEL
#define READ(pointer, field) BPF_CORE_READ(pointer, field)
#else
#define READ(pointer, field) ((pointer)->field)
#endif

#define FACTS_ENTRIES 262144

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FACTS_ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct facts);
} sock_facts SEC(".maps");

struct listener_key {
	u32 netns;
	u32 port;  /* in network order */
	u64 ip[2]; /* 0: any */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct listener_key);
	__type(value, struct process);
} listeners SEC(".maps");

static __always_inline struct facts *facts_get(const struct sock *sk)
{
	u64 key = (u64)sk;

	return bpf_map_lookup_elem(&sock_facts, &key);
}

static __always_inline struct facts *facts_make(const struct sock *sk)
{
	static const struct facts none;
	u64 key = (u64)sk;

	bpf_map_update_elem(&sock_facts, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&sock_facts, &key);
}

static __always_inline void facts_drop(const struct sock *sk)
{
	u64 key = (u64)sk;

	bpf_map_delete_elem(&sock_facts, &key);
}

/* The key under which a listener at this socket's port and address offers its process. */
static __always_inline struct listener_key listener_key(const struct sock *sk)
{
	struct listener_key key = {
		.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum),
		.port = BPF_CORE_READ((const struct inet_sock *)sk, inet_sport),
	};

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6)
		BPF_CORE_READ_INTO(&key.ip, sk, __sk_common.skc_v6_rcv_saddr);
	else
		key.ip[0] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	return key;
}

/* A listener's process is noted for facts_inherit(). */
static __always_inline void facts_offer(const struct sock *sk, const struct facts *listener)
{
	struct listener_key key = listener_key(sk);

	bpf_map_update_elem(&listeners, &key, &listener->process, BPF_ANY);
}

/* An accepted socket takes the process of its address' listener, or of that at any address. */
static __always_inline void facts_inherit(const struct sock *sk, struct facts *child)
{
	struct listener_key key = listener_key(sk);
	const struct process *process = bpf_map_lookup_elem(&listeners, &key);

	if (!process) {
		key.ip[0] = key.ip[1] = 0;
		process = bpf_map_lookup_elem(&listeners, &key);
	}
	if (!process)
		return;
	child->process = *process;
	child->pid_source = RECORD_PID_LISTENER;
}

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

#endif
