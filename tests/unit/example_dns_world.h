/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic of DNS for an engine: queries and answers as packets, over UDP, and over TCP in segments that come
 * in any order, twice, cut or not at all; and connections to the addresses that were named. What happens is
 * random and the same each time.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_WORLD_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_DNS_WORLD_H

#include "tests/unit/example_conn.h"
#include "tests/unit/example_dns.h"
#include "worker/engine.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define EXAMPLE_CLIENTS 64
#define EXAMPLE_SEGMENT_BYTES 512

struct example_dns_world {
	struct engine *engine;
	uint64_t now_ns;
	uint64_t dice;
	unsigned names;			       /* that are asked for */
	unsigned hosts;			       /* that they lead to */
	unsigned clients;		       /* that ask */
	unsigned answers;		       /* addresses of one answer, at most 64 */
	uint64_t next_id;		       /* of connections */
	uint32_t sequence[2][EXAMPLE_CLIENTS]; /* of TCP, of queries and of answers */
	struct example_dns message;
};

/* 0..sides-1. */
static inline uint32_t example_dice(struct example_dns_world *world, uint32_t sides)
{
	/* xorshift (Marsaglia 2003). */
	world->dice ^= world->dice << 13;
	world->dice ^= world->dice >> 7;
	world->dice ^= world->dice << 17;
	return (uint32_t)((world->dice >> 11) % sides);
}

/* What is captured of a payload, on an interface; client: who asks, or is answered. */
static inline void example_capture(struct example_dns_world *world, unsigned client, bool is_answer,
				   uint8_t protocol, const uint8_t *payload, size_t length,
				   size_t captured, uint8_t tcp_flags, uint32_t sequence)
{
	struct packet packet = {
		.record =
			{
				.kind = RECORD_KIND_PACKET,
				.version = RECORD_VERSION,
				.family = client % 4 == 3 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4,
				.protocol = protocol,
				.tcp_flags = tcp_flags,
				.at_ns = world->now_ns,
				.payload_bytes = (__u32)length,
				.sequence = sequence,
				.interface = 2,
				.source_port = is_answer ? 53 : (__u16)(40000 + client),
				.destination_port = is_answer ? (__u16)(40000 + client) : 53,
			},
		.payload = payload,
		.length = captured,
	};
	const uint8_t from[16] = {10, 1, (uint8_t)(client >> 8), (uint8_t)client};
	const uint8_t to[16] = {10, 2, 0, (uint8_t)(client % 3)};

	memcpy(packet.record.source_ip, is_answer ? to : from, sizeof(from));
	memcpy(packet.record.destination_ip, is_answer ? from : to, sizeof(from));
	engine_packet(world->engine, &packet);
	/* A bridge shows it again. */
	if (example_dice(world, 8) == 0) {
		packet.record.interface = 3;
		packet.record.at_ns += example_dice(world, 10000000);
		engine_packet(world->engine, &packet);
	}
}

static inline void example_dns_message(struct example_dns_world *world, unsigned id, bool is_answer)
{
	const unsigned count = is_answer ? example_dice(world, world->answers + 1) : 0;
	char name[160];

	snprintf(name, sizeof(name), "%s%u.example.org",
		 id % 7 == 0 ? "a-name-that-is-long-enough-to-take-more-than-one-of-the-blocks."
			       "that-names-are-kept-in-"
			     : "www",
		 id % world->names);
	example_dns_begin(&world->message, id,
			  is_answer ? EXAMPLE_DNS_RESPONSE | (count == 0 ? 3 : 0)
				    : EXAMPLE_DNS_QUERY,
			  count, 0, 0);
	example_dns_question(&world->message, name, id % 2 ? DNS_TYPE_A : DNS_TYPE_AAAA);
	for (unsigned i = 0; i < count; i++) {
		const unsigned host = 1 + example_dice(world, world->hosts);

		example_dns_pointer(&world->message, EXAMPLE_DNS_QUESTION_AT);
		if (id % 2)
			example_dns_a(&world->message, example_dice(world, 100), host);
		else
			example_dns_aaaa(&world->message, example_dice(world, 100), host);
	}
}

static inline void example_segment(struct example_dns_world *world, unsigned client, bool is_answer,
				   const uint8_t *bytes, size_t length, uint32_t sequence)
{
	const unsigned fate = example_dice(world, 20);

	if (fate == 0)
		return;
	example_capture(world, client, is_answer, IPPROTO_TCP, bytes, length,
			fate == 1 ? example_dice(world, (uint32_t)length + 1) : length,
			fate == 2 ? DNS_FRAME_FIN : 0, sequence);
	if (fate == 3)
		example_capture(world, client, is_answer, IPPROTO_TCP, bytes, length, length, 0,
				sequence);
}

