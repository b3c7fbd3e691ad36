/* SPDX-License-Identifier: Apache-2.0 */
/* The program is run here, by the few instructions that it has; that a kernel takes it is seen, too. */
#include "privd/classic_filter.h"
#include "proto/record.h"
#include "tests/unit/example_packet.h"
#include "worker/dns/frame.h"

#include <criterion/criterion.h>

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define QINQ 0x88a8
#define ALL (PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX)
#define PORTS HANDOFF_DNS_PORTS_MAX
#define MUTANTS 1000000

static const uint16_t dns_ports[PORTS] = {53, 5353};

/* What a filter is told beside the bytes. */
struct facts {
	uint16_t protocol;
	uint8_t type;
	uint32_t interface;
};

struct machine {
	uint32_t a, x, kept;
	const struct facts *facts;
	const uint8_t *bytes;
	size_t length;
};

/* False: beyond the end, and the packet is dropped. */
static bool load(struct machine *machine, uint16_t size, uint32_t at)
{
	const size_t bytes = size == BPF_B ? 1 : size == BPF_H ? 2 : 4;

	if (at == (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)) {
		machine->a = machine->facts->protocol;
	} else if (at == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)) {
		machine->a = machine->facts->type;
	} else if (at == (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)) {
		machine->a = machine->facts->interface;
	} else {
		if (at > machine->length || machine->length - at < bytes)
			return false;
		machine->a = 0;
		for (size_t i = 0; i < bytes; i++)
			machine->a = machine->a << 8 | machine->bytes[at + i];
	}
	return true;
}

/* One instruction that is neither a jump nor the end. */
static bool step(struct machine *machine, const struct sock_filter *code)
{
	switch (code->code) {
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_W | BPF_ABS:
		return load(machine, BPF_SIZE(code->code), code->k);
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
		return load(machine, BPF_SIZE(code->code), machine->x + code->k);
	case BPF_LD | BPF_IMM:
		machine->a = code->k;
		break;
	case BPF_LD | BPF_MEM:
		machine->a = machine->kept;
		break;
	case BPF_LDX | BPF_IMM:
		machine->x = code->k;
		break;
	case BPF_LDX | BPF_MEM:
		machine->x = machine->kept;
		break;
	case BPF_ST:
		machine->kept = machine->a;
		break;
	case BPF_ALU | BPF_ADD | BPF_K:
		machine->a += code->k;
		break;
	case BPF_ALU | BPF_ADD | BPF_X:
		machine->a += machine->x;
		break;
	case BPF_ALU | BPF_AND | BPF_K:
		machine->a &= code->k;
		break;
	case BPF_ALU | BPF_LSH | BPF_K:
		machine->a <<= code->k;
		break;
	case BPF_MISC | BPF_TAX:
		machine->x = machine->a;
		break;
	case BPF_MISC | BPF_TXA:
		machine->a = machine->x;
		break;
	default:
		cr_assert_fail("instruction %#x", code->code);
	}
	return true;
}

/* How many bytes of the packet are taken. */
static uint32_t run(const struct sock_filter *program, uint16_t count, const struct facts *facts,
		    const uint8_t *bytes, size_t length)
{
	struct machine machine = {.facts = facts, .bytes = bytes, .length = length};

	for (unsigned at = 0; at < count; at++) {
		const struct sock_filter *code = &program[at];

		if (code->code == (BPF_RET | BPF_K))
			return code->k;
		if (code->code == (BPF_RET | BPF_A))
			return machine.a;
		if (code->code == (BPF_JMP | BPF_JEQ | BPF_K))
			at += machine.a == code->k ? code->jt : code->jf;
		else if (code->code == (BPF_JMP | BPF_JSET | BPF_K))
			at += machine.a & code->k ? code->jt : code->jf;
		else if (!step(&machine, code))
			return 0;
	}
	cr_assert_fail("the program has no end");
	return 0;
}

/* The one row of a case: what stands in the packet, from the network header on. */
static struct example_packet packet;

