/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/stats.h"

#include "common/lazy_memory.h"

#include <errno.h>
#include <string.h>

/* Rows and changes there are for the overflow, too. */
static size_t all_rows(uint32_t max_rows)
{
	return (size_t)max_rows + 1;
}

uint64_t dns_stats_bytes(uint32_t max_rows)
{
	return (sizeof(struct dns_stats_row) + sizeof(struct dns_stats_change) +
		2 * sizeof(struct index_link)) *
		       all_rows(max_rows) +
	       slots_bytes(max_rows);
}

int dns_stats_init(struct dns_stats *stats, const struct dns_stats_settings *settings,
		   const char *secret)
{
	const size_t rows = all_rows(settings->max_rows);

	memset(stats, 0, sizeof(*stats));
	if (settings->max_rows == 0 || settings->max_rows > DNS_STATS_CAPACITY_MAX)
		return -EINVAL;
	stats->settings = *settings;
	stats->key = hash_key_of(secret);
	stats->change_pool = index_pool_of((uint32_t)rows);
	stats->by_update = index_list_empty();
	stats->changed = index_list_empty();
	stats->rows = lazy_memory_reserve(sizeof(*stats->rows) * rows);
	stats->row_links = lazy_memory_reserve(sizeof(*stats->row_links) * rows);
	stats->changes = lazy_memory_reserve(sizeof(*stats->changes) * rows);
	stats->change_links = lazy_memory_reserve(sizeof(*stats->change_links) * rows);
	if (!stats->rows || !stats->row_links || !stats->changes || !stats->change_links ||
	    slots_init(&stats->slots, settings->max_rows) < 0) {
		dns_stats_fini(stats);
		return -ENOMEM;
	}
	stats->rows[settings->max_rows].change = INDEX_NONE;
	return 0;
}

void dns_stats_fini(struct dns_stats *stats)
{
	const size_t rows = all_rows(stats->settings.max_rows);

	lazy_memory_release(stats->rows, sizeof(*stats->rows) * rows);
	lazy_memory_release(stats->row_links, sizeof(*stats->row_links) * rows);
	lazy_memory_release(stats->changes, sizeof(*stats->changes) * rows);
	lazy_memory_release(stats->change_links, sizeof(*stats->change_links) * rows);
	slots_fini(&stats->slots);
	memset(stats, 0, sizeof(*stats));
}

void dns_stats_merge(struct dns_stats_numbers *to, const struct dns_stats_numbers *from)
{
	to->queries += from->queries;
	to->retries += from->retries;
	to->answers += from->answers;
	to->timeouts += from->timeouts;
	for (unsigned i = 0; i < DNS_STATS_RCODES; i++)
		to->rcode[i] += from->rcode[i];
	to->rcode_other += from->rcode_other;
	histogram_merge(&to->latency_us, &from->latency_us);
	histogram_merge(&to->failure_latency_us, &from->failure_latency_us);
}

/* The change of a row, which begins now if there is none. */
static struct dns_stats_numbers *change_of(struct dns_stats *stats, uint32_t row)
{
	struct dns_stats_change *change;
	uint32_t index = stats->rows[row].change;

	if (index != INDEX_NONE)
		return &stats->changes[index].numbers;
	index = index_pool_take(&stats->change_pool, stats->change_links);
	change = &stats->changes[index];
	change->row = row;
	change->round = stats->round;
	memset(&change->numbers, 0, sizeof(change->numbers));
	index_list_push(&stats->changed, stats->change_links, index);
	stats->rows[row].change = index;
	return &change->numbers;
}

static void end_change(struct dns_stats *stats, uint32_t index)
{
	stats->rows[stats->changes[index].row].change = INDEX_NONE;
	index_list_remove(&stats->changed, stats->change_links, index);
	index_pool_give(&stats->change_pool, stats->change_links, index);
}

/* Makes the row that nothing has happened to for the longest time free. */
static uint32_t evict(struct dns_stats *stats)
{
	const uint32_t oldest = stats->by_update.oldest;
	const uint32_t overflow = stats->settings.max_rows;
	struct dns_stats_row *row = &stats->rows[oldest];

	stats->counts.evicted++;
	if (row->change != INDEX_NONE) {
		stats->counts.folded++;
		dns_stats_merge(change_of(stats, overflow), &stats->changes[row->change].numbers);
		end_change(stats, row->change);
	}
	dns_stats_merge(&stats->rows[overflow].total, &row->total);
	slots_remove(&stats->slots, row->tag, oldest);
	index_list_remove(&stats->by_update, stats->row_links, oldest);
	return oldest;
}

