/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP flows and what is kept of their messages, piece by piece, and put back from pieces that may be any
 * bytes. Flows and blocks come in the orders in which they give way.
 *
 *   save:  each flow; each block
 *   load:  the same, in the same order; dns_stream_load_end()
 *
 * The members of what is saved are those of the same name in flows.h; there is no padding. Walks begin
 * with INDEX_NONE.
 */
#ifndef SOCKWARDEN_WORKER_DNS_STREAM_SAVE_H
#define SOCKWARDEN_WORKER_DNS_STREAM_SAVE_H

#include "worker/dns/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_stream_saved_flow {
	struct dns_ends ends;
	uint64_t last_ns;
	uint32_t index;
	uint32_t next_seq;
	uint32_t skip;
	uint32_t fin_seq;
	uint8_t state;
	uint8_t has_fin;
	uint8_t pad0[6];
};

/* Saved is its first dns_stream_saved_block_bytes(). */
struct dns_stream_saved_block {
	uint64_t at_ns;
	uint32_t flow;
	uint32_t seq;	/* 0 of the beginning of a message, as whole */
	uint32_t whole; /* not 0: it is a segment that came too early */
	uint32_t have;
	uint8_t bytes[DNS_BLOCK_BYTES];
};

_Static_assert(sizeof(struct dns_stream_saved_flow) == 72, "no padding");
_Static_assert(offsetof(struct dns_stream_saved_block, bytes) == 24, "no padding");

static inline size_t dns_stream_saved_block_bytes(const struct dns_stream_saved_block *block)
{
	return offsetof(struct dns_stream_saved_block, bytes) + block->have;
}

/* The next flow: those that live, then those that ended, by when they were heard of. False: no more. */
bool dns_stream_save_flow(const struct dns_stream *stream, uint32_t *index,
			  struct dns_stream_saved_flow *saved);

/* The next block: beginnings of messages, then segments, by when they were taken. False: no more. */
bool dns_stream_save_block(const struct dns_stream *stream, uint32_t *index,
			   struct dns_stream_saved_block *saved);

/* Each of these returns NULL, or a constant text that says what is wrong; then the stream is not to be used. */

/* *stream is as dns_stream_init() left it. */
const char *dns_stream_load_flow(struct dns_stream *stream,
				 const struct dns_stream_saved_flow *saved);
/* dns_stream_saved_block_bytes() are there. */
const char *dns_stream_load_block(struct dns_stream *stream,
				  const struct dns_stream_saved_block *saved);

/* All are there: places between those of flows are free. */
void dns_stream_load_end(struct dns_stream *stream);

#endif
