/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/clients.h"

#include "common/lazy_memory.h"
#include "worker/conn/state.h"

#include <errno.h>
#include <string.h>

static uint64_t live_bytes(const struct clients_settings *settings)
{
	return sizeof(struct client_told) * (uint64_t)settings->max_connections;
}

static uint64_t closed_bytes(const struct clients_settings *settings)
{
	return sizeof(struct client_told) * (uint64_t)settings->max_closed;
}

static uint64_t places_bytes(const struct clients_settings *settings)
{
	return sizeof(struct client) * (uint64_t)settings->max_clients;
}

uint64_t clients_bytes(const struct clients_settings *settings)
{
	return closed_log_bytes(settings->max_closed) + places_bytes(settings) +
	       (live_bytes(settings) + closed_bytes(settings)) * settings->max_clients;
}

int clients_init(struct clients *clients, const struct clients_settings *settings)
{
	int result;

	memset(clients, 0, sizeof(*clients));
	clients->settings = *settings;
	result = closed_log_init(&clients->log, settings->max_closed);
	clients->client = lazy_memory_reserve(places_bytes(settings));
	if (!clients->client)
		result = -ENOMEM;
	for (uint32_t i = 0; result == 0 && i < settings->max_clients; i++) {
		struct client *client = &clients->client[i];

		client->live = lazy_memory_reserve(live_bytes(settings));
		client->closed = lazy_memory_reserve(closed_bytes(settings));
		if (!client->live || !client->closed)
			result = -ENOMEM;
	}
	if (result < 0)
		clients_fini(clients);
	return result;
}

void clients_fini(struct clients *clients)
{
	for (uint32_t i = 0; clients->client && i < clients->settings.max_clients; i++) {
		lazy_memory_release(clients->client[i].live, live_bytes(&clients->settings));
		lazy_memory_release(clients->client[i].closed, closed_bytes(&clients->settings));
	}
	lazy_memory_release(clients->client, places_bytes(&clients->settings));
	closed_log_fini(&clients->log);
}

static bool is_registered(const struct client *client)
{
	return client->name[0] != '\0';
}

/* What the client has acknowledged of a connection that it was told of. */
static const struct conn_totals *acked_of(const struct client *client,
					  const struct client_told *told)
{
	return told->batch <= client->acked_batch ? &told->given : &told->acked;
}

/* Lets go of what every client has acknowledged. */
static void release_log(struct clients *clients)
{
	uint64_t from = clients->log.next;

	for (uint32_t i = 0; i < clients->settings.max_clients; i++) {
		const struct client *client = &clients->client[i];

		if (is_registered(client) && client->from < from)
			from = client->from;
	}
	if (clients->count == 0)
		closed_log_clear(&clients->log);
	else
		closed_log_release(&clients->log, from);
}

static struct conn_sums sums_of(uint64_t connections, const struct conn_totals *totals)
{
	struct conn_sums sums = {.connections = connections};

	conn_sums_add(&sums, totals);
	return sums;
}

/* What a client is owed of a closed connection, into its overflow. */
static void fold(struct client *client, const struct closed_entry *entry, uint32_t number,
		 uint32_t place, uint64_t sequence)
{
	static const struct conn_totals nothing;
	const struct conn_totals final = conn_totals_of(&entry->record);
	const struct client_told *told = entry->told_by >> number & 1 ? &client->closed[place]
								      : NULL;
	const struct conn_totals *acked = entry->has_base ? &entry->base : &nothing;
	struct conn_totals since;
	struct conn_sums owed, given = {0};

	if (told)
		acked = acked_of(client, told);
	since = conn_totals_since(&final, acked);
	owed = sums_of(1, &since);
	if (sequence < client->given) {
		given = owed;
	} else if (told && told->batch == client->batch && told->batch > client->acked_batch) {
		/* Not more than is owed: a close may show less than a snapshot before it did. */
		const struct conn_totals shown = conn_totals_smaller(&told->given, &final);

		since = conn_totals_since(&shown, acked);
		given = sums_of(0, &since);
	}
	overflow_add(&client->overflow, &entry->record, &owed, &given);
}

