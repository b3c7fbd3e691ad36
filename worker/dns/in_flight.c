/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/in_flight.h"

#include "common/lazy_memory.h"

#include <errno.h>
#include <string.h>

uint64_t dns_in_flight_bytes(uint32_t capacity)
{
	return (sizeof(struct dns_in_flight_entry) + sizeof(struct index_link)) *
		       (uint64_t)capacity +
	       slots_bytes(capacity);
}

int dns_in_flight_init(struct dns_in_flight *table, uint32_t capacity, uint64_t timeout_ns,
		       const char *secret)
{
	memset(table, 0, sizeof(*table));
	if (capacity == 0 || capacity > DNS_IN_FLIGHT_CAPACITY_MAX)
		return -EINVAL;
	table->pool = index_pool_of(capacity);
	table->list = index_list_empty();
	table->timeout_ns = timeout_ns;
	table->key = hash_key_of(secret);
	table->entries = lazy_memory_reserve(sizeof(*table->entries) * capacity);
	table->links = lazy_memory_reserve(sizeof(*table->links) * capacity);
	if (!table->entries || !table->links || slots_init(&table->slots, capacity) < 0) {
		dns_in_flight_fini(table);
		return -ENOMEM;
	}
	return 0;
}

void dns_in_flight_fini(struct dns_in_flight *table)
{
	const size_t capacity = table->pool.capacity;

	lazy_memory_release(table->entries, sizeof(*table->entries) * capacity);
	lazy_memory_release(table->links, sizeof(*table->links) * capacity);
	slots_fini(&table->slots);
	memset(table, 0, sizeof(*table));
}

static uint32_t tag_of(const struct dns_in_flight *table, const struct dns_query *query)
{
	return (uint32_t)(hash_bytes(&table->key, query, dns_query_bytes(query)) >> 32);
}

static uint32_t find(const struct dns_in_flight *table, const struct dns_query *query, uint32_t tag)
{
	const size_t bytes = dns_query_bytes(query);
	uint32_t at = slots_home(&table->slots, tag), index;

	while ((index = slots_next(&table->slots, tag, &at)) != SLOTS_NONE) {
		/* The length of the name is within what is compared. */
		if (memcmp(&table->entries[index].query, query, bytes) == 0)
			break;
	}
	return index;
}

static void remove_entry(struct dns_in_flight *table, uint32_t index)
{
	slots_remove(&table->slots, table->entries[index].tag, index);
	index_list_remove(&table->list, table->links, index);
	index_pool_give(&table->pool, table->links, index);
}

static void add_entry(struct dns_in_flight *table, const struct dns_query *query, uint32_t tag,
		      uint64_t now_ns)
{
	struct dns_in_flight_entry *entry;
	uint32_t index;

	if (index_pool_is_full(&table->pool)) {
		remove_entry(table, table->list.oldest);
		table->counts.evicted++;
	}
	index = index_pool_take(&table->pool, table->links);
	entry = &table->entries[index];
	entry->first_ns = now_ns;
	entry->tag = tag;
	memcpy(&entry->query, query, dns_query_bytes(query));
	slots_add(&table->slots, tag, index);
	index_list_push(&table->list, table->links, index);
}

/* Rings of several CPUs are read one after the other: an answer may come with an earlier time. */
static uint64_t age_of(const struct dns_in_flight *table, uint32_t index, uint64_t now_ns)
{
	const uint64_t first_ns = table->entries[index].first_ns;

	return now_ns > first_ns ? now_ns - first_ns : 0;
}

enum dns_in_flight_query dns_in_flight_query(struct dns_in_flight *table,
					     const struct dns_query *query, uint64_t now_ns)
{
	const uint32_t tag = tag_of(table, query);
	const uint32_t index = find(table, query, tag);

	if (index != SLOTS_NONE && age_of(table, index, now_ns) <= table->timeout_ns) {
		table->counts.retries++;
		return DNS_QUERY_RETRY;
	}
	table->counts.queries++;
	if (index != SLOTS_NONE) {
		table->counts.timeouts++;
		remove_entry(table, index);
	}
	add_entry(table, query, tag, now_ns);
	return index != SLOTS_NONE ? DNS_QUERY_AFTER_TIMEOUT : DNS_QUERY_NEW;
}

enum dns_in_flight_answer dns_in_flight_answer(struct dns_in_flight *table,
					       const struct dns_query *query, uint64_t now_ns,
					       uint64_t *latency_ns)
{
	const uint32_t index = find(table, query, tag_of(table, query));
	uint64_t age_ns;

	*latency_ns = 0;
	if (index == SLOTS_NONE) {
		table->counts.unmatched++;
		return DNS_ANSWER_UNMATCHED;
	}
	age_ns = age_of(table, index, now_ns);
	*latency_ns = age_ns;
	remove_entry(table, index);
	if (age_ns > table->timeout_ns) {
		table->counts.timeouts++;
		table->counts.late++;
		return DNS_ANSWER_LATE;
	}
	table->counts.answers++;
	return DNS_ANSWER_MATCHED;
}

const struct dns_in_flight_entry *dns_in_flight_expire(struct dns_in_flight *table, uint64_t now_ns)
{
	const uint32_t oldest = table->list.oldest;

	if (oldest == INDEX_NONE || age_of(table, oldest, now_ns) <= table->timeout_ns)
		return NULL;
	remove_entry(table, oldest);
	table->counts.timeouts++;
	return &table->entries[oldest];
}

uint32_t dns_in_flight_next(const struct dns_in_flight *table, uint32_t after)
{
	return after == INDEX_NONE ? table->list.oldest : table->links[after].newer;
}

bool dns_in_flight_put(struct dns_in_flight *table, const struct dns_query *query,
		       uint64_t first_ns)
{
	const uint32_t tag = tag_of(table, query);

	if (index_pool_is_full(&table->pool) || find(table, query, tag) != SLOTS_NONE)
		return false;
	add_entry(table, query, tag, first_ns);
	return true;
}
