/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * UDP flows. UDP sockets count nothing, so these programs run for every datagram that a socket sends or
 * that is read from it, and read its headers, never its payload. The loader takes the first of three
 * sets that the kernel allows:
 *
 *   sent, sent6, received, released, released6            fentry
 *   sent_by_kprobe, ... the same five                     kprobe
 *   skb_sent, skb_received, socket_bound(6), socket_gone  cgroup programs at the root group
 *
 * The last set also runs for TCP's packets, where it looks at one byte of the header, and it counts
 * what arrives at a socket, not what is read from it. All of them end in flow_update() and
 * flow_release() (bpf/flow_table.h). Then there are:
 *
 *   list_flows     iterator   all flows, and the ends of those that are over
 *   sweep_flows    iterator   only the ends
 *   ..._by_task    iterators  the same where the kernel refuses those over maps' elements (walk.h)
 *   seed_udp       iterator   whose the UDP sockets are that exist at start
 *
 * The maps that this object has in common with conn.bpf.c are made there.
 *
 * Compiled twice: for kernels from 5.12 on and, with CONN_OLD_KERNEL, for those before (facts.h).
 */
#define FACTS_OF_COOKIES
#include "bpf/flow_table.h"

#include <asm/errno.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define UDP_HEADER_BYTES 8

#ifdef CONN_OLD_KERNEL
#define SOCKET_KEY(sk) ((u64)(sk))
#define GET(pointer, field) BPF_CORE_READ(pointer, field)
#else
#define SOCKET_KEY(sk) bpf_get_socket_cookie((void *)(sk))
#define GET(pointer, field) ((pointer)->field)
#endif
#define DATAGRAM(name) name
#include "bpf/datagram.h"

#define SOCKET_KEY(sk) ((u64)(sk))
#define GET(pointer, field) BPF_CORE_READ(pointer, field)
#define DATAGRAM(name) name##_of_address
#include "bpf/datagram.h"

SEC("fentry/ip_send_skb")
int BPF_PROG(sent, struct net *net, struct sk_buff *skb)
{
	return on_sent(ctx, skb, false);
}

SEC("fentry/ip6_send_skb")
int BPF_PROG(sent6, struct sk_buff *skb)
{
	return on_sent(ctx, skb, true);
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(received, struct sock *sk, struct sk_buff *skb, int length)
{
	return on_received(ctx, sk, skb, length);
}

SEC("fentry/udp_destroy_sock")
int BPF_PROG(released, struct sock *sk)
{
	return on_released(ctx, sk);
}

SEC("fentry/udpv6_destroy_sock")
int BPF_PROG(released6, struct sock *sk)
{
	return on_released(ctx, sk);
}

SEC("kprobe/ip_send_skb")
int BPF_KPROBE(sent_by_kprobe, struct net *net, struct sk_buff *skb)
{
	return on_sent_of_address(ctx, skb, false);
}

SEC("kprobe/ip6_send_skb")
int BPF_KPROBE(sent6_by_kprobe, struct sk_buff *skb)
{
	return on_sent_of_address(ctx, skb, true);
}

SEC("kprobe/skb_consume_udp")
int BPF_KPROBE(received_by_kprobe, struct sock *sk, struct sk_buff *skb, int length)
{
	return on_received_of_address(ctx, sk, skb, length);
}

SEC("kprobe/udp_destroy_sock")
int BPF_KPROBE(released_by_kprobe, struct sock *sk)
{
	return on_released_of_address(ctx, sk);
}

SEC("kprobe/udpv6_destroy_sock")
int BPF_KPROBE(released6_by_kprobe, struct sock *sk)
{
	return on_released_of_address(ctx, sk);
}

#include "bpf/flow_list.h"
#include "bpf/udp_cgroup.h"