static void udp(void)
{
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 12);
	example_packet_udp(&packet, 4);
	example_packet_zeros(&packet, 4);
}
static void options(void)
{
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 10, 8);
	example_packet_udp(&packet, 0);
}
static void tcp(void)
{
	example_packet_ipv4(&packet, IPPROTO_TCP, 0, 0, 20);
	example_packet_tcp(&packet, 1, 0x10, 0);
}
static void icmp(void)
{
	example_packet_ipv4(&packet, IPPROTO_ICMP, 0, 0, 8);
	example_packet_udp(&packet, 0);
}
static void first_fragment(void)
{
	example_packet_ipv4(&packet, IPPROTO_UDP, 0x2000, 0, 8);
	example_packet_udp(&packet, 600);
}
static void next_fragment(void)
{
	example_packet_ipv4(&packet, IPPROTO_UDP, 0x2001, 0, 8);
	example_packet_udp(&packet, 0);
}
static void next_fragment_with_options(void)
{
	example_packet_ipv4(&packet, IPPROTO_TCP, 0x2001, 4, 8);
	example_packet_udp(&packet, 0);
}
static void next_fragment_behind_a_tag(void)
{
	example_packet_tag(&packet, ETHERTYPE_IP);
	next_fragment();
}
static void last_fragment_of_icmp(void)
{
	example_packet_ipv4(&packet, IPPROTO_ICMP, 0x0001, 0, 8);
	example_packet_udp(&packet, 0);
}
static void cut_before_the_ports(void)
{
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 8);
	example_packet_zeros(&packet, 1);
}
static void other_ports(void)
{
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 8);
	example_packet_u32(&packet, 0x13881389);
	example_packet_u32(&packet, 0x00080000);
}
static void source_port(void)
{
	example_packet_ipv4(&packet, IPPROTO_UDP, 0, 0, 8);
	example_packet_u32(&packet, 0x14e91389); /* 5353 */
	example_packet_u32(&packet, 0x00080000);
}
static void udp6(void)
{
	example_packet_ipv6(&packet, IPPROTO_UDP, 8);
	example_packet_udp(&packet, 0);
}

static void extensions(unsigned count)
{
	static const uint8_t kinds[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					IPPROTO_DSTOPTS};

	example_packet_ipv6(&packet, count ? kinds[0] : IPPROTO_UDP, 100);
	for (unsigned i = 1; i <= count; i++)
		example_packet_extension(&packet, i == count ? IPPROTO_UDP : kinds[i % 4], i % 3);
	example_packet_udp(&packet, 0);
}
static void one_extension(void)
{
	extensions(1);
}
static void eight_extensions(void)
{
	extensions(8);
}
static void nine_extensions(void)
{
	extensions(9);
}
static void first_fragment6(void)
{
	example_packet_ipv6(&packet, IPPROTO_FRAGMENT, 16);
	example_packet_fragment(&packet, IPPROTO_TCP, 1);
	example_packet_tcp(&packet, 1, 2, 0);
}
static void next_fragment6(void)
{
	example_packet_ipv6(&packet, IPPROTO_HOPOPTS, 24);
	example_packet_extension(&packet, IPPROTO_FRAGMENT, 0);
	example_packet_fragment(&packet, IPPROTO_TCP, 8);
	example_packet_tcp(&packet, 1, 2, 0);
}
static void next_fragment_of_icmp6(void)
{
	example_packet_ipv6(&packet, IPPROTO_FRAGMENT, 16);
	example_packet_fragment(&packet, IPPROTO_ICMPV6, 8);
	example_packet_udp(&packet, 0);
}
static void security(void)
{
	example_packet_ipv6(&packet, IPPROTO_AH, 16);
	example_packet_extension(&packet, IPPROTO_UDP, 0);
	example_packet_udp(&packet, 0);
}
static void tag(void)
{
	example_packet_tag(&packet, ETHERTYPE_IP);
	udp();
}
static void two_tags(void)
{
	example_packet_tag(&packet, ETHERTYPE_VLAN);
	example_packet_tag(&packet, ETHERTYPE_IPV6);
	udp6();
}
static void three_tags(void)
{
	example_packet_tag(&packet, ETHERTYPE_VLAN);
	example_packet_tag(&packet, QINQ);
	tag();
}
static void tag_of_arp(void)
{
	example_packet_tag(&packet, ETHERTYPE_ARP);
	udp();
}

