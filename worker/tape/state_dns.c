/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tape/state_dns.h"

#include "worker/dns/name.h"

#include <string.h>

static void save_order(struct tape_writer *writer, const struct names *names,
		       enum names_order order)
{
	struct tape_state_dns_order saved = {.order = order};
	uint32_t at = INDEX_NONE;
	size_t count = 0;

	while ((at = names_save_order(names, order, at)) != INDEX_NONE) {
		if (count == TAPE_FREE_MAX) {
			tape_put(writer, TAPE_STATE_DNS_ORDER, &saved, sizeof(saved));
			count = 0;
		}
		saved.places[count++] = at;
	}
	if (count > 0)
		tape_put(writer, TAPE_STATE_DNS_ORDER, &saved,
			 offsetof(struct tape_state_dns_order, places) +
				 count * sizeof(saved.places[0]));
}

static void save_names(struct tape_writer *writer, const struct names *names)
{
	uint32_t at = 0, index = INDEX_NONE;
	struct names_saved_address address;
	struct names_saved_text text;

	while (names_save_text(names, &at, &text))
		tape_put(writer, TAPE_STATE_DNS_TEXT, &text, names_saved_text_bytes(&text));
	while (names_save_address(names, &index, &address)) {
		uint32_t place = INDEX_NONE;
		struct names_saved_other other;

		tape_put(writer, TAPE_STATE_DNS_ADDRESS, &address, sizeof(address));
		while (names_save_other(names, index, &place, &other))
			tape_put(writer, TAPE_STATE_DNS_OTHER, &other, sizeof(other));
	}
	save_order(writer, names, NAMES_ORDER_SUPERSEDED);
	save_order(writer, names, NAMES_ORDER_FREE_ADDRESSES);
	save_order(writer, names, NAMES_ORDER_FREE_OTHERS);
}

static void save_stats(struct tape_writer *writer, const struct dns_stats *stats)
{
	uint32_t index = INDEX_NONE;
	struct dns_stats_saved_change change;
	struct dns_stats_saved_row row;

	while (dns_stats_save_row(stats, &index, &row))
		tape_put(writer, TAPE_STATE_DNS_ROW, &row, dns_stats_saved_row_bytes(&row));
	index = INDEX_NONE;
	while (dns_stats_save_change(stats, &index, &change))
		tape_put(writer, TAPE_STATE_DNS_CHANGE, &change, sizeof(change));
}

static void save_queries(struct tape_writer *writer, const struct dns_in_flight *table)
{
	uint32_t index = INDEX_NONE;

	while ((index = dns_in_flight_next(table, index)) != INDEX_NONE) {
		const struct dns_in_flight_entry *entry = &table->entries[index];
		struct tape_state_dns_query saved = {.first_ns = entry->first_ns};

		memcpy(&saved.query, &entry->query, dns_query_bytes(&entry->query));
		tape_put(writer, TAPE_STATE_DNS_QUERY, &saved,
			 TAPE_DNS_QUERY_BYTES + saved.query.name_length);
	}
}

static void save_news(struct tape_writer *writer, const struct dns_news *news)
{
	for (uint64_t number = news->first; number != news->next; number++) {
		const struct dns_news_item *item = &news->items[number % DNS_NEWS_CAPACITY];
		struct tape_state_dns_news saved = {
			.ttl_s = item->address.ttl_s,
			.family = item->address.family,
			.length = item->name.length,
		};

		memcpy(saved.ip, item->address.ip, sizeof(saved.ip));
		memcpy(saved.wire, item->name.wire, item->name.length);
		tape_put(writer, TAPE_STATE_DNS_NEWS, &saved, TAPE_DNS_NEWS_BYTES + saved.length);
	}
}

static void save_stream(struct tape_writer *writer, const struct dns_stream *stream)
{
	static struct dns_stream_saved_block block; /* 16 KiB */
	struct dns_stream_saved_flow flow;
	uint32_t index = INDEX_NONE;

	while (dns_stream_save_flow(stream, &index, &flow))
		tape_put(writer, TAPE_STATE_DNS_FLOW, &flow, sizeof(flow));
	index = INDEX_NONE;
	while (dns_stream_save_block(stream, &index, &block))
		tape_put(writer, TAPE_STATE_DNS_BLOCK, &block,
			 dns_stream_saved_block_bytes(&block));
}

