/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/query_record.h"

#include "common/base64.h"
#include "worker/publish/query.h"

#include <errno.h>
#include <string.h>

/* Base64 makes 64,000 characters of it. */
#define PIECE_BYTES 48000

_Static_assert(BASE64_LENGTH(PIECE_BYTES) + 128 < QUERY_ANSWER_BYTES_MAX,
	       "an answer holds a piece");

static enum query_error refuse(char message[static QUERY_MESSAGE_BYTES], int error)
{
	switch (error) {
	case -EBUSY:
		query_say(message, "a recording is being made already");
		return QUERY_ERROR_BUSY;
	case -EOVERFLOW:
		query_say(message, "the recording was not fetched as fast as it grew, and is lost");
		return QUERY_ERROR_TOO_LARGE;
	default:
		query_say(message, "the page is not one of a recording that is being made");
		return QUERY_ERROR_BAD_REQUEST;
	}
}

static void write_data(struct json *json, const uint8_t *bytes, size_t length)
{
	const size_t characters = BASE64_LENGTH(length);

	JSON_TEXT(json, ",\"data\":\"");
	if (json_room(json, characters)) {
		base64_encode(json->at, bytes, length);
		json->at += characters;
	}
	JSON_TEXT(json, "\"");
}

enum query_error query_record_answer(struct json *json, const struct query_request *request,
				     const struct query_recordings *recordings,
				     char message[static QUERY_MESSAGE_BYTES])
{
	static uint8_t piece[PIECE_BYTES];
	uint64_t offset = request->slot;
	uint32_t id = request->recording;
	char token[QUERY_PAGE_BYTES + 1];
	bool over = false;
	int result = 0;
	long length;

	if (request->first_page)
		result = recordings->begin(recordings->ctx, &id);
	else if (request->op == QUERY_OP_RECORD_END)
		result = recordings->end(recordings->ctx, id);
	if (result < 0)
		return refuse(message, result);
	length = recordings->read(recordings->ctx, id, offset, piece, sizeof(piece), &over);
	if (length < 0)
		return refuse(message, (int)length);
	JSON_TEXT(json, "{\"ok\":true");
	write_data(json, piece, (size_t)length);
	if (!over) {
		query_page_format(token, offset + (uint64_t)length, id);
		JSON_TEXT(json, ",\"more\":");
		json_word(json, token);
	}
	JSON_TEXT(json, "}");
	return QUERY_ERROR_NONE;
}
