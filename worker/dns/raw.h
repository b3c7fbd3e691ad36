/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet that a classic filter took (bpf/packets_classic.h), judged and described as the eBPF filter
 * (bpf/packets.bpf.c) does it: what one takes, both take, and with the same words.
 */
#ifndef SOCKWARDEN_WORKER_DNS_RAW_H
#define SOCKWARDEN_WORKER_DNS_RAW_H

#include "worker/intake/frame_ring.h"
#include "worker/intake/packet.h"

enum dns_raw {
	DNS_RAW_PACKET,	   /* one that counts */
	DNS_RAW_SILENT,	   /* a segment of TCP that says nothing */
	DNS_RAW_FRAGMENT,  /* a second or further one: nobody knows its ports */
	DNS_RAW_MALFORMED, /* its headers are cut or contradict each other */
};

/* Fills in *packet, whose payload is in the frame, if it returns DNS_RAW_PACKET. */
enum dns_raw dns_raw_read(const struct ring_frame *frame, struct packet *packet);

#endif
