/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/dns_oracles.h"

#include "proto/record.h"
#include "tests/fuzz/invariant.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <ldns/ldns.h>

static struct oracle_record records[ORACLE_RECORDS_MAX];
static size_t record_count;

static void lower(struct dns_name *name)
{
	for (size_t i = 0; i < name->length; i++)
		name->wire[i] =
			(uint8_t)(name->wire[i] < 128 ? tolower(name->wire[i]) : name->wire[i]);
}

static bool is_read(const struct oracle_record *record)
{
	return record->type == DNS_TYPE_A || record->type == DNS_TYPE_AAAA ||
	       record->type == DNS_TYPE_CNAME;
}

static bool is_in(const struct oracle_record *record)
{
	return (record->class & 0x7fff) == 1;
}

/* The first alias of a name in the answer, or NULL. */
static const struct oracle_record *alias_of(const struct dns_name *name)
{
	for (size_t i = 0; i < record_count; i++) {
		if (records[i].type == DNS_TYPE_CNAME && is_in(&records[i]) &&
		    dns_name_equals(&records[i].owner, name))
			return &records[i];
	}
	return NULL;
}

static void add_address(struct oracle_view *view, const struct oracle_record *record)
{
	struct dns_address address = {
		.family = record->type == DNS_TYPE_A ? RECORD_FAMILY_IPV4 : RECORD_FAMILY_IPV6,
		.ttl_s = record->ttl & 0x80000000 ? 0 : record->ttl,
	};

	memcpy(address.ip, record->ip, sizeof(address.ip));
	for (uint16_t i = 0; i < view->address_count; i++) {
		struct dns_address *known = &view->addresses[i];

		if (known->family != address.family || memcmp(known->ip, address.ip, 16) != 0)
			continue;
		if (address.ttl_s < known->ttl_s)
			known->ttl_s = address.ttl_s;
		return;
	}
	view->addresses[view->address_count++] = address;
}

/* From the records of the answer. */
static void find_addresses(struct oracle_view *view)
{
	struct dns_name name = view->question;
	const struct oracle_record *alias;
	size_t steps = 0;

	view->address_count = 0;
	view->circle = false;
	while ((alias = alias_of(&name)) != NULL) {
		if (steps++ > record_count) {
			view->circle = true;
			return;
		}
		name = alias->alias;
	}
	for (size_t i = 0; i < record_count; i++) {
		if (records[i].type != DNS_TYPE_CNAME && is_read(&records[i]) &&
		    is_in(&records[i]) && dns_name_equals(&records[i].owner, &name))
			add_address(view, &records[i]);
	}
}

static void keep(const struct oracle_record *record)
{
	if (!is_read(record) || !is_in(record))
		return;
	INVARIANT(record_count < ORACLE_RECORDS_MAX);
	records[record_count++] = *record;
}

static struct dns_name name_of_text(const char *text)
{
	struct dns_name name;
	uint8_t wire[NS_MAXCDNAME + 1];

	/* Its own text: what it writes it reads. */
	INVARIANT(ns_name_pton(*text == '\0' ? "." : text, wire, sizeof(wire)) >= 0);
	name.length = 0;
	while (wire[name.length] != 0)
		name.length = (uint8_t)(name.length + 1 + wire[name.length]);
	name.length++;
	memcpy(name.wire, wire, name.length);
	lower(&name);
	return name;
}

static bool glibc_alias(ns_msg *message, const ns_rr *record, struct dns_name *alias)
{
	uint8_t wire[NS_MAXCDNAME + 1];
	const uint8_t *end = ns_rr_rdata(*record) + ns_rr_rdlen(*record);
	const int used = ns_name_unpack(ns_msg_base(*message), ns_msg_end(*message),
					ns_rr_rdata(*record), wire, sizeof(wire));
	size_t length = 0;

	if (used < 0 || ns_rr_rdata(*record) + used != end)
		return false;
	while (wire[length] != 0)
		length += 1U + wire[length];
	alias->length = (uint8_t)(length + 1);
	memcpy(alias->wire, wire, alias->length);
	lower(alias);
	return true;
}

/* False: it is not as long as what it holds. */
static bool take_glibc(ns_msg *message, const ns_rr *record, struct oracle_record *taken)
{
	*taken = (struct oracle_record){
		.owner = name_of_text(ns_rr_name(*record)),
		.type = (uint16_t)ns_rr_type(*record),
		.class = (uint16_t)ns_rr_class(*record),
		.ttl = ns_rr_ttl(*record),
		.rdata_bytes = ns_rr_rdlen(*record),
	};
	if (!is_read(taken) || !is_in(taken))
		return true;
	if (taken->type == DNS_TYPE_CNAME)
		return glibc_alias(message, record, &taken->alias);
	if (taken->rdata_bytes != (taken->type == DNS_TYPE_A ? 4 : 16))
		return false;
	memcpy(taken->ip, ns_rr_rdata(*record), taken->rdata_bytes);
	return true;
}

