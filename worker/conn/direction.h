/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who began a UDP flow, where its first datagram misleads: a flow that is seen from its middle on (the
 * tracer started late, or the flow was silent for too long) may begin with an answer. Ports tell:
 * the kernel gives those of a range to who asks for none, and who asks for one is a server. TCP's
 * direction is known and never changed.
 */
#ifndef SOCKWARDEN_WORKER_CONN_DIRECTION_H
#define SOCKWARDEN_WORKER_CONN_DIRECTION_H

#include "proto/record.h"

#include <stdbool.h>
#include <stdint.h>

/* net.ipv4.ip_local_port_range, both ends included. */
struct port_range {
	uint16_t first;
	uint16_t last;
};

/* What the kernel has where nobody changed it (Documentation/networking/ip-sysctl). */
#define PORT_RANGE_DEFAULT ((struct port_range){32768, 60999})

/* This network namespace's; the default where it cannot be read. */
struct port_range port_range_read(void);

/* enum record_direction where the record's is wrong, or 0. */
uint8_t conn_direction_fix(const struct conn_record *record, bool intra_host,
			   struct port_range ephemeral);

#endif