static void save_duplicates(struct tape_writer *writer, const struct duplicates *duplicates)
{
	for (unsigned i = 0; i < DUPLICATES_PLACES; i++) {
		const struct duplicates_place *place = &duplicates->places[i];
		const struct tape_state_dns_seen saved = {
			.hash = place->hash,
			.at_ns = place->at_ns,
			.interface = place->interface,
		};

		if (place->hash != 0)
			tape_put(writer, TAPE_STATE_DNS_SEEN, &saved, sizeof(saved));
	}
}

static void save_conversations(struct tape_writer *writer, const struct dns_conversations *table)
{
	uint32_t index = INDEX_NONE;

	while ((index = dns_conversations_next(table, index)) != INDEX_NONE) {
		const struct dns_conversation *entry = &table->entries[index];
		struct tape_state_dns_conversation saved = {
			.key = entry->key,
			.total = entry->total,
			.is_ended = entry->is_ended,
		};

		memcpy(saved.ended, entry->ended, sizeof(saved.ended));
		memcpy(saved.end_ns, entry->end_ns, sizeof(saved.end_ns));
		tape_put(writer, TAPE_STATE_DNS_CONVERSATION, &saved, sizeof(saved));
	}
}

void tape_state_dns_save(struct tape_writer *writer, const struct engine *engine)
{
	const struct dns *dns = &engine->dns;
	struct tape_state_dns head = {
		.stats_seq = engine->dns_events.stats_seq,
		.names_seq = engine->dns_events.names_seq,
		.names_told_ns = engine->names_told_ns,
	};

	if (!dns->settings.enabled)
		return;
	names_save_head(&dns->names, &head.names);
	dns_stats_save_head(&dns->stats, &head.stats);
	tape_put(writer, TAPE_STATE_DNS, &head, sizeof(head));
	save_names(writer, &dns->names);
	save_stats(writer, &dns->stats);
	save_queries(writer, &dns->in_flight);
	save_news(writer, &dns->news);
	save_stream(writer, &dns->stream);
	save_duplicates(writer, &dns->duplicates);
	save_conversations(writer, &dns->conversations);
}

static uint64_t names_bytes_max(uint32_t max_addresses, uint64_t head)
{
	const uint64_t others = names_save_others_max(max_addresses);
	const uint64_t place = sizeof(uint32_t), order_head = head + sizeof(uint32_t);

	/* A place that is free takes less than one in use. Of each order the last entry is not full. */
	return names_save_texts_bytes_max(max_addresses, head) +
	       max_addresses * (head + sizeof(struct names_saved_address)) +
	       others * (head + sizeof(struct names_saved_other) + place) +
	       ((others + max_addresses) / TAPE_FREE_MAX + 3) * order_head;
}

uint64_t tape_state_dns_bytes_max(const struct dns_settings *settings)
{
	const uint64_t head = sizeof(struct tape_entry_head);
	const uint64_t rows = (uint64_t)settings->stats.max_rows + 1;
	/* A flow takes less than it does in memory, and so does a block. */
	const uint64_t stream = DNS_STREAM_BYTES;

	_Static_assert(sizeof(struct tape_entry_head) + sizeof(struct dns_stream_saved_flow) <=
			       sizeof(struct dns_flow) + sizeof(struct index_link),
		       "a flow is not larger on a tape");
	_Static_assert(sizeof(struct tape_entry_head) + sizeof(struct dns_stream_saved_block) <=
			       sizeof(struct dns_block) + sizeof(struct index_link),
		       "a block is not larger on a tape");
	if (!settings->enabled)
		return 0;
	return head + sizeof(struct tape_state_dns) +
	       names_bytes_max(settings->names.max_addresses, head) +
	       rows * (head + sizeof(struct dns_stats_saved_row) + head +
		       sizeof(struct dns_stats_saved_change)) +
	       settings->max_in_flight * (head + sizeof(struct tape_state_dns_query)) +
	       DNS_NEWS_CAPACITY * (head + sizeof(struct tape_state_dns_news)) + stream +
	       DUPLICATES_PLACES * (head + sizeof(struct tape_state_dns_seen)) +
	       settings->max_conversations * (head + sizeof(struct tape_state_dns_conversation));
}

