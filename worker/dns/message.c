/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/message.h"

#include "proto/record.h"

/* RFC 1035 4.1.1 */
#define HEADER_BYTES DNS_NAME_FIRST
#define FLAG_RESPONSE 0x8000U
#define FLAG_TRUNCATED 0x0200U
#define OPCODE_SHIFT 11
#define OPCODE_BITS 15U
#define RCODE_BITS 15U
#define EXTENDED_RCODE_SHIFT 4

/* Behind a name: type and class of a question; of a record TTL and length besides. */
#define QUESTION_TAIL_BYTES 4
#define RECORD_TAIL_BYTES 10

#define CLASS_IN 1
/* mDNS: a wish for a unicast response, or that older records be dropped (RFC 6762 5.4, 10.2). */
#define CLASS_TOP_BIT 0x8000U
/* RFC 2181 8: a TTL with its top bit set is 0. */
#define TTL_MAX 0x7fffffffU

#define TYPE_BITS 0xc0U

#define NAME_NONE 0xff
_Static_assert(DNS_ANSWER_NAMES_MAX < NAME_NONE, "a name's place is one byte");

enum section {
	ANSWER,
	AUTHORITY,
	ADDITIONAL,
	SECTIONS,
};

/* The message as far as it was walked over. */
struct walk {
	const uint8_t *bytes;
	size_t length;
	size_t at;
	uint16_t flags;
	uint16_t records[SECTIONS]; /* as the header counts them */
	bool has_edns;
	uint8_t extended_rcode;
	struct dns_message *message;
	/*
	 * Names of the answer, all different; the first is the question. Where each was read, since
	 * most names are pointers to one that was read before; and the name that it is an alias of.
	 */
	uint8_t names;
	uint16_t name_at[DNS_ANSWER_NAMES_MAX];
	uint8_t alias_of[DNS_ANSWER_NAMES_MAX];
	bool names_left_out;
	uint8_t owners[DNS_ADDRESSES_MAX]; /* of message->addresses */
	/* The first is not used: the question is in *message. The one after the last is being read. */
	struct dns_name name[DNS_ANSWER_NAMES_MAX + 1];
};

struct record {
	uint8_t owner; /* a place among the names; NAME_NONE: it is in the place after the last */
	uint16_t owner_at;
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	size_t rdata;
	size_t end;
};

static uint16_t u16_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t u32_at(const uint8_t *bytes)
{
	return (uint32_t)u16_at(bytes) << 16 | u16_at(bytes + 2);
}

static enum dns_reject reject_of(enum dns_name_fault fault)
{
	static const enum dns_reject rejects[] = {
		[DNS_NAME_GOOD] = DNS_REJECT_NONE,
		[DNS_NAME_CUT] = DNS_REJECT_CUT,
		[DNS_NAME_LONG] = DNS_REJECT_NAME_LONG,
		[DNS_NAME_LABEL] = DNS_REJECT_NAME_LABEL,
		[DNS_NAME_POINTER] = DNS_REJECT_NAME_POINTER,
	};

	return rejects[fault];
}

static const struct dns_name *name_of(const struct walk *walk, unsigned index)
{
	return index == 0 ? &walk->message->question : &walk->name[index];
}

/*
 * Reads the name at *at. If it is only a pointer to one of the names that are known, *index tells
 * which; else it is in the place after the last, and *index is NAME_NONE. *origin is where its
 * labels stand.
 */
static enum dns_reject read_name(struct walk *walk, size_t *at, uint8_t *index, uint16_t *origin)
{
	const size_t begin = *at;

	*index = NAME_NONE;
	*origin = (uint16_t)begin;
	if (walk->length - begin >= 2 && walk->bytes[begin] >= TYPE_BITS) {
		*origin = u16_at(walk->bytes + begin) & (uint16_t) ~(TYPE_BITS << 8);
		for (uint8_t i = 0; i < walk->names; i++) {
			if (walk->name_at[i] == *origin) {
				*index = i;
				*at = begin + 2;
				return DNS_REJECT_NONE;
			}
		}
	}
	return reject_of(dns_name_read(walk->bytes, walk->length, at, &walk->name[walk->names]));
}

/* The place of the name that was just read; it is made, or NAME_NONE if there is no room. */
static uint8_t settle_name(struct walk *walk, uint16_t origin)
{
	const struct dns_name *fresh = &walk->name[walk->names];

	for (uint8_t i = 0; i < walk->names; i++) {
		if (dns_name_equals(name_of(walk, i), fresh))
			return i;
	}
	if (walk->names == DNS_ANSWER_NAMES_MAX)
		return NAME_NONE;
	walk->name_at[walk->names] = origin;
	walk->alias_of[walk->names] = NAME_NONE;
	return walk->names++;
}

static enum dns_reject read_header(struct walk *walk)
{
	struct dns_message *message = walk->message;

