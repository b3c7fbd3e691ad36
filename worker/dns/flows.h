/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of worker/dns/stream.c: a table of TCP flows, and a pool of blocks for what a flow must
 * keep of a message or a segment. Both are fixed at the start within a budget of bytes; nearly all
 * flows need no block at any time, since nearly all messages come whole.
 *
 * A flow is one direction of a connection. It is in one of two lists: of those that live, by when
 * they were heard of last, or of those that have ended and are remembered only so that what is
 * sent again is known. A block in use is in one of two lists as well, by when it was taken.
 */
#ifndef SOCKWARDEN_WORKER_DNS_FLOWS_H
#define SOCKWARDEN_WORKER_DNS_FLOWS_H

#include "common/hash.h"
#include "common/index_list.h"
#include "common/slots.h"
#include "worker/dns/frame.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a message, beyond which no pointer of a name reaches (RFC 1035 4.1.4: 14 bits). */
#define DNS_BLOCK_MESSAGE_BYTES 16384
#define DNS_BLOCK_BYTES (2 + DNS_BLOCK_MESSAGE_BYTES)
/* So many flows to a block: those that wait for the rest of a message are few. */
#define DNS_FLOWS_PER_BLOCK 16
/* A held segment, while it is read, may begin a message: then neither block can give way to the other. */
#define DNS_BLOCKS_MIN 2

/* Who sends to whom. No padding: it is compared and hashed in one piece. */
struct dns_ends {
	uint8_t source_ip[16]; /* network order; IPv4: the first four bytes, the rest 0 */
	uint8_t destination_ip[16];
	uint16_t source_port; /* host order */
	uint16_t destination_port;
	uint8_t family; /* enum record_family */
	uint8_t pad[3];
};

_Static_assert(sizeof(struct dns_ends) == 40, "no padding");

enum dns_flow_state {
	DNS_FLOW_SEARCHING, /* it is not known where the next message begins */
	DNS_FLOW_READING,   /* next_seq is within a message, or where one begins */
	DNS_FLOW_ENDED,
};

struct dns_flow {
	struct dns_ends ends;
	uint64_t last_ns;
	uint32_t tag;	   /* of its hash */
	uint32_t next_seq; /* of the first byte that was not read yet */
	uint32_t skip;	   /* of the bytes from there on: the rest of a message that is not kept */
	uint32_t fin_seq;  /* where it ends, if has_fin */
	uint32_t block;	   /* with the beginning of a message, up to next_seq; or INDEX_NONE */
	uint32_t held;	   /* the first of the segments that came too early; or INDEX_NONE */
	uint8_t held_count;
	uint8_t state; /* enum dns_flow_state */
	bool has_fin;
};

struct dns_block {
	uint64_t at_ns; /* when it was taken */
	uint32_t flow;
	uint32_t next;			/* of the flow's held segments, by number; or INDEX_NONE */
	uint32_t seq;			/* of a held segment's first byte */
	uint32_t whole;			/* of a held segment: bytes that were sent */
	uint32_t have;			/* bytes that are here */
	uint8_t bytes[DNS_BLOCK_BYTES]; /* of a message: its length first */
};

struct dns_flows {
	struct dns_flow *flow;
	struct index_link *flow_links;
	struct index_pool flow_pool;
	struct index_list live;
	struct index_list ended;
	struct slots slots;
	struct hash_key hash_key;
	struct dns_block *block;
	struct index_link *block_links;
	struct index_pool block_pool;
	struct index_list filling; /* with beginnings of messages */
	struct index_list held;
};

/*
 * As many blocks, and DNS_FLOWS_PER_BLOCK times as many flows, as fit budget_bytes; secret is hashed
 * into the hash's key. Memory is touched only when used. 0; -EINVAL if not even DNS_BLOCKS_MIN fit, or
 * more than indices can tell; -ENOMEM.
 */
int dns_flows_init(struct dns_flows *flows, uint64_t budget_bytes, const char *secret);
void dns_flows_fini(struct dns_flows *flows);

struct dns_ends dns_ends_of(const struct dns_frame *frame);

/* The flow with these ends, or INDEX_NONE. */
uint32_t dns_flows_find(const struct dns_flows *flows, const struct dns_ends *ends);

/* The one to give up for a new one if the table is full: one that has ended, or the oldest; else INDEX_NONE. */
uint32_t dns_flows_surplus(const struct dns_flows *flows);

/* A new flow, living, without blocks, that is searching; the table has none with these ends and room. */
uint32_t dns_flows_add(struct dns_flows *flows, const struct dns_ends *ends, uint64_t now_ns);

/* The same at a place that the pool counts as in use, and where there is no flow. */
void dns_flows_put(struct dns_flows *flows, uint32_t index, const struct dns_ends *ends,
		   uint64_t now_ns);

/* Takes out a flow without blocks. */
void dns_flows_remove(struct dns_flows *flows, uint32_t index);

/* Was heard of now, in a state: makes it the newest of those that live, or of those that ended. */
void dns_flows_touch(struct dns_flows *flows, uint32_t index, enum dns_flow_state state,
		     uint64_t now_ns);

/* The block to give up for a new one if none is free: the one taken first; else INDEX_NONE. */
uint32_t dns_blocks_surplus(const struct dns_flows *flows);

/* An empty block for the message that a flow is reading, which has none. One is free. */
struct dns_block *dns_blocks_begin(struct dns_flows *flows, uint32_t index, uint64_t now_ns);

/* Gives it back. */
void dns_blocks_end(struct dns_flows *flows, uint32_t index);

/* An empty block for a segment that came too early, in its place among the held ones. One is free. */
struct dns_block *dns_blocks_hold(struct dns_flows *flows, uint32_t index, uint32_t seq,
				  uint64_t now_ns);

/* Takes a held segment's block out of its flow's; it is given back by dns_blocks_release(). */
void dns_blocks_unhold(struct dns_flows *flows, uint32_t block);
void dns_blocks_release(struct dns_flows *flows, uint32_t block);

#endif
