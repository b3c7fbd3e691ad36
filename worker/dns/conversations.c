/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/conversations.h"

#include "common/lazy_memory.h"

#include <errno.h>
#include <string.h>

uint64_t dns_conversations_bytes(uint32_t capacity)
{
	return (sizeof(struct dns_conversation) + sizeof(struct index_link)) * (uint64_t)capacity +
	       slots_bytes(capacity);
}

int dns_conversations_init(struct dns_conversations *table, uint32_t capacity, const char *secret)
{
	memset(table, 0, sizeof(*table));
	if (capacity == 0 || capacity > DNS_CONVERSATIONS_CAPACITY_MAX)
		return -EINVAL;
	table->pool = index_pool_of(capacity);
	table->live = index_list_empty();
	table->ended = index_list_empty();
	table->key = hash_key_of(secret);
	table->entries = lazy_memory_reserve(sizeof(*table->entries) * capacity);
	table->links = lazy_memory_reserve(sizeof(*table->links) * capacity);
	if (!table->entries || !table->links || slots_init(&table->slots, capacity) < 0) {
		dns_conversations_fini(table);
		return -ENOMEM;
	}
	return 0;
}

void dns_conversations_fini(struct dns_conversations *table)
{
	const size_t capacity = table->pool.capacity;

	lazy_memory_release(table->entries, sizeof(*table->entries) * capacity);
	lazy_memory_release(table->links, sizeof(*table->links) * capacity);
	slots_fini(&table->slots);
	memset(table, 0, sizeof(*table));
}

static struct dns_conversation_key key_of(const struct dns_query *query)
{
	struct dns_conversation_key key = {
		.client_port = query->client_port,
		.server_port = query->server_port,
		.family = query->family,
		.protocol = query->protocol,
	};

	memcpy(key.client_ip, query->client_ip, sizeof(key.client_ip));
	memcpy(key.server_ip, query->server_ip, sizeof(key.server_ip));
	return key;
}

static uint32_t tag_of(const struct dns_conversations *table,
		       const struct dns_conversation_key *key)
{
	uint64_t word[5];

	_Static_assert(sizeof(word) == sizeof(*key), "a key is five words");
	memcpy(word, key, sizeof(word));
	return (uint32_t)(hash_words(&table->key,
				     hash_words(&table->key, word[0], word[1], word[2]), word[3],
				     word[4]) >>
			  32);
}

static uint32_t find(const struct dns_conversations *table, const struct dns_conversation_key *key,
		     uint32_t tag)
{
	uint32_t at = slots_home(&table->slots, tag), index;

	while ((index = slots_next(&table->slots, tag, &at)) != SLOTS_NONE) {
		if (memcmp(&table->entries[index].key, key, sizeof(*key)) == 0)
			break;
	}
	return index;
}

static struct index_list *list_of(struct dns_conversations *table,
				  const struct dns_conversation *entry)
{
	return entry->is_ended ? &table->ended : &table->live;
}

static void remove_entry(struct dns_conversations *table, uint32_t index)
{
	const struct dns_conversation *entry = &table->entries[index];

	slots_remove(&table->slots, entry->tag, index);
	index_list_remove(list_of(table, entry), table->links, index);
	index_pool_give(&table->pool, table->links, index);
}

static void make_room(struct dns_conversations *table)
{
	if (!index_pool_is_full(&table->pool))
		return;
	if (table->ended.oldest != INDEX_NONE) {
		remove_entry(table, table->ended.oldest);
		return;
	}
	remove_entry(table, table->live.oldest);
	table->counts.evicted++;
}

/* A new one, living. */
static struct dns_conversation *add_entry(struct dns_conversations *table,
					  const struct dns_conversation_key *key, uint32_t tag)
{
	struct dns_conversation *entry;
	uint32_t index;

	make_room(table);
	index = index_pool_take(&table->pool, table->links);
	entry = &table->entries[index];
	*entry = (struct dns_conversation){.key = *key, .tag = tag};
	slots_add(&table->slots, tag, index);
	index_list_push(&table->live, table->links, index);
	table->counts.added++;
	return entry;
}

/* Makes it the newest of its like. */
static void touch(struct dns_conversations *table, uint32_t index, bool is_ended)
{
	struct dns_conversation *entry = &table->entries[index];

	index_list_remove(list_of(table, entry), table->links, index);
	entry->is_ended = is_ended;
	index_list_push(list_of(table, entry), table->links, index);
}

void dns_conversation_add(struct dns_conversation_numbers *to,
			  const struct dns_conversation_numbers *more)
{
	to->latency_us += more->latency_us;
	to->failure_latency_us += more->failure_latency_us;
	to->queries += more->queries;
	to->retries += more->retries;
	to->timeouts += more->timeouts;
	for (unsigned i = 0; i < DNS_CONVERSATION_RCODES; i++)
		to->rcode[i] += more->rcode[i];
	to->rcode_other += more->rcode_other;
}

/* 32 bits wrap, and a difference is right all the same. */
static struct dns_conversation_numbers since(const struct dns_conversation_numbers *total,
					     const struct dns_conversation_numbers *before)
{
	struct dns_conversation_numbers numbers = {
		.latency_us = total->latency_us - before->latency_us,
		.failure_latency_us = total->failure_latency_us - before->failure_latency_us,
		.queries = total->queries - before->queries,
		.retries = total->retries - before->retries,
		.timeouts = total->timeouts - before->timeouts,
		.rcode_other = total->rcode_other - before->rcode_other,
	};

	for (unsigned i = 0; i < DNS_CONVERSATION_RCODES; i++)
		numbers.rcode[i] = total->rcode[i] - before->rcode[i];
	return numbers;
}