#define IN(protocol)                       \
	{                                  \
		(protocol), PACKET_HOST, 2 \
	}
#define OUT(protocol)                          \
	{                                      \
		(protocol), PACKET_OUTGOING, 2 \
	}
#define CASE(make, facts, taken)                         \
	{                                                \
#make " " #facts, (make), facts, (taken) \
	}

static const struct {
	const char *name;
	void (*make)(void);
	struct facts facts;
	uint32_t taken;
} cases[] = {
	CASE(udp, IN(ETHERTYPE_IP), ALL),
	CASE(udp, OUT(ETHERTYPE_IP), ALL),
	CASE(udp, IN(ETHERTYPE_IPV6), 0),
	CASE(udp, IN(ETHERTYPE_ARP), 0),
	{"sent by loopback", udp, {ETHERTYPE_IP, PACKET_OUTGOING, 1}, 0},
	{"received by loopback", udp, {ETHERTYPE_IP, PACKET_HOST, 1}, ALL},
	{"for somebody else", udp, {ETHERTYPE_IP, PACKET_OTHERHOST, 2}, ALL},
	CASE(options, IN(ETHERTYPE_IP), ALL),
	CASE(tcp, IN(ETHERTYPE_IP), ALL),
	CASE(icmp, IN(ETHERTYPE_IP), 0),
	CASE(first_fragment, IN(ETHERTYPE_IP), ALL),
	CASE(next_fragment, IN(ETHERTYPE_IP), 20),
	CASE(next_fragment_with_options, IN(ETHERTYPE_IP), 36),
	CASE(next_fragment_behind_a_tag, IN(ETHERTYPE_VLAN), 24),
	CASE(last_fragment_of_icmp, IN(ETHERTYPE_IP), 0),
	CASE(cut_before_the_ports, IN(ETHERTYPE_IP), 0),
	CASE(other_ports, IN(ETHERTYPE_IP), 0),
	CASE(source_port, IN(ETHERTYPE_IP), ALL),
	CASE(udp6, IN(ETHERTYPE_IPV6), ALL),
	CASE(udp6, IN(ETHERTYPE_IP), 0),
	CASE(one_extension, IN(ETHERTYPE_IPV6), ALL),
	CASE(eight_extensions, OUT(ETHERTYPE_IPV6), ALL),
	CASE(nine_extensions, IN(ETHERTYPE_IPV6), 0),
	CASE(first_fragment6, IN(ETHERTYPE_IPV6), ALL),
	CASE(next_fragment6, IN(ETHERTYPE_IPV6), 56),
	CASE(next_fragment_of_icmp6, IN(ETHERTYPE_IPV6), 0),
	CASE(security, IN(ETHERTYPE_IPV6), 0),
	CASE(tag, IN(ETHERTYPE_VLAN), ALL),
	CASE(tag, IN(QINQ), ALL),
	CASE(tag, IN(ETHERTYPE_IP), 0),
	CASE(two_tags, IN(QINQ), ALL),
	CASE(three_tags, IN(QINQ), 0),
	CASE(tag_of_arp, IN(ETHERTYPE_VLAN), 0),
	/* What is sent is shown from behind its tags, by the type of the outermost. */
	CASE(udp, OUT(ETHERTYPE_VLAN), ALL),
	CASE(udp6, OUT(QINQ), ALL),
	CASE(tag, OUT(ETHERTYPE_VLAN), 0),
};

