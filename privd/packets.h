/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture of DNS packets: a packet socket in the root network namespace. With an eBPF filter, that
 * copies what is on a DNS port into rings of its own and keeps nothing for the socket: privd holds the
 * socket and never reads it, and nobody else gets it, since who has it could send frames. Where there is no
 * eBPF filter, or when asked, a classic one takes the packets into the socket's own ring, and
 * then the worker gets the socket, and is fenced.
 */
#ifndef SOCKWARDEN_PRIVD_PACKETS_H
#define SOCKWARDEN_PRIVD_PACKETS_H

#include "privd/loader.h"
#include "privd/perf_rings.h"

#include <stdint.h>

enum packet_filter {
	PACKET_FILTER_AUTO = 0, /* the first of these that the kernel takes */
	PACKET_FILTER_EBPF = 1,
	PACKET_FILTER_CLASSIC = 2,
};

/* For the option; ends with NULL. */
extern const char *const packet_filter_names[];

struct packet_capture {
	uint16_t ports[HANDOFF_DNS_PORTS_MAX]; /* in host byte order; 0 ends the list */
	enum packet_filter filter;	       /* that is wanted */
	int error; /* why nothing is captured, -errno; -ECANCELED: there are no ports */
	struct perf_rings rings; /* of the eBPF filter; count is 0 where there is none */
	int filter_fd;
	uint64_t ring_bytes; /* that a classic filter's ring should have */
	int socket_fd;	     /* with that ring, or negative: there is none; not to be sent on */
	unsigned block_bytes;
	unsigned block_count;
};

/*
 * Loads the eBPF filter for packets->ports, if it may be that, and opens a ring of data_pages for each online
 * CPU; a classic filter's ring will be as large as all of them, which cpus are.
 */
void packets_load(struct packet_capture *packets, const struct loader *loader, unsigned data_pages,
		  unsigned cpus);

/*
 * Begins the capture in the network namespace that the caller is in, if all went well so far; it goes on
 * until privd ends. The filter is in place, and locked, before the first packet.
 */
void packets_capture(struct packet_capture *packets);

#endif
