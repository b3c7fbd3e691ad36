/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other parsers make of a DNS message: glibc's ns_initparse() with ns_parserr(), and ldns. Of
 * their records, question, response code and addresses at the end of the chain of aliases are found
 * anew, by another way than the worker's.
 */
#ifndef SOCKWARDEN_TESTS_FUZZ_DNS_ORACLES_H
#define SOCKWARDEN_TESTS_FUZZ_DNS_ORACLES_H

#include "worker/dns/message.h"

#define ORACLE_RECORDS_MAX 8192

struct oracle_record {
	struct dns_name owner; /* in lower case */
	struct dns_name alias; /* of a CNAME */
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	uint16_t rdata_bytes;
	uint8_t ip[16]; /* of an A or AAAA record */
};

struct oracle_view {
	bool accepted;
	bool others; /* by glibc: records with data that the worker does not look into */
	struct dns_name question;
	uint16_t qtype;
	uint16_t qclass; /* all 16 bits */
	uint16_t rcode;
	bool circle; /* the chain of aliases has no end */
	uint16_t address_count;
	struct dns_address addresses[ORACLE_RECORDS_MAX];
};

/* Where the last record ends as glibc skips over them, or 0: it cannot. */
size_t oracle_end(const uint8_t *bytes, size_t length);

/* Of a message that is not accepted the rest of the view is not defined. */
void oracle_glibc(const uint8_t *bytes, size_t length, struct oracle_view *view);
void oracle_ldns(const uint8_t *bytes, size_t length, struct oracle_view *view);

#endif
