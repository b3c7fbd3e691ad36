/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A captured packet, from its link or its network layer on: whose it is, and where the payload of its
 * datagram or segment stands. For packets that come as they were on the wire; where the kernel's filter
 * has told the same facts, struct dns_frame is filled from those.
 *
 * Ethernet with up to two VLAN tags (IEEE 802.1Q, 802.1ad), IPv4 with options, IPv6 with extension
 * headers, UDP and TCP. Of a fragmented packet only the first fragment has ports: it is taken, and
 * the others are rejected. Bytes come from strangers; checksums are not checked, since the kernel may
 * have left them to the network card.
 */
#ifndef SOCKWARDEN_WORKER_DNS_FRAME_H
#define SOCKWARDEN_WORKER_DNS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* More than any packet of DNS has; RFC 8200 4.1 recommends each at most once or twice. Smaller in proofs. */
#ifndef DNS_FRAME_EXTENSIONS_MAX
#define DNS_FRAME_EXTENSIONS_MAX 8
#endif

/* Where a packet's bytes begin. */
enum dns_frame_link {
	DNS_FRAME_LINK_ETHERNET,
	DNS_FRAME_LINK_IP, /* with the header of IPv4 or IPv6: a tunnel's, or SOCK_DGRAM's */
};

/* Bits of tcp_flags (RFC 9293 3.1). */
enum dns_frame_tcp_flag {
	DNS_FRAME_FIN = 1 << 0,
	DNS_FRAME_SYN = 1 << 1,
	DNS_FRAME_RST = 1 << 2,
};

struct dns_frame {
	uint8_t source_ip[16]; /* network order; IPv4: the first four bytes, the rest 0 */
	uint8_t destination_ip[16];
	uint16_t source_port; /* host order */
	uint16_t destination_port;
	uint8_t family;	   /* enum record_family */
	uint8_t protocol;  /* IPPROTO_UDP or IPPROTO_TCP */
	uint8_t tcp_flags; /* all eight; UDP: 0 */
	bool cut;	  /* some of the payload is not here: not captured, or in other fragments */
	bool fragment;	  /* the first of several: the payload goes on in others */
	uint32_t tcp_seq; /* of the first byte, or of the SYN; UDP: 0 */
	const uint8_t *payload; /* within the packet's bytes */
	uint32_t payload_bytes; /* that are here */
	uint32_t whole_bytes;	/* that were sent, >= payload_bytes */
};

/* X(symbol, name, what is wrong) */
#define DNS_FRAME_REJECTS(X)                                                             \
	X(LINK, "link", "less than a header of the link layer")                          \
	X(ETHERTYPE, "ethertype", "neither IPv4 nor IPv6, or behind more than two tags") \
	X(IP, "ip", "an IP header that is cut or wrong")                                 \
	X(EXTENSION, "extension", "an extension header of IPv6 is cut, or too many")     \
	X(FRAGMENT, "fragment", "another fragment than the first")                       \
	X(PROTOCOL, "protocol", "neither UDP nor TCP")                                   \
	X(TRANSPORT, "transport", "a UDP or TCP header that is cut or wrong")

enum dns_frame_reject {
	DNS_FRAME_REJECT_NONE = 0,
#define DNS_FRAME_REJECT_SYMBOL(symbol, name, meaning) DNS_FRAME_REJECT_##symbol,
	DNS_FRAME_REJECTS(DNS_FRAME_REJECT_SYMBOL)
#undef DNS_FRAME_REJECT_SYMBOL
	DNS_FRAME_REJECT_COUNT
};

/*
 * Parses a packet of which captured bytes are here and that had wire bytes (link layer included; what
 * is below captured counts as captured). Lengths in IP headers are believed up to that; one of 0, as a
 * packet has that the kernel has not yet cut into segments, means all. Returns DNS_FRAME_REJECT_NONE
 * with *frame, or the reason why *frame is not defined.
 */
enum dns_frame_reject dns_frame_parse(enum dns_frame_link link, const uint8_t *bytes,
				      uint32_t captured, uint32_t wire, struct dns_frame *frame);

/* A reason's name, such as "fragment"; NULL for DNS_FRAME_REJECT_NONE. */
const char *dns_frame_reject_name(enum dns_frame_reject reject);

#endif
