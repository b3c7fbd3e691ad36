/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/flows.h"

#include "common/lazy_memory.h"
#include "proto/record.h"

#include <errno.h>
#include <string.h>

static uint64_t bytes_for(uint64_t blocks)
{
	const uint64_t flows = blocks * DNS_FLOWS_PER_BLOCK;

	return blocks * (sizeof(struct dns_block) + sizeof(struct index_link)) +
	       flows * (sizeof(struct dns_flow) + sizeof(struct index_link)) +
	       slots_bytes((uint32_t)flows);
}

/* How many blocks, with their flows, fit; slots come in powers of two, so it is tried. */
static uint64_t blocks_within(uint64_t budget_bytes)
{
	uint64_t blocks = budget_bytes / sizeof(struct dns_block);

	if (blocks > SLOTS_CAPACITY_MAX / DNS_FLOWS_PER_BLOCK)
		return 0;
	while (blocks > 0 && bytes_for(blocks) > budget_bytes)
		blocks -= 1 + blocks / 256;
	return blocks;
}

int dns_flows_init(struct dns_flows *flows, uint64_t budget_bytes, const char *secret)
{
	const uint32_t blocks = (uint32_t)blocks_within(budget_bytes);
	const uint32_t count = blocks * DNS_FLOWS_PER_BLOCK;

	memset(flows, 0, sizeof(*flows));
	if (blocks < DNS_BLOCKS_MIN)
		return -EINVAL;
	flows->hash_key = hash_key_of(secret);
	flows->flow_pool = index_pool_of(count);
	flows->block_pool = index_pool_of(blocks);
	flows->live = flows->ended = index_list_empty();
	flows->filling = flows->held = index_list_empty();
	flows->flow = lazy_memory_reserve(sizeof(*flows->flow) * count);
	flows->flow_links = lazy_memory_reserve(sizeof(*flows->flow_links) * count);
	flows->block = lazy_memory_reserve(sizeof(*flows->block) * blocks);
	flows->block_links = lazy_memory_reserve(sizeof(*flows->block_links) * blocks);
	if (slots_init(&flows->slots, count) < 0 || !flows->flow || !flows->flow_links ||
	    !flows->block || !flows->block_links) {
		dns_flows_fini(flows);
		return -ENOMEM;
	}
	return 0;
}

void dns_flows_fini(struct dns_flows *flows)
{
	const size_t count = flows->flow_pool.capacity, blocks = flows->block_pool.capacity;

	lazy_memory_release(flows->flow, sizeof(*flows->flow) * count);
	lazy_memory_release(flows->flow_links, sizeof(*flows->flow_links) * count);
	lazy_memory_release(flows->block, sizeof(*flows->block) * blocks);
	lazy_memory_release(flows->block_links, sizeof(*flows->block_links) * blocks);
	slots_fini(&flows->slots);
	memset(flows, 0, sizeof(*flows));
}

struct dns_ends dns_ends_of(const struct dns_frame *frame)
{
	struct dns_ends ends = {
		.source_port = frame->source_port,
		.destination_port = frame->destination_port,
		.family = frame->family,
	};

	memcpy(ends.source_ip, frame->source_ip, sizeof(ends.source_ip));
	memcpy(ends.destination_ip, frame->destination_ip, sizeof(ends.destination_ip));
	return ends;
}

