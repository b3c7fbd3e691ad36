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
#define NEXT_FRAGMENT 44 /* of what is one fragment alone (RFC 6946); others were put together */
#define NEXT_DESTINATION 60

/*
 * Cookies of sockets that were closed just now. One that is closed may still be given a datagram, which
 * must not make it known again: nobody would forget it then.
 */
#define GONE_SOCKETS 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GONE_SOCKETS);
	__type(key, u32);
	__type(value, u64);
} gone_sockets SEC(".maps");

/*
 * Reads the ends out of headers as nearly all are: in one piece, with neither options nor extension
 * headers. Returns where UDP's header is, 0 for what has to be looked at more closely.
 */
static __always_inline u32 udp_read_plain(struct __sk_buff *skb, struct flow_key *key, bool is_ipv6,
					  bool source_is_local)
{
	const u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u64 *source = source_is_local ? key->local : key->remote;
	u64 *destination = source_is_local ? key->remote : key->local;
	const u32 header_bytes = is_ipv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
	const u16 *ports = (const u16 *)(data + header_bytes);

	if ((const u8 *)(ports + 2) > end)
		return 0;
	if (is_ipv6) {
		if (data[6] != IPPROTO_UDP)
			return 0;
		source[0] = *(const u64 *)(data + 8);
		source[1] = *(const u64 *)(data + 16);
		destination[0] = *(const u64 *)(data + 24);
		destination[1] = *(const u64 *)(data + 32);
		key->family = RECORD_FAMILY_IPV6;
	} else {
		if (data[0] != (4 << 4 | IPV4_HEADER_BYTES / 4) || data[9] != IPPROTO_UDP ||
		    ((data[6] << 8 | data[7]) & IPV4_MORE_OFFSET))
			return 0;
		source[0] = *(const u32 *)(data + 12);
		destination[0] = *(const u32 *)(data + 16);
		key->family = RECORD_FAMILY_IPV4;
	}
	key->local_port = bpf_ntohs(ports[source_is_local ? 0 : 1]);
	key->remote_port = bpf_ntohs(ports[source_is_local ? 1 : 0]);
	return header_bytes;
}

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
		if (next != NEXT_HOP_BY_HOP && next != NEXT_ROUTING && next != NEXT_FRAGMENT &&
		    next != NEXT_DESTINATION)
			return 0;
		if (bpf_skb_load_bytes(skb, offset, extension, sizeof(extension)))
			return 0;
		/* A fragment header has no length: the byte is reserved there. */
		offset += next == NEXT_FRAGMENT ? 8 : (extension[1] + 1) * 8;
		next = extension[0];
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

static __always_inline bool socket_is_gone(u64 cookie)
{
	u32 slot = cookie % GONE_SOCKETS;
	const u64 *gone = bpf_map_lookup_elem(&gone_sockets, &slot);

	return gone && *(volatile const u64 *)gone == cookie;
}

static __always_inline void socket_note_gone(u64 cookie)
{
	u32 slot = cookie % GONE_SOCKETS;
	u64 *gone = bpf_map_lookup_elem(&gone_sockets, &slot);

	/* A full barrier: who makes facts afterwards sees it, and who made them before is seen. */
	if (gone)
#ifdef CONN_OLD_KERNEL
		STORE_AFTER(*gone, cookie);
#else
		__sync_lock_test_and_set(gone, cookie);
#endif
}

/*
 * The facts of the socket that sends or is to have the datagram. NULL, and *is_udp false: it is no
 * UDP socket, but one that makes its own headers, or one whose packets were wrapped into UDP; or
 * it was closed, and nobody will read the datagram.
 */
static __always_inline struct facts *skb_facts(struct __sk_buff *skb, u64 cookie, bool *is_udp)
{
	struct facts *facts = udp_facts_get(cookie);
	const struct sock *address = NULL;
	struct bpf_sock *known, *full;

	*is_udp = true;
	if (facts && facts->SOCKET_NETNS)
		return facts;
	known = skb->sk;
	full = known ? bpf_sk_fullsock(known) : NULL;
	*is_udp = full && full->type == SOCK_DGRAM && full->protocol == IPPROTO_UDP &&
		  !socket_is_gone(cookie);
	if (!*is_udp)
		return NULL;
	facts = udp_facts_make(cookie);
	if (facts && socket_is_gone(cookie)) {
		facts_drop((const struct sock *)cookie);
		*is_udp = false;
		return NULL;
	}
	/* Its address is read as a number: it is not to be followed here. */
	bpf_probe_read_kernel(&address, sizeof(address), &known);
	if (facts)
		facts->SOCKET_NETNS = BPF_CORE_READ(address, __sk_common.skc_net.net, ns.inum);
	return facts;
}

static __always_inline int on_skb(struct __sk_buff *skb, u8 direction)
{
	bool is_sent = direction == RECORD_DIRECTION_OUTGOING;
	bool is_ipv6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	struct datagram datagram = {.direction = direction, .by_process = is_sent};
	struct facts *facts;
	bool is_udp;
	u32 offset;

	offset = is_ipv6 ? udp_read_plain(skb, &datagram.key, true, is_sent)
			 : udp_read_plain(skb, &datagram.key, false, is_sent);
	if (!offset) {
		offset = is_ipv6 ? udp_offset_ipv6(skb) : udp_offset_ipv4(skb);
		if (!offset || udp_read_ends(skb, &datagram.key, offset, is_ipv6, is_sent))
			return 1;
	}
	datagram.socket = bpf_get_socket_cookie(skb);
	if (!datagram.socket || skb->len < offset + UDP_HEADER_BYTES)
		return 1;
	datagram.bytes = skb->len - offset - UDP_HEADER_BYTES;
	datagram.packets = 1;
	if (skb->gso_size)
		datagram.packets = (datagram.bytes + skb->gso_size - 1) / skb->gso_size;
	facts = skb_facts(skb, datagram.socket, &is_udp);
	if (is_udp)
		flow_update(skb, &datagram, facts);
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

	if (ctx->protocol != IPPROTO_UDP || ctx->type != SOCK_DGRAM)
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
	u64 cookie;

	if (ctx->protocol != IPPROTO_UDP || ctx->type != SOCK_DGRAM)
		return 1;
	cookie = bpf_get_socket_cookie(ctx);
	socket_note_gone(cookie);
	flow_release(ctx, cookie, true);
	return 1;
}

#endif