void tape_state_dns_loader_init(struct tape_state_dns_loader *loader, struct engine *engine)
{
	*loader = (struct tape_state_dns_loader){.engine = engine};
}

static const char *load_head(struct tape_state_dns_loader *loader, const uint8_t *payload)
{
	struct engine *engine = loader->engine;
	struct tape_state_dns head;
	const char *wrong;

	memcpy(&head, payload, sizeof(head));
	if (head.stats_seq == 0 || head.names_seq == 0)
		return "no state of DNS can be this";
	engine->dns_events.stats_seq = head.stats_seq;
	engine->dns_events.names_seq = head.names_seq;
	engine->names_told_ns = head.names_told_ns;
	wrong = dns_stats_load_begin(&loader->stats, &engine->dns.stats, &head.stats);
	if (!wrong)
		wrong = names_load_begin(&loader->names, &engine->dns.names, &head.names);
	return wrong;
}

/* Copies an entry, which is not longer than saved; whether it is as long as it says itself. */
#define TAKE(entry, saved, bytes) \
	(memcpy(&(saved), (entry)->payload, (entry)->length), (entry)->length == (bytes))

static const char wrong_length[] = "an entry's length is not what is in it";

static const char *load_text(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct names_saved_text text;

	if (!TAKE(entry, text, names_saved_text_bytes(&text)))
		return wrong_length;
	return names_load_text(&loader->names, &text);
}

static const char *load_address(struct tape_state_dns_loader *loader,
				const struct tape_entry *entry)
{
	struct names_saved_address address;

	memcpy(&address, entry->payload, sizeof(address));
	return names_load_address(&loader->names, &address);
}

static const char *load_other(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct names_saved_other other;

	memcpy(&other, entry->payload, sizeof(other));
	return names_load_other(&loader->names, &other);
}

static const char *load_order(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	const char *wrong = NULL;
	uint32_t order, place;

	memcpy(&order, entry->payload, sizeof(order));
	for (size_t at = sizeof(order); at < entry->length && !wrong; at += sizeof(place)) {
		memcpy(&place, entry->payload + at, sizeof(place));
		wrong = names_load_order(&loader->names, order, place);
	}
	return wrong;
}

static const char *load_row(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct dns_stats_saved_row row;

	if (!TAKE(entry, row, dns_stats_saved_row_bytes(&row)))
		return wrong_length;
	return dns_stats_load_row(&loader->stats, &row);
}

static const char *load_change(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct dns_stats_saved_change change;

	memcpy(&change, entry->payload, sizeof(change));
	return dns_stats_load_change(&loader->stats, &change);
}

static const char *load_query(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct tape_state_dns_query saved;
	const struct dns_query *query = &saved.query;

	if (!TAKE(entry, saved, TAPE_DNS_QUERY_BYTES + saved.query.name_length))
		return wrong_length;
	if (!dns_query_is_about(query->family, query->protocol, query->client_ip,
				query->server_ip) ||
	    !dns_name_is_plain(query->name, query->name_length))
		return "no DNS query can be this";
	if (!dns_in_flight_put(&loader->engine->dns.in_flight, query, saved.first_ns))
		return "a DNS query has no place";
	return NULL;
}

static const char *load_news(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct dns_news *news = &loader->engine->dns.news;
	struct tape_state_dns_news saved;
	struct dns_address address;
	struct dns_name name;

	if (!TAKE(entry, saved, TAPE_DNS_NEWS_BYTES + saved.length))
		return wrong_length;
	if ((saved.family != RECORD_FAMILY_IPV4 && saved.family != RECORD_FAMILY_IPV6) ||
	    !dns_name_is_plain(saved.wire, saved.length))
		return "no news of names can be this";
	if (news->next - news->first == DNS_NEWS_CAPACITY)
		return "there is more news of names than there can be";
	address = (struct dns_address){.ttl_s = saved.ttl_s, .family = saved.family};
	memcpy(address.ip, saved.ip, sizeof(address.ip));
	name.length = saved.length;
	memcpy(name.wire, saved.wire, saved.length);
	dns_news_put(news, &address, &name);
	return NULL;
}

