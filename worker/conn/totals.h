/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of a connection that are told as a total and as a delta. They only grow while a connection
 * lives; but a snapshot reads a socket's numbers one after the other while packets come, so that one of
 * them may be smaller than before, by the number of a FIN. What was told stays told: differences are
 * never negative. The kernel counts packets in 32 bits, and so do these: a difference below 2^31 is one of
 * growth across the wrap.
 */
#ifndef SOCKWARDEN_WORKER_CONN_TOTALS_H
#define SOCKWARDEN_WORKER_CONN_TOTALS_H

#include "proto/record.h"

#include <stdbool.h>
#include <stdint.h>

struct conn_totals {
	uint64_t sent_bytes;
	uint64_t recv_bytes;
	uint32_t sent_packets;
	uint32_t recv_packets;
	uint32_t retransmits;
};

/* The same of many connections. */
struct conn_sums {
	uint64_t connections;
	uint64_t sent_bytes;
	uint64_t recv_bytes;
	uint64_t sent_packets;
	uint64_t recv_packets;
	uint64_t retransmits;
};

static inline struct conn_totals conn_totals_of(const struct conn_record *record)
{
	return (struct conn_totals){
		.sent_bytes = record->sent_bytes,
		.recv_bytes = record->recv_bytes,
		.sent_packets = record->sent_packets,
		.recv_packets = record->recv_packets,
		.retransmits = record->retransmits,
	};
}

static inline uint64_t conn_bytes_grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static inline uint32_t conn_packets_grown(uint32_t now, uint32_t before)
{
	const uint32_t difference = now - before;

	return difference < 1U << 31 ? difference : 0;
}

/* What was counted since before. */
static inline struct conn_totals conn_totals_since(const struct conn_totals *now,
						   const struct conn_totals *before)
{
	return (struct conn_totals){
		.sent_bytes = conn_bytes_grown(now->sent_bytes, before->sent_bytes),
		.recv_bytes = conn_bytes_grown(now->recv_bytes, before->recv_bytes),
		.sent_packets = conn_packets_grown(now->sent_packets, before->sent_packets),
		.recv_packets = conn_packets_grown(now->recv_packets, before->recv_packets),
		.retransmits = conn_packets_grown(now->retransmits, before->retransmits),
	};
}

/* The larger one of each number. */
static inline struct conn_totals conn_totals_larger(const struct conn_totals *a,
						    const struct conn_totals *b)
{
	const struct conn_totals more = conn_totals_since(a, b);

	return (struct conn_totals){
		.sent_bytes = b->sent_bytes + more.sent_bytes,
		.recv_bytes = b->recv_bytes + more.recv_bytes,
		.sent_packets = b->sent_packets + more.sent_packets,
		.recv_packets = b->recv_packets + more.recv_packets,
		.retransmits = b->retransmits + more.retransmits,
	};
}

/* The smaller one of each number. */
static inline struct conn_totals conn_totals_smaller(const struct conn_totals *a,
						     const struct conn_totals *b)
{
	const struct conn_totals more = conn_totals_since(a, b);

	return (struct conn_totals){
		.sent_bytes = a->sent_bytes - more.sent_bytes,
		.recv_bytes = a->recv_bytes - more.recv_bytes,
		.sent_packets = a->sent_packets - more.sent_packets,
		.recv_packets = a->recv_packets - more.recv_packets,
		.retransmits = a->retransmits - more.retransmits,
	};
}

static inline bool conn_totals_differ(const struct conn_totals *a, const struct conn_totals *b)
{
	return ((a->sent_bytes ^ b->sent_bytes) | (a->recv_bytes ^ b->recv_bytes) |
		(a->sent_packets ^ b->sent_packets) | (a->recv_packets ^ b->recv_packets) |
		(a->retransmits ^ b->retransmits)) != 0;
}

/* One more connection's. */
static inline void conn_sums_add(struct conn_sums *sums, const struct conn_totals *totals)
{
	sums->sent_bytes += totals->sent_bytes;
	sums->recv_bytes += totals->recv_bytes;
	sums->sent_packets += totals->sent_packets;
	sums->recv_packets += totals->recv_packets;
	sums->retransmits += totals->retransmits;
}

/* now - before of sums that only grow. */
static inline struct conn_sums conn_sums_since(const struct conn_sums *now,
					       const struct conn_sums *before)
{
	return (struct conn_sums){
		.connections = now->connections - before->connections,
		.sent_bytes = now->sent_bytes - before->sent_bytes,
		.recv_bytes = now->recv_bytes - before->recv_bytes,
		.sent_packets = now->sent_packets - before->sent_packets,
		.recv_packets = now->recv_packets - before->recv_packets,
		.retransmits = now->retransmits - before->retransmits,
	};
}

static inline bool conn_sums_are_zero(const struct conn_sums *sums)
{
	return (sums->connections | sums->sent_bytes | sums->recv_bytes | sums->sent_packets |
		sums->recv_packets | sums->retransmits) == 0;
}

#endif