	if (walk->length < HEADER_BYTES)
		return DNS_REJECT_SHORT;
	walk->flags = u16_at(walk->bytes + 2);
	message->id = u16_at(walk->bytes);
	message->is_response = walk->flags & FLAG_RESPONSE;
	message->truncated = walk->flags & FLAG_TRUNCATED;
	message->opcode = walk->flags >> OPCODE_SHIFT & OPCODE_BITS;
	if (message->opcode != 0)
		return DNS_REJECT_OPCODE;
	if (u16_at(walk->bytes + 4) != 1)
		return DNS_REJECT_QUESTIONS;
	walk->records[ANSWER] = u16_at(walk->bytes + 6);
	walk->records[AUTHORITY] = u16_at(walk->bytes + 8);
	walk->records[ADDITIONAL] = u16_at(walk->bytes + 10);
	walk->at = HEADER_BYTES;
	return DNS_REJECT_NONE;
}

static enum dns_reject read_question(struct walk *walk)
{
	struct dns_message *message = walk->message;
	const enum dns_name_fault fault =
		dns_name_read(walk->bytes, walk->length, &walk->at, &message->question);

	if (fault != DNS_NAME_GOOD)
		return reject_of(fault);
	if (walk->length - walk->at < QUESTION_TAIL_BYTES)
		return DNS_REJECT_CUT;
	message->qtype = u16_at(walk->bytes + walk->at);
	message->qclass = u16_at(walk->bytes + walk->at + 2) & (uint16_t)~CLASS_TOP_BIT;
	if (message->qclass != CLASS_IN)
		return DNS_REJECT_CLASS;
	walk->at += QUESTION_TAIL_BYTES;
	walk->names = 1;
	walk->name_at[0] = HEADER_BYTES;
	walk->alias_of[0] = NAME_NONE;
	return DNS_REJECT_NONE;
}

/* What all records have. */
static enum dns_reject read_record(struct walk *walk, struct record *record)
{
	size_t at = walk->at;
	const enum dns_reject reject = read_name(walk, &at, &record->owner, &record->owner_at);

	if (reject != DNS_REJECT_NONE)
		return reject;
	if (walk->length - at < RECORD_TAIL_BYTES)
		return DNS_REJECT_CUT;
	record->type = u16_at(walk->bytes + at);
	record->class = u16_at(walk->bytes + at + 2);
	record->ttl = u32_at(walk->bytes + at + 4);
	record->rdata = at + RECORD_TAIL_BYTES;
	record->end = record->rdata + u16_at(walk->bytes + at + 8);
	return record->end > walk->length ? DNS_REJECT_CUT : DNS_REJECT_NONE;
}

static void keep_address(struct walk *walk, uint8_t owner, const struct dns_address *address)
{
	struct dns_message *message = walk->message;
	const unsigned count = message->address_count;

	for (unsigned i = 0; i < count && owner != NAME_NONE; i++) {
		struct dns_address *kept = &message->addresses[i];

		if (walk->owners[i] == owner && kept->family == address->family &&
		    memcmp(kept->ip, address->ip, sizeof(kept->ip)) == 0) {
			if (address->ttl_s < kept->ttl_s)
				kept->ttl_s = address->ttl_s;
			return;
		}
	}
	if (owner == NAME_NONE || count == DNS_ADDRESSES_MAX) {
		message->addresses_left_out++;
		return;
	}
	walk->owners[count] = owner;
	message->addresses[count] = *address;
	message->address_count++;
}

static enum dns_reject take_address(struct walk *walk, const struct record *record)
{
	const bool is_ipv6 = record->type == DNS_TYPE_AAAA;
	const size_t bytes = is_ipv6 ? 16 : 4;
	struct dns_address address = {
		.ttl_s = record->ttl > TTL_MAX ? 0 : record->ttl,
		.family = is_ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4,
	};
	uint8_t owner = record->owner;

	if (record->end - record->rdata != bytes)
		return DNS_REJECT_RDATA;
	memcpy(address.ip, walk->bytes + record->rdata, bytes);
	if (owner == NAME_NONE)
		owner = settle_name(walk, record->owner_at);
	keep_address(walk, owner, &address);
	return DNS_REJECT_NONE;
}

static enum dns_reject take_alias(struct walk *walk, const struct record *record)
{
	uint8_t owner = record->owner, target;
	size_t at = record->rdata;
	enum dns_reject reject;
	uint16_t target_at;

	if (owner == NAME_NONE)
		owner = settle_name(walk, record->owner_at);
	reject = read_name(walk, &at, &target, &target_at);
	/* The message may end within the name, while the record ended before: it is no cut one. */
	if (reject == DNS_REJECT_CUT || (reject == DNS_REJECT_NONE && at != record->end))
		return DNS_REJECT_RDATA;
	if (reject != DNS_REJECT_NONE)
		return reject;
	if (target == NAME_NONE)
		target = settle_name(walk, target_at);
	if (owner == NAME_NONE || target == NAME_NONE)
		walk->names_left_out = true;
	else if (walk->alias_of[owner] == NAME_NONE)
		/* There may be one only (RFC 1034 3.6.2); of several the first counts. */
		walk->alias_of[owner] = target;
	return DNS_REJECT_NONE;
}