/* Counts what belongs to a query that was asked at asked_ns. */
static void count(struct dns_conversation *entry, uint64_t asked_ns,
		  const struct dns_conversation_numbers *more)
{
	dns_conversation_add(&entry->total, more);
	for (unsigned side = 0; side < DNS_SIDES; side++) {
		if (asked_ns <= entry->end_ns[side])
			dns_conversation_add(&entry->ended[side], more);
	}
}

static void take_query(struct dns_conversations *table, const struct dns_query *query,
		       uint64_t at_ns, const struct dns_conversation_numbers *more)
{
	const struct dns_conversation_key key = key_of(query);
	const uint32_t tag = tag_of(table, &key);
	const uint32_t index = find(table, &key, tag);

	if (index == SLOTS_NONE) {
		count(add_entry(table, &key, tag), at_ns, more);
		return;
	}
	count(&table->entries[index], at_ns, more);
	touch(table, index, false);
}

void dns_conversations_query(struct dns_conversations *table, const struct dns_query *query,
			     uint64_t at_ns)
{
	take_query(table, query, at_ns, &(struct dns_conversation_numbers){.queries = 1});
}

void dns_conversations_retry(struct dns_conversations *table, const struct dns_query *query,
			     uint64_t at_ns)
{
	take_query(table, query, at_ns, &(struct dns_conversation_numbers){.retries = 1});
}

/* What comes of a query, if its conversation is still there. */
static void take_outcome(struct dns_conversations *table, const struct dns_query *query,
			 uint64_t asked_ns, const struct dns_conversation_numbers *more)
{
	const struct dns_conversation_key key = key_of(query);
	const uint32_t index = find(table, &key, tag_of(table, &key));

	if (index != SLOTS_NONE)
		count(&table->entries[index], asked_ns, more);
}

void dns_conversations_answer(struct dns_conversations *table, const struct dns_query *query,
			      uint64_t asked_ns, uint16_t rcode, uint64_t latency_us)
{
	struct dns_conversation_numbers more = {0};

	if (rcode == 0)
		more.latency_us = latency_us;
	else
		more.failure_latency_us = latency_us;
	if (rcode < DNS_CONVERSATION_RCODES)
		more.rcode[rcode] = 1;
	else
		more.rcode_other = 1;
	take_outcome(table, query, asked_ns, &more);
}

void dns_conversations_timeout(struct dns_conversations *table, const struct dns_query *query,
			       uint64_t asked_ns)
{
	take_outcome(table, query, asked_ns, &(struct dns_conversation_numbers){.timeouts = 1});
}

static uint64_t last_end_ns(const struct dns_conversation *entry)
{
	const uint64_t *end_ns = entry->end_ns;

	return end_ns[DNS_SIDE_CLIENT] > end_ns[DNS_SIDE_SERVER] ? end_ns[DNS_SIDE_CLIENT]
								 : end_ns[DNS_SIDE_SERVER];
}

void dns_conversations_tick(struct dns_conversations *table, uint64_t now_ns)
{
	uint32_t oldest;

	while ((oldest = table->ended.oldest) != INDEX_NONE &&
	       now_ns > last_end_ns(&table->entries[oldest]) + DNS_CONVERSATION_KEEP_NS)
		remove_entry(table, oldest);
}

bool dns_conversations_find(const struct dns_conversations *table,
			    const struct dns_conversation_key *key, enum dns_side side,
			    struct dns_conversation_numbers *numbers)
{
	static const struct dns_conversation_numbers nothing;
	const uint32_t index = find(table, key, tag_of(table, key));

	if (index == SLOTS_NONE)
		return false;
	*numbers = since(&table->entries[index].total, &table->entries[index].ended[side]);
	return memcmp(numbers, &nothing, sizeof(nothing)) != 0;
}

void dns_conversations_end(struct dns_conversations *table, const struct dns_conversation_key *key,
			   enum dns_side side, uint64_t end_ns)
{
	const uint32_t index = find(table, key, tag_of(table, key));
	struct dns_conversation *entry;

	if (index == SLOTS_NONE)
		return;
	entry = &table->entries[index];
	entry->ended[side] = entry->total;
	if (end_ns > entry->end_ns[side])
		entry->end_ns[side] = end_ns;
	touch(table, index, true);
}

uint32_t dns_conversations_next(const struct dns_conversations *table, uint32_t after)
{
	uint32_t next;

	if (after == INDEX_NONE)
		return table->ended.oldest != INDEX_NONE ? table->ended.oldest : table->live.oldest;
	next = table->links[after].newer;
	return next == INDEX_NONE && table->entries[after].is_ended ? table->live.oldest : next;
}

bool dns_conversations_put(struct dns_conversations *table,
			   const struct dns_conversation *conversation)
{
	const struct dns_conversation_key *key = &conversation->key;
	const uint32_t tag = tag_of(table, key);
	struct dns_conversation *entry;

	if (!dns_query_is_about(key->family, key->protocol, key->client_ip, key->server_ip) ||
	    key->pad[0] != 0 || key->pad[1] != 0 || conversation->is_ended > 1 ||
	    index_pool_is_full(&table->pool) || find(table, key, tag) != SLOTS_NONE)
		return false;
	entry = add_entry(table, key, tag);
	table->counts.added--; /* not by what happens */
	index_list_remove(&table->live, table->links, (uint32_t)(entry - table->entries));
	*entry = *conversation;
	entry->tag = tag;
	index_list_push(list_of(table, entry), table->links, (uint32_t)(entry - table->entries));
	return true;
}
