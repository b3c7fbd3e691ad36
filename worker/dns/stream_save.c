/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/stream_save.h"

#include "proto/record.h"
#include "worker/dns/query.h"

#include <netinet/in.h>
#include <string.h>

#define LENGTH_BYTES 2
#define HEADER_BYTES 12

/* The next of two lists, one after the other, of the same links; in_first: whether index is of the first. */
static uint32_t behind(const struct index_list *first, const struct index_list *second,
		       const struct index_link *links, uint32_t index, bool in_first)
{
	uint32_t next = index == INDEX_NONE ? first->oldest : links[index].newer;

	if (next == INDEX_NONE && (index == INDEX_NONE || in_first))
		next = second->oldest;
	return next;
}

bool dns_stream_save_flow(const struct dns_stream *stream, uint32_t *index,
			  struct dns_stream_saved_flow *saved)
{
	const struct dns_flows *flows = &stream->flows;
	const bool lives = *index != INDEX_NONE && flows->flow[*index].state != DNS_FLOW_ENDED;
	const struct dns_flow *flow;

	*index = behind(&flows->live, &flows->ended, flows->flow_links, *index, lives);
	if (*index == INDEX_NONE)
		return false;
	flow = &flows->flow[*index];
	*saved = (struct dns_stream_saved_flow){
		.ends = flow->ends,
		.last_ns = flow->last_ns,
		.index = *index,
		.next_seq = flow->next_seq,
		.skip = flow->skip,
		.fin_seq = flow->fin_seq,
		.state = flow->state,
		.has_fin = flow->has_fin,
	};
	return true;
}

static bool is_beginning(const struct dns_flows *flows, uint32_t block)
{
	return flows->flow[flows->block[block].flow].block == block;
}

bool dns_stream_save_block(const struct dns_stream *stream, uint32_t *index,
			   struct dns_stream_saved_block *saved)
{
	const struct dns_flows *flows = &stream->flows;
	const bool begins = *index != INDEX_NONE && is_beginning(flows, *index);
	const struct dns_block *block;

	*index = behind(&flows->filling, &flows->held, flows->block_links, *index, begins);
	if (*index == INDEX_NONE)
		return false;
	block = &flows->block[*index];
	saved->at_ns = block->at_ns;
	saved->flow = block->flow;
	saved->seq = is_beginning(flows, *index) ? 0 : block->seq;
	saved->whole = is_beginning(flows, *index) ? 0 : block->whole;
	saved->have = block->have;
	memcpy(saved->bytes, block->bytes, block->have);
	return true;
}

static bool is_flow(const struct dns_stream_saved_flow *saved)
{
	static const uint8_t zero[sizeof(saved->pad0)];
	const struct dns_ends *ends = &saved->ends;

	return dns_query_is_about(ends->family, IPPROTO_TCP, ends->source_ip,
				  ends->destination_ip) &&
	       memcmp(ends->pad, zero, sizeof(ends->pad)) == 0 &&
	       memcmp(saved->pad0, zero, sizeof(zero)) == 0 && saved->has_fin <= 1 &&
	       saved->state <= DNS_FLOW_ENDED && saved->skip <= LENGTH_BYTES + UINT16_MAX;
}

const char *dns_stream_load_flow(struct dns_stream *stream,
				 const struct dns_stream_saved_flow *saved)
{
	struct dns_flows *flows = &stream->flows;
	struct index_pool *pool = &flows->flow_pool;

	if (!is_flow(saved))
		return "no TCP flow can be this";
	/* A flow that is there has a family. */
	if (saved->index >= pool->capacity || flows->flow[saved->index].ends.family != 0 ||
	    dns_flows_find(flows, &saved->ends) != INDEX_NONE)
		return "a TCP flow has another one's place";
	if (pool->high <= saved->index)
		pool->high = saved->index + 1;
	pool->used++;
	dns_flows_put(flows, saved->index, &saved->ends, saved->last_ns);
	dns_flows_touch(flows, saved->index, (enum dns_flow_state)saved->state, saved->last_ns);
	flows->flow[saved->index].next_seq = saved->next_seq;
	flows->flow[saved->index].skip = saved->skip;
	flows->flow[saved->index].fin_seq = saved->fin_seq;
	flows->flow[saved->index].has_fin = saved->has_fin;
	return NULL;
}

/* Whether bytes are a message, behind its length, of which the rest must come. */
static bool is_unfinished(const struct dns_stream_saved_block *saved)
{
	const uint32_t length = (uint32_t)saved->bytes[0] << 8 | saved->bytes[1];

	if (saved->have < LENGTH_BYTES)
		return saved->have > 0;
	return length >= HEADER_BYTES && saved->have < LENGTH_BYTES + length &&
	       saved->have < DNS_BLOCK_BYTES;
}

static bool may_begin(const struct dns_flow *flow, const struct dns_stream_saved_block *saved)
{
	return flow->state == DNS_FLOW_READING && flow->block == INDEX_NONE && flow->skip == 0 &&
	       saved->seq == 0 && is_unfinished(saved);
}

static bool may_be_held(const struct dns_flow *flow, const struct dns_stream_saved_block *saved)
{
	return flow->state != DNS_FLOW_ENDED && flow->held_count < DNS_STREAM_HELD_MAX &&
	       saved->have <= saved->whole;
}

const char *dns_stream_load_block(struct dns_stream *stream,
				  const struct dns_stream_saved_block *saved)
{
	struct dns_flows *flows = &stream->flows;
	const bool begins = saved->whole == 0;
	const struct dns_flow *flow;
	struct dns_block *block;

	if (saved->flow >= flows->flow_pool.high || flows->flow[saved->flow].ends.family == 0)
		return "a part of a message is of no TCP flow";
	flow = &flows->flow[saved->flow];
	if (!(begins ? may_begin(flow, saved) : may_be_held(flow, saved)))
		return "no part of a message can be this";
	if (index_pool_is_full(&flows->block_pool))
		return "a part of a message has no room";
	block = begins ? dns_blocks_begin(flows, saved->flow, saved->at_ns)
		       : dns_blocks_hold(flows, saved->flow, saved->seq, saved->at_ns);
	block->whole = saved->whole;
	block->have = saved->have;
	memcpy(block->bytes, saved->bytes, saved->have);
	return NULL;
}

void dns_stream_load_end(struct dns_stream *stream)
{
	struct dns_flows *flows = &stream->flows;
	struct index_pool *pool = &flows->flow_pool;
	uint32_t last = INDEX_NONE;

	for (uint32_t index = 0; index < pool->high; index++) {
		if (flows->flow[index].ends.family != 0)
			continue;
		index_pool_put_free(pool, flows->flow_links, last, index);
		last = index;
	}
}
