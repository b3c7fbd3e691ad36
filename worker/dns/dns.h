/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS: from a captured packet to statistics and reverse names.
 *
 *   frame -> (TCP: stream ->) message -> query or answer -> in flight -> statistics, conversations
 *                                                      `-> names
 *
 * Only an answer to a question that was seen gives names: nobody can name an address by an answer that
 * was not asked for. There is no clock and no descriptor in here.
 */
#ifndef SOCKWARDEN_WORKER_DNS_DNS_H
#define SOCKWARDEN_WORKER_DNS_DNS_H

#include "common/config/config.h"
#include "worker/dns/conversations.h"
#include "worker/dns/duplicates.h"
#include "worker/dns/frame.h"
#include "worker/dns/in_flight.h"
#include "worker/dns/message.h"
#include "worker/dns/names.h"
#include "worker/dns/news.h"
#include "worker/dns/stats.h"
#include "worker/dns/stream.h"
#include "worker/intake/packet.h"

#include <stdbool.h>
#include <stdint.h>

/* What reassembly may take: 250 messages that are waited for, 4,000 connections. */
#define DNS_STREAM_BYTES (4ULL << 20)

struct dns_settings {
	bool enabled;
	bool local; /* statistics of servers on loopback addresses, too */
	struct config_ports ports;
	struct config_dns_types types; /* others are not looked at */
	uint64_t timeout_ns;
	uint32_t max_in_flight;
	uint32_t max_conversations;
	struct dns_stats_settings stats;
	struct names_settings names;
};

struct dns_counts {
	uint64_t packets;
	uint64_t duplicates;  /* seen on another interface before */
	uint64_t other_ports; /* captured, but not configured */
	uint64_t messages;    /* that were understood */
	uint64_t cut;	      /* of these: whose end was not captured */
	uint64_t truncated;   /* of these: with TC */
	uint64_t other_types; /* of these: of types that are not looked at */
	uint64_t local;	      /* of these: to or from servers on loopback, not in the statistics */
	uint64_t rejected[DNS_REJECT_COUNT];
};

struct dns {
	struct dns_settings settings;
	struct duplicates duplicates;
	struct dns_stream stream;
	struct dns_in_flight in_flight;
	struct dns_stats stats;
	struct dns_conversations conversations;
	struct names names;
	struct dns_counts counts;
	struct dns_news news;	    /* names that were learnt, to be told */
	struct dns_message message; /* the one that is being looked at */
};

/* The settings that follow from a configuration. */
struct dns_settings dns_settings_of(const struct config *config);

/* *dns is zeroed memory; secret is hashed into the tables' keys. 0 or -errno. Nothing is kept if disabled. */
int dns_init(struct dns *dns, const struct dns_settings *settings, const char *secret);
void dns_fini(struct dns *dns);

/* Bytes that all of it may take. */
uint64_t dns_bytes(const struct dns_settings *settings);

/* Tells the time (CLOCK_MONOTONIC): what has waited for too long is a timeout, old names go. */
void dns_tick(struct dns *dns, uint64_t now_ns);

/* What the socket filter has told of a packet. */
void dns_frame_of(struct dns_frame *frame, const struct packet *packet);

/* Whether it is a configured port of servers. */
bool dns_is_port(const struct dns *dns, uint16_t port);

/* A packet, in the order of their times; at_ns is CLOCK_MONOTONIC, interface an index. */
void dns_take(struct dns *dns, const struct dns_frame *frame, uint32_t interface, uint64_t at_ns);

#endif
