/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection whose every fact is known, for tests to vary.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_CONN_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_CONN_H

#include "worker/conn/view.h"

#include <netinet/in.h>
#include <string.h>

static inline struct conn_record example_record(void)
{
	struct conn_record record = {
		.kind = RECORD_KIND_CLOSE,
		.version = RECORD_VERSION,
		.protocol = IPPROTO_TCP,
		.family = RECORD_FAMILY_IPV4,
		.direction = RECORD_DIRECTION_OUTGOING,
		.pid_source = RECORD_PID_CONNECT,
		.tcp_state = 5, /* FIN_WAIT2 */
		.flags = RECORD_ESTABLISHED | RECORD_FIN_ACKED,
		.id = 0x1a2b,
		.opened_ns = 1000000000,
		.at_ns = 1001234567,
		.sent_bytes = 123,
		.recv_bytes = 4567,
		.cgroup_id = 99,
		.start_ns = 5,
		.sent_packets = 9,
		.recv_packets = 8,
		.retransmits = 1,
		.srtt_us = 95,
		.rttvar_us = 12,
		.handshake_us = 311,
		.pid = 4711,
		.uid = 1000,
		.netns = 4026531840,
		.local_port = 51514,
		.remote_port = 443,
		.local_ip = {10, 0, 0, 5},
		.remote_ip = {10, 0, 0, 9},
		.comm = "curl",
	};

	return record;
}

static inline struct conn_view example_view(const struct conn_record *record)
{
	return (struct conn_view){
		.record = record,
		.cgroup = "/system.slice/x.service",
		.closed = true,
	};
}

#endif
