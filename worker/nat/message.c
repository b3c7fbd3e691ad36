/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/nat/message.h"

#include "proto/record.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define EVENT_TYPE(message) (NFNL_SUBSYS_CTNETLINK << 8 | (message))
/* Types below are netlink's own: NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN. */
#define FIRST_TYPE NLMSG_MIN_TYPE
/* NLMSG_ALIGNTO and NLA_ALIGNTO, unsigned. */
#define ALIGNMENT ((size_t)NLA_ALIGNTO)
/* Above it are flags: that there are attributes within, and that a number is in network order. */
#define TYPE_BITS 0x3fffU
_Static_assert(NLMSG_ALIGNTO == NLA_ALIGNTO, "one alignment for both");

/* A list of attributes, and the one of them that is being read. */
struct attributes {
	struct reader list;
	struct reader value;
	uint16_t type;
};

/* A tuple as it is being put together. */
struct draft {
	struct nat_tuple tuple;
	uint8_t family; /* enum record_family of its addresses; 0: none */
	uint8_t protocol;
	bool has_source;
	bool has_destination;
};

struct entry {
	struct draft original;
	struct draft reply;
	uint32_t status;
	bool has_status;
	uint32_t id;
	uint16_t zone;
};

static struct attributes attributes_of(struct reader list)
{
	return (struct attributes){.list = list};
}

/*
 * Goes on to the next attribute; false at the end. A list that is malformed fails, and is at its end
 * from then on.
 */
static bool attributes_next(struct attributes *attributes)
{
	struct reader *list = &attributes->list;
	struct nlattr head;

	if (list->left == 0)
		return false;
	reader_copy(list, &head, sizeof(head));
	if (head.nla_len < sizeof(head))
		reader_fail(list);
	attributes->type = head.nla_type & TYPE_BITS;
	attributes->value = reader_padded_part(list, head.nla_len - sizeof(head), ALIGNMENT);
	return !reader_has_failed(list);
}

/* What must hold of the attribute at hand, or the list is malformed. */
static void attributes_expect(struct attributes *attributes, bool good)
{
	if (!good)
		reader_fail(&attributes->list);
}

static bool attributes_were_good(const struct attributes *attributes)
{
	return !reader_has_failed(&attributes->list);
}

/* A number has no other length than its type's. */
static uint8_t read_u8(struct attributes *attributes)
{
	attributes_expect(attributes, attributes->value.left == sizeof(uint8_t));
	return reader_u8(&attributes->value);
}

static uint16_t read_u16(struct attributes *attributes)
{
	attributes_expect(attributes, attributes->value.left == sizeof(uint16_t));
	return reader_u16_be(&attributes->value);
}

static uint32_t read_u32(struct attributes *attributes)
{
	attributes_expect(attributes, attributes->value.left == sizeof(uint32_t));
	return reader_u32_be(&attributes->value);
}

/* An address of a family, of which both ends must be. */
static void read_ip(struct attributes *attributes, struct draft *draft, uint8_t family,
		    uint8_t ip[16])
{
	const size_t bytes = family == RECORD_FAMILY_IPV6 ? 16 : 4;

	attributes_expect(attributes, attributes->value.left == bytes);
	attributes_expect(attributes, draft->family == 0 || draft->family == family);
	draft->family = family;
	memset(ip, 0, 16);
	reader_copy(&attributes->value, ip, bytes);
}

static void read_source(struct attributes *attributes, struct draft *draft, uint8_t family)
{
	read_ip(attributes, draft, family, draft->tuple.source_ip);
	draft->has_source = true;
}

static void read_destination(struct attributes *attributes, struct draft *draft, uint8_t family)
{
	read_ip(attributes, draft, family, draft->tuple.destination_ip);
	draft->has_destination = true;
}

