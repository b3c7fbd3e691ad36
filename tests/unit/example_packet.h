/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets put together header by header, for unit tests and fuzz seeds: from 10.0.0.5 to 10.0.0.1, or
 * 2001:db8::5 to 2001:db8::1. Lengths are what the caller says.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_PACKET_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct example_packet {
	size_t length;
	uint8_t bytes[4096];
};

static inline void example_packet_put(struct example_packet *packet, const void *bytes,
				      size_t length)
{
	if (length > sizeof(packet->bytes) - packet->length)
		abort();
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += length;
}

static inline void example_packet_zeros(struct example_packet *packet, size_t length)
{
	static const uint8_t zeros[256];

	example_packet_put(packet, zeros, length);
}

static inline void example_packet_u8(struct example_packet *packet, unsigned value)
{
	const uint8_t byte = (uint8_t)value;

	example_packet_put(packet, &byte, 1);
}

static inline void example_packet_u16(struct example_packet *packet, unsigned value)
{
	example_packet_u8(packet, value >> 8);
	example_packet_u8(packet, value & 0xff);
}

static inline void example_packet_u32(struct example_packet *packet, uint32_t value)
{
	example_packet_u16(packet, value >> 16);
	example_packet_u16(packet, value & 0xffff);
}

static inline void example_packet_ethernet(struct example_packet *packet, unsigned type)
{
	static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 5};

	packet->length = 0;
	example_packet_put(packet, addresses, sizeof(addresses));
	example_packet_u16(packet, type);
}

/* What stands behind a type that says that there is a tag. */
static inline void example_packet_tag(struct example_packet *packet, unsigned type)
{
	example_packet_u16(packet, 0x2064); /* network 100, priority 1 */
	example_packet_u16(packet, type);
}

/* option_words of four bytes; payload: how long what follows is said to be. */
static inline void example_packet_ipv4(struct example_packet *packet, unsigned protocol,
				       unsigned fragment, unsigned option_words, unsigned payload)
{
	example_packet_u8(packet, 0x45 + option_words);
	example_packet_u8(packet, 0);
	example_packet_u16(packet, 20 + 4 * option_words + payload);
	example_packet_u16(packet, 7);
	example_packet_u16(packet, fragment);
	example_packet_u8(packet, 64);
	example_packet_u8(packet, protocol);
	example_packet_u16(packet, 0);
	example_packet_u32(packet, 0x0a000005);
	example_packet_u32(packet, 0x0a000001);
	for (unsigned i = 0; i < option_words; i++)
		example_packet_u32(packet, 0x01010101);
}

static inline void example_packet_address6(struct example_packet *packet, uint32_t host)
{
	example_packet_u32(packet, 0x20010db8);
	example_packet_u32(packet, 0);
	example_packet_u32(packet, 0);
	example_packet_u32(packet, host);
}

static inline void example_packet_ipv6(struct example_packet *packet, unsigned next,
				       unsigned payload)
{
	example_packet_u32(packet, 0x60000000);
	example_packet_u16(packet, payload);
	example_packet_u8(packet, next);
	example_packet_u8(packet, 64);
	example_packet_address6(packet, 5);
	example_packet_address6(packet, 1);
}

/* Of 8 bytes, and so many times more. */
static inline void example_packet_extension(struct example_packet *packet, unsigned next,
					    unsigned more_units)
{
	example_packet_u8(packet, next);
	example_packet_u8(packet, more_units);
	example_packet_zeros(packet, 6 + 8 * (size_t)more_units);
}

static inline void example_packet_fragment(struct example_packet *packet, unsigned next,
					   unsigned offset_and_flags)
{
	example_packet_u8(packet, next);
	example_packet_u8(packet, 0);
	example_packet_u16(packet, offset_and_flags);
	example_packet_u32(packet, 1);
}

/* From port 1234 to 53. */
static inline void example_packet_udp(struct example_packet *packet, unsigned payload)
{
	example_packet_u16(packet, 1234);
	example_packet_u16(packet, 53);
	example_packet_u16(packet, 8 + payload);
	example_packet_u16(packet, 0);
}

static inline void example_packet_tcp(struct example_packet *packet, uint32_t seq, unsigned flags,
				      unsigned option_words)
{
	example_packet_u16(packet, 1234);
	example_packet_u16(packet, 53);
	example_packet_u32(packet, seq);
	example_packet_u32(packet, 0x55555555);
	example_packet_u8(packet, (5 + option_words) << 4);
	example_packet_u8(packet, flags);
	example_packet_u16(packet, 512);
	example_packet_u32(packet, 0);
	for (unsigned i = 0; i < option_words; i++)
		example_packet_u32(packet, 0x01010101);
}

#endif
