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

/* Of a name's first byte (RFC 1035 4.1.4). */
#define POINTER_TYPE 0xc0U

#define NAME_NONE 0xff
_Static_assert(DNS_ANSWER_NAMES_MAX < NAME_NONE, "a name's place is one byte");

/* The message as far as it was walked over. */
struct walk {
	const uint8_t *bytes;
	size_t length;
	uint16_t flags;
	uint16_t answers; /* records, as the header counts them */
	uint16_t authorities;
	uint16_t additionals;
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
	uint16_t addresses;		   /* of message->addresses */
	uint8_t owners[DNS_ADDRESSES_MAX]; /* their names */
	/*
	 * Room for the names, and one more, which is being read; the first is not used, since the
	 * question is in *message. Apart, so that no store into a name could be one into the walk.
	 */
	struct dns_name *room;
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
	return index == 0 ? &walk->message->question : &walk->room[index];
}

/*
 * Reads the name at at. If it is only a pointer to one of the names that are known, *index tells
 * which; else it is in the place after the last, and *index is NAME_NONE. *origin is where its
 * labels stand. Returns where the next thing stands, or 0 with *reject.
 */
static inline size_t read_name(struct walk *walk, size_t at, uint8_t *index, uint16_t *origin,
			       enum dns_reject *reject)
{
	enum dns_name_fault fault;

	*index = NAME_NONE;
	*origin = (uint16_t)at;
	if (walk->length - at >= 2 && walk->bytes[at] >= POINTER_TYPE) {
		*origin = u16_at(walk->bytes + at) & (uint16_t) ~(POINTER_TYPE << 8);
		for (uint8_t i = 0; i < walk->names; i++) {
			if (walk->name_at[i] == *origin) {
				*index = i;
				return at + 2;
			}
		}
	}
	at = dns_name_read(walk->bytes, walk->length, at, &walk->room[walk->names], &fault);
	if (at == 0)
		*reject = reject_of(fault);
	return at;
}

/* The place of the name that was just read; it is made, or NAME_NONE if there is no room. */
static uint8_t settle_name(struct walk *walk, uint16_t origin)
{
	const struct dns_name *fresh = &walk->room[walk->names];

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
	walk->answers = u16_at(walk->bytes + 6);
	walk->authorities = u16_at(walk->bytes + 8);
	walk->additionals = u16_at(walk->bytes + 10);
	return DNS_REJECT_NONE;
}

/* Returns where the records begin, or 0 with *reject. */
static size_t read_question(struct walk *walk, enum dns_reject *reject)
{
	struct dns_message *message = walk->message;
	enum dns_name_fault fault;
	const size_t at =
		dns_name_read(walk->bytes, walk->length, HEADER_BYTES, &message->question, &fault);

	if (at == 0) {
		*reject = reject_of(fault);
		return 0;
	}
	if (walk->length - at < QUESTION_TAIL_BYTES) {
		*reject = DNS_REJECT_CUT;
		return 0;
	}
	message->qtype = u16_at(walk->bytes + at);
	message->qclass = u16_at(walk->bytes + at + 2) & (uint16_t)~CLASS_TOP_BIT;
	if (message->qclass != CLASS_IN) {
		*reject = DNS_REJECT_CLASS;
		return 0;
	}
	walk->names = 1;
	walk->name_at[0] = HEADER_BYTES;
	walk->alias_of[0] = NAME_NONE;
	return at + QUESTION_TAIL_BYTES;
}

/* Reads what all records have of the one at at. Returns where it ends, or 0 with *reject. */
static inline size_t read_record(struct walk *walk, size_t at, struct record *record,
				 enum dns_reject *reject)
{
	at = read_name(walk, at, &record->owner, &record->owner_at, reject);
	if (at == 0)
		return 0;
	*reject = DNS_REJECT_CUT;
	if (walk->length - at < RECORD_TAIL_BYTES)
		return 0;
	record->type = u16_at(walk->bytes + at);
	record->class = u16_at(walk->bytes + at + 2);
	record->ttl = u32_at(walk->bytes + at + 4);
	record->rdata = at + RECORD_TAIL_BYTES;
	record->end = record->rdata + u16_at(walk->bytes + at + 8);
	return record->end > walk->length ? 0 : record->end;
}

/* An address in two words, in which it is compared without being written first. */
struct words {
	uint64_t word[2];
};

static struct words words_at(const uint8_t *bytes, bool is_ipv6)
{
	struct words words = {{0}};

	/* Of constant sizes, which are no calls. */
	if (is_ipv6)
		memcpy(words.word, bytes, 16);
	else
		memcpy(words.word, bytes, 4);
	return words;
}

/* The address of a name that is already kept, or NULL. */
static struct dns_address *find_address(struct walk *walk, uint8_t owner, uint8_t family,
					const struct words *ip)
{
	for (unsigned i = 0; i < walk->addresses; i++) {
		struct dns_address *kept = &walk->message->addresses[i];
		const struct words other = words_at(kept->ip, true);

		if (other.word[0] == ip->word[0] && other.word[1] == ip->word[1] &&
		    walk->owners[i] == owner && kept->family == family)
			return kept;
	}
	return NULL;
}

