/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages as resolvers and stubs send them: queries, addresses, chains of aliases, refusals
 * with their SOA, most with EDNS, compressed. The same ones each time.
 */
#ifndef SOCKWARDEN_TESTS_BENCH_DNS_CORPUS_H
#define SOCKWARDEN_TESTS_BENCH_DNS_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#define CORPUS_MESSAGES 1536
#define CORPUS_MESSAGE_BYTES_MAX 510

struct corpus_message {
	uint16_t length;
	uint8_t bytes[CORPUS_MESSAGE_BYTES_MAX];
};

/* All kinds in turn, CORPUS_MESSAGES of them. */
void corpus_make(struct corpus_message *messages);

/* Responses of one alias and two addresses alone, without EDNS. */
void corpus_make_typical(struct corpus_message *messages);

#endif
