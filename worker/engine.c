/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/engine.h"

#include "common/clock.h"
#include "common/log.h"
#include "worker/conn/conn_dns.h"
#include "worker/publish/conn_terms.h"

#include <errno.h>
#include <netinet/in.h>

/* A closed connection waits this long for others to share its message. */
#define FLUSH_AGE_NS (200 * NS_PER_MS)
/* A record waits one tick until it is read and another until its age is looked at. */
#define FLUSH_MARGIN_NS (100 * NS_PER_MS)
/*
 * Table entries that one step of publishing active connections looks at, at least: about 80
 * messages per tick, which a subscriber's queue takes while it is slow for half a second.
 */
#define ACTIVE_STEP_ENTRIES 4096
/* Even the largest table is gone over within ten seconds. */
#define ACTIVE_STEPS_MAX 200

/*
 * A translation's end may be told before the end of its connection: TCP's right after it at the latest,
 * UDP's when the flow has been silent for its time, and a look for such flows was taken.
 */
#define NAT_KEEP_NS (10 * NS_PER_S)

/* Statistics are told in parts, one at each tick: so many messages. */
#define DNS_MESSAGES_PER_STEP 16
#define NAMES_INTERVAL_NS NS_PER_S
/* Names of one address that are kept for a connection. */
#define NAMES_USED_MAX 16

/* Almost always nobody records. */
#define RECORD(engine, put, ...)                                 \
	do {                                                     \
		if (__builtin_expect((engine)->tape != NULL, 0)) \
			put((engine)->tape, __VA_ARGS__);        \
	} while (0)

struct engine_settings engine_settings_of(const struct config *config)
{
	const uint64_t delay_ns = config->publish_closed_delay_ms * NS_PER_MS;
	const uint64_t age_ns = delay_ns > FLUSH_MARGIN_NS ? delay_ns - FLUSH_MARGIN_NS : 0;

	return (struct engine_settings){
		.max_connections = config->state_max_connections,
		.interval_ns = config->publish_interval_s * NS_PER_S,
		.flush_age_ns = age_ns > FLUSH_AGE_NS ? FLUSH_AGE_NS : age_ns,
		.tcp_enabled = config->tcp_enabled,
		.udp_enabled = config->udp_enabled,
		.ipv6_enabled = config->ipv6_enabled,
		.max_clients = config->state_max_clients,
		.max_closed = config->state_max_closed_buffered,
		.client_expiry_ns = config->state_client_expiry_s * NS_PER_S,
		.rollup = config->state_rollup,
		.ephemeral = PORT_RANGE_DEFAULT,
		.nat_max_entries = config->nat_enabled ? config->nat_max_entries : 0,
		.nat_keep_ns = NAT_KEEP_NS + config->udp_stream_timeout_s * NS_PER_S,
		.dns = dns_settings_of(config),
		.exclude_source = &config->exclude_source,
		.exclude_destination = &config->exclude_destination,
	};
}

int engine_init(struct engine *engine, const struct engine_settings *settings,
		const struct engine_sink *sink, const struct identity *identity,
		struct metrics *metrics)
{
	const struct clients_settings clients = {
		.max_clients = settings->max_clients,
		.max_connections = settings->max_connections,
		.max_closed = settings->max_closed,
		.expiry_ns = settings->client_expiry_ns,
	};
	int result;

	engine->settings = *settings;
	engine->sink = *sink;
	engine->metrics = metrics;
	exclude_build(&engine->exclude, settings->exclude_source, settings->exclude_destination);
	conn_events_init(&engine->events, identity);
	dns_events_init(&engine->dns_events, identity);
	result = nat_table_init(&engine->nat, settings->nat_max_entries, settings->nat_keep_ns,
				identity->secret);
	if (result == 0)
		result = dns_init(&engine->dns, &settings->dns, identity->secret);
	if (result == 0)
		result = clients_init(&engine->clients, &clients);
	if (result < 0)
		return result;
	return conn_state_init(&engine->state, settings->max_connections, settings->interval_ns,
			       settings->closed, settings->inferred);
}

void engine_fini(struct engine *engine)
{
	clients_fini(&engine->clients);
	conn_state_fini(&engine->state);
	nat_table_fini(&engine->nat);
	dns_fini(&engine->dns);
}