Test(classic_filter, takes_what_the_table_says)
{
	struct sock_filter program[CLASSIC_FILTER_MAX];
	const uint16_t count = classic_filter_make(dns_ports, program);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t taken;

		packet.length = 0;
		cases[i].make();
		taken = run(program, count, &cases[i].facts, packet.bytes, packet.length);
		cr_expect_eq(taken, cases[i].taken, "%s: %u", cases[i].name, taken);
	}
}

static bool is_dns(const struct dns_frame *frame)
{
	for (unsigned i = 0; dns_ports[i]; i++) {
		if (frame->source_port == dns_ports[i] || frame->destination_port == dns_ports[i])
			return true;
	}
	return false;
}

/* What the parser of frames says of the same bytes, and the filter's contract with it. */
static void judge(const struct sock_filter *program, uint16_t count, const struct facts *facts)
{
	const uint32_t taken = run(program, count, facts, packet.bytes, packet.length);
	const uint32_t length = (uint32_t)packet.length;
	const bool is_version = length > 0 &&
				packet.bytes[0] >> 4 == (facts->protocol == ETHERTYPE_IP ? 4 : 6);
	struct dns_frame frame;
	const enum dns_frame_reject reject =
		dns_frame_parse(DNS_FRAME_LINK_IP, packet.bytes, length, length, &frame);

	cr_assert(taken == 0 || is_version);
	if (!is_version)
		return;
	if (reject == DNS_FRAME_REJECT_NONE)
		cr_assert_eq(taken, is_dns(&frame) ? ALL : 0);
	else if (taken != 0 && taken != ALL)
		cr_assert(reject == DNS_FRAME_REJECT_FRAGMENT || reject == DNS_FRAME_REJECT_IP ||
			  reject == DNS_FRAME_REJECT_EXTENSION);
	else
		cr_assert(reject != DNS_FRAME_REJECT_FRAGMENT || taken == 0);
}

Test(classic_filter, takes_whatever_the_parser_finds_to_be_dns_and_nothing_else_that_it_understands)
{
	struct sock_filter program[CLASSIC_FILTER_MAX];
	const uint16_t count = classic_filter_make(dns_ports, program);
	uint64_t random = 88172645463325252ULL;

	for (unsigned i = 0; i < MUTANTS; i++) {
		const size_t from = i % (sizeof(cases) / sizeof(cases[0]));
		const struct facts facts = IN(i & 1 ? ETHERTYPE_IP : ETHERTYPE_IPV6);

		packet.length = 0;
		cases[from].make();
		for (unsigned change = 0; change <= i % 4; change++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			packet.bytes[(random >> 8) % packet.length] = (uint8_t)random;
		}
		if (random >> 60 == 0)
			packet.length = (random >> 20) % packet.length;
		judge(program, count, &facts);
	}
}

Test(classic_filter, a_kernel_takes_it_with_any_number_of_ports)
{
	uint16_t ports[PORTS] = {0};
	struct sock_filter program[CLASSIC_FILTER_MAX];
	uint16_t last = 0;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	for (unsigned count = 1; count <= PORTS; count++) {
		struct sock_fprog filter = {.filter = program};

		ports[count - 1] = (uint16_t)(60000 + count);
		filter.len = classic_filter_make(ports, program);
		cr_expect_gt(filter.len, last);
		cr_expect_leq(filter.len, CLASSIC_FILTER_MAX);
		last = filter.len;
		cr_expect_eq(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &filter,
					sizeof(filter)),
			     0, "%u ports", count);
		for (unsigned i = 0; i < count; i++) {
			const struct facts facts = IN(ETHERTYPE_IP);

			packet.length = 0;
			udp();
			packet.bytes[20] = (uint8_t)(ports[i] >> 8);
			packet.bytes[21] = (uint8_t)ports[i];
			cr_expect_eq(run(program, filter.len, &facts, packet.bytes, packet.length),
				     ALL, "port %u of %u", i, count);
		}
	}
	close(pair[0]);
	close(pair[1]);
}
