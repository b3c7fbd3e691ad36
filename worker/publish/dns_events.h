/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds dns.v1 and names.v1 messages: what has changed in the statistics, once in an interval, and
 * what names were learnt, at most once a second. A call makes one message; the caller goes on until there is
 * none. As everywhere, numbers go on whether anybody listens or not, and nothing is encoded while nobody
 * does.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_DNS_EVENTS_H
#define SOCKWARDEN_WORKER_PUBLISH_DNS_EVENTS_H

#include "common/clock.h"
#include "worker/dns/news.h"
#include "worker/dns/stats.h"
#include "worker/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_EVENTS_BYTES_MAX 65536
/* A message is full at this size, as of conn.v1. */
#define DNS_EVENTS_BYTES_FULL 32768
/* Rows that one message stands for while nobody listens. */
#define DNS_EVENTS_ROWS_TYPICAL 48

struct dns_events {
	struct identity identity;
	uint64_t stats_seq; /* of the next message of dns.v1 */
	uint64_t names_seq; /* of names.v1 */
	uint64_t wall_ns;   /* CLOCK_REALTIME of what follows */
	bool listened;
	char buffer[DNS_EVENTS_BYTES_MAX];
};

/* bytes are good until the next call; NULL: nobody listens, there is nothing to send. */
struct dns_events_message {
	const char *bytes;
	size_t length;
	uint32_t records;
};

/* identity is copied. The first message of each topic has seq 1. */
void dns_events_init(struct dns_events *events, const struct identity *identity);

/* Tells the time (CLOCK_REALTIME) and whether somebody subscribes. */
void dns_events_tick(struct dns_events *events, uint64_t wall_ns, bool listened);

/* The next rows of the round that dns_stats_publish_begin() began; false at its end. */
bool dns_events_stats(struct dns_events *events, struct dns_stats *stats,
		      struct dns_events_message *message);

/* Takes out the oldest news; false if there are none. */
bool dns_events_names(struct dns_events *events, struct dns_news *news,
		      struct dns_events_message *message);

#endif