void engine_tick(struct engine *engine, uint64_t now_ns, struct clock_offsets wall, bool listened)
{
	RECORD(engine, tape_put_tick, now_ns, wall, listened);
	conn_events_tick(&engine->events, now_ns, wall, listened);
	dns_events_tick(&engine->dns_events, now_ns + wall.monotonic_ns, listened);
	clients_expire(&engine->clients, now_ns);
	nat_table_tick(&engine->nat, now_ns);
	dns_tick(&engine->dns, now_ns);
}

/* Ends the message that is being built, if there is one, and sends it. */
static void send_events(struct engine *engine)
{
	uint64_t *metric = engine->metrics->value;
	struct conn_events_message message;

	engine->sink.settle(engine->sink.ctx);
	if (!conn_events_finish(&engine->events, &message) || !message.bytes)
		return;
	if (engine->sink.send(engine->sink.ctx, message.bytes, message.length) < 0)
		return;
	metric[METRIC_PUBLISH_MESSAGES]++;
	metric[METRIC_PUBLISH_BYTES] += message.length;
	metric[METRIC_PUBLISH_RECORDS] += message.records;
}

static void send_dns_message(struct engine *engine, const struct dns_events_message *message)
{
	uint64_t *metric = engine->metrics->value;

	if (!message->bytes ||
	    engine->sink.send(engine->sink.ctx, message->bytes, message->length) < 0)
		return;
	metric[METRIC_PUBLISH_MESSAGES]++;
	metric[METRIC_PUBLISH_BYTES] += message->length;
	metric[METRIC_PUBLISH_RECORDS] += message->records;
}

/* A part of the round of statistics; true while there may be more. */
static bool send_dns_stats(struct engine *engine)
{
	struct dns_events_message message;

	for (unsigned i = 0; i < DNS_MESSAGES_PER_STEP; i++) {
		if (!dns_events_stats(&engine->dns_events, &engine->dns.stats, &message))
			return false;
		send_dns_message(engine, &message);
	}
	return true;
}

/* What names were learnt, at most once in a second. */
static void send_names(struct engine *engine, uint64_t now_ns)
{
	struct dns_events_message message;

	if (now_ns - engine->names_told_ns < NAMES_INTERVAL_NS)
		return;
	engine->names_told_ns = now_ns;
	while (dns_events_names(&engine->dns_events, &engine->dns.news, &message))
		send_dns_message(engine, &message);
}

/* Looks a view's control group up, asking for new ones if that was not just done. */
static void find_cgroup(struct engine *engine, struct conn_view *view)
{
	const uint64_t now_ns = engine->events.now_ns;
	const uint64_t id = view->record->cgroup_id;
	const struct cgroups_entry *entry = cgroups_find(&engine->cgroups, id);

	if (!entry && id != 0 && cgroups_is_due(&engine->cgroups, now_ns)) {
		engine->sink.ask_cgroups(engine->sink.ctx);
		entry = cgroups_find(&engine->cgroups, id);
		engine_cgroups_filled(engine, now_ns);
	}
	view->cgroup = entry ? entry->path : NULL;
	view->container = entry && entry->container[0] != '\0' ? entry->container : NULL;
}

/* Looks a view's translation up; *index as nat_table_find() gives it. */
static bool find_nat(struct engine *engine, struct conn_view *view, uint32_t *index)
{
	const bool found = nat_table_find(&engine->nat, view->record, &engine->nat_found, index);

	view->nat = found ? &engine->nat_found : NULL;
	return found;
}

/* The names of the remote end as of the time when the connection was opened, or any that live now. */
static void find_names(struct engine *engine, struct conn_view *view)
{
	const struct conn_record *record = view->record;
	const uint64_t at_ns = record->opened_ns ? record->opened_ns : engine->events.now_ns;

	view->names = NULL;
	if (engine->settings.dns.enabled &&
	    names_find(&engine->dns.names, record->family, record->remote_ip, at_ns,
		       &engine->names_found)) {
		view->names = &engine->dns.names;
		view->names_found = &engine->names_found;
	}
}

/* If it has closed it is told for the last time. */
static void find_dns(struct engine *engine, struct conn_view *view)
{
	const bool found = engine->settings.dns.enabled &&
			   conn_dns_find(&engine->dns, view, &engine->dns_found);

	view->dns = found ? &engine->dns_found : NULL;
}

/* They are kept as long as the connection may be told of. */
static void use_names(struct engine *engine)
{
	struct names_cursor cursor = engine->names_found;
	uint8_t length;

	for (unsigned i = 0; i < NAMES_USED_MAX && names_next(&engine->dns.names, &cursor, &length);
	     i++)
		names_use(&engine->dns.names, &cursor);
}

