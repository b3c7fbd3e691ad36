/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * UDP by programs at the root control group, for kernels that allow neither fentry nor kprobes.
 *
 * What is sent is seen when it leaves IP, in the sender's context; what arrives when it is put into the
 * socket's queue, in softirq, where the running task has no part in it: its reader is told by what
 * is known of the socket, that is who bound it or sent on it. Included by udp.bpf.c.
 */
#ifndef SOCKWARDEN_BPF_UDP_CGROUP_H
#define SOCKWARDEN_BPF_UDP_CGROUP_H

#include "bpf/flow_table.h"

#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define IPV6_EXTENSIONS_MAX 8
#define IPV4_MORE_OFFSET 0x1fff /* of the fragment field: its offset (RFC 791 3.1) */

/* RFC 8200 4: headers that may stand before UDP's. */
#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_DESTINATION 60

/* Where UDP's header is, or 0 for what is not UDP. */
static __always_inline u32 udp_offset_ipv4(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u8 header[IPV4_HEADER_BYTES];

	/* The shortest way out for TCP. */
	if (data + IPV4_HEADER_BYTES <= end && ((u8 *)data)[9] != IPPROTO_UDP)
		return 0;
	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)) || header[9] != IPPROTO_UDP ||
	    ((header[6] << 8 | header[7]) & IPV4_MORE_OFFSET))
		return 0;
	return (header[0] & 0xf) * 4;
}

static __always_inline u32 udp_offset_ipv6(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u32 offset = IPV6_HEADER_BYTES;
	u8 next, extension[2];

	if (data + IPV6_HEADER_BYTES <= end && ((u8 *)data)[6] == IPPROTO_TCP)
		return 0;
	if (bpf_skb_load_bytes(skb, 6, &next, sizeof(next)))
		return 0;
	for (u32 i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (next == IPPROTO_UDP)
			return offset;
		if (next != NEXT_HOP_BY_HOP && next != NEXT_ROUTING && next != NEXT_DESTINATION)
			return 0;
		if (bpf_skb_load_bytes(skb, offset, extension, sizeof(extension)))
			return 0;
		next = extension[0];
		offset += (extension[1] + 1) * 8;
	}
	return 0;
}

static __always_inline long udp_read_ends(struct __sk_buff *skb, struct flow_key *key, u32 offset,
					  bool is_ipv6, bool source_is_local)
{
	u64 *source = source_is_local ? key->local : key->remote;
	u64 *destination = source_is_local ? key->remote : key->local;
	u16 ports[2];
	long error;

	if (is_ipv6) {
		error = bpf_skb_load_bytes(skb, 8, source, 16);
		error |= bpf_skb_load_bytes(skb, 24, destination, 16);
	} else {
		error = bpf_skb_load_bytes(skb, 12, source, 4);
		error |= bpf_skb_load_bytes(skb, 16, destination, 4);
	}
	error |= bpf_skb_load_bytes(skb, offset, ports, sizeof(ports));
	key->local_port = bpf_ntohs(ports[source_is_local ? 0 : 1]);
	key->remote_port = bpf_ntohs(ports[source_is_local ? 1 : 0]);
	key->family = is_ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4;
	return error;
}

/* The inode of the socket's namespace. Its address is read as a number: it is not to be followed here. */
static __always_inline u32 skb_netns(struct __sk_buff *skb)
{
	struct bpf_sock *known = skb->sk;
	const struct sock *sk = NULL;

	if (!known)
		return 0;
	bpf_probe_read_kernel(&sk, sizeof(sk), &known);
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

static __always_inline int on_skb(struct __sk_buff *skb, u8 direction)
{
	bool is_sent = direction == RECORD_DIRECTION_OUTGOING;
	bool is_ipv6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	struct datagram datagram = {.direction = direction, .by_process = is_sent};
	u32 offset = is_ipv6 ? udp_offset_ipv6(skb) : udp_offset_ipv4(skb);

	if (!offset || udp_read_ends(skb, &datagram.key, offset, is_ipv6, is_sent))
		return 1;
	datagram.socket = bpf_get_socket_cookie(skb);
	if (!datagram.socket || skb->len < offset + UDP_HEADER_BYTES)
		return 1;
	datagram.bytes = skb->len - offset - UDP_HEADER_BYTES;
	datagram.packets = 1;
	if (skb->gso_size)
		datagram.packets = (datagram.bytes + skb->gso_size - 1) / skb->gso_size;
	datagram.netns = skb_netns(skb);
	flow_update(skb, &datagram);
	return 1; /* it may pass */
}

SEC("cgroup_skb/egress")
int skb_sent(struct __sk_buff *skb)
{
	return on_skb(skb, RECORD_DIRECTION_OUTGOING);
}

SEC("cgroup_skb/ingress")
int skb_received(struct __sk_buff *skb)
{
	return on_skb(skb, RECORD_DIRECTION_INCOMING);
}

/* bind(): who will receive. */
static __always_inline int on_bound(struct bpf_sock *ctx)
{
	struct facts *facts;

	if (ctx->protocol != IPPROTO_UDP)
		return 1;
	facts = udp_facts_make(bpf_get_socket_cookie(ctx));
	if (facts && facts->pid_source == RECORD_PID_NONE) {
		process_of_current(&facts->process);
		facts->pid_source = RECORD_PID_LISTENER;
	}
	return 1;
}

SEC("cgroup/post_bind4")
int socket_bound(struct bpf_sock *ctx)
{
	return on_bound(ctx);
}

SEC("cgroup/post_bind6")
int socket_bound6(struct bpf_sock *ctx)
{
	return on_bound(ctx);
}

SEC("cgroup/sock_release")
int socket_gone(struct bpf_sock *ctx)
{
	if (ctx->protocol == IPPROTO_UDP)
		flow_release(ctx, bpf_get_socket_cookie(ctx), true);
	return 1;
}

#endif
