/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/engine.h"

static void measure_nat(const struct engine *engine)
{
	const struct nat_table *nat = &engine->nat;
	uint64_t *metric = engine->metrics->value;

	metric[METRIC_NAT_REGISTERED] = nat->counts.registered;
	metric[METRIC_NAT_DESTROYED] = nat->counts.destroyed;
	metric[METRIC_NAT_EVICTED] = nat->counts.evicted;
	metric[METRIC_NAT_UNMATCHED] = nat->counts.unmatched;
	metric[METRIC_NAT_AMBIGUOUS] = nat->counts.ambiguous;
	metric[METRIC_NAT_ENTRIES] = nat->used;
	metric[METRIC_NAT_ENDED] = nat->ended;
	metric[METRIC_NAT_CAPACITY] = nat->capacity;
}

static void measure_dns(const struct engine *engine)
{
	const struct dns *dns = &engine->dns;
	const struct dns_in_flight_counts *waited = &dns->in_flight.counts;
	uint64_t *metric = engine->metrics->value;

	metric[METRIC_DNS_PACKETS] = dns->counts.packets;
	metric[METRIC_DNS_DUPLICATES] = dns->counts.duplicates;
	metric[METRIC_DNS_OTHER_PORTS] = dns->counts.other_ports;
	metric[METRIC_DNS_MESSAGES] = dns->counts.messages;
	metric[METRIC_DNS_CUT] = dns->counts.cut;
	metric[METRIC_DNS_TRUNCATED] = dns->counts.truncated;
	metric[METRIC_DNS_OTHER_TYPES] = dns->counts.other_types;
	metric[METRIC_DNS_LOCAL] = dns->counts.local;
#define REJECTED(symbol, name, meaning) \
	metric[METRIC_DNS_REJECTED_##symbol] = dns->counts.rejected[DNS_REJECT_##symbol];
	DNS_REJECTS(REJECTED)
#undef REJECTED
	metric[METRIC_DNS_QUERIES] = waited->queries;
	metric[METRIC_DNS_RETRIES] = waited->retries;
	metric[METRIC_DNS_ANSWERS] = waited->answers;
	metric[METRIC_DNS_TIMEOUTS] = waited->timeouts;
	metric[METRIC_DNS_LATE] = waited->late;
	metric[METRIC_DNS_UNMATCHED] = waited->unmatched;
	metric[METRIC_DNS_EVICTED] = waited->evicted;
	metric[METRIC_DNS_STATS_EVICTED] = dns->stats.counts.evicted;
	metric[METRIC_DNS_IN_FLIGHT] = dns->in_flight.pool.used;
	metric[METRIC_DNS_STATS] = dns->stats.used;
	metric[METRIC_DNS_CONVERSATIONS_EVICTED] = dns->conversations.counts.evicted;
	metric[METRIC_DNS_CONVERSATIONS] = dns->conversations.pool.used;
}

static void measure_names(const struct engine *engine)
{
	const struct names *names = &engine->dns.names;
	uint64_t *metric = engine->metrics->value;

	metric[METRIC_NAMES_LOOKUPS] = names->counts.lookups;
	metric[METRIC_NAMES_HITS] = names->counts.hits;
	metric[METRIC_NAMES_ADDED] = names->counts.added;
	metric[METRIC_NAMES_EXPIRED] = names->counts.expired;
	metric[METRIC_NAMES_EVICTED] = names->counts.evicted;
	metric[METRIC_NAMES_DROPPED] = names->counts.dropped;
	metric[METRIC_NAMES_REFUSED] = names->counts.refused;
	metric[METRIC_NAMES_ADDRESSES] = names->entry_pool.used;
}

void engine_measure(struct engine *engine, uint64_t opened, bool at_mark)
{
	const struct conn_state *state = &engine->state;
	uint64_t *metric = engine->metrics->value;

	metric[METRIC_CONN_OPENED] = at_mark ? state->books.opened : opened;
	metric[METRIC_CONN_CLOSED] = at_mark ? state->books.closed : state->counts.closed;
	metric[METRIC_CONN_LIVE] = at_mark ? state->books.live : state->counts.live;
	metric[METRIC_CONN_INFERRED] = state->counts.inferred;
	metric[METRIC_CONN_LATE_CLOSE] = state->counts.late_close;
	metric[METRIC_CONN_TABLE_FULL] = state->counts.table_full;
	metric[METRIC_CONN_TRACKED] = state->table.used;
	metric[METRIC_CONN_CAPACITY] = state->table.capacity;
	measure_nat(engine);
	measure_dns(engine);
	measure_names(engine);
	metric[METRIC_CLIENTS_REGISTERED] = engine->clients.count;
	metric[METRIC_CLIENTS_EXPIRED] = engine->clients.expired;
	metric[METRIC_CLIENTS_REFUSED] = engine->clients.refused;
	metric[METRIC_CLIENTS_OVERFLOWED] = engine->clients.folded;
	metric[METRIC_CLIENTS_WAITING] = engine->clients.log.next - engine->clients.log.first;
}