static enum dns_reject take_address(struct walk *walk, const struct record *record)
{
	struct dns_message *message = walk->message;
	const bool is_ipv6 = record->type == DNS_TYPE_AAAA;
	const uint8_t family = is_ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4;
	const uint32_t ttl = record->ttl > TTL_MAX ? 0 : record->ttl;
	uint8_t owner = record->owner;
	struct dns_address *kept;
	struct words ip;

	if (record->end - record->rdata != (is_ipv6 ? 16 : 4))
		return DNS_REJECT_RDATA;
	if (owner == NAME_NONE)
		owner = settle_name(walk, record->owner_at);
	ip = words_at(walk->bytes + record->rdata, is_ipv6);
	kept = owner == NAME_NONE ? NULL : find_address(walk, owner, family, &ip);
	if (kept) {
		kept->ttl_s = ttl < kept->ttl_s ? ttl : kept->ttl_s;
	} else if (owner == NAME_NONE || walk->addresses == DNS_ADDRESSES_MAX) {
		message->addresses_left_out++;
	} else {
		kept = &message->addresses[walk->addresses];
		walk->owners[walk->addresses++] = owner;
		memcpy(kept->ip, ip.word, sizeof(kept->ip));
		kept->ttl_s = ttl;
		kept->family = family;
	}
	return DNS_REJECT_NONE;
}

static enum dns_reject take_alias(struct walk *walk, const struct record *record)
{
	enum dns_reject reject = DNS_REJECT_NONE;
	uint8_t owner = record->owner, target;
	uint16_t target_at;
	size_t end;

	if (owner == NAME_NONE)
		owner = settle_name(walk, record->owner_at);
	end = read_name(walk, record->rdata, &target, &target_at, &reject);
	/* The message may end within the name, but the record ended before: TC does not excuse it. */
	if (reject == DNS_REJECT_CUT || (reject == DNS_REJECT_NONE && end != record->end))
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
	if (record->type == DNS_TYPE_OPT)
		return DNS_REJECT_OPT;
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

static enum dns_reject take_edns(struct walk *walk, const struct record *record)
{
	const struct dns_name *owner =
		name_of(walk, record->owner == NAME_NONE ? walk->names : record->owner);

	if (walk->has_edns || owner->length != 1)
		return DNS_REJECT_OPT;
	walk->has_edns = true;
	walk->extended_rcode = (uint8_t)(record->ttl >> 24);
	return DNS_REJECT_NONE;
}

static inline enum dns_reject read_answers(struct walk *walk, size_t *next)
{
	size_t at = *next;

	for (unsigned i = 0; i < walk->answers; i++) {
		/* So that a count that lies costs nothing. */
		enum dns_reject reject = DNS_REJECT_CUT;
		struct record record;

		if (at >= walk->length || read_record(walk, at, &record, &reject) == 0)
			return reject;
		reject = take_answer(walk, &record);
		if (reject != DNS_REJECT_NONE)
			return reject;
		at = record.end;
	}
	*next = at;
	return DNS_REJECT_NONE;
}

/* The other two sections, of which only EDNS matters. */
static enum dns_reject read_others(struct walk *walk, size_t *next)
{
	const unsigned count = (unsigned)walk->authorities + walk->additionals;
	size_t at = *next;

	for (unsigned i = 0; i < count; i++) {
		enum dns_reject reject = DNS_REJECT_CUT;
		struct record record;

		if (at >= walk->length || read_record(walk, at, &record, &reject) == 0)
			return reject;
		reject = DNS_REJECT_NONE;
		if (record.type == DNS_TYPE_OPT)
			reject = i < walk->authorities ? DNS_REJECT_OPT : take_edns(walk, &record);
		if (reject != DNS_REJECT_NONE)
			return reject;
		at = record.end;
	}
	*next = at;
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
	for (uint16_t i = 0; i < walk->addresses; i++) {
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
	/* Written before it is read, like much of the walk. */
	struct dns_name room[DNS_ANSWER_NAMES_MAX + 1];
	enum dns_reject reject;
	struct walk walk;
	size_t at;

	walk.bytes = bytes;
	walk.length = length < DNS_MESSAGE_BYTES_MAX ? length : DNS_MESSAGE_BYTES_MAX;
	walk.message = message;
	walk.has_edns = false;
	walk.extended_rcode = 0;
	walk.names_left_out = false;
	walk.room = room;
	walk.addresses = 0;
	message->addresses_left_out = 0;
	reject = read_header(&walk);
	if (reject != DNS_REJECT_NONE)
		return reject;
	at = read_question(&walk, &reject);
	if (at == 0)
		return reject;
	reject = read_answers(&walk, &at);
	if (reject == DNS_REJECT_NONE)
		reject = read_others(&walk, &at);
	message->incomplete = reject == DNS_REJECT_CUT && (message->truncated || cut);
	if (reject != DNS_REJECT_NONE && !message->incomplete)
		return reject;
	message->trailing = !message->incomplete && at < walk.length;
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
