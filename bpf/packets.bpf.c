/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * DNS packets. One program:
 *
 *   on_packet   socket filter   on a packet socket of the root network namespace (SOCK_DGRAM, all protocols)
 *
 * What comes from or goes to a DNS port is copied into the CPU's packet ring. Nothing is kept for the
 * socket, which privd never reads. The program reads link, network and transport headers, and
 * copies what is behind them without a look at it.
 *
 * A packet socket of kind SOCK_DGRAM is shown packets from their network header on, whatever the device
 * is. Of a frame with two VLAN tags the kernel takes off the outer one only, and of what leaves with
 * a tag that the device does not add by itself none: skip_tags() knows both.
 */
#include "bpf/counters.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define DNS_PORTS_MAX 16 /* of privd's --dns-ports */
#define LOOPBACK_INDEX 1 /* in every network namespace */
#define OUTGOING 4	 /* PACKET_OUTGOING of linux/if_packet.h */

#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define VLAN_TAGS_MAX 2
#define VLAN_TAG_BYTES 4

#define IPV4_HEADER_BYTES 20
#define IPV4_HEADER_BYTES_MAX 60
#define IPV4_OFFSET_MASK 0x1fff /* of the fragment field (RFC 791 3.1) */
#define IPV4_MORE 0x2000
#define IPV6_HEADER_BYTES 40
#define IPV6_EXTENSIONS_MAX 8
#define IPV6_OFFSET_MASK 0xfff8 /* of a fragment header (RFC 8200 4.5) */
#define IPV6_MORE 0x0001

#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_DESTINATION 60

#define UDP_HEADER_BYTES 8
#define UDP_LENGTH_AT 4
#define TCP_HEADER_BYTES 20
#define TCP_FIN_SYN_RST 7

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} packet_rings SEC(".maps");

/* In host byte order; 0 ends the list. Set by the loader. */
const volatile __u16 dns_ports[DNS_PORTS_MAX] SEC(".rodata.ports") = {};

/* Where a packet's parts are, as its headers say. */
struct layout {
	u32 transport; /* offset of its header */
	u32 end;       /* offset behind the packet: what follows pads the frame */
};

static __always_inline bool is_vlan(u16 protocol)
{
	return protocol == ETH_P_8021Q || protocol == ETH_P_8021AD;
}

/* Where the network header is; *protocol becomes its. */
static __always_inline u32 skip_tags(const struct __sk_buff *skb, u16 *protocol)
{
	u32 offset = 0;

	/* What is sent with a tag is shown from behind it, but by its outermost protocol. */
	if (skb->pkt_type == OUTGOING && is_vlan(*protocol)) {
		u8 first = 0;

		if (bpf_skb_load_bytes(skb, 0, &first, sizeof(first)))
			return 0;
		*protocol = first >> 4 == 4 ? ETH_P_IP : first >> 4 == 6 ? ETH_P_IPV6 : 0;
		return 0;
	}
	for (u32 i = 0; i < VLAN_TAGS_MAX && is_vlan(*protocol); i++) {
		u16 tag[2];

		if (bpf_skb_load_bytes(skb, offset, tag, sizeof(tag)))
			break;
		offset += VLAN_TAG_BYTES;
		*protocol = bpf_ntohs(tag[1]);
	}
	return offset;
}

static __always_inline bool has_ports(u8 protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP;
}

/* False for what is not to be looked at further. */
static __always_inline bool read_ipv4(const struct __sk_buff *skb, u32 offset,
				      struct layout *layout, struct packet_record *record)
{
	u8 header[IPV4_HEADER_BYTES];
	u32 header_bytes, total;
	u16 fragment;

	if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)) || header[0] >> 4 != 4 ||
	    !has_ports(header[9]))
		return false;
	header_bytes = (header[0] & 0xf) * 4;
	total = header[2] << 8 | header[3];
	fragment = header[6] << 8 | header[7];
	if (fragment & IPV4_OFFSET_MASK) {
		COUNT(packet_fragments);
		return false;
	}
	/* The length of what is segmented later may not fit into its field. */
	layout->end = total ? offset + total : skb->len;
	layout->transport = offset + header_bytes;
	if (header_bytes < IPV4_HEADER_BYTES || layout->end < layout->transport ||
	    layout->end > skb->len) {
		COUNT(packets_malformed);
		return false;
	}
	record->family = RECORD_FAMILY_IPV4;
	record->protocol = header[9];
	if (fragment & IPV4_MORE)
		record->flags |= PACKET_FRAGMENT_FLAG;
	__builtin_memcpy(record->source_ip, header + 12, 4);
	__builtin_memcpy(record->destination_ip, header + 16, 4);
	return true;
}

static __always_inline bool read_ipv6(const struct __sk_buff *skb, u32 offset,
				      struct layout *layout, struct packet_record *record)
{
	u8 header[IPV6_HEADER_BYTES], next;
	u32 payload_bytes;

