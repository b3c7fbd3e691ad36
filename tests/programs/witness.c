/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness DEVICE: counts every TCP and UDP packet of a device by its conversation, from a packet socket
 * that shares nothing with what is tested. Says "ready", counts until its standard input ends, then
 * prints a line for each conversation, and last what it counted and lost:
 *
 *   tcp IP PORT IP PORT role out_packets out_ip_bytes out_payload in_packets in_ip_bytes in_payload
 *       out_acked in_acked out_synacks in_syns cut_out cut_in over_out over_in early_out early_in
 *   last ns,way,flags,seq,ack,payload ...   the last packets of the conversation above, numbers from the SYNs' on
 *   udp IP PORT IP PORT - out_packets out_ip_bytes out_payload in_packets in_ip_bytes in_payload
 *   end packets N dropped N fragments N
 *
 * The first end is this host's. acked is the payload that the receiver acknowledged before the first reset, SYN
 * and FIN taken out; cut: how many packets each way there were when this host's FIN was acknowledged without one of the
 * peer (then a closed socket is left behind for a small one, which counts nothing), or -.
 * over: the same when both FINs had been acknowledged, or before the first reset, since what comes later finds
 * no socket, or -. early: packets each way that belong to somebody who had these ports before, and no
 * socket counts: a reset in SYN_SENT, and a listener's side before its SYN+ACK.
 * A SYN with another number begins a new conversation of the same ends.
 */
