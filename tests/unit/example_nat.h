/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of connection tracking as the kernel makes them, and the events that are in them, for
 * tests to vary.
 *
 *   struct example_message message = {.length = 0};
 *   const struct nat_event event = example_nat_event(1);
 *
 *   example_nat_message(&message, &event);    message.bytes, message.length: one datagram
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_NAT_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_NAT_H

#include "proto/record.h"
#include "worker/nat/message.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define EXAMPLE_MESSAGE_BYTES 65536

struct example_message {
	size_t length;
	uint8_t bytes[EXAMPLE_MESSAGE_BYTES];
};

/* Of 10.0.0.5:1000+number, behind 192.0.2.1:7000+number, to 198.51.100.9:80. */
static inline struct nat_event example_nat_event(uint16_t number)
{
	return (struct nat_event){
		.kind = NAT_EVENT_NEW,
		.family = RECORD_FAMILY_IPV4,
		.protocol = IPPROTO_TCP,
		.nsid = NAT_NSID_ROOT,
		.id = 100U + number,
		.original = {{10, 0, 0, 5}, {198, 51, 100, 9}, (uint16_t)(1000 + number), 80},
		.reply = {{198, 51, 100, 9}, {192, 0, 2, 1}, 80, (uint16_t)(7000 + number)},
	};
}

static inline struct nat_event example_nat_event_ipv6(uint16_t number)
{
	struct nat_event event = example_nat_event(number);

	event.family = RECORD_FAMILY_IPV6;
	event.protocol = IPPROTO_UDP;
	event.original.source_ip[15] = 1;
	event.original.destination_ip[15] = 2;
	event.reply.source_ip[15] = 2;
	event.reply.destination_ip[15] = 3;
	return event;
}

static inline void example_put(struct example_message *message, const void *bytes, size_t length)
{
	static const uint8_t zero[NLA_ALIGNTO];

	if (message->length + length + sizeof(zero) > sizeof(message->bytes))
		abort();
	memcpy(message->bytes + message->length, bytes, length);
	message->length += length;
	length = (0 - length) % sizeof(zero);
	memcpy(message->bytes + message->length, zero, length);
	message->length += length;
}

static inline void example_attribute(struct example_message *message, uint16_t type,
				     const void *value, size_t length)
{
	const struct nlattr head = {(uint16_t)(sizeof(head) + length), type};

	example_put(message, &head, sizeof(head));
	example_put(message, value, length);
}

/* Begins a nest, which example_end() closes: returns where it is. */
static inline size_t example_begin(struct example_message *message, uint16_t type)
{
	const struct nlattr head = {0, (uint16_t)(type | NLA_F_NESTED)};
	const size_t at = message->length;

	example_put(message, &head, sizeof(head));
	return at;
}

static inline void example_end(struct example_message *message, size_t at)
{
	const uint16_t length = (uint16_t)(message->length - at);

	memcpy(message->bytes + at, &length, sizeof(length));
}

static inline void example_tuple(struct example_message *message, uint16_t type,
				 const struct nat_event *event, const struct nat_tuple *tuple)
{
	const bool ipv6 = event->family == RECORD_FAMILY_IPV6;
	const size_t bytes = ipv6 ? 16 : 4;
	const uint16_t ports[] = {htons(tuple->source_port), htons(tuple->destination_port)};
	const size_t nest = example_begin(message, type);
	size_t inner = example_begin(message, CTA_TUPLE_IP);

	example_attribute(message, ipv6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, tuple->source_ip, bytes);
	example_attribute(message, ipv6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, tuple->destination_ip,
			  bytes);
	example_end(message, inner);
	inner = example_begin(message, CTA_TUPLE_PROTO);
	example_attribute(message, CTA_PROTO_NUM, &event->protocol, 1);
	example_attribute(message, CTA_PROTO_SRC_PORT, &ports[0], sizeof(ports[0]));
	example_attribute(message, CTA_PROTO_DST_PORT, &ports[1], sizeof(ports[1]));
	example_end(message, inner);
	example_end(message, nest);
}

/* Adds one message; what the kernel adds that nobody reads is there too. */
static inline void example_nat_message(struct example_message *message,
				       const struct nat_event *event)
{
	const bool ends = event->kind == NAT_EVENT_DESTROY;
	const size_t start = message->length;
	const struct nfgenmsg families = {
		.nfgen_family = event->family == RECORD_FAMILY_IPV6 ? AF_INET6 : AF_INET};
	const uint32_t status = htonl(IPS_CONFIRMED | IPS_SRC_NAT | IPS_SRC_NAT_DONE);
	const uint32_t timeout = htonl(120), id = htonl(event->id);
	const uint16_t zone = htons(event->zone);
	struct nlmsghdr header = {
		.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 |
			      (ends ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW),
		.nlmsg_flags = event->kind == NAT_EVENT_NEW	 ? NLM_F_CREATE | NLM_F_EXCL
			       : event->kind == NAT_EVENT_UPDATE ? NLM_F_MULTI
								 : 0,
	};
	size_t nest;

	example_put(message, &header, sizeof(header));
	example_put(message, &families, sizeof(families));
	example_tuple(message, CTA_TUPLE_ORIG, event, &event->original);
	example_tuple(message, CTA_TUPLE_REPLY, event, &event->reply);
	if (event->zone != 0)
		example_attribute(message, CTA_ZONE, &zone, sizeof(zone));
	example_attribute(message, CTA_ID, &id, sizeof(id));
	example_attribute(message, CTA_STATUS, &status, sizeof(status));
	example_attribute(message, CTA_TIMEOUT, &timeout, sizeof(timeout));
	nest = example_begin(message, CTA_PROTOINFO);
	example_attribute(message, CTA_PROTOINFO_TCP, &timeout, sizeof(timeout));
	example_end(message, nest);
	header.nlmsg_len = (uint32_t)(message->length - start);
	memcpy(message->bytes + start, &header, sizeof(header));
}

/* A connection as its own end sees it: of the client (original tuple) or of the server. */
static inline void example_nat_ends(struct conn_record *record, const struct nat_event *event,
				    bool client)
{
	const struct nat_tuple *tuple = client ? &event->original : &event->reply;

	record->family = event->family;
	record->protocol = event->protocol;
	memcpy(record->local_ip, tuple->source_ip, sizeof(record->local_ip));
	memcpy(record->remote_ip, tuple->destination_ip, sizeof(record->remote_ip));
	record->local_port = tuple->source_port;
	record->remote_port = tuple->destination_port;
}

#endif