/* The oldest entry makes room. */
static void evict(struct clients *clients)
{
	struct closed_log *log = &clients->log;
	const uint64_t sequence = log->first;
	const struct closed_entry *entry = closed_log_at(log, sequence);
	const uint32_t place = closed_log_place(log, sequence);

	for (uint32_t i = 0; i < clients->settings.max_clients; i++) {
		struct client *client = &clients->client[i];

		if (!is_registered(client) || client->from > sequence)
			continue;
		fold(client, entry, i, place, sequence);
		client->from = sequence + 1;
		if (client->given <= sequence)
			client->given = sequence + 1;
		if (client->end <= sequence)
			client->end = sequence + 1;
		clients->folded++;
	}
	closed_log_release(log, sequence + 1);
}

/*
 * Takes along what clients were told while it lived. What was given in a batch that was not acknowledged and
 * is not running any more was not given: the batch after it may be acknowledged without this connection.
 */
static void keep_baselines(struct clients *clients, struct closed_entry *entry, uint32_t place,
			   uint32_t index)
{
	for (uint32_t i = 0; i < clients->settings.max_clients; i++) {
		struct client *client = &clients->client[i];
		struct client_told *kept = &client->closed[place];

		if (!is_registered(client) || client->live[index].batch == 0 ||
		    client->live[index].id != entry->record.id)
			continue;
		*kept = client->live[index];
		if (kept->batch > client->acked_batch && kept->batch < client->batch)
			kept->given = kept->acked;
		entry->told_by |= 1ULL << i;
	}
}

void clients_close(struct clients *clients, const struct conn_view *view, uint32_t index)
{
	struct closed_log *log = &clients->log;
	struct closed_entry *entry;

	if (clients->count == 0)
		return;
	if (closed_log_is_full(log))
		evict(clients);
	entry = closed_log_add(log, view);
	if (index != CONN_TABLE_NONE) {
		keep_baselines(clients, entry, closed_log_place(log, log->next - 1), index);
	} else if (view->previous) {
		entry->base = *view->previous;
		entry->has_base = true;
	}
}

struct client *clients_find(struct clients *clients, const char *name)
{
	for (uint32_t i = 0; i < clients->settings.max_clients; i++) {
		struct client *client = &clients->client[i];

		if (is_registered(client) && strcmp(client->name, name) == 0)
			return client;
	}
	return NULL;
}

void clients_remove(struct clients *clients, struct client *client)
{
	struct client_told *const live = client->live;
	struct client_told *const closed = client->closed;

	lazy_memory_clear(live, live_bytes(&clients->settings));
	lazy_memory_clear(closed, closed_bytes(&clients->settings));
	*client = (struct client){.live = live, .closed = closed};
	clients->count--;
	release_log(clients);
}

void clients_expire(struct clients *clients, uint64_t now_ns)
{
	for (uint32_t i = 0; i < clients->settings.max_clients; i++) {
		struct client *client = &clients->client[i];

		if (!is_registered(client) || now_ns < client->asked_ns ||
		    now_ns - client->asked_ns < clients->settings.expiry_ns)
			continue;
		clients_remove(clients, client);
		clients->expired++;
	}
}

int clients_check(struct clients *clients, const char *name, uint64_t ack, uint64_t now_ns)
{
	const struct client *client;

	clients_expire(clients, now_ns);
	client = clients_find(clients, name);
	if (!client && ack != 0)
		return -ESTALE;
	if (!client && clients->count == clients->settings.max_clients) {
		clients->refused++;
		return -EUSERS;
	}
	if (!client || ack <= client->acked_batch)
		return 0;
	if (ack != client->batch)
		return -ESTALE;
	return client->is_complete ? 0 : -EBUSY;
}

/* There is a place for it. */
static struct client *add_client(struct clients *clients, const char *name)
{
	struct client *client = clients->client;

	while (is_registered(client))
		client++;
	strncpy(client->name, name, sizeof(client->name) - 1);
	client->from = clients->log.next;
	client->unattributed_acked = clients->unattributed;
	clients->count++;
	return client;
}

static void acknowledge(struct clients *clients, struct client *client)
{
	client->acked_batch = client->batch;
	client->from = client->given;
	client->unattributed_acked = client->unattributed_given;
	overflow_ack(&client->overflow);
	release_log(clients);
}

int clients_begin(struct clients *clients, const char *name, uint64_t ack, uint64_t now_ns,
		  struct client **client)
{
	const int result = clients_check(clients, name, ack, now_ns);
	struct client *found;