static inline void example_dns_tcp(struct example_dns_world *world, unsigned client, bool is_answer)
{
	uint32_t *sequence = &world->sequence[is_answer][client];
	const size_t length = 2 + world->message.length;
	const size_t first = 1 + example_dice(world, (uint32_t)length - 1);
	const bool is_early = example_dice(world, 4) == 0;
	uint8_t bytes[8192];

	bytes[0] = (uint8_t)(world->message.length >> 8);
	bytes[1] = (uint8_t)world->message.length;
	memcpy(bytes + 2, world->message.bytes, world->message.length);
	if (example_dice(world, 30) == 0) {
		*sequence = example_dice(world, 1U << 30) * 4;
		example_capture(world, client, is_answer, IPPROTO_TCP, bytes, 0, 0, DNS_FRAME_SYN,
				*sequence - 1);
	}
	if (is_early)
		example_segment(world, client, is_answer, bytes + first, length - first,
				*sequence + (uint32_t)first);
	example_segment(world, client, is_answer, bytes, first, *sequence);
	if (!is_early && example_dice(world, 10) > 0)
		example_segment(world, client, is_answer, bytes + first, length - first,
				*sequence + (uint32_t)first);
	*sequence += (uint32_t)length;
}

static inline void example_dns_send(struct example_dns_world *world, unsigned client, unsigned id,
				    bool is_answer, bool is_tcp)
{
	example_dns_message(world, id, is_answer);
	world->now_ns += example_dice(world, 2000000);
	if (is_tcp)
		example_dns_tcp(world, client % EXAMPLE_CLIENTS, is_answer);
	else
		example_capture(world, client, is_answer, IPPROTO_UDP, world->message.bytes,
				world->message.length, world->message.length, 0, 0);
}

/* One question, and mostly its answer. */
static inline void example_dns_ask(struct example_dns_world *world)
{
	const unsigned client = example_dice(world, world->clients);
	const unsigned id = example_dice(world, 60000);
	const bool is_tcp = example_dice(world, 3) == 0;

	example_dns_send(world, client, id, false, is_tcp);
	if (example_dice(world, 10) == 0)
		example_dns_send(world, client, id, false, is_tcp);
	if (example_dice(world, 5) > 0)
		example_dns_send(world, client, id, true, is_tcp);
}

/* Makes a connection the one on which a client asks, as example_capture() has its packets. */
static inline void example_dns_converse(struct conn_record *record, unsigned client, bool is_tcp)
{
	const uint8_t from[16] = {10, 1, (uint8_t)(client >> 8), (uint8_t)client};
	const uint8_t to[16] = {10, 2, 0, (uint8_t)(client % 3)};

	record->family = client % 4 == 3 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4;
	record->protocol = is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
	if (!is_tcp) {
		record->tcp_state = 0;
		record->end = record->kind == RECORD_KIND_CLOSE ? RECORD_END_IDLE : RECORD_END_NONE;
	}
	memcpy(record->local_ip, from, sizeof(from));
	memcpy(record->remote_ip, to, sizeof(to));
	record->local_port = (__u16)(40000 + client);
	record->remote_port = 53;
}

/* A connection to an address that may have a name, or on which somebody asks; closed or live. */
static inline void example_dns_connect(struct example_dns_world *world)
{
	struct conn_record record = example_record();
	const uint32_t host = 1 + example_dice(world, world->hosts);
	const bool lives = example_dice(world, 2);

	record.id = lives ? 1 + example_dice(world, 40) : 1000 + world->next_id++;
	record.kind = lives ? RECORD_KIND_SNAPSHOT : RECORD_KIND_CLOSE;
	record.tcp_state = lives ? 1 : record.tcp_state;
	record.family = RECORD_FAMILY_IPV4;
	record.cgroup_id = 0;
	record.opened_ns = world->now_ns - example_dice(world, 1000000000);
	record.at_ns = world->now_ns;
	record.sent_bytes = world->next_id;
	memset(record.remote_ip, 0, sizeof(record.remote_ip));
	memcpy(record.remote_ip, &(uint32_t){htonl(0x0a000000U | host)}, 4);
	if (world->now_ns % 3 == 0)
		example_dns_converse(&record, (unsigned)(world->now_ns / 3 % world->clients),
				     world->now_ns % 7 < 3);
	if (lives) {
		record.id += host % 40;
		engine_pass_begin(world->engine, world->now_ns, 0);
		engine_seen(world->engine, &record);
	} else {
		engine_close(world->engine, &record);
	}
}

/* What a worker's loop does to its engine between two ticks, with questions up to a number. */
static inline void example_dns_live(struct example_dns_world *world, unsigned questions)
{
	world->now_ns += example_dice(world, 300000000);
	/* A pause, in which much expires. */
	if (example_dice(world, 60) == 0)
		world->now_ns += (uint64_t)example_dice(world, 60) * 1000000000;
	engine_tick(world->engine, world->now_ns,
		    (struct clock_offsets){1795330000000000000ULL + example_dice(world, 1000), 0},
		    example_dice(world, 30) > 0);
	for (unsigned i = example_dice(world, questions + 1); i > 0; i--)
		example_dns_ask(world);
	for (unsigned i = example_dice(world, 20); i > 0; i--)
		example_dns_connect(world);
	if (example_dice(world, 5) == 0)
		engine_active_begin(world->engine);
	engine_active_step(world->engine);
	engine_flush(world->engine, world->now_ns, example_dice(world, 10) == 0);
}

#endif
