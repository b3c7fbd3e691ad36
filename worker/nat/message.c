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

struct span {
	const uint8_t *at;
	size_t left;
};

struct attribute {
	uint16_t type;
	struct span value;
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

/* Takes the next length bytes, and what pads them to a multiple of four as far as it is there. */
static struct span take(struct span *span, size_t length)
{
	const struct span taken = {span->at, length};
	const size_t padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	const size_t step = padded < span->left ? padded : span->left;

	span->at += step;
	span->left -= step;
	return taken;
}

/* The next attribute of a list: 1, 0 at its end, -1 if it is malformed. */
static int next_attribute(struct span *list, struct attribute *attribute)
{
	struct nlattr head;

	if (list->left == 0)
		return 0;
	if (list->left < sizeof(head))
		return -1;
	memcpy(&head, list->at, sizeof(head));
	if (head.nla_len < sizeof(head) || head.nla_len > list->left)
		return -1;
	attribute->type = head.nla_type & TYPE_BITS;
	attribute->value = take(list, head.nla_len);
	attribute->value.at += sizeof(head);
	attribute->value.left -= sizeof(head);
	return 1;
}

static bool read_u16(const struct attribute *attribute, uint16_t *value)
{
	if (attribute->value.left != sizeof(*value))
		return false;
	memcpy(value, attribute->value.at, sizeof(*value));
	*value = ntohs(*value);
	return true;
}

static bool read_u32(const struct attribute *attribute, uint32_t *value)
{
	if (attribute->value.left != sizeof(*value))
		return false;
	memcpy(value, attribute->value.at, sizeof(*value));
	*value = ntohl(*value);
	return true;
}

/* An address of a family, of which both ends must be. */
static bool read_ip(const struct attribute *attribute, struct draft *draft, uint8_t family,
		    uint8_t ip[16])
{
	const size_t bytes = family == RECORD_FAMILY_IPV6 ? 16 : 4;

	if (attribute->value.left != bytes || (draft->family != 0 && draft->family != family))
		return false;
	draft->family = family;
	memset(ip, 0, 16);
	memcpy(ip, attribute->value.at, bytes);
	return true;
}

static bool read_addresses(struct span list, struct draft *draft)
{
	struct attribute attribute;
	int more;
	bool good = true;

	while (good && (more = next_attribute(&list, &attribute)) != 0) {
		if (more < 0)
			return false;
		switch (attribute.type) {
		case CTA_IP_V4_SRC:
			good = read_ip(&attribute, draft, RECORD_FAMILY_IPV4,
				       draft->tuple.source_ip);
			draft->has_source = true;
			break;
		case CTA_IP_V4_DST:
			good = read_ip(&attribute, draft, RECORD_FAMILY_IPV4,
				       draft->tuple.destination_ip);
			draft->has_destination = true;
			break;
		case CTA_IP_V6_SRC:
			good = read_ip(&attribute, draft, RECORD_FAMILY_IPV6,
				       draft->tuple.source_ip);
			draft->has_source = true;
			break;
		case CTA_IP_V6_DST:
			good = read_ip(&attribute, draft, RECORD_FAMILY_IPV6,
				       draft->tuple.destination_ip);
			draft->has_destination = true;
			break;
		default:
			break;
		}
	}
	return good;
}

static bool read_protocol(struct span list, struct draft *draft)
{
	struct attribute attribute;
	int more;
	bool good = true;

	while (good && (more = next_attribute(&list, &attribute)) != 0) {
		if (more < 0)
			return false;
		switch (attribute.type) {
		case CTA_PROTO_NUM:
			good = attribute.value.left == 1;
			if (good)
				draft->protocol = attribute.value.at[0];
			break;
		case CTA_PROTO_SRC_PORT:
			good = read_u16(&attribute, &draft->tuple.source_port);
			break;
		case CTA_PROTO_DST_PORT:
			good = read_u16(&attribute, &draft->tuple.destination_port);
			break;
		default:
			break;
		}
	}
	return good;
}

static bool read_tuple(struct span list, struct draft *draft)
{
	struct attribute attribute;
	int more;
	bool good = true;

	*draft = (struct draft){.family = 0};
	while (good && (more = next_attribute(&list, &attribute)) != 0) {
		if (more < 0)
			return false;
		if (attribute.type == CTA_TUPLE_IP)
			good = read_addresses(attribute.value, draft);
		else if (attribute.type == CTA_TUPLE_PROTO)
			good = read_protocol(attribute.value, draft);
	}
	return good;
}

static bool read_entry(struct span list, struct entry *entry)
{
	struct attribute attribute;
	int more;
	bool good = true;

	*entry = (struct entry){.has_status = false};
	while (good && (more = next_attribute(&list, &attribute)) != 0) {
		if (more < 0)
			return false;
		switch (attribute.type) {
		case CTA_TUPLE_ORIG:
			good = read_tuple(attribute.value, &entry->original);
			break;
		case CTA_TUPLE_REPLY:
			good = read_tuple(attribute.value, &entry->reply);
			break;
		case CTA_STATUS:
			good = read_u32(&attribute, &entry->status);
			entry->has_status = true;
			break;
		case CTA_ID:
			good = read_u32(&attribute, &entry->id);
			break;
		case CTA_ZONE:
			good = read_u16(&attribute, &entry->zone);
			break;
		default:
			break;
		}
	}
	return good;
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
static bool take_entry(struct span list, uint8_t kind, int32_t nsid, struct nat_event *event,
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

/* Netlink's own messages: the end of a dump, an error, or nothing. */
static void take_own(const struct nlmsghdr *header, struct span body,
		     struct nat_message_counts *counts)
{
	int32_t error = 0;

	if (header->nlmsg_type == NLMSG_OVERRUN)
		error = -1;
	else if (header->nlmsg_type == NLMSG_ERROR && body.left >= sizeof(error))
		memcpy(&error, body.at, sizeof(error));
	counts->refusals += error != 0;
}

static bool take_message(const struct nlmsghdr *header, struct span body, int32_t nsid,
			 struct nat_event *event, struct nat_message_counts *counts)
{
	struct nfgenmsg families;
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
	if (body.left < sizeof(families)) {
		counts->rejects[NAT_REJECT_HEADER]++;
		return false;
	}
	take(&body, sizeof(families));
	return take_entry(body, kind, nsid, event, counts);
}

bool nat_messages_next(struct nat_messages *messages, struct nat_event *event,
		       struct nat_message_counts *counts)
{
	while (messages->left > 0) {
		struct span rest = {messages->at, messages->left};
		struct nlmsghdr header;
		struct span body;

		if (rest.left < sizeof(header)) {
			messages->left = 0;
			counts->rejects[NAT_REJECT_HEADER]++;
			return false;
		}
		memcpy(&header, rest.at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > rest.left) {
			messages->left = 0;
			counts->rejects[NAT_REJECT_HEADER]++;
			return false;
		}
		body = take(&rest, header.nlmsg_len);
		body.at += sizeof(header);
		body.left -= sizeof(header);
		messages->at = rest.at;
		messages->left = rest.left;
		if (take_message(&header, body, messages->nsid, event, counts))
			return true;
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
