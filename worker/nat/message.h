/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's connection tracking says over netlink, as events: a translated conversation is
 * there (new), is told again (update), or is over (destroy).
 *
 * Conntrack keeps two tuples of each conversation: the original, as its first packet came in, and the
 * reply, as the answer to what left comes in. Where nothing is translated the one is the other's
 * mirror; only where they differ there is an event. A message is input: each length is checked
 * before it is believed, what is wrong is rejected and counted by its reason, and each step over
 * the input takes at least four bytes of it.
 *
 * linux/netfilter/nfnetlink_conntrack.h has the layout; the ports and 32-bit values of attributes are in
 * network order, netlink's own headers are not.
 */
#ifndef SOCKWARDEN_WORKER_NAT_MESSAGE_H
#define SOCKWARDEN_WORKER_NAT_MESSAGE_H

#include "common/reader.h"

#include <stdbool.h>
#include <stdint.h>

/* The namespace in which privd opened the socket; others have the ids (0 and up) that it gave them. */
#define NAT_NSID_ROOT (-1)

enum nat_event_kind {
	NAT_EVENT_NEW = 1,
	NAT_EVENT_UPDATE = 2, /* also: was there when a dump asked for all */
	NAT_EVENT_DESTROY = 3,
};

struct nat_tuple {
	uint8_t source_ip[16]; /* network order; IPv4: the first four bytes, the rest 0 */
	uint8_t destination_ip[16];
	uint16_t source_port; /* host order, never 0 */
	uint16_t destination_port;
};

struct nat_event {
	uint64_t read_ns; /* CLOCK_MONOTONIC: when it had been read, so that it is not older than that */
	uint8_t kind;	  /* enum nat_event_kind */
	uint8_t family;	  /* enum record_family */
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t pad0;
	int32_t nsid;  /* NAT_NSID_ROOT, or the id of another namespace */
	uint32_t id;   /* the kernel's for this entry; 0: it told none */
	uint16_t zone; /* conntrack zone */
	uint16_t pad1;
	struct nat_tuple original;
	struct nat_tuple reply;
};

_Static_assert(sizeof(struct nat_event) == 96, "no padding");

enum nat_reject {
	NAT_REJECT_HEADER,    /* a message is cut, or its length is wrong */
	NAT_REJECT_KIND,      /* not one of connection tracking's */
	NAT_REJECT_ATTRIBUTE, /* an attribute is cut, or not as long as its type */
	NAT_REJECT_TUPLE,     /* a tuple is missing, or the two do not belong together */
	NAT_REJECTS,
};

struct nat_message_counts {
	uint64_t rejects[NAT_REJECTS];
	uint64_t untranslated; /* well-formed, but not translated, or neither TCP nor UDP */
	uint64_t refusals;     /* the kernel says that something did not work */
};

/* A datagram of one or many messages; zero is the end of one. */
struct nat_messages {
	struct reader datagram;
	int32_t nsid;	  /* of all of them */
	uint64_t read_ns; /* CLOCK_MONOTONIC, after they were received */
};

/*
 * The next event. Passes over what is none, adding to *counts. Returns true with *event, or false
 * at the end; a message whose length is wrong ends it.
 */
bool nat_messages_next(struct nat_messages *messages, struct nat_event *event,
		       struct nat_message_counts *counts);

/* Whether bytes that are said to be an event could have come from nat_messages_next(). */
bool nat_event_is_valid(const struct nat_event *event);

#endif
