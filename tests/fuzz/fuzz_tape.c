/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a tape: the first byte says whether they are a whole file, or what follows a valid header
 * and configuration. What comes out must be messages, the same ones each time, and an error must tell
 * a place within the input. Built with PLANTED_BUG one in four that are played to their end comes out
 * differently the second time, none of the seeds among them.
 */
#include "common/json_scan.h"
#include "tests/fuzz/invariant.h"
#include "tests/unit/example_tape.h"
#include "worker/publish/conn_events.h"

#include <errno.h>
#include <inttypes.h>

/* Small tables: full ones are reached, and a sanitizer has little to do when they go. */
#define CONFIG                                                                              \
	"{\"state\":{\"max_connections\":64,\"max_closed_buffered\":64,\"max_clients\":2}," \
	"\"nat\":{\"max_entries\":64},"                                                     \
	"\"dns\":{\"max_names\":64,\"max_stats\":64,\"max_in_flight\":64}}"

struct ends {
	const uint8_t *data;
	size_t size;
	size_t at;
	uint64_t digest;
};

static ssize_t fill(void *ctx, void *buffer, size_t capacity)
{
	struct ends *ends = ctx;
	size_t length = ends->size - ends->at;

	if (length > capacity)
		length = capacity;
	memcpy(buffer, ends->data + ends->at, length);
	ends->at += length;
	return (ssize_t)length;
}

static int send_message(void *ctx, const char *bytes, size_t length)
{
	static const char *const topics[] = {"conn.v1 ", "dns.v1 ", "names.v1 "};
	struct ends *ends = ctx;
	struct json_scan_error wrong;
	size_t topic = 0;

	INVARIANT(length <= EVENT_BYTES_MAX);
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		if (length > strlen(topics[i]) && memcmp(bytes, topics[i], strlen(topics[i])) == 0)
			topic = strlen(topics[i]);
	}
	/* The answer to a client that asked is an object alone. */
	INVARIANT(topic > 0 || (length > 0 && bytes[0] == '{'));
	INVARIANT(json_scan_check(bytes + topic, length - topic, &wrong) == 0);
	ends->digest = ends->digest * 31 + tape_digest(bytes, length);
	return 0;
}

/* Returns a number that stands for all that came out. */
static uint64_t play(const uint8_t *data, size_t size, int *result)
{
	struct ends ends = {.data = data, .size = size};
	const struct replay_ends replay = {.ctx = &ends, .fill = fill, .send = send_message};
	char error[REPLAY_ERROR_BYTES] = "";
	struct metrics metrics;
	uint64_t offset;

	*result = replay_run(&replay, &metrics, error);
	INVARIANT(*result == 0 || *result == -EBADMSG);
	if (*result == -EBADMSG)
		INVARIANT(sscanf(error, "byte %" SCNu64 ": ", &offset) == 1 && offset <= size);
	return ends.digest + tape_digest(error, strlen(error)) +
	       metrics.value[METRIC_SNAPSHOT_RECORDS];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct example_tape tape;
	uint64_t first, second;
	int result, again;

	if (size == 0)
		return 0;
	if (data[0] & 1)
		example_tape_begin(&tape, CONFIG);
	else
		tape = (struct example_tape){.bytes = {.text = NULL}};
	example_bytes_add(&tape.bytes, data + 1, size - 1);
	first = play((const uint8_t *)tape.bytes.text, tape.bytes.length, &result);
	second = play((const uint8_t *)tape.bytes.text, tape.bytes.length, &again);
#ifdef PLANTED_BUG
	second += result == 0 && first % 4 == 3;
#endif
	INVARIANT(result == again);
	INVARIANT(first == second);
	example_tape_free(&tape);
	return 0;
}
