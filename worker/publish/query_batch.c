/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/query_batch.h"

#include "worker/publish/conn_json.h"
#include "worker/publish/overflow_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What ends a piece: ],"more":"TOKEN"} */
#define TAIL_BYTES (QUERY_PAGE_BYTES + 16)
/* Live connections that a piece looks at, most of which may have nothing new. */
#define LIVE_EXAMINED_MAX 262144

_Static_assert((OVERFLOW_ROWS + 1) * OVERFLOW_JSON_BYTES_MAX + CONN_JSON_BYTES_MAX + 256 <
		       QUERY_BATCH_BYTES_MAX,
	       "the first piece holds the whole overflow and a connection");

/* One piece in the making. */
struct piece {
	struct json *json;
	const struct query_batches *batches;
	struct client *client;
	struct clock_offsets wall;
	bool has_connections; /* one was written: the next one wants a comma */
};

static size_t room(const struct piece *piece)
{
	const size_t left = (size_t)(piece->json->end - piece->json->at);

	return left > TAIL_BYTES ? left - TAIL_BYTES : 0;
}

static void write_connection(struct piece *piece, struct conn_view *view)
{
	piece->batches->complete(piece->batches->ctx, view);
	if (piece->has_connections)
		JSON_TEXT(piece->json, ",");
	piece->has_connections = true;
	conn_json_write(piece->json, view, piece->wall);
}

static void write_overflow(struct piece *piece)
{
	const struct clients *clients = piece->batches->clients;
	const struct overflow *overflow = &piece->client->overflow;
	const struct conn_sums unattributed = clients_unattributed(clients, piece->client);
	bool comma = false;

	for (uint32_t i = 0; i < overflow->used; i++) {
		if (conn_sums_are_zero(&overflow->rows[i].owed))
			continue;
		if (comma)
			JSON_TEXT(piece->json, ",");
		comma = true;
		overflow_json_write_row(piece->json, &overflow->rows[i]);
	}
	if (!conn_sums_are_zero(&unattributed)) {
		if (comma)
			JSON_TEXT(piece->json, ",");
		overflow_json_write_unattributed(piece->json, &unattributed);
	}
	clients_overflow_told(clients, piece->client);
}

/* Closed connections, as many as there is room for. Returns whether these were all. */
static bool write_closed(struct piece *piece)
{
	struct clients *clients = piece->batches->clients;
	struct conn_view view;

	while (clients_closed_next(clients, piece->client, &view)) {
		if (room(piece) < CONN_JSON_BYTES_MAX + 1)
			return false;
		write_connection(piece, &view);
		clients_closed_told(piece->client);
	}
	return true;
}

/* The same, rolled up. */
static bool write_rolled_up(struct piece *piece, struct rollup *rollup)
{
	struct clients *clients = piece->batches->clients;
	struct conn_view view;
	bool all = true;

	rollup_init(rollup, (uint32_t)(room(piece) / (CONN_JSON_BYTES_MAX + 1)));
	while (clients_closed_next(clients, piece->client, &view)) {
		/* Rolled up is by the direction that is told, which ports decide: a row may have none. */
		piece->batches->complete(piece->batches->ctx, &view);
		if (!rollup_add(rollup, &view)) {
			all = false;
			break;
		}
		clients_closed_told(piece->client);
	}
	for (uint32_t row = 0; row < rollup->used; row++) {
		view = rollup_view(rollup, row);
		write_connection(piece, &view);
	}
	return all;
}

static bool write_live(struct piece *piece)
{
	const struct query_batches *batches = piece->batches;
	const size_t end = piece->client->live_at + LIVE_EXAMINED_MAX;
	struct conn_view view;

	while (clients_live_next(batches->clients, piece->client, batches->table, end, &view)) {
		if (!batches->is_told(batches->ctx, view.record)) {
			clients_live_skip(piece->client);
			continue;
		}
		if (room(piece) < CONN_JSON_BYTES_MAX + 1)
			return false;
		write_connection(piece, &view);
		clients_live_told(piece->client, batches->table);
	}
	return piece->client->live_at >= batches->table->high;
}

