/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/query.h"

#include "worker/publish/audit_json.h"
#include "worker/publish/conn_json.h"
#include "worker/publish/query_dns.h"
#include "worker/publish/query_request.h"
#include "worker/status.h"

#include <errno.h>
#include <stdlib.h>

/* What ends a page: ],"more":"TOKEN"} */
#define PAGE_TAIL_BYTES (QUERY_PAGE_BYTES + 16)
/* Connections that a page looks at: bounds the time of a filter that matches none of them. */
#define PAGE_EXAMINED_MAX 16384

_Static_assert(QUERY_NAMES_BYTES_MAX <= QUERY_LONGEST_BYTES, "what memory_bound() counts with");

struct query {
	struct query_request request;
	struct rollup rollup;
	char message[QUERY_MESSAGE_BYTES];
};

int query_new(struct query **query)
{
	*query = calloc(1, sizeof(**query));
	return *query ? 0 : -ENOMEM;
}

void query_free(struct query *query)
{
	free(query);
}

/* As many matching connections as fit; returns the slot where the next page begins, 0 at the end. */
static size_t write_page(struct json *json, const struct query_request *request,
			 const struct query_source *source)
{
	struct conn_view view;
	size_t slot = request->slot;
	bool first = true;

	for (unsigned examined = 0; examined < PAGE_EXAMINED_MAX; examined++) {
		size_t next = source->next(source->ctx, slot, &view);

		if (next == 0)
			return 0;
		if (filter_matches(&request->filter, &view)) {
			if ((size_t)(json->end - json->at) < CONN_JSON_BYTES_MAX + PAGE_TAIL_BYTES)
				return next - 1;
			if (!first)
				JSON_TEXT(json, ",");
			first = false;
			conn_json_write(json, &view, source->wall);
		}
		slot = next;
	}
	return slot;
}

static enum query_error answer_snapshot(struct json *json, struct query *query,
					const struct query_source *source)
{
	const struct query_request *request = &query->request;
	char token[QUERY_PAGE_BYTES + 1];
	size_t next;

	if (request->first_page && source->refresh(source->ctx) < 0) {
		strcpy(query->message, "no snapshot can be had from the kernel now, try again");
		return QUERY_ERROR_BUSY;
	}
	JSON_TEXT(json, "{\"ok\":true,\"connections\":[");
	next = write_page(json, request, source);
	JSON_TEXT(json, "]");
	if (next > 0) {
		query_page_format(token, next, request->filter_hash);
		JSON_TEXT(json, ",\"more\":");
		json_word(json, token);
	}
	JSON_TEXT(json, "}");
	return QUERY_ERROR_NONE;
}

static void answer_config(struct json *json, const struct config *config)
{
	JSON_TEXT(json, "{\"ok\":true,\"config\":");
	config_write(json, config);
	JSON_TEXT(json, "}");
}

static enum query_error answer_batch(struct json *json, struct query *query,
				     const struct query_source *source)
{
	return query_batch_answer(json, &query->request, &source->batches, &query->rollup,
				  source->now_ns, source->wall, query->message);
}

static enum query_error answer_request(struct json *json, struct query *query,
				       const struct query_source *source)
{
	switch (query->request.op) {
	case QUERY_OP_SNAPSHOT:
		return answer_snapshot(json, query, source);
	case QUERY_OP_RECORD:
	case QUERY_OP_RECORD_END:
		return query_record_answer(json, &query->request, &source->recordings,
					   query->message);
	case QUERY_OP_CONFIG:
		answer_config(json, source->config);
		return QUERY_ERROR_NONE;
	case QUERY_OP_CONNECTIONS:
		return answer_batch(json, query, source);
	case QUERY_OP_UNREGISTER:
		return query_batch_unregister(json, &query->request, &source->batches,
					      query->message);
	case QUERY_OP_NAMES:
		query_names_answer(json, &query->request, source->dns, source->now_ns);
		return QUERY_ERROR_NONE;
	case QUERY_OP_DNS:
		query_dns_answer(json, &query->request, source->dns);
		return QUERY_ERROR_NONE;
	case QUERY_OP_AUDIT:
		audit_json_write(json, source->facts);
		return QUERY_ERROR_NONE;
	case QUERY_OP_STATUS:
		break;
	}
	source->update(source->ctx);
	status_json_write(json, source->metrics, source->facts);
	return QUERY_ERROR_NONE;
}