/* Those of a connection of which there is nothing new to tell: it may be silent for days, and end then. */
static void keep_names(struct engine *engine, struct conn_view *view)
{
	if (!engine_is_told(engine, view->record))
		return;
	find_names(engine, view);
	if (view->names)
		use_names(engine);
}

/* All but the translation and the conversation, which are there already. */
static void complete(struct engine *engine, struct conn_view *view)
{
	const struct conn_record *record = view->record;
	const uint8_t *remote_ip = view->nat ? view->nat->remote_ip : record->remote_ip;

	find_cgroup(engine, view);
	find_names(engine, view);
	view->intra_host = local_addresses_has(&engine->local_addresses, record->family, remote_ip,
					       engine->events.now_ns);
	view->direction =
		conn_direction_fix(record, conn_is_intra_host(view), engine->settings.ephemeral);
}

void engine_complete(struct engine *engine, struct conn_view *view)
{
	uint32_t index;

	/* One that has closed keeps what was found then; a question changes nothing: none is used. */
	if (!view->closed) {
		find_nat(engine, view, &index);
		find_dns(engine, view);
	}
	complete(engine, view);
}

bool engine_is_told(const struct engine *engine, const struct conn_record *record)
{
	const struct engine_settings *settings = &engine->settings;

	if (record->protocol == IPPROTO_UDP ? !settings->udp_enabled : !settings->tcp_enabled)
		return false;
	if (record->family == RECORD_FAMILY_IPV6 && !settings->ipv6_enabled)
		return false;
	return !exclude_matches(&engine->exclude, record);
}

static void publish(struct engine *engine, struct conn_view *view)
{
	uint64_t *metric = engine->metrics->value;
	uint32_t index;

	if (!engine_is_told(engine, view->record)) {
		metric[METRIC_CONN_EXCLUDED] += view->closed;
		return;
	}
	if (find_nat(engine, view, &index)) {
		metric[METRIC_NAT_FOUND]++;
		nat_table_use(&engine->nat, index);
	}
	find_dns(engine, view);
	complete(engine, view);
	metric[METRIC_CONN_DIRECTION_FIXES] += view->closed && view->direction != 0;
	if (view->names)
		use_names(engine);
	if (view->closed)
		clients_close(&engine->clients, view, view->index);
	if (conn_events_add(&engine->events, view) == -ENOSPC) {
		send_events(engine);
		conn_events_add(&engine->events, view);
	}
	metric[METRIC_CONN_PUBLISHED] += view->closed;
	if (conn_events_is_full(&engine->events))
		send_events(engine);
}

/* A second report of a connection that has closed: told is what is new in it, if anything is. */
static void publish_again(struct engine *engine, const struct conn_record *record,
			  struct closed_id *before)
{
	const struct conn_totals previous = before->totals, totals = conn_totals_of(record);
	struct conn_view view = {
		.record = record,
		.index = CONN_TABLE_NONE,
		.previous = &previous,
		.closed = true,
	};

	engine->metrics->value[METRIC_CONN_CLOSED_TWICE]++;
	before->totals = conn_totals_larger(&totals, &previous);
	if (conn_totals_differ(&before->totals, &previous))
		publish(engine, &view);
}

void engine_close(struct engine *engine, const struct conn_record *record)
{
	struct closed_id *before = closed_ids_find(&engine->closed_ids, record->id);
	struct conn_totals totals;
	struct conn_view view;

	RECORD(engine, tape_put, TAPE_CLOSE, record, sizeof(*record));
	local_addresses_note(&engine->local_addresses, record->family, record->local_ip,
			     engine->events.now_ns);
	if (before) {
		publish_again(engine, record, before);
		return;
	}
	totals = conn_totals_of(record);
	closed_ids_put(&engine->closed_ids, record->id, &totals);
	if (conn_state_close(&engine->state, record, &view))
		publish(engine, &view);
}

void engine_pass_begin(struct engine *engine, uint64_t now_ns, uint64_t opened)
{
	RECORD(engine, tape_put_pass_begin, now_ns, opened);
	conn_state_pass_begin(&engine->state, now_ns, opened);
}

void engine_seen(struct engine *engine, const struct conn_record *record)
{
	RECORD(engine, tape_put, TAPE_SEEN, record, sizeof(*record));
	engine->metrics->value[METRIC_SNAPSHOT_RECORDS]++;
	/* Read before it closed, and handed in after. */
	if (closed_ids_find(&engine->closed_ids, record->id))
		return;
	local_addresses_note(&engine->local_addresses, record->family, record->local_ip,
			     engine->events.now_ns);
	conn_state_seen(&engine->state, record);
}