static void write_piece(struct piece *piece, struct rollup *rollup)
{
	struct client *client = piece->client;
	char token[QUERY_PAGE_BYTES + 1];
	bool all;

	JSON_TEXT(piece->json, "{\"ok\":true,\"batch\":");
	json_number(piece->json, client->batch);
	JSON_TEXT(piece->json, ",\"overflow\":[");
	if (client->page == 0)
		write_overflow(piece);
	JSON_TEXT(piece->json, "],\"connections\":[");
	all = piece->batches->rollup ? write_rolled_up(piece, rollup) : write_closed(piece);
	all = all && write_live(piece);
	JSON_TEXT(piece->json, "]");
	client->page++;
	if (all) {
		clients_complete(client);
	} else {
		query_page_format(token, client->batch, client->page);
		JSON_TEXT(piece->json, ",\"more\":");
		json_word(piece->json, token);
	}
	JSON_TEXT(piece->json, "}");
}

static enum query_error refuse(char message[static QUERY_MESSAGE_BYTES], int error)
{
	switch (error) {
	case -EUSERS:
		query_say(message, "all places of clients are taken: unregister one, or raise "
				   "state.max_clients");
		return QUERY_ERROR_TOO_MANY_CLIENTS;
	case -EBUSY:
		query_say(message,
			  "pieces of this batch were not fetched: it cannot be acknowledged");
		return QUERY_ERROR_BAD_REQUEST;
	case -ESTALE:
		query_say(message,
			  "no batch of this number waits for this client: ask without \"ack\"");
		return QUERY_ERROR_BAD_REQUEST;
	default:
		query_say(message, "no snapshot can be had from the kernel now, try again");
		return QUERY_ERROR_BUSY;
	}
}

static enum query_error go_on(const struct query_request *request, struct clients *clients,
			      struct client **client, char message[static QUERY_MESSAGE_BYTES])
{
	*client = clients_find(clients, request->client);
	if (!*client || (*client)->is_complete || (*client)->batch != request->slot ||
	    (*client)->page != request->of) {
		query_say(message,
			  "the page is not the next one of this client's batch: begin again, "
			  "without \"ack\" and \"page\"");
		return QUERY_ERROR_BAD_REQUEST;
	}
	return QUERY_ERROR_NONE;
}

enum query_error query_batch_answer(struct json *json, const struct query_request *request,
				    const struct query_batches *batches, struct rollup *rollup,
				    uint64_t now_ns, struct clock_offsets wall,
				    char message[static QUERY_MESSAGE_BYTES])
{
	struct piece piece = {.json = json, .batches = batches, .wall = wall};
	enum query_error error;
	int result;

	if (request->first_page) {
		result = clients_check(batches->clients, request->client, request->ack, now_ns);
		if (result == 0 && batches->refresh(batches->ctx) < 0)
			result = -EAGAIN;
		if (result == 0)
			result = clients_begin(batches->clients, request->client, request->ack,
					       now_ns, &piece.client);
		error = result < 0 ? refuse(message, result) : QUERY_ERROR_NONE;
	} else {
		error = go_on(request, batches->clients, &piece.client, message);
	}
	if (error == QUERY_ERROR_NONE && piece.client)
		write_piece(&piece, rollup);
	return error;
}

enum query_error query_batch_unregister(struct json *json, const struct query_request *request,
					const struct query_batches *batches,
					char message[static QUERY_MESSAGE_BYTES])
{
	struct client *client = clients_find(batches->clients, request->client);

	if (!client) {
		query_say(message, "no client of this name is registered");
		return QUERY_ERROR_BAD_REQUEST;
	}
	clients_remove(batches->clients, client);
	JSON_TEXT(json, "{\"ok\":true}");
	return QUERY_ERROR_NONE;
}
