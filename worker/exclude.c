/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/exclude.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_TCP,
	SLOT_UDP,
	SLOTS
};
enum {
	SLOT_IPV4,
	SLOT_IPV6
};

/* A prefix of either family as 128 bits: IPv4 in the last 32. */
struct key {
	uint64_t high;
	uint64_t low;
};

/* One item of the configuration on its way into a forest. */
struct entry {
	struct key key;
	uint16_t bits;
	struct exclude_ports ports;
};

static uint64_t read_be(const uint8_t *bytes, unsigned count)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < count; i++)
		value = value << 8 | bytes[i];
	return value;
}

static struct key key_of(bool ipv6, const uint8_t *ip)
{
	if (!ipv6)
		return (struct key){.low = read_be(ip, 4)};
	return (struct key){.high = read_be(ip, 8), .low = read_be(ip + 8, 8)};
}

static int compare_keys(const struct key *left, const struct key *right)
{
	if (left->high != right->high)
		return left->high < right->high ? -1 : 1;
	if (left->low != right->low)
		return left->low < right->low ? -1 : 1;
	return 0;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	int order = compare_keys(&a->key, &b->key);

	if (order == 0)
		order = a->bits - b->bits;
	return order != 0 ? order : a->ports.low - b->ports.low;
}

static bool same_prefix(const struct entry *a, const struct entry *b)
{
	return compare_keys(&a->key, &b->key) == 0 && a->bits == b->bits;
}

/* The lower count of 64 bits, 0..64. */
static uint64_t low_bits(unsigned count)
{
	return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static bool covers(const struct exclude_node *node, const struct key *key)
{
	const unsigned host_bits = 128U - node->bits;
	const uint64_t high = host_bits > 64 ? ~low_bits(host_bits - 64) : UINT64_MAX;

	return ((node->high ^ key->high) & high) == 0 &&
	       ((node->low ^ key->low) & ~low_bits(host_bits)) == 0;
}

/* The entries of one family, sorted; returns how many. */
static uint32_t collect(struct entry *entries, const struct config_excludes *excludes, bool ipv6)
{
	const uint8_t other = ipv6 ? EXCLUDE_IPV4 : EXCLUDE_IPV6;
	uint32_t count = 0;

	for (uint32_t i = 0; i < excludes->count; i++) {
		const struct exclude_item *item = &excludes->item[i];

		if (item->prefix.family != other)
			entries[count++] = (struct entry){
				.key = key_of(ipv6, item->prefix.ip),
				.bits = (uint16_t)(item->prefix.bits + (ipv6 ? 0 : 96)),
				.ports = item->ports,
			};
	}
	qsort(entries, count, sizeof(*entries), compare_entries);
	return count;
}

/* The ranges of one node and protocol, from entries that are sorted by their lowest port. */
static void add_ranges(struct exclude_forest *forest, struct exclude_node *node, unsigned slot,
		       const struct entry *entries, uint32_t count)
{
	struct exclude_range *last = NULL;

	node->first[slot] = (uint16_t)forest->range_count;
	for (uint32_t i = 0; i < count; i++) {
		const struct exclude_ports *ports = &entries[i].ports;

		if (!(ports->protocols & (slot == SLOT_TCP ? EXCLUDE_TCP : EXCLUDE_UDP)))
			continue;
		if (last && ports->low <= last->high) {
			if (ports->high > last->high)
				last->high = ports->high;
			continue;
		}
		last = &forest->ranges[forest->range_count++];
		*last = (struct exclude_range){ports->low, ports->high};
	}
	node->count[slot] = (uint16_t)(forest->range_count - node->first[slot]);
}

/* The closest prefix before a new one that holds it. */
static uint16_t parent_of(const struct exclude_forest *forest, const struct key *key)
{
	uint16_t node = forest->node_count == 0 ? EXCLUDE_NO_NODE
						: (uint16_t)(forest->node_count - 1);

	while (node != EXCLUDE_NO_NODE && !covers(&forest->nodes[node], key))
		node = forest->nodes[node].parent;
	return node;
}

static void build_forest(struct exclude_forest *forest, const struct config_excludes *excludes,
			 bool ipv6)
{
	struct entry entries[CONFIG_EXCLUDES_MAX];
	const uint32_t count = collect(entries, excludes, ipv6);
	uint32_t end;

	forest->node_count = 0;
	forest->range_count = 0;
	for (uint32_t begin = 0; begin < count; begin = end) {
		struct exclude_node *node = &forest->nodes[forest->node_count];

		for (end = begin + 1; end < count; end++) {
			if (!same_prefix(&entries[begin], &entries[end]))
				break;
		}
		*node = (struct exclude_node){
			.high = entries[begin].key.high,
			.low = entries[begin].key.low,
			.bits = entries[begin].bits,
			.parent = parent_of(forest, &entries[begin].key),
		};
		for (unsigned slot = 0; slot < SLOTS; slot++)
			add_ranges(forest, node, slot, &entries[begin], end - begin);
		forest->node_count++;
	}
}

void exclude_build(struct exclude *exclude, const struct config_excludes *source,
		   const struct config_excludes *destination)
{
	build_forest(&exclude->local[SLOT_IPV4], source, false);
	build_forest(&exclude->local[SLOT_IPV6], source, true);
	build_forest(&exclude->remote[SLOT_IPV4], destination, false);
	build_forest(&exclude->remote[SLOT_IPV6], destination, true);
}

static bool has_port(const struct exclude_forest *forest, const struct exclude_node *node,
		     unsigned slot, uint16_t port)
{
	const struct exclude_range *ranges = &forest->ranges[node->first[slot]];
	uint32_t low = 0;
	uint32_t high = node->count[slot];

	/* Behind the last range that begins at or before the port. */
	while (low < high) {
		const uint32_t middle = (low + high) / 2;

		if (ranges[middle].low <= port)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && port <= ranges[low - 1].high;
}

/* The last node that begins at or before the address. */
static uint16_t last_before(const struct exclude_forest *forest, const struct key *key)
{
	uint32_t low = 0;
	uint32_t high = forest->node_count;

	while (low < high) {
		const uint32_t middle = (low + high) / 2;
		const struct exclude_node *node = &forest->nodes[middle];
		const struct key begin = {.high = node->high, .low = node->low};

		if (compare_keys(&begin, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? (uint16_t)(low - 1) : EXCLUDE_NO_NODE;
}

static bool holds(const struct exclude_forest *forest, const struct key *key, unsigned slot,
		  uint16_t port)
{
	uint16_t at = last_before(forest, key);

	while (at != EXCLUDE_NO_NODE) {
		const struct exclude_node *node = &forest->nodes[at];

		if (covers(node, key) && has_port(forest, node, slot, port))
			return true;
		at = node->parent;
	}
	return false;
}

bool exclude_matches(const struct exclude *exclude, const struct conn_record *record)
{
	const bool ipv6 = record->family == RECORD_FAMILY_IPV6;
	const unsigned family = ipv6 ? SLOT_IPV6 : SLOT_IPV4;
	const unsigned slot = record->protocol == IPPROTO_UDP ? SLOT_UDP : SLOT_TCP;
	const struct exclude_forest *local = &exclude->local[family];
	const struct exclude_forest *remote = &exclude->remote[family];
	struct key key;

	if (local->node_count > 0) {
		key = key_of(ipv6, record->local_ip);
		if (holds(local, &key, slot, record->local_port))
			return true;
	}
	if (remote->node_count > 0) {
		key = key_of(ipv6, record->remote_ip);
		return holds(remote, &key, slot, record->remote_port);
	}
	return false;
}
