/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds conn.v1 messages: connections are added until one is full or old enough, then it is
 * finished and the caller sends it (after it has committed where its intake stands). Numbers go
 * on whether anybody listens or not: without a subscriber records are only counted, a message
 * "ends" where it would have ended, and its seq is used up.
 *
 *   conn_events_tick(ev, now, offset, bus_has_subscribers(bus));
 *   for each connection:
 *       if (conn_events_is_full(ev))
 *           commit, conn_events_finish(), bus_publish();
 *       conn_events_add(ev, view);
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_CONN_EVENTS_H
#define SOCKWARDEN_WORKER_PUBLISH_CONN_EVENTS_H

#include "common/clock.h"
#include "common/json.h"
#include "worker/conn/view.h"
#include "worker/facts.h"

/* Contract: a message is at most 64 KiB, its topic included. */
#define EVENT_BYTES_MAX 65536
/*
 * A message is full at this size. Sending costs a fixed 9 us and 1.2 us per KiB, so that 32 KiB
 * is within a tenth of the best per record and halves what a slow subscriber's queue can hold.
 */
#define CONN_EVENTS_BYTES_FULL 32768
/* What an encoded connection takes about: ends a message that is only counted. */
#define CONN_EVENTS_RECORD_BYTES_TYPICAL 640
/* Room for the topic and the keys before the list. */
#define CONN_EVENTS_HEAD_BYTES 1024

struct conn_events {
	struct identity identity;
	uint64_t seq; /* of the message being built */
	uint64_t now_ns;
	struct clock_offsets wall;
	uint64_t oldest_ns;		    /* when the first record of this message was added */
	uint32_t records;		    /* in this message */
	bool listened;			    /* somebody subscribes now */
	bool has_unattributed;		    /* it is known how much there was at the beginning */
	bool tells_unattributed;	    /* with this message */
	struct conn_sums unattributed;	    /* as last known */
	struct conn_sums unattributed_told; /* as last told */
	bool encoded;			    /* this message's records are in buffer */
	struct json json;		    /* over buffer, behind the head's room */
	char buffer[EVENT_BYTES_MAX];
};

/* A finished message; bytes are good until the next record is added. */
struct conn_events_message {
	const char *bytes; /* topic and object; NULL: nobody listened, there is nothing to send */
	size_t length;
	uint32_t records;
};

/* identity is copied. The first message's seq is 1. */
void conn_events_init(struct conn_events *events, const struct identity *identity);

/*
 * Tells the time for all that follows: now_ns is CLOCK_MONOTONIC, wall the way to the wall clock's.
 * When the first subscriber came, a message that was only counted ends
 * here, so that nothing after this is missing.
 */
void conn_events_tick(struct conn_events *events, uint64_t now_ns, struct clock_offsets wall,
		      bool listened);

/* Adds one connection. Returns 0, or -ENOSPC if the message is full: finish it first. */
int conn_events_add(struct conn_events *events, const struct conn_view *view);

/* Whether there is no room for one more connection of any size. */
bool conn_events_is_full(const struct conn_events *events);

/*
 * What the programs could give to no flow: sums that only grow. The first ones are where telling
 * begins. conn_events_tell_unattributed() puts what is new, if anything is, into the message being built.
 */
void conn_events_unattributed(struct conn_events *events, const struct conn_sums *sums);
void conn_events_tell_unattributed(struct conn_events *events);

/* Connections in the message being built. */
uint32_t conn_events_pending(const struct conn_events *events);

/* now_ns of the first record of the message being built; only where something is pending. */
uint64_t conn_events_oldest_ns(const struct conn_events *events);

/* Ends the message and begins the next. Returns false, and does nothing, if nothing was pending. */
bool conn_events_finish(struct conn_events *events, struct conn_events_message *message);

#endif