	if (result < 0)
		return result;
	found = clients_find(clients, name);
	if (!found)
		found = add_client(clients, name);
	else if (ack > found->acked_batch)
		acknowledge(clients, found);
	overflow_begin(&found->overflow);
	found->unattributed_given = found->unattributed_acked;
	found->batch++;
	found->is_complete = false;
	found->page = 0;
	found->given = found->from;
	found->end = clients->log.next;
	found->live_at = 0;
	found->asked_ns = now_ns;
	*client = found;
	return 0;
}

struct conn_sums clients_unattributed(const struct clients *clients, const struct client *client)
{
	return conn_sums_since(&clients->unattributed, &client->unattributed_given);
}

void clients_overflow_told(const struct clients *clients, struct client *client)
{
	overflow_give(&client->overflow);
	client->unattributed_given = clients->unattributed;
}

bool clients_closed_next(struct clients *clients, struct client *client, struct conn_view *view)
{
	const struct closed_log *log = &clients->log;
	const struct closed_entry *entry;
	const ptrdiff_t number = client - clients->client;

	if (client->given >= client->end)
		return false;
	entry = closed_log_at(log, client->given);
	*view = (struct conn_view){
		.record = &entry->record,
		.nat = entry->has_nat ? &entry->nat : NULL,
		.dns = entry->has_dns ? &entry->dns : NULL,
		.closed = true,
		.inferred = entry->inferred,
	};
	if (entry->told_by >> number & 1) {
		const struct client_told *told =
			&client->closed[closed_log_place(log, client->given)];

		clients->previous = *acked_of(client, told);
		view->previous = &clients->previous;
	} else if (entry->has_base) {
		view->previous = &entry->base;
	}
	return true;
}

void clients_closed_told(struct client *client)
{
	client->given++;
}

/* The numbers that stand for a connection: never less than what the client was told already. */
static struct conn_totals known_totals(const struct client_told *told,
				       const struct conn_record *record)
{
	const struct conn_totals totals = conn_totals_of(record);

	if (told->batch == 0 || told->id != record->id)
		return totals;
	return conn_totals_larger(&totals, &told->given);
}

/* Whether the client is owed something of a live connection; then *view is filled in. */
static bool view_live(struct clients *clients, const struct client *client,
		      const struct client_told *told, const struct conn_record *record,
		      struct conn_view *view)
{
	const bool is_known = told->batch != 0 && told->id == record->id;
	struct conn_totals totals;

	*view = (struct conn_view){.record = record};
	if (!is_known)
		return true;
	totals = known_totals(told, record);
	clients->previous = *acked_of(client, told);
	/* One that has counted nothing yet, and was told in a lost batch only, is news all the same. */
	if (!conn_totals_differ(&totals, &clients->previous) && told->batch <= client->acked_batch)
		return false;
	view->previous = &clients->previous;
	clients->record = *record;
	clients->record.sent_bytes = totals.sent_bytes;
	clients->record.recv_bytes = totals.recv_bytes;
	clients->record.sent_packets = totals.sent_packets;
	clients->record.recv_packets = totals.recv_packets;
	clients->record.retransmits = totals.retransmits;
	view->record = &clients->record;
	return true;
}

bool clients_live_next(struct clients *clients, struct client *client,
		       const struct conn_table *table, size_t end, struct conn_view *view)
{
	for (; client->live_at < table->high && client->live_at < end; client->live_at++) {
		const struct conn_meta *meta = &table->metas[client->live_at];

		if (!meta->in_use || meta->phase != CONN_PHASE_LIVE)
			continue;
		if (view_live(clients, client, &client->live[client->live_at],
			      &table->entries[client->live_at].record, view))
			return true;
	}
	return false;
}

void clients_live_told(struct client *client, const struct conn_table *table)
{
	struct client_told *told = &client->live[client->live_at];
	const struct conn_record *record = &table->entries[client->live_at].record;
	const struct conn_totals totals = known_totals(told, record);

	if (told->batch == 0 || told->id != record->id)
		*told = (struct client_told){.id = record->id};
	else
		told->acked = *acked_of(client, told);
	told->given = totals;
	told->batch = client->batch;
	client->live_at++;
}

void clients_live_skip(struct client *client)
{
	client->live_at++;
}

void clients_complete(struct client *client)
{
	client->is_complete = true;
}
