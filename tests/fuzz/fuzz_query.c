/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request. Every answer must be strict JSON within its bound, and a request that is
 * refused must not have asked the kernel for anything. Built with PLANTED_BUG a refused request
 * with a filter does.
 */
#include "common/json_scan.h"
#include "tests/fuzz/invariant.h"
#include "tests/unit/example_conn.h"
#include "tests/unit/example_room.h"
#include "worker/publish/query.h"

#include <errno.h>
#include <string.h>

#define CONNECTIONS 200

static struct conn_record record;
static unsigned asked;

static int refresh(void *ctx)
{
	(void)ctx;
	asked++;
	return 0;
}

static size_t next_slot(void *ctx, size_t slot, struct conn_view *view)
{
	(void)ctx;
	if (slot >= CONNECTIONS)
		return 0;
	record = example_record();
	record.id = slot;
	*view = example_view(&record);
	return slot + 1;
}

static void update(void *ctx)
{
	(void)ctx;
	asked++;
}

static int record_begin(void *ctx, uint32_t *id)
{
	(void)ctx;
	asked++;
	*id = 1;
	return 0;
}

static int record_end(void *ctx, uint32_t id)
{
	(void)ctx;
	return id == 1 ? 0 : -ESTALE;
}

static long record_read(void *ctx, uint32_t id, uint64_t offset, uint8_t *bytes, size_t capacity,
			bool *over)
{
	(void)ctx;
	if (id != 1 || offset > 100000)
		return -ESTALE;
	memset(bytes, 'x', capacity);
	*over = offset == 100000;
	return (long)capacity;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct worker_facts facts = {.version = "1"};
	static struct metrics metrics;
	static struct config config;
	static const struct query_source source = {
		.refresh = refresh,
		.next = next_slot,
		.update = update,
		.metrics = &metrics,
		.facts = &facts,
		.recordings = {.begin = record_begin, .end = record_end, .read = record_read},
		.config = &config,
	};
	static struct query *query;
	struct json_scan_error wrong;
	const char *answer;
	size_t length;
	/* A block of exactly that length, so that the sanitizer sees a read beyond it. */
	char *request = malloc(size ? size : 1);

	if (!request || (!query && query_new(&query) < 0)) {
		free(request);
		return 0;
	}
	memcpy(request, data, size);
	config_default(&config);
	asked = 0;
	length = query_answer(query, &source, request, size, &example_room, &answer);
	INVARIANT(length <= QUERY_ANSWER_BYTES_MAX);
	INVARIANT(json_scan_check(answer, length, &wrong) == 0);
	if (strncmp(answer, "{\"ok\":false,\"error\":\"", 21) == 0) {
#ifdef PLANTED_BUG
		asked += memmem(request, size, "\"filter\"", 8) != NULL;
#endif
		INVARIANT(asked == 0);
	} else {
		INVARIANT(strncmp(answer, "{\"ok\":true,", 11) == 0);
		INVARIANT(asked <= 1);
	}
	free(request);
	return 0;
}