static uint32_t add_row(struct dns_stats *stats, const struct dns_stats_key *key, uint32_t tag)
{
	const bool full = stats->used == stats->settings.max_rows;
	const uint32_t index = full ? evict(stats) : stats->used++;
	struct dns_stats_row *row = &stats->rows[index];

	memcpy(&row->key, key, dns_stats_key_bytes(key));
	row->tag = tag;
	row->change = INDEX_NONE;
	memset(&row->total, 0, sizeof(row->total));
	slots_add(&stats->slots, tag, index);
	index_list_push(&stats->by_update, stats->row_links, index);
	stats->counts.added++;
	return index;
}

uint32_t dns_stats_find(const struct dns_stats *stats, const struct dns_stats_key *key,
			uint32_t *tag)
{
	const size_t bytes = dns_stats_key_bytes(key);
	uint32_t at, index;

	*tag = (uint32_t)(hash_bytes(&stats->key, key, bytes) >> 32);
	at = slots_home(&stats->slots, *tag);
	while ((index = slots_next(&stats->slots, *tag, &at)) != SLOTS_NONE) {
		if (memcmp(&stats->rows[index].key, key, bytes) == 0)
			return index;
	}
	return DNS_STATS_NONE;
}

static void set_key(struct dns_stats_key *key, const struct dns_query *query, bool domains)
{
	memcpy(key->client_ip, query->client_ip, sizeof(key->client_ip));
	memcpy(key->server_ip, query->server_ip, sizeof(key->server_ip));
	key->server_port = query->server_port;
	key->qtype = query->qtype;
	key->family = query->family;
	key->protocol = query->protocol;
	key->name_length = domains ? query->name_length : 0;
	memcpy(key->name, query->name, key->name_length);
}

/* Where something that happened to a query is counted. */
static struct dns_stats_numbers *numbers_of(struct dns_stats *stats, const struct dns_query *query)
{
	struct dns_stats_key key;
	uint32_t tag, row;

	set_key(&key, query, stats->settings.domains);
	row = dns_stats_find(stats, &key, &tag);
	if (row == DNS_STATS_NONE) {
		row = add_row(stats, &key, tag);
	} else if (row != stats->by_update.newest) {
		index_list_remove(&stats->by_update, stats->row_links, row);
		index_list_push(&stats->by_update, stats->row_links, row);
	}
	return change_of(stats, row);
}

void dns_stats_query(struct dns_stats *stats, const struct dns_query *query)
{
	numbers_of(stats, query)->queries++;
}

void dns_stats_retry(struct dns_stats *stats, const struct dns_query *query)
{
	numbers_of(stats, query)->retries++;
}

void dns_stats_timeout(struct dns_stats *stats, const struct dns_query *query)
{
	numbers_of(stats, query)->timeouts++;
}

void dns_stats_answer(struct dns_stats *stats, const struct dns_query *query, uint16_t rcode,
		      uint64_t latency_us)
{
	struct dns_stats_numbers *numbers = numbers_of(stats, query);

	numbers->answers++;
	if (rcode < DNS_STATS_RCODES)
		numbers->rcode[rcode]++;
	else
		numbers->rcode_other++;
	histogram_add(rcode == 0 ? &numbers->latency_us : &numbers->failure_latency_us, latency_us);
}

void dns_stats_publish_begin(struct dns_stats *stats)
{
	stats->round++;
}

bool dns_stats_publish_next(const struct dns_stats *stats, struct dns_stats_view *view)
{
	const uint32_t oldest = stats->changed.oldest;
	const struct dns_stats_change *change;

	if (oldest == INDEX_NONE)
		return false;
	change = &stats->changes[oldest];
	if (change->round == stats->round)
		return false;
	view->key = change->row == stats->settings.max_rows ? NULL : &stats->rows[change->row].key;
	view->numbers = &change->numbers;
	return true;
}

void dns_stats_publish_told(struct dns_stats *stats)
{
	const uint32_t oldest = stats->changed.oldest;
	const struct dns_stats_change *change = &stats->changes[oldest];

	dns_stats_merge(&stats->rows[change->row].total, &change->numbers);
	end_change(stats, oldest);
}

uint32_t dns_stats_next(const struct dns_stats *stats, uint32_t row, struct dns_stats_numbers *sum,
			struct dns_stats_view *view)
{
	const uint32_t overflow = stats->settings.max_rows;
	const struct dns_stats_row *found;

	if (row >= stats->used)
		row = row <= overflow && stats->counts.evicted > 0 ? overflow : DNS_STATS_NONE;
	if (row == DNS_STATS_NONE)
		return DNS_STATS_NONE;
	found = &stats->rows[row];
	*sum = found->total;
	if (found->change != INDEX_NONE)
		dns_stats_merge(sum, &stats->changes[found->change].numbers);
	view->key = row == overflow ? NULL : &found->key;
	view->numbers = sum;
	return row;
}
