/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients, connections that grow and close, and a reader that adds up what each batch told. The time
 * is a variable.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_CLIENTS_RIG_H
#define SOCKWARDEN_TESTS_UNIT_CLIENTS_RIG_H

#include "tests/unit/example_conn.h"
#include "worker/conn/clients.h"
#include "worker/conn/state.h"
#include "worker/publish/conn_terms.h"

#include <criterion/criterion.h>

#define NS_PER_S 1000000000ULL
#define EXPIRY_NS (120 * NS_PER_S)

static struct clients clients;
static struct conn_state state;
static uint64_t now_ns = 1000 * NS_PER_S;

static inline void open_clients(uint32_t max_clients, uint32_t max_closed)
{
	const struct clients_settings settings = {
		.max_clients = max_clients,
		.max_connections = 64,
		.max_closed = max_closed,
		.expiry_ns = EXPIRY_NS,
	};

	cr_assert_eq(clients_init(&clients, &settings), 0);
	cr_assert_eq(conn_state_init(&state, settings.max_connections, 30 * NS_PER_S, 0, 0), 0);
}

static inline void close_clients(void)
{
	clients_fini(&clients);
	conn_state_fini(&state);
}

/* A connection whose counters all follow from one number. */
static inline struct conn_record make(uint64_t id, uint64_t bytes)
{
	struct conn_record record = example_record();

	record.id = id;
	record.sent_bytes = bytes;
	record.recv_bytes = 2 * bytes;
	record.sent_packets = (uint32_t)(3 * bytes);
	record.recv_packets = (uint32_t)(4 * bytes);
	record.retransmits = (uint32_t)(5 * bytes);
	record.at_ns = now_ns;
	return record;
}

static inline void see(uint64_t id, uint64_t bytes)
{
	const struct conn_record record = make(id, bytes);

	conn_state_seen(&state, &record);
}

static inline void finish_record(const struct conn_record *record)
{
	struct conn_view view;

	cr_assert(conn_state_close(&state, record, &view));
	clients_close(&clients, &view, view.index);
}

/* What a batch told. */
struct told {
	uint64_t batch;
	unsigned closed;
	unsigned live;
	uint64_t folded;
	struct conn_sums delta;
	uint64_t last_id;
	uint64_t last_total; /* sent_bytes */
	uint64_t last_delta;
	unsigned zero_live; /* live ones that were told without having anything new */
};

static inline void take(struct told *told, const struct conn_view *view)
{
	struct conn_totals delta;

	conn_delta(view, &delta);
	conn_sums_add(&told->delta, &delta);
	told->last_id = view->record->id;
	told->last_total = view->record->sent_bytes;
	told->last_delta = delta.sent_bytes;
	if (view->closed)
		told->closed++;
	else
		told->live++;
	if (!view->closed && view->previous && delta.sent_bytes == 0)
		told->zero_live++;
}

static inline void take_overflow(struct told *told, struct client *client)
{
	for (uint32_t i = 0; i < client->overflow.used; i++) {
		const struct conn_sums *owed = &client->overflow.rows[i].owed;

		told->folded += owed->connections;
		told->delta.sent_bytes += owed->sent_bytes;
		told->delta.recv_bytes += owed->recv_bytes;
		told->delta.sent_packets += owed->sent_packets;
		told->delta.recv_packets += owed->recv_packets;
		told->delta.retransmits += owed->retransmits;
	}
	clients_overflow_told(&clients, client);
}

/* One more connection of the batch; false at its end. */
static inline bool step(struct told *told, struct client *client)
{
	struct conn_view view;

	if (clients_closed_next(&clients, client, &view)) {
		take(told, &view);
		clients_closed_told(client);
		return true;
	}
	if (clients_live_next(&clients, client, &state.table, SIZE_MAX, &view)) {
		take(told, &view);
		clients_live_told(client, &state.table);
		return true;
	}
	clients_complete(client);
	return false;
}

static inline int begin(struct told *told, const char *name, uint64_t ack, struct client **client)
{
	int result = clients_begin(&clients, name, ack, now_ns, client);

	*told = (struct told){0};
	if (result == 0) {
		told->batch = (*client)->batch;
		take_overflow(told, *client);
	}
	return result;
}

#endif