#include "helper.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define BLOCK_BYTES (1U << 20)
#define BLOCKS 48
#define SNAP_BYTES 160 /* IPv6, TCP and all options */
#define BUCKETS (1U << 16)
/* Of a packet's address, behind its header: TPACKET_ALIGN() has a signed mask. */
#define ADDRESS_OFFSET                                                               \
	((sizeof(struct tpacket3_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * \
	 TPACKET_ALIGNMENT)
#define OUT 0
#define IN 1
#define LAST 16

struct key {
	uint8_t ip[2][16]; /* this host's, the peer's; of IPv4 the first four bytes */
	uint16_t port[2];
	uint8_t family;
	uint8_t protocol;
};

struct way {
	uint64_t packets;
	uint64_t ip_bytes;
	uint64_t payload;
	uint32_t first; /* its SYN's number */
	bool has_first;
	uint64_t end;	/* sequence numbers used, from first on */
	uint64_t acked; /* of these, by the peer */
	uint64_t fin;	/* end with the FIN; 0: none seen */
	uint64_t synacks;
	uint64_t syns;
};

/* What is told of a packet, for whoever looks into a difference. */
struct sight {
	uint64_t at_ns;
	int64_t seq;
	int64_t ack;
	uint32_t payload;
	uint8_t way;
	uint8_t flags;
};

struct conversation {
	struct conversation *next;
	struct key key;
	struct way way[2];
	bool began_here; /* the first SYN went out */
	bool began;	 /* a SYN was seen */
	bool is_cut;
	uint64_t cut[2];
	bool is_over;
	bool is_reset; /* and that is why */
	uint64_t over[2];
	uint64_t early[2];
	struct sight last[LAST];
	uint64_t sights;
};

struct packet {
	uint64_t at_ns;
	struct key key;
	const uint8_t *transport;
	uint32_t transport_bytes; /* of the packet, not of what was kept of it */
	uint32_t kept_bytes;
	uint32_t ip_bytes;
	int way;
};

static struct conversation *buckets[BUCKETS];
static uint64_t packets;
static uint64_t fragments;

static uint16_t load16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t load32(const uint8_t *at)
{
	return (uint32_t)load16(at) << 16 | load16(at + 2);
}

static uint32_t hash(const struct key *key)
{
	const uint8_t *bytes = (const uint8_t *)key;
	uint32_t value = 2166136261U;

	for (size_t i = 0; i < sizeof(*key); i++)
		value = (value ^ bytes[i]) * 16777619U;
	return (value ^ value >> 16) % BUCKETS;
}

static struct conversation *add(const struct key *key)
{
	struct conversation *made = calloc(1, sizeof(*made));

	if (!made)
		exit(1);
	made->key = *key;
	made->next = buckets[hash(key)];
	buckets[hash(key)] = made;
	return made;
}

/* The newest conversation of these ends, or a new one. */
static struct conversation *find(const struct key *key)
{
	for (struct conversation *c = buckets[hash(key)]; c; c = c->next) {
		if (memcmp(&c->key, key, sizeof(*key)) == 0)
			return c;
	}
	return add(key);
}

/* A 32-bit sequence number as one that is counted from the SYN's on and near to what is known. */
static uint64_t unwrap(const struct way *way, uint32_t number)
{
	const uint32_t relative = number - way->first;

	return way->end + (uint64_t)(int64_t)(int32_t)(relative - (uint32_t)way->end);
}

static void count(struct way *way, const struct packet *packet, uint32_t payload)
{
	way->packets++;
	way->ip_bytes += packet->ip_bytes;
	way->payload += payload;
}

static void take_tcp(const struct packet *packet)
{
	const uint8_t *tcp = packet->transport;
	const uint32_t header = (uint32_t)(tcp[12] >> 4) * 4,
		       payload = packet->transport_bytes - header;
	const uint32_t seq = load32(tcp + 4), ack = load32(tcp + 8);
	const uint8_t flags = tcp[13];
	const bool syn = flags & TH_SYN, fin = flags & TH_FIN, has_ack = flags & TH_ACK;
	struct conversation *c = find(&packet->key);
	struct way *way, *other;

	if (syn && !has_ack && c->began && c->way[packet->way].first != seq)
		c = add(&packet->key);
	way = &c->way[packet->way];
	other = &c->way[!packet->way];
	count(way, packet, payload);
	if (syn) {
		way->first = seq;
		way->has_first = true;
		way->synacks += has_ack;
		way->syns += !has_ack;
		if (!has_ack && !c->began) {
			c->began = true;
			c->began_here = packet->way == OUT;
		}
	}
	if (way->has_first && !(flags & TH_RST)) {
		const uint64_t end = unwrap(way, seq + payload + syn + fin);

		if (end > way->end && end - way->end < 1U << 31)
			way->end = end;
		if (fin)
			way->fin = end;
	}
	c->last[c->sights++ % LAST] = (struct sight){
		.at_ns = packet->at_ns,
		.seq = (int64_t)(seq - way->first),
		.ack = has_ack ? (int64_t)(ack - other->first) : -1,
		.payload = payload,
		.way = (uint8_t)packet->way,
		.flags = flags,
	};
	/* Whoever has reset it reads no acknowledgements any more, and nor does who was, the reset's own included. */
	if (has_ack && other->has_first && !c->is_reset && !(flags & TH_RST)) {
		const uint64_t acked = unwrap(other, ack);

		if (acked > other->acked && acked <= other->end)
			other->acked = acked;
	}
	if (c->began_here) {
		if ((flags & TH_RST) && packet->way == OUT && !other->has_first)
			c->early[OUT]++;
	} else if (c->began && !syn && !c->way[OUT].has_first) {
		c->early[packet->way]++;
	}
	if (!c->is_over && (flags & TH_RST) && way->has_first && other->has_first) {
		c->is_over = true;
		c->is_reset = true;
		c->over[packet->way] = c->way[packet->way].packets - 1;
		c->over[!packet->way] = c->way[!packet->way].packets;
	}
	if (!c->is_over && way->fin && other->fin && way->acked >= way->fin &&
	    other->acked >= other->fin) {
		c->is_over = true;
		c->over[OUT] = c->way[OUT].packets;
		c->over[IN] = c->way[IN].packets;
	}
	if (packet->way == IN && !fin && !way->fin && !c->is_cut && other->fin &&
	    other->acked >= other->fin) {
		c->is_cut = true;
		c->cut[OUT] = c->way[OUT].packets;
		c->cut[IN] = c->way[IN].packets;
	}
}

static void take_udp(const struct packet *packet)
{
	struct conversation *c = find(&packet->key);

	count(&c->way[packet->way], packet, load16(packet->transport + 4) - 8U);
}

/* The addresses, in the order in which this host comes first. */
static void set_ends(struct packet *packet, const uint8_t *source, size_t bytes)
{
	const int from = packet->way == OUT ? 0 : 1;

	memcpy(packet->key.ip[from], source, bytes);
	memcpy(packet->key.ip[!from], source + bytes, bytes);
	packet->key.port[from] = load16(packet->transport);
	packet->key.port[!from] = load16(packet->transport + 2);
}

static void take(const uint8_t *ip, uint32_t kept, bool is_out, uint64_t at_ns)
{
	struct packet packet = {.way = is_out ? OUT : IN, .at_ns = at_ns};
	uint32_t header;

	if (kept < sizeof(struct iphdr))
		return;
	packet.key.family = ip[0] >> 4;
	if (packet.key.family == 4) {
		header = (ip[0] & 0xfU) * 4;
		packet.key.protocol = ip[9];
		packet.ip_bytes = load16(ip + 2);
		if (load16(ip + 6) & 0x3fff) {
			fragments++;
			return;
		}
	} else {
		header = sizeof(struct ip6_hdr);
		if (kept < header)
			return;
		packet.key.protocol = ip[6];
		packet.ip_bytes = load16(ip + 4) + header;
	}
	if ((packet.key.protocol != IPPROTO_TCP && packet.key.protocol != IPPROTO_UDP) ||
	    kept < header + (packet.key.protocol == IPPROTO_TCP ? 20 : 8))
		return;
	packet.transport = ip + header;
	packet.transport_bytes = packet.ip_bytes - header;
	set_ends(&packet, packet.key.family == 4 ? ip + 12 : ip + 8,
		 packet.key.family == 4 ? 4 : 16);
	packets++;
	if (packet.key.protocol == IPPROTO_TCP)
		take_tcp(&packet);
	else
		take_udp(&packet);
}

static void take_block(const struct tpacket_block_desc *block)
{
	const uint8_t *at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;

	for (uint32_t i = 0; i < block->hdr.bh1.num_pkts; i++) {
		const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)at;
		const struct sockaddr_ll *from = (const struct sockaddr_ll *)(at + ADDRESS_OFFSET);
		const uint16_t protocol = ntohs(from->sll_protocol);

		if (protocol == ETH_P_IP || protocol == ETH_P_IPV6)
			take(at + header->tp_net, header->tp_snaplen,
			     from->sll_pkttype == PACKET_OUTGOING,
			     header->tp_sec * 1000000000ULL + header->tp_nsec);
		at += header->tp_next_offset;
	}
}

static void print_way(const struct way *way)
{
	printf(" %llu %llu %llu", (unsigned long long)way->packets,
	       (unsigned long long)way->ip_bytes, (unsigned long long)way->payload);
}

static unsigned long long acked_payload(const struct way *way)
{
	const bool fin = way->fin && way->acked >= way->fin;

	return way->acked > 1U + fin ? way->acked - 1U - fin : 0;
}

static void print_moment(bool is_known, const uint64_t packets_then[2])
{
	if (is_known)
		printf(" %llu %llu", (unsigned long long)packets_then[OUT],
		       (unsigned long long)packets_then[IN]);
	else
		printf(" - -");
}

static void print_last(const struct conversation *c)
{
	printf("last");
	for (uint64_t i = c->sights > LAST ? c->sights - LAST : 0; i < c->sights; i++) {
		const struct sight *sight = &c->last[i % LAST];

		printf(" %llu,%s,%x,%lld,%lld,%u", (unsigned long long)sight->at_ns,
		       sight->way == OUT ? "out" : "in", sight->flags, (long long)sight->seq,
		       (long long)sight->ack, sight->payload);
	}
	putchar('\n');
}

static void print(const struct conversation *c)
{
	const int family = c->key.family == 4 ? AF_INET : AF_INET6;
	char ip[2][INET6_ADDRSTRLEN];

	inet_ntop(family, c->key.ip[0], ip[0], sizeof(ip[0]));
	inet_ntop(family, c->key.ip[1], ip[1], sizeof(ip[1]));
	printf("%s %s %u %s %u", c->key.protocol == IPPROTO_TCP ? "tcp" : "udp", ip[0],
	       c->key.port[0], ip[1], c->key.port[1]);
	if (c->key.protocol == IPPROTO_UDP) {
		printf(" -");
		print_way(&c->way[OUT]);
		print_way(&c->way[IN]);
		putchar('\n');
		return;
	}
	printf(" %s", !c->began ? "unknown" : c->began_here ? "client" : "server");
	print_way(&c->way[OUT]);
	print_way(&c->way[IN]);
	printf(" %llu %llu %llu %llu", acked_payload(&c->way[OUT]), acked_payload(&c->way[IN]),
	       (unsigned long long)c->way[OUT].synacks, (unsigned long long)c->way[IN].syns);
	print_moment(c->is_cut, c->cut);
	print_moment(c->is_over, c->over);
	printf(" %llu %llu\n", (unsigned long long)c->early[OUT], (unsigned long long)c->early[IN]);
	print_last(c);
}

/* What was newest is printed first, and each list is the other way round here. */
static void print_all(void)
{
	for (uint32_t i = 0; i < BUCKETS; i++) {
		for (const struct conversation *c = buckets[i]; c; c = c->next)
			print(c);
	}
}

static int open_socket(const char *device, uint8_t **ring)
{
	struct sock_filter keep[] = {{BPF_RET | BPF_K, 0, 0, SNAP_BYTES}};
	const struct sock_fprog program = {.len = 1, .filter = keep};
	const struct tpacket_req3 request = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = 2048,
		.tp_frame_nr = BLOCK_BYTES / 2048 * BLOCKS,
		.tp_retire_blk_tov = 20,
	};
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(device),
	};
	const int version = TPACKET_V3;
	const int fd = CHECK(socket(AF_PACKET, SOCK_DGRAM, 0));

	CHECK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)));
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)));
	*ring = mmap(NULL, (size_t)BLOCK_BYTES * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ring == MAP_FAILED || address.sll_ifindex == 0) {
		perror(device);
		exit(1);
	}
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

