/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS message (RFC 1035 4.1): a query, or a response and the addresses that it gives the name that
 * was asked for. Bytes come from strangers: each length is checked before it is believed, what is
 * wrong is rejected with its reason, and every step over the input takes at least one byte of it.
 * Nothing is allocated, and nothing is kept between two messages.
 *
 * The name asked for may be an alias: the CNAME records of the answer lead from it to the name that
 * owns the addresses, in whatever order they stand. All records are passed over, since the last
 * section may hold half of the response code (RFC 6891 6.1.3); of those that do not matter (a
 * signature, an authority, a DNAME, whose CNAME the server sends along, RFC 6672 3.4) only the
 * owner and the length are looked at.
 */
#ifndef SOCKWARDEN_WORKER_DNS_MESSAGE_H
#define SOCKWARDEN_WORKER_DNS_MESSAGE_H

#include "worker/dns/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_MESSAGE_BYTES_MAX 65535
/* Limits are smaller in proofs, so that a few bytes reach them. */
#ifndef DNS_ADDRESSES_MAX
#define DNS_ADDRESSES_MAX 64
#endif
/* Different names in one answer: enough for a chain of 31 aliases. Resolvers give up after 8 to 16. */
#ifndef DNS_ANSWER_NAMES_MAX
#define DNS_ANSWER_NAMES_MAX 32
#endif

/* Record types that are read (RFC 1035 3.2.2, RFC 3596 2.1, RFC 6891 6.1.1). */
enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_OPT = 41,
};

struct dns_address {
	uint8_t ip[16]; /* network order; IPv4: the first four bytes, the rest 0 */
	uint32_t ttl_s; /* 0 .. 2^31 - 1 */
	uint8_t family; /* enum record_family */
};

struct dns_message {
	uint16_t id;
	bool is_response;
	bool truncated;	       /* TC: the whole of it is to be had over TCP */
	bool incomplete;       /* it ended within its records, as TC or the caller said it might */
	bool trailing;	       /* bytes stand behind the records that the header counts */
	bool chain_unresolved; /* its aliases lead in a circle, or are more than can be kept */
	uint8_t opcode;	       /* 0: no other is accepted */
	uint16_t rcode;	       /* with EDNS's upper eight bits, unless incomplete; 0 .. 4095 */
	uint16_t qtype;
	uint16_t qclass; /* without the top bit, which mDNS uses (RFC 6762 5.4); 1: IN */
	/*
	 * Of a response with rcode 0: A and AAAA records of the name at the end of the chain, in the
	 * order of their first appearance. An address that is told twice is kept once, with the
	 * smallest TTL (RFC 2181 5.2: that is meant where they differ).
	 */
	uint16_t address_count;
	uint16_t addresses_left_out; /* address records of the answer for which there was no room */
	struct dns_name question;
	struct dns_address addresses[DNS_ADDRESSES_MAX];
};

/* X(symbol, name, what is wrong) */
#define DNS_REJECTS(X)                                                                         \
	X(SHORT, "short", "less than a header of 12 bytes")                                    \
	X(OPCODE, "opcode", "neither a query nor its response")                                \
	X(QUESTIONS, "questions", "not exactly one question")                                  \
	X(CLASS, "class", "a question of another class than IN")                               \
	X(CUT, "cut", "it ends within its question, or without TC within its records")         \
	X(NAME_LONG, "name_long", "a name of more than 255 bytes")                             \
	X(NAME_LABEL, "name_label", "a label of a reserved type")                              \
	X(NAME_POINTER, "name_pointer", "a pointer not to a name before, or too many of them") \
	X(RDATA, "rdata", "an A, AAAA or CNAME record that is not as long as what it holds")   \
	X(OPT, "opt", "EDNS twice, or not where and how it must be (RFC 6891 6.1.1)")

enum dns_reject {
	DNS_REJECT_NONE = 0,
#define DNS_REJECT_SYMBOL(symbol, name, meaning) DNS_REJECT_##symbol,
	DNS_REJECTS(DNS_REJECT_SYMBOL)
#undef DNS_REJECT_SYMBOL
	DNS_REJECT_COUNT
};

/*
 * Parses the payload of a UDP datagram, or one message of a TCP stream without its length. cut says
 * that its end was not captured: then, as with TC, what is there counts up to the first record that is
 * not whole. Bytes beyond DNS_MESSAGE_BYTES_MAX are as if they were not there. Returns
 * DNS_REJECT_NONE with *message; whatever else it returns, *message is not defined.
 */
enum dns_reject dns_message_parse(const uint8_t *bytes, size_t length, bool cut,
				  struct dns_message *message);

/* A reason's name, such as "name_long"; NULL for DNS_REJECT_NONE. */
const char *dns_reject_name(enum dns_reject reject);

#endif