	if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)) || header[0] >> 4 != 6)
		return false;
	payload_bytes = header[4] << 8 | header[5];
	next = header[6];
	layout->transport = offset + IPV6_HEADER_BYTES;
	layout->end = payload_bytes ? layout->transport + payload_bytes : skb->len;
	for (u32 i = 0; i < IPV6_EXTENSIONS_MAX && !has_ports(next); i++) {
		u8 extension[4];

		if ((next != NEXT_HOP_BY_HOP && next != NEXT_ROUTING && next != NEXT_FRAGMENT &&
		     next != NEXT_DESTINATION) ||
		    bpf_skb_load_bytes(skb, layout->transport, extension, sizeof(extension)))
			return false;
		if (next == NEXT_FRAGMENT) {
			u16 fragment = extension[2] << 8 | extension[3];

			if (fragment & IPV6_OFFSET_MASK) {
				if (has_ports(extension[0]))
					COUNT(packet_fragments);
				return false;
			}
			if (fragment & IPV6_MORE)
				record->flags |= PACKET_FRAGMENT_FLAG;
			layout->transport += 8;
		} else {
			layout->transport += (extension[1] + 1) * 8;
		}
		next = extension[0];
	}
	if (!has_ports(next))
		return false;
	if (layout->end < layout->transport || layout->end > skb->len) {
		COUNT(packets_malformed);
		return false;
	}
	record->family = RECORD_FAMILY_IPV6;
	record->protocol = next;
	__builtin_memcpy(record->source_ip, header + 8, 16);
	__builtin_memcpy(record->destination_ip, header + 24, 16);
	return true;
}

static __always_inline bool is_dns(u16 port)
{
	for (u32 i = 0; i < DNS_PORTS_MAX; i++) {
		u16 known = dns_ports[i];

		if (!known)
			break;
		if (known == port)
			return true;
	}
	return false;
}

/* How long a datagram is, by its own header; false if it cannot be. */
static __always_inline bool read_udp(const struct __sk_buff *skb, struct layout *layout,
				     struct packet_record *record, u32 *payload)
{
	u16 length;
	u32 end;

	*payload = layout->transport + UDP_HEADER_BYTES;
	if (bpf_skb_load_bytes(skb, layout->transport + UDP_LENGTH_AT, &length, sizeof(length)))
		return false;
	length = bpf_ntohs(length);
	/* 0: longer than 16 bits can tell (RFC 2675 4). */
	end = length ? layout->transport + length : layout->end;
	/* A first fragment has less of it. */
	if (end > layout->end && !(record->flags & PACKET_FRAGMENT_FLAG))
		return false;
	record->payload_bytes = end - *payload;
	if (end < layout->end)
		layout->end = end;
	return end >= *payload;
}

/* Ports and where the payload is; false for what is not DNS, or says nothing. */
static __always_inline bool read_transport(const struct __sk_buff *skb, struct layout *layout,
					   struct packet_record *record, u32 *payload)
{
	u16 ports[2];

	if (bpf_skb_load_bytes(skb, layout->transport, ports, sizeof(ports))) {
		COUNT(packets_malformed);
		return false;
	}
	record->source_port = bpf_ntohs(ports[0]);
	record->destination_port = bpf_ntohs(ports[1]);
	if (!is_dns(record->source_port) && !is_dns(record->destination_port))
		return false;
	if (record->protocol == IPPROTO_UDP) {
		if (!read_udp(skb, layout, record, payload))
			*payload = layout->end + 1;
	} else {
		u8 header[TCP_HEADER_BYTES];

		if (bpf_skb_load_bytes(skb, layout->transport, header, sizeof(header))) {
			COUNT(packets_malformed);
			return false;
		}
		record->sequence = (u32)header[4] << 24 | header[5] << 16 | header[6] << 8 |
				   header[7];
		record->tcp_flags = header[13];
		*payload = layout->transport + (header[12] >> 4) * 4;
		if (*payload < layout->transport + TCP_HEADER_BYTES)
			*payload = layout->end + 1;
		record->payload_bytes = layout->end - *payload;
	}
	if (*payload > layout->end) {
		COUNT(packets_malformed);
		return false;
	}
	return record->protocol == IPPROTO_UDP || *payload < layout->end ||
	       (record->tcp_flags & TCP_FIN_SYN_RST);
}

SEC("socket")
int on_packet(struct __sk_buff *skb)
{
	struct packet_record record = {.kind = RECORD_KIND_PACKET, .version = RECORD_VERSION};
	u16 protocol = bpf_ntohs(skb->protocol);
	struct layout layout = {};
	u32 network, payload = 0, length;
	bool is_read;

	/* Loopback shows each packet when it is sent and when it is received. */
	if (skb->pkt_type == OUTGOING && skb->ifindex == LOOPBACK_INDEX)
		return 0;
	network = is_vlan(protocol) ? skip_tags(skb, &protocol) : 0;
	if (protocol == ETH_P_IP)
		is_read = read_ipv4(skb, network, &layout, &record);
	else
		is_read = protocol == ETH_P_IPV6 && read_ipv6(skb, network, &layout, &record);
	if (!is_read || !read_transport(skb, &layout, &record, &payload))
		return 0;
	length = layout.end;
	if (payload > PACKET_HEADERS_MAX) {
		COUNT(packets_malformed);
		return 0;
	}
	if (length > payload + PACKET_PAYLOAD_MAX)
		length = payload + PACKET_PAYLOAD_MAX;
	record.payload_at = payload;
	record.length = length;
	record.at_ns = bpf_ktime_get_ns();
	record.interface = skb->ifindex;
	if (skb->pkt_type == OUTGOING)
		record.flags |= PACKET_OUTGOING_FLAG;
	COUNT(packets);
	if (bpf_perf_event_output(skb, &packet_rings, BPF_F_CURRENT_CPU | (u64)length << 32,
				  &record, sizeof(record)))
		COUNT(packets_lost);
	return 0;
}
