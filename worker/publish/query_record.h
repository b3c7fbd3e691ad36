/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations that make a recording and hand it out, a piece at a time:
 *
 *   {"op":"record"}                  begins: {"ok":true,"data":BASE64,"more":TOKEN}
 *   {"op":"record","page":TOKEN}     goes on, as above; data may be empty; what came before the token is
 *                                    not kept any longer
 *   {"op":"record_end","page":TOKEN} ends the tape, then as above, until an answer has no more
 *
 * The pieces, put together, are a tape (worker/tape/tape.h).
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_QUERY_RECORD_H
#define SOCKWARDEN_WORKER_PUBLISH_QUERY_RECORD_H

#include "common/json.h"
#include "worker/publish/query_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where recordings come from; as worker/recording.h says. */
struct query_recordings {
	void *ctx;
	int (*begin)(void *ctx, uint32_t *id);
	int (*end)(void *ctx, uint32_t id);
	long (*read)(void *ctx, uint32_t id, uint64_t offset, uint8_t *bytes, size_t capacity,
		     bool *over);
};

/* Answers QUERY_OP_RECORD and QUERY_OP_RECORD_END; message is for an error's text. */
enum query_error query_record_answer(struct json *json, const struct query_request *request,
				     const struct query_recordings *recordings,
				     char message[static QUERY_MESSAGE_BYTES]);

#endif