/* Reads all blocks that are done. */
static void drain(uint8_t *ring, uint32_t *next)
{
	for (;;) {
		struct tpacket_block_desc *block =
			(struct tpacket_block_desc *)(ring + (size_t)BLOCK_BYTES * *next);

		if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) &
		      TP_STATUS_USER))
			return;
		take_block(block);
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		*next = (*next + 1) % BLOCKS;
	}
}

int main(int argc, char **argv)
{
	struct pollfd waiting[2] = {{.events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	struct tpacket_stats_v3 stats;
	socklen_t size = sizeof(stats);
	uint32_t next = 0;
	uint8_t *ring;

	if (argc != 2) {
		fprintf(stderr, "usage: witness DEVICE\n");
		return 2;
	}
	/* Who counts late loses what it was to count. */
	CHECK(setpriority(PRIO_PROCESS, 0, -20));
	waiting[0].fd = open_socket(argv[1], &ring);
	puts("ready");
	fflush(stdout);
	while (!waiting[1].revents) {
		CHECK(poll(waiting, 2, -1));
		drain(ring, &next);
	}
	/* The last block is done when its time is over. */
	for (int i = 0; i < 10; i++) {
		usleep(20000);
		drain(ring, &next);
	}
	CHECK(getsockopt(waiting[0].fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size));
	print_all();
	printf("end packets %llu dropped %u fragments %llu\n", (unsigned long long)packets,
	       stats.tp_drops, (unsigned long long)fragments);
	return 0;
}
