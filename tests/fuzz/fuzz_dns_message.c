/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a DNS message; the first byte's lowest bit says that its end was not captured. What is
 * accepted must be whole in itself, and glibc and ldns must see the same question, response code and
 * addresses, or have a reason to refuse the message that is listed below. Built with PLANTED_BUG the
 * worker cuts a large TTL of an answer's last address.
 */
#include "proto/record.h"
#include "tests/fuzz/dns_oracles.h"
#include "tests/fuzz/invariant.h"

#include <arpa/nameser.h>

/*
 * Why others refuse what the worker accepts:
 *
 *   incomplete  both   TC is set or the end was not captured, and the last record is not whole: the
 *                      worker takes those before. The others know only whole messages.
 *   trailing    glibc  bytes behind the last record: ns_initparse() refuses them, while glibc's own
 *                      resolver, ldns and the worker do not; the worker tells of them. It is given
 *                      the message without them.
 *   rdata       ldns   takes every record's data apart, of each type and section, EDNS options included;
 *                      the worker looks only at A, AAAA and CNAME in the answer.
 *
 * What of a message that all accept may differ:
 *
 *   rdlength    ldns   goes on behind the fields of a record that it knows, not where the record says that
 *                      its data ends, and so reads something else from there on (1.8.3).
 *   room        both   more addresses than the worker keeps, or more names in an answer: it
 *                      says so.
 */

static struct dns_message message;
static struct oracle_view view;

static bool is_lower_name(const struct dns_name *name)
{
	size_t at = 0;

	while (at < name->length && name->wire[at] != 0) {
		if (name->wire[at] > DNS_LABEL_BYTES_MAX)
			return false;
		for (size_t i = 1; i <= name->wire[at]; i++) {
			if (name->wire[at + i] >= 'A' && name->wire[at + i] <= 'Z')
				return false;
		}
		at += 1U + name->wire[at];
	}
	return at + 1 == name->length;
}

/* The text is the name's: glibc reads the same bytes from it. */
static void check_text(const struct dns_name *name)
{
	uint8_t wire[NS_MAXCDNAME + 1];
	char text[DNS_NAME_TEXT_BYTES];
	const size_t length = dns_name_text(name, text);

	INVARIANT(length == strlen(text) && length >= 1);
	for (size_t i = 0; i < length; i++)
		INVARIANT(text[i] > ' ' && text[i] <= '~');
	INVARIANT(ns_name_pton(text, wire, sizeof(wire)) >= 0);
	INVARIANT(memcmp(wire, name->wire, name->length) == 0);
}

static void check_message(const uint8_t *bytes, size_t length, bool cut)
{
	const bool answers = message.is_response && message.rcode == 0;

	INVARIANT(length >= 17);
	INVARIANT(message.id == (bytes[0] << 8 | bytes[1]));
	INVARIANT(message.is_response == bytes[2] >> 7);
	INVARIANT(message.opcode == 0 && message.qclass == 1 && message.rcode < 4096);
	INVARIANT(is_lower_name(&message.question));
	INVARIANT(!message.incomplete || message.truncated || cut);
	INVARIANT(!message.incomplete || !message.trailing);
	INVARIANT(message.address_count <= DNS_ADDRESSES_MAX);
	INVARIANT(message.address_count == 0 || (answers && !message.chain_unresolved));
	for (unsigned i = 0; i < message.address_count; i++) {
		const struct dns_address *address = &message.addresses[i];
		static const uint8_t zeros[12];

		INVARIANT(address->family == RECORD_FAMILY_IPV4 ||
			  address->family == RECORD_FAMILY_IPV6);
		INVARIANT(address->family == RECORD_FAMILY_IPV6 ||
			  memcmp(address->ip + 4, zeros, sizeof(zeros)) == 0);
		INVARIANT(address->ttl_s <= INT32_MAX);
	}
	check_text(&message.question);
}

/* The addresses of the view, in its order, which is that of the records. */
static void check_addresses(void)
{
	INVARIANT(message.address_count == view.address_count);
	for (unsigned i = 0; i < message.address_count; i++) {
		INVARIANT(message.addresses[i].family == view.addresses[i].family);
		INVARIANT(message.addresses[i].ttl_s == view.addresses[i].ttl_s);
		INVARIANT(memcmp(message.addresses[i].ip, view.addresses[i].ip, 16) == 0);
	}
}

/* What the worker accepted, as one that accepted it too sees it. */
static void check_view(void)
{
	INVARIANT(dns_name_equals(&message.question, &view.question));
	INVARIANT(message.qtype == view.qtype);
	INVARIANT(message.qclass == (view.qclass & 0x7fff));
	INVARIANT(message.rcode == view.rcode);
	/* In a circle by names that are all kept: the worker sees it too. */
	INVARIANT(!view.circle || message.chain_unresolved);
	if (!message.is_response || message.rcode != 0 || message.chain_unresolved)
		return;
	if (message.addresses_left_out == 0)
		check_addresses();
}

/* What is not whole is not rejected as that if another reads it to its end. */
static void check_rejected(enum dns_reject reject)
{
	if (view.accepted)
		INVARIANT(reject != DNS_REJECT_SHORT && reject != DNS_REJECT_CUT &&
			  reject != DNS_REJECT_NAME_LONG);
}

static void compare(const uint8_t *bytes, size_t length, enum dns_reject reject)
{
	const bool accepted = reject == DNS_REJECT_NONE;
	const size_t end = oracle_end(bytes, length);
	bool others;

	if (accepted && message.incomplete)
		return;
	if (accepted)
		INVARIANT(message.trailing == (end < length) && end > 0);
	oracle_glibc(bytes, accepted ? end : length, &view);
	others = view.others;
	if (accepted) {
		INVARIANT(view.accepted);
		check_view();
	} else {
		check_rejected(reject);
	}
	oracle_ldns(bytes, length, &view);
	if (accepted && !others) {
		INVARIANT(view.accepted);
		check_view();
	} else if (accepted && view.accepted) {
		INVARIANT(dns_name_equals(&message.question, &view.question));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_message again;
	enum dns_reject reject;
	uint8_t *exact;
	bool cut;

	if (size == 0 || size > 1 + DNS_MESSAGE_BYTES_MAX)
		return 0;
	cut = data[0] & 1;
	size--;
	/* A copy of its exact size: a look beyond its end is seen. */
	exact = malloc(size);
	memcpy(exact, data + 1, size);
	reject = dns_message_parse(exact, size, cut, &message);
#ifdef PLANTED_BUG
	if (reject == DNS_REJECT_NONE && message.address_count > 0)
		message.addresses[message.address_count - 1].ttl_s &= 0xfffff;
#endif
	if (reject == DNS_REJECT_NONE) {
		check_message(exact, size, cut);
		/* What is accepted as whole is accepted as well if it is said to be cut. */
		INVARIANT(dns_message_parse(exact, size, true, &again) == DNS_REJECT_NONE);
		INVARIANT(again.address_count == message.address_count);
	} else {
		INVARIANT(reject < DNS_REJECT_COUNT && dns_reject_name(reject));
	}
	compare(exact, size, reject);
	free(exact);
	return 0;
}