/* Once each time that it begins, not at every snapshot. */
static void warn_if_full(struct engine *engine)
{
	const struct conn_state *state = &engine->state;
	const bool is_full = state->unplaced > 0;

	if (is_full && !engine->table_was_full)
		log_warning("the connection table is full: %llu of %llu live connections are told "
			    "only when they close; raise state.max_connections (now %u)",
			    (unsigned long long)state->unplaced,
			    (unsigned long long)state->counts.live, state->table.capacity);
	engine->table_was_full = is_full;
}

void engine_pass_end(struct engine *engine, uint64_t now_ns)
{
	struct conn_view view;

	RECORD(engine, tape_put_time, TAPE_PASS_END, now_ns);
	conn_state_pass_end(&engine->state, now_ns);
	warn_if_full(engine);
	engine->metrics->value[METRIC_SNAPSHOT_PASSES]++;
	while (conn_state_infer_next(&engine->state, now_ns, &view))
		publish(engine, &view);
}

bool engine_cgroup(struct engine *engine, const struct cgroup_record *record)
{
	if (!cgroups_put(&engine->cgroups, record))
		return false;
	RECORD(engine, tape_put, TAPE_CGROUP, record, sizeof(*record));
	return true;
}

void engine_cgroups_filled(struct engine *engine, uint64_t now_ns)
{
	RECORD(engine, tape_put_time, TAPE_CGROUPS_FILLED, now_ns);
	cgroups_filled(&engine->cgroups, now_ns);
}

void engine_nat(struct engine *engine, const struct nat_event *event)
{
	RECORD(engine, tape_put, TAPE_NAT, event, sizeof(*event));
	nat_table_take(&engine->nat, event);
}

void engine_packet(struct engine *engine, const struct packet *packet)
{
	struct dns_frame frame;

	RECORD(engine, tape_put_packet, packet);
	if (!engine->settings.dns.enabled)
		return;
	dns_frame_of(&frame, packet);
	dns_take(&engine->dns, &frame, packet->record.interface, packet->record.at_ns);
}

void engine_flush(struct engine *engine, uint64_t now_ns, bool force)
{
	const struct conn_events *events = &engine->events;

	RECORD(engine, tape_put_flush, now_ns, force);
	if (force || conn_events_pending(events) == 0 ||
	    now_ns - conn_events_oldest_ns(events) >= engine->settings.flush_age_ns)
		send_events(engine);
	if (engine->settings.dns.enabled)
		send_names(engine, now_ns);
}

void engine_active_begin(struct engine *engine)
{
	RECORD(engine, tape_put, TAPE_ACTIVE_BEGIN, NULL, 0);
	conn_state_active_begin(&engine->state);
	if (engine->settings.dns.enabled) {
		names_interval(&engine->dns.names);
		dns_stats_publish_begin(&engine->dns.stats);
	}
	conn_events_tell_unattributed(&engine->events);
}

bool engine_active_step(struct engine *engine)
{
	const uint32_t share = engine->state.table.high / ACTIVE_STEPS_MAX;
	uint32_t budget = share > ACTIVE_STEP_ENTRIES ? share : ACTIVE_STEP_ENTRIES;
	struct conn_view view;
	bool more;
	int found;

	RECORD(engine, tape_put, TAPE_ACTIVE_STEP, NULL, 0);
	more = engine->settings.dns.enabled && send_dns_stats(engine);
	while ((found = conn_state_active_next(&engine->state, &budget, &view)) > 0) {
		if (found == CONN_ACTIVE_CHANGED)
			publish(engine, &view);
		else
			keep_names(engine, &view);
	}
	return found == -EAGAIN || more;
}

void engine_unattributed(struct engine *engine, const struct conn_sums *sums)
{
	RECORD(engine, tape_put, TAPE_UNATTRIBUTED, sums, sizeof(*sums));
	engine->clients.unattributed = *sums;
	conn_events_unattributed(&engine->events, sums);
}

size_t engine_live_next(struct engine *engine, size_t slot, struct conn_view *view)
{
	size_t next = conn_state_live_next(&engine->state, slot, view);

	while (next != 0 && !engine_is_told(engine, view->record))
		next = conn_state_live_next(&engine->state, next, view);
	if (next != 0)
		engine_complete(engine, view);
	return next;
}
