/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captured packets: what the socket filter wrote about each (struct packet_record), and the bytes that it
 * copied behind that. Here only sizes are judged; what the payload says is for whoever parses it.
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_PACKET_H
#define SOCKWARDEN_WORKER_INTAKE_PACKET_H

#include "proto/record.h"
#include "worker/intake/perf_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet {
	struct packet_record record;
	const uint8_t *payload; /* where the sample is */
	size_t length;		/* bytes of it: at most record.payload_bytes */
};

/* A whole sample of a packet ring; false if it is none, or its sizes contradict each other. */
bool packet_read(const struct perf_sample *sample, struct packet *packet);

#endif
