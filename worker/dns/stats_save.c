/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/stats_save.h"

#include "worker/dns/name.h"
#include "worker/dns/query.h"

#include <string.h>

void dns_stats_save_head(const struct dns_stats *stats, struct dns_stats_saved *saved)
{
	*saved = (struct dns_stats_saved){
		.evicted = stats->counts.evicted,
		.used = stats->used,
		.round = stats->round,
	};
}

static uint32_t row_behind(const struct dns_stats *stats, uint32_t index)
{
	const uint32_t overflow = stats->settings.max_rows;
	uint32_t next = stats->by_update.oldest;

	if (index == overflow)
		return INDEX_NONE;
	if (index != INDEX_NONE)
		next = stats->row_links[index].newer;
	return next == INDEX_NONE && stats->counts.evicted > 0 ? overflow : next;
}

bool dns_stats_save_row(const struct dns_stats *stats, uint32_t *index,
			struct dns_stats_saved_row *saved)
{
	const struct dns_stats_row *row;

	*index = row_behind(stats, *index);
	if (*index == INDEX_NONE)
		return false;
	row = &stats->rows[*index];
	memset(saved, 0, sizeof(*saved));
	saved->index = *index;
	saved->total = row->total;
	if (*index != stats->settings.max_rows)
		memcpy(&saved->key, &row->key, dns_stats_key_bytes(&row->key));
	return true;
}

bool dns_stats_save_change(const struct dns_stats *stats, uint32_t *index,
			   struct dns_stats_saved_change *saved)
{
	const struct dns_stats_change *change;

	*index = *index == INDEX_NONE ? stats->changed.oldest : stats->change_links[*index].newer;
	if (*index == INDEX_NONE)
		return false;
	change = &stats->changes[*index];
	*saved = (struct dns_stats_saved_change){
		.numbers = change->numbers,
		.row = change->row,
		.round = change->round,
	};
	return true;
}

const char *dns_stats_load_begin(struct dns_stats_loader *loader, struct dns_stats *stats,
				 const struct dns_stats_saved *saved)
{
	*loader = (struct dns_stats_loader){.stats = stats};
	if (saved->used > stats->settings.max_rows ||
	    (saved->evicted > 0 && saved->used != stats->settings.max_rows))
		return "no table of DNS statistics can be this";
	stats->counts.evicted = saved->evicted;
	stats->used = saved->used;
	stats->round = saved->round;
	return NULL;
}

static bool are_numbers(const struct dns_stats_numbers *numbers)
{
	return histogram_is_valid(&numbers->latency_us) &&
	       histogram_is_valid(&numbers->failure_latency_us);
}

static bool is_key(const struct dns_stats *stats, const struct dns_stats_key *key)
{
	if (!dns_query_is_about(key->family, key->protocol, key->client_ip, key->server_ip))
		return false;
	return stats->settings.domains ? dns_name_is_plain(key->name, key->name_length)
				       : key->name_length == 0;
}

static const char *load_overflow(struct dns_stats *stats, const struct dns_stats_saved_row *saved)
{
	static const struct dns_stats_key none;

	if (stats->counts.evicted == 0 ||
	    memcmp(&saved->key, &none, dns_stats_key_bytes(&none)) != 0 ||
	    !are_numbers(&saved->total))
		return "no row of DNS statistics can be this";
	stats->rows[saved->index].total = saved->total;
	return NULL;
}

const char *dns_stats_load_row(struct dns_stats_loader *loader,
			       const struct dns_stats_saved_row *saved)
{
	struct dns_stats *stats = loader->stats;
	struct dns_stats_row *row;
	uint32_t tag;

	if (saved->index == stats->settings.max_rows)
		return load_overflow(stats, saved);
	if (!is_key(stats, &saved->key) || !are_numbers(&saved->total))
		return "no row of DNS statistics can be this";
	/* A row that is there has a family. */
	if (saved->index >= stats->used || stats->rows[saved->index].key.family != 0 ||
	    dns_stats_find(stats, &saved->key, &tag) != DNS_STATS_NONE)
		return "a row of DNS statistics has another one's place";
	row = &stats->rows[saved->index];
	row->tag = tag;
	row->change = INDEX_NONE;
	row->total = saved->total;
	memcpy(&row->key, &saved->key, dns_stats_key_bytes(&saved->key));
	slots_add(&stats->slots, tag, saved->index);
	index_list_push(&stats->by_update, stats->row_links, saved->index);
	loader->placed++;
	return NULL;
}

/* Whether changes of a place are possible: of a row that is there, or of the overflow. */
static bool has_row(const struct dns_stats *stats, uint32_t index)
{
	if (index == stats->settings.max_rows)
		return stats->counts.evicted > 0;
	return index < stats->used && stats->rows[index].key.family != 0;
}

const char *dns_stats_load_change(struct dns_stats_loader *loader,
				  const struct dns_stats_saved_change *saved)
{
	struct dns_stats *stats = loader->stats;
	const uint32_t before = stats->changed.newest;
	uint32_t index;

	if (saved->round > stats->round || !are_numbers(&saved->numbers) ||
	    (before != INDEX_NONE && saved->round < stats->changes[before].round))
		return "no change of DNS statistics can be this";
	if (!has_row(stats, saved->row) || stats->rows[saved->row].change != INDEX_NONE)
		return "a change of DNS statistics has no row of its own";
	index = index_pool_take(&stats->change_pool, stats->change_links);
	stats->changes[index].numbers = saved->numbers;
	stats->changes[index].row = saved->row;
	stats->changes[index].round = saved->round;
	index_list_push(&stats->changed, stats->change_links, index);
	stats->rows[saved->row].change = index;
	return NULL;
}

const char *dns_stats_load_end(const struct dns_stats_loader *loader)
{
	return loader->placed == loader->stats->used ? NULL
						     : "rows are missing in the DNS statistics";
}
