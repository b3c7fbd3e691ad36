/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The classic twin (linux/filter.h) of packets.bpf.c, for a packet socket of the same kind. Classic BPF
 * only jumps forward, so loops are written out: privd/classic_filter.c puts the parts together, and
 * there are the ports. It takes more than its twin in three ways, of which whoever reads the
 * socket judges the rest (worker/dns/raw.h): lengths are not compared, TCP segments that say nothing are
 * taken, and so are the headers of second and further fragments, to be counted. No payload of other
 * ports is: what is returned is how many bytes are taken.
 */
#ifndef SOCKWARDEN_BPF_PACKETS_CLASSIC_H
#define SOCKWARDEN_BPF_PACKETS_CLASSIC_H

#include "proto/record.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdint.h>

#define ETHERTYPE_QINQ 0x88a8
#define LOOPBACK_INDEX 1
#define IPV6_EXTENSIONS_MAX 8

/* Jumps go to the next place of that name. */
enum place {
	NEXT, /* no name: the instruction behind the jump */
	SENT_WITH_TAG,
	RECEIVED,
	TAG,
	TAG_TWO,
	NETWORK,
	IPV4,
	IPV4_PORTS,
	IPV4_FIRST,
	IPV6,
	OPTIONS,
	FRAGMENT,
	LENGTH,
	OTHER_FRAGMENT,
	PORTS,
	TAKE,
	TAKE_HEADERS,
	DROP,
};

struct row {
	enum place name;
	uint16_t code;
	uint32_t operand;
	enum place yes, no;
};

/* The accumulator A, the index register X, and M[0]; a load beyond the packet's end drops it. */
#define DO(code, operand) (code), (operand), NEXT, NEXT
#define LOAD(size, operand) DO(BPF_LD | (size) | BPF_ABS, operand)
#define LOAD_AT_X(size, operand) DO(BPF_LD | (size) | BPF_IND, operand)
#define LOAD_FACT(fact) DO(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + (fact)))
#define CALCULATE(operation, operand) DO(BPF_ALU | (operation) | BPF_K, operand)
#define ADD_X DO(BPF_ALU | BPF_ADD | BPF_X, 0)
#define SET_A(operand) DO(BPF_LD | BPF_IMM, operand)
#define SET_X(operand) DO(BPF_LDX | BPF_IMM, operand)
#define A_TO_X DO(BPF_MISC | BPF_TAX, 0)
#define X_TO_A DO(BPF_MISC | BPF_TXA, 0)
#define KEEP_A DO(BPF_ST, 0)
#define A_AS_KEPT DO(BPF_LD | BPF_MEM, 0)
#define X_AS_KEPT DO(BPF_LDX | BPF_MEM, 0)
#define RETURN(operand) DO(BPF_RET | BPF_K, operand)
#define RETURN_A DO(BPF_RET | BPF_A, 0)
#define IF_IS(operand, yes, no) BPF_JMP | BPF_JEQ | BPF_K, (operand), (yes), (no)
#define IF_HAS_BITS(operand, yes, no) BPF_JMP | BPF_JSET | BPF_K, (operand), (yes), (no)
#define GO_TO(place) IF_IS(0, place, place)

/* X becomes where the network header is: behind up to two tags, which are not there in what is sent. */
static const struct row link_layer[] = {
	{NEXT, SET_X(0)},
	{NEXT, LOAD_FACT(SKF_AD_PKTTYPE)},
	{NEXT, IF_IS(PACKET_OUTGOING, NEXT, RECEIVED)},
	{NEXT, LOAD_FACT(SKF_AD_IFINDEX)},
	{NEXT, IF_IS(LOOPBACK_INDEX, DROP, NEXT)}, /* seen again when it is received */
	{NEXT, LOAD_FACT(SKF_AD_PROTOCOL)},
	{NEXT, IF_IS(ETHERTYPE_VLAN, SENT_WITH_TAG, NEXT)},
	{NEXT, IF_IS(ETHERTYPE_QINQ, SENT_WITH_TAG, NETWORK)},
	{SENT_WITH_TAG, LOAD(BPF_B, 0)},
	{NEXT, CALCULATE(BPF_AND, 0xf0)},
	{NEXT, IF_IS(0x40, IPV4, NEXT)},
	{NEXT, IF_IS(0x60, IPV6, DROP)},
	{RECEIVED, LOAD_FACT(SKF_AD_PROTOCOL)},
	{NEXT, IF_IS(ETHERTYPE_VLAN, TAG, NEXT)},
	{NEXT, IF_IS(ETHERTYPE_QINQ, TAG, NETWORK)},
	{TAG, SET_X(4)},
	{NEXT, LOAD(BPF_H, 2)},
	{NEXT, IF_IS(ETHERTYPE_VLAN, TAG_TWO, NEXT)},
	{NEXT, IF_IS(ETHERTYPE_QINQ, TAG_TWO, NETWORK)},
	{TAG_TWO, SET_X(8)},
	{NEXT, LOAD(BPF_H, 6)},
	{NETWORK, IF_IS(ETHERTYPE_IP, IPV4, NEXT)},
	{NEXT, IF_IS(ETHERTYPE_IPV6, IPV6, DROP)},
};

