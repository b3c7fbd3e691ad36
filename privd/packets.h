/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture of DNS packets: a packet socket in the root network namespace, whose eBPF filter copies what is
 * on a DNS port into rings of its own and keeps nothing for the socket. privd holds the socket and
 * never reads it; nobody else gets it, since who has it could send frames.
 */
#ifndef SOCKWARDEN_PRIVD_PACKETS_H
#define SOCKWARDEN_PRIVD_PACKETS_H

#include "privd/loader.h"
#include "privd/perf_rings.h"

#include <stdint.h>

struct packet_capture {
	uint16_t ports[HANDOFF_DNS_PORTS_MAX]; /* in host byte order; 0 ends the list */
	int error; /* why nothing is captured, -errno; -ECANCELED: there are no ports */
	struct perf_rings rings; /* count is 0 where nothing is captured */
	int filter_fd;
};

/* Loads the filter for packets->ports and opens a ring of data_pages for each online CPU. */
void packets_load(struct packet_capture *packets, const struct loader *loader, unsigned data_pages);

/*
 * Begins the capture in the network namespace that the caller is in, if all went well so far; it goes on
 * until privd ends. The filter is in place, and locked, before the first packet.
 */
void packets_capture(struct packet_capture *packets);

#endif