static void write_error(struct json *json, const struct query *query, enum query_error error)
{
	JSON_TEXT(json, "{\"ok\":false,\"error\":");
	json_word(json, query_error_name(error));
	JSON_TEXT(json, ",\"message\":");
	json_string(json, query->message, strlen(query->message));
	JSON_TEXT(json, "}");
}

static bool is_clients(enum query_op op)
{
	return op == QUERY_OP_CONNECTIONS || op == QUERY_OP_UNREGISTER;
}

/* The longest answer that there can be. */
static size_t bytes_of(enum query_op op)
{
	switch (op) {
	case QUERY_OP_CONNECTIONS:
		return QUERY_BATCH_BYTES_MAX;
	case QUERY_OP_CONFIG:
		return QUERY_CONFIG_BYTES_MAX;
	case QUERY_OP_UNREGISTER:
		return QUERY_ERROR_BYTES_MAX;
	case QUERY_OP_NAMES:
		return QUERY_NAMES_BYTES_MAX;
	case QUERY_OP_SNAPSHOT:
	case QUERY_OP_STATUS:
	case QUERY_OP_RECORD:
	case QUERY_OP_RECORD_END:
	case QUERY_OP_DNS:
	case QUERY_OP_AUDIT:
		break;
	}
	return QUERY_ANSWER_BYTES_MAX;
}

static size_t answer_some(struct query *query, const struct query_source *source,
			  const char *request, size_t length, bool clients_only,
			  const struct query_room *room, const char **answer)
{
	size_t bytes = QUERY_ERROR_BYTES_MAX;
	enum query_error error;
	struct json json;
	char *memory;

	source->metrics->value[METRIC_QUERY_REQUESTS]++;
	error = query_request_parse(&query->request, request, length, query->message);
	if (error == QUERY_ERROR_NONE && clients_only && !is_clients(query->request.op)) {
		strcpy(query->message, "only clients are answered here");
		error = QUERY_ERROR_UNKNOWN_OP;
	}
	if (error == QUERY_ERROR_NONE)
		bytes = bytes_of(query->request.op);
	memory = room->get(room->ctx, bytes);
	if (!memory)
		return 0;
	json_init(&json, memory, bytes);
	if (error == QUERY_ERROR_NONE)
		error = answer_request(&json, query, source);
	if (error != QUERY_ERROR_NONE) {
		source->metrics->value[METRIC_QUERY_REFUSED]++;
		write_error(&json, query, error);
	}
	*answer = memory;
	return json_length(&json);
}

size_t query_answer(struct query *query, const struct query_source *source, const char *request,
		    size_t length, const struct query_room *room, const char **answer)
{
	return answer_some(query, source, request, length, false, room, answer);
}

size_t query_answer_client(struct query *query, const struct query_source *source,
			   const char *request, size_t length, const struct query_room *room,
			   const char **answer)
{
	return answer_some(query, source, request, length, true, room, answer);
}

static char *room_in_message(void *ctx, size_t bytes)
{
	return bus_reply_begin(ctx, bytes);
}

int query_serve(struct query *query, struct bus *bus, const struct query_source *source)
{
	const struct query_room room = {.ctx = bus, .get = room_in_message};
	int served;

	for (served = 0; served < QUERY_SERVE_MAX; served++) {
		const char *request;
		const char *answer;
		size_t length;
		int result = bus_receive(bus, &request, &length);

		if (result == -EAGAIN)
			break;
		if (result < 0)
			return result;
		length = query_answer(query, source, request, length, &room, &answer);
		/* A client that left, or that does not read, is its own problem. */
		if (length > 0)
			bus_reply(bus, length);
	}
	return served;
}
