/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's bytes made into what they ask for, or into the reason why they are refused.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_QUERY_REQUEST_H
#define SOCKWARDEN_WORKER_PUBLISH_QUERY_REQUEST_H

#include "proto/query.h"
#include "worker/conn/clients.h"
#include "worker/publish/filter.h"

#include <stdbool.h>
#include <stddef.h>

#define QUERY_PAGE_SLOT_BYTES 16
/*
 * A page's token: 16 hex digits of a slot, 8 of a filter's hash or a recording's id; of a client's batch
 * its number and that of the piece.
 */
#define QUERY_PAGE_BYTES 24
#define QUERY_MESSAGE_BYTES 192

enum query_op {
	QUERY_OP_SNAPSHOT,
	QUERY_OP_STATUS,
	QUERY_OP_RECORD,
	QUERY_OP_RECORD_END,
	QUERY_OP_CONFIG,
	QUERY_OP_CONNECTIONS,
	QUERY_OP_UNREGISTER,
	QUERY_OP_NAMES,
	QUERY_OP_DNS,
	QUERY_OP_AUDIT,
};

/* The contract's error words. */
enum query_error {
	QUERY_ERROR_NONE,
	QUERY_ERROR_BAD_REQUEST,
	QUERY_ERROR_UNKNOWN_OP,
	QUERY_ERROR_TOO_LARGE,
	QUERY_ERROR_BUSY,
	QUERY_ERROR_TOO_MANY_CLIENTS,
};

struct query_address {
	bool ipv6;
	uint8_t ip[16]; /* IPv4: the first four bytes, also of IPv4-mapped ones */
};

struct query_request {
	enum query_op op;
	bool first_page; /* no token was given */
	size_t slot;	 /* where the page begins; of a recording: the byte */
	uint32_t filter_hash;
	uint32_t recording; /* its id */
	uint32_t of;	    /* the other half of the token */
	char client[CLIENT_NAME_BYTES];
	uint64_t ack; /* 0: none */
	uint32_t address_count;
	struct query_address addresses[QUERY_ADDRESSES_MAX];
	struct filter filter;
};

/* Makes it the text for people. */
void query_say(char message[static QUERY_MESSAGE_BYTES], const char *text);

/* The word of an error. */
const char *query_error_name(enum query_error error);

/*
 * Parses length bytes, which may be anything. Returns QUERY_ERROR_NONE, or an error with a text
 * for people in message; then *request is not to be used.
 */
enum query_error query_request_parse(struct query_request *request, const char *text, size_t length,
				     char message[static QUERY_MESSAGE_BYTES]);

/* Writes the token of a page (QUERY_PAGE_BYTES and a NUL); of is the filter's hash, or the recording. */
void query_page_format(char token[static QUERY_PAGE_BYTES + 1], size_t slot, uint32_t of);

#endif