static bool read_addresses(struct reader list, struct draft *draft)
{
	struct attributes attributes = attributes_of(list);

	while (attributes_next(&attributes)) {
		switch (attributes.type) {
		case CTA_IP_V4_SRC:
			read_source(&attributes, draft, RECORD_FAMILY_IPV4);
			break;
		case CTA_IP_V4_DST:
			read_destination(&attributes, draft, RECORD_FAMILY_IPV4);
			break;
		case CTA_IP_V6_SRC:
			read_source(&attributes, draft, RECORD_FAMILY_IPV6);
			break;
		case CTA_IP_V6_DST:
			read_destination(&attributes, draft, RECORD_FAMILY_IPV6);
			break;
		default:
			break;
		}
	}
	return attributes_were_good(&attributes);
}

static bool read_protocol(struct reader list, struct draft *draft)
{
	struct attributes attributes = attributes_of(list);

	while (attributes_next(&attributes)) {
		switch (attributes.type) {
		case CTA_PROTO_NUM:
			draft->protocol = read_u8(&attributes);
			break;
		case CTA_PROTO_SRC_PORT:
			draft->tuple.source_port = read_u16(&attributes);
			break;
		case CTA_PROTO_DST_PORT:
			draft->tuple.destination_port = read_u16(&attributes);
			break;
		default:
			break;
		}
	}
	return attributes_were_good(&attributes);
}

static bool read_tuple(struct reader list, struct draft *draft)
{
	struct attributes attributes = attributes_of(list);

	*draft = (struct draft){.family = 0};
	while (attributes_next(&attributes)) {
		if (attributes.type == CTA_TUPLE_IP)
			attributes_expect(&attributes, read_addresses(attributes.value, draft));
		else if (attributes.type == CTA_TUPLE_PROTO)
			attributes_expect(&attributes, read_protocol(attributes.value, draft));
	}
	return attributes_were_good(&attributes);
}

static bool read_entry(struct reader list, struct entry *entry)
{
	struct attributes attributes = attributes_of(list);

	*entry = (struct entry){.has_status = false};
	while (attributes_next(&attributes)) {
		switch (attributes.type) {
		case CTA_TUPLE_ORIG:
			attributes_expect(&attributes,
					  read_tuple(attributes.value, &entry->original));
			break;
		case CTA_TUPLE_REPLY:
			attributes_expect(&attributes, read_tuple(attributes.value, &entry->reply));
			break;
		case CTA_STATUS:
			entry->status = read_u32(&attributes);
			entry->has_status = true;
			break;
		case CTA_ID:
			entry->id = read_u32(&attributes);
			break;
		case CTA_ZONE:
			entry->zone = read_u16(&attributes);
			break;
		default:
			break;
		}
	}
	return attributes_were_good(&attributes);
}

