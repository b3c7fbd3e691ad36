/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the excludes. An address is "*" (all of both families), an IPv4 or IPv6 address or
 * such a one with "/BITS", without bits set behind the prefix. Ports are "*", "N" or "LOW-HIGH" with
 * 1..65535, after "tcp " or "udp " (in any case) for one protocol. Nothing else is taken: what is
 * nearly right is refused with the reason.
 */
#ifndef SOCKWARDEN_COMMON_CONFIG_EXCLUDE_TEXT_H
#define SOCKWARDEN_COMMON_CONFIG_EXCLUDE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "*", or an address of 39 bytes with "/128"; a NUL. */
#define EXCLUDE_ADDRESS_BYTES 48
/* "tcp 10000-20000" and a NUL. */
#define EXCLUDE_PORTS_BYTES 16

enum exclude_family {
	EXCLUDE_ANY_FAMILY = 0,
	EXCLUDE_IPV4 = 4,
	EXCLUDE_IPV6 = 6,
};

enum exclude_protocol {
	EXCLUDE_TCP = 1 << 0,
	EXCLUDE_UDP = 1 << 1,
	EXCLUDE_ANY_PROTOCOL = EXCLUDE_TCP | EXCLUDE_UDP,
};

struct exclude_prefix {
	uint8_t ip[16]; /* network order, 4 bytes for IPv4, the rest 0 */
	uint8_t family; /* enum exclude_family */
	uint8_t bits;	/* 0..32 or 0..128 */
};

struct exclude_ports {
	uint16_t low; /* 0..65535 for "*", which covers port 0 too */
	uint16_t high;
	uint8_t protocols; /* a set of enum exclude_protocol */
	uint8_t pad0;
};

struct exclude_item {
	struct exclude_prefix prefix;
	struct exclude_ports ports;
};

/* Reads an address. Returns 0, or -EINVAL and sets *why to a constant text. */
int exclude_prefix_parse(struct exclude_prefix *prefix, const char *text, const char **why);

/* Reads a port item. Returns 0, or -EINVAL and sets *why to a constant text. */
int exclude_ports_parse(struct exclude_ports *ports, const char *text, const char **why);

bool exclude_prefix_equal(const struct exclude_prefix *left, const struct exclude_prefix *right);

/* Write what the parsers read back as the same value. */
void exclude_prefix_format(char out[static EXCLUDE_ADDRESS_BYTES],
			   const struct exclude_prefix *prefix);
void exclude_ports_format(char out[static EXCLUDE_PORTS_BYTES], const struct exclude_ports *ports);

#endif