static uint64_t word_at(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static uint32_t tag_of(const struct dns_flows *flows, const struct dns_ends *ends)
{
	const uint64_t rest = (uint64_t)ends->source_port << 48 |
			      (uint64_t)ends->destination_port << 32 | ends->family;
	uint64_t hash = hash_words(&flows->hash_key, word_at(ends->source_ip),
				   word_at(ends->destination_ip), rest);

	if (ends->family == RECORD_FAMILY_IPV6)
		hash = hash_words(&flows->hash_key, word_at(ends->source_ip + 8),
				  word_at(ends->destination_ip + 8), hash);
	return (uint32_t)(hash >> 32);
}

uint32_t dns_flows_find(const struct dns_flows *flows, const struct dns_ends *ends)
{
	const uint32_t tag = tag_of(flows, ends);
	uint32_t at = slots_home(&flows->slots, tag), index;

	while ((index = slots_next(&flows->slots, tag, &at)) != SLOTS_NONE) {
		if (memcmp(&flows->flow[index].ends, ends, sizeof(*ends)) == 0)
			return index;
	}
	return INDEX_NONE;
}

uint32_t dns_flows_surplus(const struct dns_flows *flows)
{
	if (!index_pool_is_full(&flows->flow_pool))
		return INDEX_NONE;
	return flows->ended.oldest != INDEX_NONE ? flows->ended.oldest : flows->live.oldest;
}

void dns_flows_put(struct dns_flows *flows, uint32_t index, const struct dns_ends *ends,
		   uint64_t now_ns)
{
	struct dns_flow *flow = &flows->flow[index];

	*flow = (struct dns_flow){
		.ends = *ends,
		.last_ns = now_ns,
		.tag = tag_of(flows, ends),
		.block = INDEX_NONE,
		.held = INDEX_NONE,
		.state = DNS_FLOW_SEARCHING,
	};
	slots_add(&flows->slots, flow->tag, index);
	index_list_push(&flows->live, flows->flow_links, index);
}

uint32_t dns_flows_add(struct dns_flows *flows, const struct dns_ends *ends, uint64_t now_ns)
{
	const uint32_t index = index_pool_take(&flows->flow_pool, flows->flow_links);

	dns_flows_put(flows, index, ends, now_ns);
	return index;
}

static struct index_list *list_of(struct dns_flows *flows, uint32_t index)
{
	return flows->flow[index].state == DNS_FLOW_ENDED ? &flows->ended : &flows->live;
}

void dns_flows_remove(struct dns_flows *flows, uint32_t index)
{
	slots_remove(&flows->slots, flows->flow[index].tag, index);
	index_list_remove(list_of(flows, index), flows->flow_links, index);
	index_pool_give(&flows->flow_pool, flows->flow_links, index);
}

void dns_flows_touch(struct dns_flows *flows, uint32_t index, enum dns_flow_state state,
		     uint64_t now_ns)
{
	index_list_remove(list_of(flows, index), flows->flow_links, index);
	flows->flow[index].state = (uint8_t)state;
	flows->flow[index].last_ns = now_ns;
	index_list_push(list_of(flows, index), flows->flow_links, index);
}

uint32_t dns_blocks_surplus(const struct dns_flows *flows)
{
	const uint32_t filling = flows->filling.oldest, held = flows->held.oldest;

	if (!index_pool_is_full(&flows->block_pool))
		return INDEX_NONE;
	if (filling == INDEX_NONE)
		return held;
	if (held == INDEX_NONE)
		return filling;
	return flows->block[held].at_ns < flows->block[filling].at_ns ? held : filling;
}

static uint32_t take_block(struct dns_flows *flows, uint32_t index, uint64_t now_ns)
{
	const uint32_t taken = index_pool_take(&flows->block_pool, flows->block_links);
	struct dns_block *block = &flows->block[taken];

	block->at_ns = now_ns;
	block->flow = index;
	block->next = INDEX_NONE;
	block->have = 0;
	return taken;
}

struct dns_block *dns_blocks_begin(struct dns_flows *flows, uint32_t index, uint64_t now_ns)
{
	const uint32_t taken = take_block(flows, index, now_ns);

	index_list_push(&flows->filling, flows->block_links, taken);
	flows->flow[index].block = taken;
	return &flows->block[taken];
}

void dns_blocks_end(struct dns_flows *flows, uint32_t index)
{
	const uint32_t block = flows->flow[index].block;

	index_list_remove(&flows->filling, flows->block_links, block);
	index_pool_give(&flows->block_pool, flows->block_links, block);
	flows->flow[index].block = INDEX_NONE;
}

struct dns_block *dns_blocks_hold(struct dns_flows *flows, uint32_t index, uint32_t seq,
				  uint64_t now_ns)
{
	const uint32_t taken = take_block(flows, index, now_ns);
	uint32_t *at = &flows->flow[index].held;

	flows->block[taken].seq = seq;
	/* In the order of sequence numbers (RFC 9293 3.4: by their difference). */
	while (*at != INDEX_NONE && (int32_t)(flows->block[*at].seq - seq) < 0)
		at = &flows->block[*at].next;
	flows->block[taken].next = *at;
	*at = taken;
	flows->flow[index].held_count++;
	index_list_push(&flows->held, flows->block_links, taken);
	return &flows->block[taken];
}

void dns_blocks_unhold(struct dns_flows *flows, uint32_t block)
{
	struct dns_flow *flow = &flows->flow[flows->block[block].flow];
	uint32_t *at = &flow->held;

	while (*at != block)
		at = &flows->block[*at].next;
	*at = flows->block[block].next;
	flow->held_count--;
	index_list_remove(&flows->held, flows->block_links, block);
}

void dns_blocks_release(struct dns_flows *flows, uint32_t block)
{
	index_pool_give(&flows->block_pool, flows->block_links, block);
}