static bool walk_glibc(ns_msg *message, ns_sect section, struct oracle_view *view)
{
	for (int i = 0; i < ns_msg_count(*message, section); i++) {
		struct oracle_record taken;
		ns_rr record;

		if (ns_parserr(message, section, i, &record) < 0)
			return false;
		if (section == ns_s_qd) {
			view->question = name_of_text(ns_rr_name(record));
			view->qtype = (uint16_t)ns_rr_type(record);
			view->qclass = (uint16_t)ns_rr_class(record);
		} else if (section == ns_s_an) {
			if (!take_glibc(message, &record, &taken))
				return false;
			keep(&taken);
			view->others |= !is_read(&taken) || !is_in(&taken);
		} else {
			const bool is_opt = section == ns_s_ar && ns_rr_type(record) == ns_t_opt;

			view->others |= !is_opt || ns_rr_rdlen(record) != 0;
			if (is_opt)
				view->rcode |= (uint16_t)(ns_rr_ttl(record) >> 24 << 4);
		}
	}
	return true;
}

size_t oracle_end(const uint8_t *bytes, size_t length)
{
	const uint8_t *end = bytes + length;
	size_t at = NS_HFIXEDSZ;

	if (length < NS_HFIXEDSZ)
		return 0;
	for (int section = ns_s_qd; section < ns_s_max; section++) {
		const int count = bytes[4 + 2 * section] << 8 | bytes[5 + 2 * section];
		const int used = ns_skiprr(bytes + at, end, (ns_sect)section, count);

		if (used < 0)
			return 0;
		at += (size_t)used;
	}
	return at;
}

void oracle_glibc(const uint8_t *bytes, size_t length, struct oracle_view *view)
{
	ns_msg message;

	record_count = 0;
	view->others = false;
	view->accepted = ns_initparse(bytes, (int)length, &message) == 0 &&
			 ns_msg_count(message, ns_s_qd) == 1;
	if (!view->accepted)
		return;
	view->rcode = (uint16_t)ns_msg_getflag(message, ns_f_rcode);
	for (int section = ns_s_qd; section < ns_s_max && view->accepted; section++)
		view->accepted = walk_glibc(&message, (ns_sect)section, view);
	if (view->accepted)
		find_addresses(view);
}

static struct dns_name name_of_rdf(const ldns_rdf *rdf)
{
	struct dns_name name;

	INVARIANT(ldns_rdf_size(rdf) >= 1 && ldns_rdf_size(rdf) <= DNS_NAME_BYTES_MAX);
	name.length = (uint8_t)ldns_rdf_size(rdf);
	memcpy(name.wire, ldns_rdf_data(rdf), name.length);
	lower(&name);
	return name;
}

static void take_ldns(const ldns_rr *record)
{
	const ldns_rdf *rdf = ldns_rr_rd_count(record) > 0 ? ldns_rr_rdf(record, 0) : NULL;
	struct oracle_record taken;

	taken = (struct oracle_record){
		.owner = name_of_rdf(ldns_rr_owner(record)),
		.type = (uint16_t)ldns_rr_get_type(record),
		.class = (uint16_t)ldns_rr_get_class(record),
		.ttl = ldns_rr_ttl(record),
	};
	if (!is_read(&taken) || !is_in(&taken) || !rdf)
		return;
	if (taken.type == DNS_TYPE_CNAME) {
		taken.alias = name_of_rdf(rdf);
	} else {
		INVARIANT(ldns_rdf_size(rdf) == (taken.type == DNS_TYPE_A ? 4U : 16U));
		memcpy(taken.ip, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
	}
	keep(&taken);
}

void oracle_ldns(const uint8_t *bytes, size_t length, struct oracle_view *view)
{
	ldns_rr_list *answers;
	ldns_pkt *packet;
	ldns_rr *question;

	record_count = 0;
	view->accepted = ldns_wire2pkt(&packet, bytes, length) == LDNS_STATUS_OK;
	if (!view->accepted)
		return;
	if (ldns_rr_list_rr_count(ldns_pkt_question(packet)) == 1) {
		question = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
		view->question = name_of_rdf(ldns_rr_owner(question));
		view->qtype = (uint16_t)ldns_rr_get_type(question);
		view->qclass = (uint16_t)ldns_rr_get_class(question);
		view->rcode = (uint16_t)(ldns_pkt_get_rcode(packet) |
					 (unsigned)ldns_pkt_edns_extended_rcode(packet) << 4);
		answers = ldns_pkt_answer(packet);
		for (size_t i = 0; i < ldns_rr_list_rr_count(answers); i++)
			take_ldns(ldns_rr_list_rr(answers, i));
		find_addresses(view);
	} else {
		view->accepted = false;
	}
	ldns_pkt_free(packet);
}