/* X becomes where the transport header is. */
static const struct row ipv4[] = {
	{IPV4, LOAD_AT_X(BPF_B, 0)},
	{NEXT, CALCULATE(BPF_AND, 0xf0)},
	{NEXT, IF_IS(0x40, NEXT, DROP)},
	{NEXT, LOAD_AT_X(BPF_B, 9)},
	{NEXT, IF_IS(IPPROTO_UDP, IPV4_PORTS, NEXT)},
	{NEXT, IF_IS(IPPROTO_TCP, NEXT, DROP)},
	{IPV4_PORTS, LOAD_AT_X(BPF_H, 6)},
	{NEXT, IF_HAS_BITS(0x1fff, NEXT, IPV4_FIRST)},
	{NEXT, LOAD_AT_X(BPF_B, 0)}, /* another fragment than the first: its header */
	{NEXT, CALCULATE(BPF_AND, 0xf)},
	{NEXT, CALCULATE(BPF_LSH, 2)},
	{NEXT, ADD_X},
	{NEXT, RETURN_A},
	{IPV4_FIRST, LOAD_AT_X(BPF_B, 0)},
	{NEXT, CALCULATE(BPF_AND, 0xf)},
	{NEXT, CALCULATE(BPF_LSH, 2)},
	{NEXT, ADD_X},
	{NEXT, A_TO_X},
	{NEXT, GO_TO(PORTS)},
};

/* From its end on A is which header comes next, and X where it is. */
static const struct row ipv6[] = {
	{IPV6, LOAD_AT_X(BPF_B, 0)},
	{NEXT, CALCULATE(BPF_AND, 0xf0)},
	{NEXT, IF_IS(0x60, NEXT, DROP)},
	{NEXT, LOAD_AT_X(BPF_B, 6)},
	{NEXT, KEEP_A},
	{NEXT, X_TO_A},
	{NEXT, CALCULATE(BPF_ADD, 40)},
	{NEXT, A_TO_X},
	{NEXT, A_AS_KEPT},
};

static const struct row extension[] = {
	{NEXT, IF_IS(IPPROTO_UDP, PORTS, NEXT)},
	{NEXT, IF_IS(IPPROTO_TCP, PORTS, NEXT)},
	{NEXT, IF_IS(IPPROTO_FRAGMENT, FRAGMENT, NEXT)},
	{NEXT, IF_IS(IPPROTO_HOPOPTS, OPTIONS, NEXT)},
	{NEXT, IF_IS(IPPROTO_ROUTING, OPTIONS, NEXT)},
	{NEXT, IF_IS(IPPROTO_DSTOPTS, OPTIONS, DROP)},
	{OPTIONS, LOAD_AT_X(BPF_B, 1)},
	{NEXT, GO_TO(LENGTH)},
	{FRAGMENT, LOAD_AT_X(BPF_H, 2)},
	{NEXT, IF_HAS_BITS(0xfff8, OTHER_FRAGMENT, NEXT)},
	{NEXT, SET_A(0)},
	{LENGTH, CALCULATE(BPF_ADD, 1)}, /* of units of eight bytes the first is not counted */
	{NEXT, CALCULATE(BPF_LSH, 3)},
	{NEXT, ADD_X},
	{NEXT, KEEP_A},
	{NEXT, LOAD_AT_X(BPF_B, 0)},
	{NEXT, X_AS_KEPT},
};

static const struct row transport[] = {
	{NEXT, IF_IS(IPPROTO_UDP, PORTS, NEXT)}, /* behind the last extension that may be */
	{NEXT, IF_IS(IPPROTO_TCP, PORTS, DROP)},
	{OTHER_FRAGMENT, LOAD_AT_X(BPF_B, 0)}, /* as IPv4's, if it is one of these */
	{NEXT, IF_IS(IPPROTO_UDP, TAKE_HEADERS, NEXT)},
	{NEXT, IF_IS(IPPROTO_TCP, TAKE_HEADERS, DROP)},
	{TAKE_HEADERS, X_TO_A},
	{NEXT, CALCULATE(BPF_ADD, 8)},
	{NEXT, RETURN_A},
};

static const struct row source_port = {PORTS, LOAD_AT_X(BPF_H, 0)};
static const struct row destination_port = {NEXT, LOAD_AT_X(BPF_H, 2)};

static const struct row ends[] = {
	{DROP, RETURN(0)},
	{TAKE, RETURN(PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX)},
};

#endif
