/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A datagram's ends and size, from the socket buffer that holds it with its headers. The headers are
 * where the kernel says that they are, so that IPv6 extension headers need no walking.
 *
 * Included once for each way of reading: GET() is the way, DATAGRAM() names the functions.
 */

#include "bpf/flow.h"

static __always_inline bool DATAGRAM(sock_is_udp)(const struct sock *sk)
{
	/* Not UDP-Lite's 136, nor a raw socket that makes its UDP headers itself. */
	return sk && GET(sk, sk_protocol) == IPPROTO_UDP && GET(sk, sk_type) == SOCK_DGRAM;
}

static __always_inline u32 DATAGRAM(sock_netns)(const struct sock *sk)
{
	const struct net *net = GET(sk, __sk_common.skc_net.net);

	return GET(net, ns.inum);
}

/* Datagrams in a buffer: more than one where segmentation is offloaded (UDP_SEGMENT, UDP_GRO). */
static __always_inline u32 DATAGRAM(packets)(const struct sk_buff *skb, u64 payload)
{
	const struct skb_shared_info *info = (const void *)(GET(skb, head) + GET(skb, end));
	u32 segment_bytes;

	segment_bytes = BPF_CORE_READ(info, gso_size);
	if (!segment_bytes)
		return 1;
	return (payload + segment_bytes - 1) / segment_bytes;
}

/* Reads the headers. source_is_local: the datagram is being sent. Returns 0 or -EFAULT. */
static __always_inline long DATAGRAM(read_ends)(struct flow_key *key, const struct sk_buff *skb,
						bool is_ipv6, bool source_is_local)
{
	const u32 network_at = GET(skb, network_header), transport_at = GET(skb, transport_header);
	const void *network = GET(skb, head) + network_at;
	u64 *source = source_is_local ? key->local : key->remote;
	u64 *destination = source_is_local ? key->remote : key->local;
	u32 header_bytes, ports;
	long error;

	/* The ports stand behind the addresses, but for options and extension headers. */
	if (is_ipv6) {
		struct {
			u64 addresses[4];
			u32 ports;
		} ends;

		header_bytes = 40;
		error = bpf_probe_read_kernel(&ends, 36, network + 8);
		source[0] = ends.addresses[0];
		source[1] = ends.addresses[1];
		destination[0] = ends.addresses[2];
		destination[1] = ends.addresses[3];
		ports = ends.ports;
	} else {
		u32 ends[3];

		header_bytes = 20;
		error = bpf_probe_read_kernel(ends, sizeof(ends), network + 12);
		source[0] = ends[0];
		source[1] = 0;
		destination[0] = ends[1];
		destination[1] = 0;
		ports = ends[2];
	}
	if (transport_at - network_at != header_bytes)
		error |=
			bpf_probe_read_kernel(&ports, sizeof(ports), GET(skb, head) + transport_at);
	ports = bpf_ntohl(ports); /* the source's in the upper half */
	key->local_port = source_is_local ? ports >> 16 : ports;
	key->remote_port = source_is_local ? ports : ports >> 16;
	key->family = is_ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4;
	return error;
}

static __always_inline void DATAGRAM(count)(void *ctx, const struct sock *sk,
					    struct datagram *datagram)
{
	struct facts *facts;

	datagram->socket = SOCKET_KEY(sk);
	facts = udp_facts_make(datagram->socket);
	if (facts && !facts->SOCKET_NETNS)
		facts->SOCKET_NETNS = DATAGRAM(sock_netns)(sk);
	flow_update(ctx, datagram, facts);
}

/* A datagram that UDP hands to IP, headers and all. */
static __always_inline int DATAGRAM(on_sent)(void *ctx, const struct sk_buff *skb, bool is_ipv6)
{
	const struct sock *sk = GET(skb, sk);
	struct datagram datagram = {.direction = RECORD_DIRECTION_OUTGOING, .by_process = true};
	u64 headers;

	if (!DATAGRAM(sock_is_udp)(sk) || DATAGRAM(read_ends)(&datagram.key, skb, is_ipv6, true))
		return 0;
	headers = GET(skb, head) + GET(skb, transport_header) + UDP_HEADER_BYTES - GET(skb, data);
	datagram.bytes = GET(skb, len) - headers;
	datagram.packets = DATAGRAM(packets)(skb, datagram.bytes);
	DATAGRAM(count)(ctx, sk, &datagram);
	return 0;
}

/*
 * A datagram that a reader has taken out of the socket's queue; its headers were pulled, but still stand
 * before it. length is negative where it was only looked at (MSG_PEEK). Where nothing was copied
 * it is 0 in any case; what was only looked at is then told by the queue, which has it too.
 */
static __always_inline int DATAGRAM(on_received)(void *ctx, const struct sock *sk,
						 const struct sk_buff *skb, int length)
{
	struct datagram datagram = {.direction = RECORD_DIRECTION_INCOMING, .by_process = true};
	bool is_ipv6;

	if (length < 0 || (length == 0 && GET(skb, users.refs.counter) > 1) ||
	    !DATAGRAM(sock_is_udp)(sk))
		return 0;
	is_ipv6 = GET(skb, protocol) == bpf_htons(ETH_P_IPV6);
	if (DATAGRAM(read_ends)(&datagram.key, skb, is_ipv6, false))
		return 0;
	datagram.bytes = GET(skb, len);
	datagram.packets = DATAGRAM(packets)(skb, datagram.bytes);
	DATAGRAM(count)(ctx, sk, &datagram);
	return 0;
}

static __always_inline int DATAGRAM(on_released)(void *ctx, const struct sock *sk)
{
	if (DATAGRAM(sock_is_udp)(sk))
		flow_release(ctx, SOCKET_KEY(sk), true);
	return 0;
}

#undef GET
#undef DATAGRAM
#undef SOCKET_KEY