static bool is_tracked_protocol(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

static bool is_zero(const uint8_t ip[16])
{
	static const uint8_t zero[16];

	return memcmp(ip, zero, sizeof(zero)) == 0;
}

static bool is_whole(const struct nat_tuple *tuple)
{
	return tuple->source_port != 0 && tuple->destination_port != 0 &&
	       !is_zero(tuple->source_ip) && !is_zero(tuple->destination_ip);
}

static bool is_mirror(const struct nat_tuple *one, const struct nat_tuple *other)
{
	return one->source_port == other->destination_port &&
	       one->destination_port == other->source_port &&
	       memcmp(one->source_ip, other->destination_ip, 16) == 0 &&
	       memcmp(one->destination_ip, other->source_ip, 16) == 0;
}

static bool is_translated(const struct nat_tuple *original, const struct nat_tuple *reply)
{
	return is_whole(original) && is_whole(reply) && !is_mirror(original, reply);
}

/* Whether all that a tuple must have is there, and the two are of one conversation. */
static bool belong_together(const struct draft *original, const struct draft *reply)
{
	return original->family != 0 && original->has_source && original->has_destination &&
	       reply->has_source && reply->has_destination && original->family == reply->family &&
	       original->protocol != 0 && original->protocol == reply->protocol;
}

/* What stands behind nfgenmsg: an event, or why there is none is counted. */
static bool take_entry(struct reader list, uint8_t kind, int32_t nsid, struct nat_event *event,
		       struct nat_message_counts *counts)
{
	struct entry entry;

	if (!read_entry(list, &entry)) {
		counts->rejects[NAT_REJECT_ATTRIBUTE]++;
		return false;
	}
	if (!belong_together(&entry.original, &entry.reply)) {
		counts->rejects[NAT_REJECT_TUPLE]++;
		return false;
	}
	if (!is_tracked_protocol(entry.original.protocol) ||
	    (entry.has_status && !(entry.status & IPS_NAT_MASK)) ||
	    !is_translated(&entry.original.tuple, &entry.reply.tuple)) {
		counts->untranslated++;
		return false;
	}
	*event = (struct nat_event){
		.kind = kind,
		.family = entry.original.family,
		.protocol = entry.original.protocol,
		.nsid = nsid,
		.id = entry.id,
		.zone = entry.zone,
		.original = entry.original.tuple,
		.reply = entry.reply.tuple,
	};
	return true;
}

/* Netlink's own messages: the end of a dump, an error, or nothing. An error that is cut is none. */
static void take_own(const struct nlmsghdr *header, struct reader body,
		     struct nat_message_counts *counts)
{
	counts->refusals += header->nlmsg_type == NLMSG_OVERRUN ||
			    (header->nlmsg_type == NLMSG_ERROR && reader_u32(&body) != 0);
}

static bool take_message(const struct nlmsghdr *header, struct reader body, int32_t nsid,
			 struct nat_event *event, struct nat_message_counts *counts)
{
	uint8_t kind = NAT_EVENT_DESTROY;

	if (header->nlmsg_type < FIRST_TYPE) {
		take_own(header, body, counts);
		return false;
	}
	if (header->nlmsg_type == EVENT_TYPE(IPCTNL_MSG_CT_NEW))
		kind = header->nlmsg_flags & NLM_F_CREATE && !(header->nlmsg_flags & NLM_F_MULTI)
			       ? NAT_EVENT_NEW
			       : NAT_EVENT_UPDATE;
	else if (header->nlmsg_type != EVENT_TYPE(IPCTNL_MSG_CT_DELETE)) {
		counts->rejects[NAT_REJECT_KIND]++;
		return false;
	}
	if (!reader_take(&body, sizeof(struct nfgenmsg))) {
		counts->rejects[NAT_REJECT_HEADER]++;
		return false;
	}
	return take_entry(body, kind, nsid, event, counts);
}

/* The next message of a datagram, which fails if its length is wrong. */
static struct reader read_message(struct reader *datagram, struct nlmsghdr *header)
{
	reader_copy(datagram, header, sizeof(*header));
	if (header->nlmsg_len < sizeof(*header))
		reader_fail(datagram);
	return reader_padded_part(datagram, header->nlmsg_len - sizeof(*header), ALIGNMENT);
}

bool nat_messages_next(struct nat_messages *messages, struct nat_event *event,
		       struct nat_message_counts *counts)
{
	while (messages->datagram.left > 0) {
		struct reader datagram = messages->datagram; /* in registers meanwhile */
		struct nlmsghdr header;
		const struct reader body = read_message(&datagram, &header);

		messages->datagram = datagram;
		if (reader_has_failed(&body)) {
			counts->rejects[NAT_REJECT_HEADER]++;
		} else if (take_message(&header, body, messages->nsid, event, counts)) {
			event->read_ns = messages->read_ns;
			return true;
		}
	}
	return false;
}

/* An IPv4 address has nothing behind its four bytes. */
static bool has_family(const struct nat_tuple *tuple, uint8_t family)
{
	static const uint8_t zero[12];

	return family == RECORD_FAMILY_IPV6 ||
	       (memcmp(tuple->source_ip + 4, zero, sizeof(zero)) == 0 &&
		memcmp(tuple->destination_ip + 4, zero, sizeof(zero)) == 0);
}

bool nat_event_is_valid(const struct nat_event *event)
{
	return event->kind >= NAT_EVENT_NEW && event->kind <= NAT_EVENT_DESTROY &&
	       (event->family == RECORD_FAMILY_IPV4 || event->family == RECORD_FAMILY_IPV6) &&
	       is_tracked_protocol(event->protocol) && event->pad0 == 0 && event->pad1 == 0 &&
	       event->nsid >= NAT_NSID_ROOT && has_family(&event->original, event->family) &&
	       has_family(&event->reply, event->family) &&
	       is_translated(&event->original, &event->reply);
}
