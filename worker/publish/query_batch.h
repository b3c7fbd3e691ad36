/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of clients (worker/conn/clients.h):
 *
 *   {"op":"connections","client":NAME,"ack":N?}
 *       -> {"ok":true,"batch":N,"overflow":[...],"connections":[...],"more":TOKEN?}
 *   {"op":"connections","client":NAME,"page":TOKEN}
 *       -> the batch's next piece, as above; overflow is empty
 *   {"op":"unregister","client":NAME} -> {"ok":true}
 *
 * A batch is complete with the answer that has no "more"; from then on its number can be acknowledged,
 * with the request for the next one. A piece is given once: who has lost one begins again
 * without an ack, and gets all of it under a new number.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_QUERY_BATCH_H
#define SOCKWARDEN_WORKER_PUBLISH_QUERY_BATCH_H

#include "common/clock.h"
#include "common/json.h"
#include "worker/conn/clients.h"
#include "worker/publish/query_request.h"
#include "worker/publish/rollup.h"

#include <stdbool.h>

/* A piece is at most this long. */
#define QUERY_BATCH_BYTES_MAX 262144

/* Where batches come from; all of it is the caller's. */
struct query_batches {
	struct clients *clients;
	const struct conn_table *table;
	bool rollup;
	void *ctx;
	/* Takes a fresh snapshot into the table. Returns 0 or -errno (the client is told "busy"). */
	int (*refresh)(void *ctx);
	/* Fills in what is known of a connection beyond its record. */
	void (*complete)(void *ctx, struct conn_view *view);
	/* Whether a live connection is to be told. */
	bool (*is_told)(void *ctx, const struct conn_record *record);
};

/* Answers QUERY_OP_CONNECTIONS; rollup is memory for as long as it takes, message is for an error's text. */
enum query_error query_batch_answer(struct json *json, const struct query_request *request,
				    const struct query_batches *batches, struct rollup *rollup,
				    uint64_t now_ns, struct clock_offsets wall,
				    char message[static QUERY_MESSAGE_BYTES]);

/* Answers QUERY_OP_UNREGISTER. */
enum query_error query_batch_unregister(struct json *json, const struct query_request *request,
					const struct query_batches *batches,
					char message[static QUERY_MESSAGE_BYTES]);

#endif