static const char *load_flow(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct dns_stream_saved_flow flow;

	memcpy(&flow, entry->payload, sizeof(flow));
	return dns_stream_load_flow(&loader->engine->dns.stream, &flow);
}

static const char *load_block(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	static struct dns_stream_saved_block block; /* 16 KiB */

	if (!TAKE(entry, block, dns_stream_saved_block_bytes(&block)))
		return wrong_length;
	return dns_stream_load_block(&loader->engine->dns.stream, &block);
}

static const char *load_seen(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	struct tape_state_dns_seen saved;
	struct duplicates_place place;

	memcpy(&saved, entry->payload, sizeof(saved));
	place = (struct duplicates_place){saved.hash, saved.at_ns, saved.interface};
	if (saved.pad0 != 0 || !duplicates_put(&loader->engine->dns.duplicates, &place))
		return "no packet that was seen can be this";
	return NULL;
}

static const char *load_conversation(struct tape_state_dns_loader *loader,
				     const struct tape_entry *entry)
{
	struct tape_state_dns_conversation saved;
	struct dns_conversation conversation;

	memcpy(&saved, entry->payload, sizeof(saved));
	conversation = (struct dns_conversation){
		.key = saved.key,
		.total = saved.total,
		.is_ended = saved.is_ended <= 1 ? (uint32_t)saved.is_ended : UINT32_MAX,
	};
	memcpy(conversation.ended, saved.ended, sizeof(saved.ended));
	memcpy(conversation.end_ns, saved.end_ns, sizeof(saved.end_ns));
	if (!dns_conversations_put(&loader->engine->dns.conversations, &conversation))
		return "no DNS conversation can be this";
	return NULL;
}

static const char *load_part(struct tape_state_dns_loader *loader, const struct tape_entry *entry)
{
	switch (entry->type) {
	case TAPE_STATE_DNS_TEXT:
		return load_text(loader, entry);
	case TAPE_STATE_DNS_ADDRESS:
		return load_address(loader, entry);
	case TAPE_STATE_DNS_OTHER:
		return load_other(loader, entry);
	case TAPE_STATE_DNS_ORDER:
		return load_order(loader, entry);
	case TAPE_STATE_DNS_ROW:
		return load_row(loader, entry);
	case TAPE_STATE_DNS_CHANGE:
		return load_change(loader, entry);
	case TAPE_STATE_DNS_QUERY:
		return load_query(loader, entry);
	case TAPE_STATE_DNS_NEWS:
		return load_news(loader, entry);
	case TAPE_STATE_DNS_FLOW:
		return load_flow(loader, entry);
	case TAPE_STATE_DNS_BLOCK:
		return load_block(loader, entry);
	case TAPE_STATE_DNS_SEEN:
		return load_seen(loader, entry);
	case TAPE_STATE_DNS_CONVERSATION:
		return load_conversation(loader, entry);
	default:
		return "a part of the state of DNS that is not known here";
	}
}

/* Tables rely on the order: what is put in later may look at what was before. */
static bool may_follow(uint16_t before, uint16_t type)
{
	if (before == TAPE_STATE_DNS_OTHER && type == TAPE_STATE_DNS_ADDRESS)
		return true;
	return before != 0 && before <= type && type != TAPE_STATE_DNS;
}

const char *tape_state_dns_load(struct tape_state_dns_loader *loader,
				const struct tape_entry *entry)
{
	const bool is_head = entry->type == TAPE_STATE_DNS;

	if (!loader->engine->dns.settings.enabled)
		return "there is a state of DNS, which the configuration does not look at";
	if (is_head ? loader->type != 0 : !may_follow(loader->type, entry->type))
		return "a part of the state of DNS is not in its place";
	loader->type = entry->type;
	return is_head ? load_head(loader, entry->payload) : load_part(loader, entry);
}

const char *tape_state_dns_loaded(struct tape_state_dns_loader *loader)
{
	const char *wrong;

	if (loader->type == 0)
		return NULL;
	dns_stream_load_end(&loader->engine->dns.stream);
	wrong = names_load_end(&loader->names);
	return wrong ? wrong : dns_stats_load_end(&loader->stats);
}