static enum dns_reject take_answer(struct walk *walk, const struct record *record)
{
	if ((record->class & ~CLASS_TOP_BIT) != CLASS_IN)
		return DNS_REJECT_NONE;
	switch (record->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		return take_address(walk, record);
	case DNS_TYPE_CNAME:
		return take_alias(walk, record);
	default:
		return DNS_REJECT_NONE;
	}
}

static enum dns_reject take_edns(struct walk *walk, const struct record *record,
				 enum section section)
{
	const struct dns_name *owner =
		name_of(walk, record->owner == NAME_NONE ? walk->names : record->owner);

	if (section != ADDITIONAL || walk->has_edns || owner->length != 1)
		return DNS_REJECT_OPT;
	walk->has_edns = true;
	walk->extended_rcode = (uint8_t)(record->ttl >> 24);
	return DNS_REJECT_NONE;
}

static enum dns_reject read_records(struct walk *walk, enum section section)
{
	for (unsigned i = 0; i < walk->records[section]; i++) {
		enum dns_reject reject;
		struct record record;

		/* So a count that lies costs nothing. */
		if (walk->at >= walk->length)
			return DNS_REJECT_CUT;
		reject = read_record(walk, &record);
		if (reject != DNS_REJECT_NONE)
			return reject;
		if (record.type == DNS_TYPE_OPT)
			reject = take_edns(walk, &record, section);
		else if (section == ANSWER)
			reject = take_answer(walk, &record);
		if (reject != DNS_REJECT_NONE)
			return reject;
		walk->at = record.end;
	}
	return DNS_REJECT_NONE;
}

/* The name at the end of the chain of aliases that begins with the question, or NAME_NONE. */
static uint8_t chain_end(const struct walk *walk)
{
	uint8_t name = 0;

	if (walk->names_left_out)
		return NAME_NONE;
	for (unsigned step = 0; step < walk->names; step++) {
		if (walk->alias_of[name] == NAME_NONE)
			return name;
		name = walk->alias_of[name];
	}
	return NAME_NONE;
}

/* Leaves the addresses of the name that the chain ends with. */
static void select_addresses(struct walk *walk)
{
	struct dns_message *message = walk->message;
	const uint8_t end = chain_end(walk);
	uint16_t selected = 0;

	message->chain_unresolved = end == NAME_NONE;
	if (!message->is_response || message->rcode != 0 || end == NAME_NONE) {
		message->address_count = 0;
		message->addresses_left_out = 0;
		return;
	}
	for (uint16_t i = 0; i < message->address_count; i++) {
		if (walk->owners[i] != end)
			continue;
		if (selected != i)
			message->addresses[selected] = message->addresses[i];
		selected++;
	}
	message->address_count = selected;
}

enum dns_reject dns_message_parse(const uint8_t *bytes, size_t length, bool cut,
				  struct dns_message *message)
{
	struct walk walk;
	enum dns_reject reject;

	/* Not the names: they are written before they are read. */
	walk.bytes = bytes;
	walk.length = length < DNS_MESSAGE_BYTES_MAX ? length : DNS_MESSAGE_BYTES_MAX;
	walk.message = message;
	walk.has_edns = false;
	walk.extended_rcode = 0;
	walk.names_left_out = false;
	message->address_count = 0;
	message->addresses_left_out = 0;
	message->incomplete = false;
	reject = read_header(&walk);
	if (reject == DNS_REJECT_NONE)
		reject = read_question(&walk);
	if (reject != DNS_REJECT_NONE)
		return reject;
	for (unsigned section = ANSWER; section < SECTIONS; section++) {
		reject = read_records(&walk, (enum section)section);
		if (reject != DNS_REJECT_NONE)
			break;
	}
	if (reject == DNS_REJECT_CUT && (message->truncated || cut))
		message->incomplete = true;
	else if (reject != DNS_REJECT_NONE)
		return reject;
	message->trailing = !message->incomplete && walk.at < walk.length;
	message->rcode = (uint16_t)(walk.extended_rcode << EXTENDED_RCODE_SHIFT) |
			 (walk.flags & RCODE_BITS);
	select_addresses(&walk);
	return DNS_REJECT_NONE;
}

const char *dns_reject_name(enum dns_reject reject)
{
	static const char *const names[DNS_REJECT_COUNT] = {
#define NAME_ROW(symbol, name, meaning) [DNS_REJECT_##symbol] = (name),
		DNS_REJECTS(NAME_ROW)
#undef NAME_ROW
	};

	return names[reject];
}
