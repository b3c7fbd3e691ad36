/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base64.h"
#include "common/json_scan.h"
#include "tests/unit/example_room.h"
#include "worker/publish/query.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TAPE_BYTES 200000
#define ID 0xabcdef01U

/* A tape that is there at once. */
static struct {
	uint8_t tape[TAPE_BYTES];
	bool begun;
	bool ended;
	int result;   /* of the next call, if not 0 */
	size_t taken; /* how far it was asked for */
} world;

static int begin(void *ctx, uint32_t *id)
{
	(void)ctx;
	if (world.result < 0)
		return world.result;
	world.begun = true;
	*id = ID;
	return 0;
}

static int end(void *ctx, uint32_t id)
{
	(void)ctx;
	if (id != ID)
		return -ESTALE;
	world.ended = true;
	return 0;
}

static long read_tape(void *ctx, uint32_t id, uint64_t offset, uint8_t *bytes, size_t capacity,
		      bool *over)
{
	size_t length = TAPE_BYTES - offset;

	(void)ctx;
	if (id != ID || offset > TAPE_BYTES)
		return -ESTALE;
	if (world.result < 0)
		return world.result;
	if (length > capacity)
		length = capacity;
	memcpy(bytes, world.tape + offset, length);
	world.taken = offset;
	*over = world.ended && offset + length == TAPE_BYTES;
	return (long)length;
}

static struct metrics metrics;
static struct dns dns; /* disabled */
static const struct query_source source = {
	.metrics = &metrics,
	.dns = &dns,
	.recordings = {.begin = begin, .end = end, .read = read_tape},
};

static struct query *query;

static void make_query(void)
{
	cr_assert_eq(query_new(&query), 0);
	for (size_t i = 0; i < TAPE_BYTES; i++)
		world.tape[i] = (uint8_t)(i * 7 + i / 251);
}

static void free_query(void)
{
	query_free(query);
}

TestSuite(query_record, .init = make_query, .fini = free_query);

static cJSON *ask(const char *request)
{
	struct json_scan_error wrong;
	const char *answer;
	size_t length =
		query_answer(query, &source, request, strlen(request), &example_room, &answer);
	cJSON *root;

	cr_assert_leq(length, QUERY_ANSWER_BYTES_MAX);
	cr_assert_eq(json_scan_check(answer, length, &wrong), 0, "%s", wrong.message);
	root = cJSON_ParseWithLength(answer, length);
	cr_assert_not_null(root);
	return root;
}

static const char *string(const cJSON *answer, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(answer, key));
}

static void expect_refusal(const char *request, const char *error, const char *message)
{
	cJSON *answer = ask(request);

	cr_expect_str_eq(string(answer, "error"), error);
	cr_expect_str_eq(string(answer, "message"), message);
	cJSON_Delete(answer);
}

Test(query_record, hands_out_the_whole_tape_piece_by_piece)
{
	static uint8_t got[TAPE_BYTES + 65536];
	char request[128] = "{\"op\":\"record\"}";
	size_t length = 0;
	unsigned pieces = 0;
	bool more = true;

	while (more && pieces < 20) {
		cJSON *answer = ask(request);
		const char *data = string(answer, "data");
		const char *token = string(answer, "more");
		long decoded;

		cr_assert_not_null(data);
		decoded = base64_decode(got + length, data, strlen(data));
		cr_assert_geq(decoded, 0);
		length += (size_t)decoded;
		more = token != NULL;
		pieces++;
		/* Asked again without an end, it gives what there is: nothing. */
		if (more)
			snprintf(request, sizeof(request), "{\"op\":\"%s\",\"page\":\"%s\"}",
				 decoded == 0 ? "record_end" : "record", token);
		cJSON_Delete(answer);
	}
	cr_expect(world.begun);
	cr_expect(world.ended);
	cr_expect_eq(pieces, 7, "five with data, an empty one, and the one that ends it: %u",
		     pieces);
	cr_assert_eq(length, TAPE_BYTES);
	cr_expect_arr_eq(got, world.tape, TAPE_BYTES);
	cr_expect_eq(world.taken, TAPE_BYTES);
}

Test(query_record, says_why_there_is_no_recording)
{
	world.result = -EBUSY;
	expect_refusal("{\"op\":\"record\"}", "busy", "a recording is being made already");
	world.result = -EOVERFLOW;
	expect_refusal("{\"op\":\"record\",\"page\":\"0000000000000000abcdef01\"}", "too_large",
		       "the recording was not fetched as fast as it grew, and is lost");
	world.result = 0;
	expect_refusal("{\"op\":\"record\",\"page\":\"0000000000000000abcdef02\"}", "bad_request",
		       "the page is not one of a recording that is being made");
	expect_refusal("{\"op\":\"record_end\",\"page\":\"0000000000000000abcdef02\"}",
		       "bad_request", "the page is not one of a recording that is being made");
	expect_refusal("{\"op\":\"record\",\"page\":\"0\"}", "bad_request",
		       "the page is not one that was given");
	expect_refusal("{\"op\":\"record_end\"}", "bad_request", "\"page\" is missing");
	expect_refusal("{\"op\":\"record\",\"filter\":\"\"}", "bad_request",
		       "\"record\" has no key \"filter\"");
	cr_expect_not(world.ended);
}
