/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the classic filter for DNS packets together: the parts of bpf/packets_classic.h and the ports.
 */
#ifndef SOCKWARDEN_PRIVD_CLASSIC_FILTER_H
#define SOCKWARDEN_PRIVD_CLASSIC_FILTER_H

#include "proto/handoff.h"

#include <linux/filter.h>
#include <stdint.h>

/* A conditional jump goes over 255 instructions at most: no program is longer than that. */
#define CLASSIC_FILTER_MAX 256

/*
 * Writes the program for ports (host byte order; 0 ends a shorter list) and returns its length in
 * instructions. Of a packet it takes PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX bytes.
 */
uint16_t classic_filter_make(const uint16_t ports[HANDOFF_DNS_PORTS_MAX],
			     struct sock_filter program[CLASSIC_FILTER_MAX]);

#endif
