/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers requests: one JSON object in, one out, at once.
 *
 *   {"op":"snapshot","filter":EXPR?,"page":TOKEN?}
 *       -> {"ok":true,"connections":[...]}            all live connections, or
 *       -> {"ok":true,"connections":[...],"more":TOKEN}   there are more: ask again with the
 *          same filter and the page; a page may be empty
 *   {"op":"connections"}, {"op":"unregister"} -> worker/publish/query_batch.h
 *   {"op":"names"}, {"op":"dns"} -> worker/publish/query_dns.h
 *   {"op":"status"} -> worker/status.h
 *   {"op":"audit"} -> worker/publish/audit_json.h
 *   {"op":"record"}, {"op":"record_end"} -> worker/publish/query_record.h
 *   {"op":"config"} -> {"ok":true,"config":{...}}   what the worker runs with: every key
 *   else -> {"ok":false,"error":WORD,"message":"..."}   WORD: bad_request, unknown_op,
 *          too_many_clients, too_large, busy
 *
 * Keys that an operation does not have are refused, so that a misspelt filter is not ignored.
 * The kernel is asked for a fresh snapshot only for a first page. A token says where to go on and
 * for which filter it was given; nothing is kept for it here, so that a client that never comes
 * back costs nothing. A request is judged by its size, then by json_scan_check(), before any
 * general parser sees it; a request that is refused changes nothing.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_QUERY_H
#define SOCKWARDEN_WORKER_PUBLISH_QUERY_H

#include "common/clock.h"
#include "common/config/write.h"
#include "worker/conn/view.h"
#include "worker/dns/dns.h"
#include "worker/facts.h"
#include "worker/metrics.h"
#include "worker/publish/bus.h"
#include "worker/publish/query_batch.h"
#include "worker/publish/query_record.h"

#include <stddef.h>
#include <stdint.h>

/* A longer request is too_large; one over BUS_REQUEST_BYTES_MAX is not even read. */
#define QUERY_REQUEST_BYTES_MAX 16384
#define QUERY_ANSWER_BYTES_MAX 65536
/* But for that of config, which is not paged, and the pieces of a client's batch. */
#define QUERY_CONFIG_BYTES_MAX (CONFIG_JSON_BYTES_MAX + 64)
#define QUERY_LONGEST_BYTES                                                      \
	(QUERY_CONFIG_BYTES_MAX > QUERY_BATCH_BYTES_MAX ? QUERY_CONFIG_BYTES_MAX \
							: QUERY_BATCH_BYTES_MAX)
#define QUERY_ERROR_BYTES_MAX 2048
/* Requests that are answered in one go, so that the rings are looked at in between. */
#define QUERY_SERVE_MAX 16

/* Where answers come from; all of it is the caller's. */
struct query_source {
	void *ctx;
	/* Takes a fresh snapshot into the table. Returns 0 or -errno (the client is told "busy"). */
	int (*refresh)(void *ctx);
	/*
	 * Sets *view to the first live connection at or after slot and returns its slot + 1, or
	 * returns 0 if there is none. *view is good until the next call.
	 */
	size_t (*next)(void *ctx, size_t slot, struct conn_view *view);
	/* Brings *metrics and *facts up to date, with a fresh snapshot where one can be had. */
	void (*update)(void *ctx);
	struct metrics *metrics; /* query.* are counted here */
	const struct worker_facts *facts;
	struct query_recordings recordings;
	struct query_batches batches;
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	const struct config *config;
	struct dns *dns;
	struct clock_offsets wall;
};

struct query;

/* Returns 0 and the caller owns *query, or -ENOMEM. */
int query_new(struct query **query);
void query_free(struct query *query);

/* Where an answer is written: get gives memory for bytes, once an answer, or NULL. */
struct query_room {
	void *ctx;
	char *(*get)(void *ctx, size_t bytes);
};

/*
 * Answers one request, which may be any bytes. Returns the answer's length and sets *answer, which
 * is in the room; 0 if there was none.
 */
size_t query_answer(struct query *query, const struct query_source *source, const char *request,
		    size_t length, const struct query_room *room, const char **answer);

/* The same of clients' operations only: whatever else is asked for is refused. */
size_t query_answer_client(struct query *query, const struct query_source *source,
			   const char *request, size_t length, const struct query_room *room,
			   const char **answer);

/*
 * Answers the requests that wait on the bus, at most QUERY_SERVE_MAX. Returns how many, or
 * -errno if the bus is broken.
 */
int query_serve(struct query *query, struct bus *bus, const struct query_source *source);

#endif
