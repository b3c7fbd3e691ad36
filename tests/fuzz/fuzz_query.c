/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a conversation of clients with a live engine. Each line is
 *
 *   !XYXY...   moves of the world behind the queries, two characters each (query_world.h)
 *   else       a request, any bytes. In it $A stands for the number of the batch that was told last and
 *              $P for the last page that was promised, so that wrong requests get far
 *
 * Every answer must be strict JSON within its bound. A request that is refused must have asked the kernel
 * for nothing and must leave every client as it was. What each client has acknowledged must add up to
 * exactly what was counted since it registered. Built with PLANTED_BUG a refused acknowledgement is
 * taken all the same.
 */
#include "common/json_scan.h"
#include "tests/fuzz/invariant.h"
#include "tests/fuzz/query_world.h"
#include "tests/unit/example_room.h"
#include "worker/publish/query.h"

#include <errno.h>
#include <inttypes.h>

#define CONVERSATION_MAX 512 /* lines that are looked at */

/* What a client was told, read from the answers alone. */
struct listener {
	uint64_t told_bytes;  /* by the running batch */
	uint64_t acked_bytes; /* by those that were acknowledged */
	uint64_t base_bytes;  /* that were counted when it registered */
	bool is_complete;
};

static struct world world;
static struct query *query;
static struct metrics metrics;
static struct config config;
static struct listener listeners[WORLD_CLIENTS];
static unsigned asked; /* of the kernel, or of the recorder */
static uint64_t last_batch;
static char last_page[QUERY_PAGE_BYTES + 1];

static int refresh(void *ctx)
{
	asked++;
	return world_refresh(ctx);
}

static size_t next_slot(void *ctx, size_t slot, struct conn_view *view)
{
	return engine_live_next(((struct world *)ctx)->engine, slot, view);
}

static void complete(void *ctx, struct conn_view *view)
{
	engine_complete(((struct world *)ctx)->engine, view);
}

static bool is_told(void *ctx, const struct conn_record *record)
{
	return engine_is_told(((struct world *)ctx)->engine, record);
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
	if (id != 1 || offset > 4000)
		return -ESTALE;
	*over = offset == 4000;
	capacity = capacity < 1000 ? capacity : 1000;
	memset(bytes, 'x', capacity);
	return (long)capacity;
}

static struct query_source source(void)
{
	static const struct worker_facts facts = {.version = "1"};

	return (struct query_source){
		.ctx = &world,
		.refresh = refresh,
		.next = next_slot,
		.update = update,
		.metrics = &metrics,
		.facts = &facts,
		.recordings = {.begin = record_begin, .end = record_end, .read = record_read},
		.batches =
			{
				.clients = &world.engine->clients,
				.table = &world.engine->state.table,
				.rollup = world.rollup,
				.ctx = &world,
				.refresh = refresh,
				.complete = complete,
				.is_told = is_told,
			},
		.now_ns = world.now_ns,
		.config = &config,
		.dns = &world.engine->dns,
		.wall = {1, 2},
	};
}

/* length is a multiple of 8, as that of all structs with an uint64_t in them is. */
static uint64_t mix(uint64_t digest, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, at + i, sizeof(word));
		digest = (digest ^ word) * 0x9e3779b97f4a7c15ULL;
		digest ^= digest >> 32;
	}
	return digest;
}

/* Stands for all that a request may change. */
static uint64_t digest_world(void)
{
	const struct clients *clients = &world.engine->clients;
	const struct conn_state *state = &world.engine->state;
	const uint64_t numbers[] = {clients->log.first, clients->log.next, clients->count,
				    state->pass, state->counts.closed};
	uint64_t digest = mix(0xcbf29ce484222325ULL, numbers, sizeof(numbers));

	for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
		const struct client *client = &clients->client[i];
		const struct overflow *overflow = &client->overflow;

		digest = mix(digest, client, offsetof(struct client, overflow));
		digest = mix(digest, overflow->rows, overflow->used * sizeof(overflow->rows[0]));
		digest = mix(digest, &client->unattributed_acked, 2 * sizeof(struct conn_sums));
	}
	return digest;
}

/* The number behind a key, which may be a string. */
static uint64_t number_at(const char *text)
{
	return strtoull(text + (*text == '"'), NULL, 10);
}

/* All sent_bytes of deltas; the answer is strict JSON, so nothing else looks like one. */
static uint64_t sum_of(const char *answer, size_t length)
{
	static const char key[] = "\"delta\":{\"sent_bytes\":";
	const char *at = answer, *end = answer + length;
	uint64_t sum = 0;

	while ((at = memmem(at, (size_t)(end - at), key, sizeof(key) - 1))) {
		at += sizeof(key) - 1;
		/* Below what a difference below zero would look like. */
		INVARIANT(number_at(at) < 1ULL << 60);
		sum += number_at(at);
	}
	return sum;
}

static void keep_page(const char *answer, size_t length)
{
	static const char key[] = "\"more\":\"";
	const char *more = memmem(answer, length, key, sizeof(key) - 1);

	if (more && (size_t)(answer + length - more) > sizeof(key) - 1 + QUERY_PAGE_BYTES)
		memcpy(last_page, more + sizeof(key) - 1, QUERY_PAGE_BYTES);
}

/* What a client did before the request, as far as it tells whose answer this is. */
struct before {
	char name[CLIENT_NAME_BYTES];
	uint64_t batch;
	uint64_t acked_batch;
	uint32_t page;
};

static void note_before(struct before *before)
{
	for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
		const struct client *client = &world.engine->clients.client[i];

		memcpy(before[i].name, client->name, sizeof(client->name));
		before[i].batch = client->batch;
		before[i].acked_batch = client->acked_batch;
		before[i].page = client->page;
	}
}

/* A piece of a batch: whose it is shows in who has moved on. */
static void hear_piece(const struct before *before, const char *answer, size_t length)
{
	const uint64_t sum = sum_of(answer, length);
	unsigned moved = 0;

	for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
		const struct client *client = &world.engine->clients.client[i];
		struct listener *listener = &listeners[i];

		if (client->batch == before[i].batch && client->page == before[i].page)
			continue;
		moved++;
		if (before[i].name[0] == '\0')
			*listener = (struct listener){.base_bytes = world_counted(&world)};
		if (client->acked_batch != before[i].acked_batch) {
			INVARIANT(client->acked_batch == before[i].batch && listener->is_complete);
			listener->acked_bytes += listener->told_bytes;
		}
		if (client->batch != before[i].batch)
			listener->told_bytes = 0;
		listener->told_bytes += sum;
		listener->is_complete = !memmem(answer, length, ",\"more\":", 8);
		INVARIANT(listener->is_complete == client->is_complete);
		last_batch = client->batch;
	}
	INVARIANT(moved == 1);
}

static void check_length(const char *answer, size_t length)
{
	if (strncmp(answer, "{\"ok\":true,\"batch\":", 19) == 0)
		INVARIANT(length <= QUERY_BATCH_BYTES_MAX);
	else if (strncmp(answer, "{\"ok\":true,\"config\":", 20) == 0)
		INVARIANT(length <= QUERY_CONFIG_BYTES_MAX);
	else
		INVARIANT(length <= QUERY_ANSWER_BYTES_MAX);
}

static bool answer_to(const char *request, size_t size, const char **answer, size_t *length)
{
	const struct query_source from = source();
	bool is_refused;

	*length = query_answer(query, &from, request, size, &example_room, answer);
	is_refused = strncmp(*answer, "{\"ok\":false,\"error\":\"", 21) == 0;
#ifdef PLANTED_BUG
	if (is_refused && memmem(request, size, "\"ack\"", 5) && world.engine->clients.count > 0)
		world.engine->clients.client[0].acked_batch++;
#endif
	return is_refused;
}

/* A block of exactly that length, so that the sanitizer sees a read beyond it. */
static void ask(const char *text, size_t size)
{
	const uint64_t refused = metrics.value[METRIC_QUERY_REFUSED];
	const uint64_t digest = digest_world();
	struct before before[WORLD_CLIENTS];
	struct json_scan_error wrong;
	char *request = malloc(size ? size : 1);
	const char *answer;
	size_t length;

	if (!request)
		return;
	memcpy(request, text, size);
	note_before(before);
	asked = 0;
	if (answer_to(request, size, &answer, &length)) {
		INVARIANT(digest_world() == digest);
		INVARIANT(asked == 0 || (world.is_busy && asked == 1));
		INVARIANT(metrics.value[METRIC_QUERY_REFUSED] == refused + 1);
	} else {
		INVARIANT(strncmp(answer, "{\"ok\":true", 10) == 0);
		INVARIANT(asked <= 1);
		INVARIANT(metrics.value[METRIC_QUERY_REFUSED] == refused);
		if (strncmp(answer, "{\"ok\":true,\"batch\":", 19) == 0)
			hear_piece(before, answer, length);
		keep_page(answer, length);
	}
	check_length(answer, length);
	INVARIANT(json_scan_check(answer, length, &wrong) == 0);
	INVARIANT(!memmem(answer, length, "\"" WORLD_EXCLUDED_IP, sizeof(WORLD_EXCLUDED_IP)));
	free(request);
}

/* Puts in what $A and $P stand for. */
static void ask_line(const char *line, size_t size)
{
	static char text[2 * QUERY_REQUEST_BYTES_MAX];
	size_t length = 0;

	for (size_t i = 0; i < size && length < sizeof(text) - QUERY_PAGE_BYTES - 1; i++) {
		const char next = i + 1 < size ? line[i + 1] : '\0';

		if (line[i] != '$' || (next != 'A' && next != 'P')) {
			text[length++] = line[i];
			continue;
		}
		i++;
		length += (size_t)(next == 'A' ? sprintf(text + length, "%" PRIu64, last_batch)
					       : sprintf(text + length, "%s", last_page));
	}
	fuzz_units++;
	ask(text, length);
}

/* All pieces of a client's next batch. */
static void fetch(uint32_t number, uint64_t ack)
{
	const struct client *client = &world.engine->clients.client[number];
	char request[256];
	int length = snprintf(request, sizeof(request),
			      ack ? "{\"op\":\"connections\",\"client\":\"%s\",\"ack\":%" PRIu64 "}"
				  : "{\"op\":\"connections\",\"client\":\"%s\"}",
			      client->name, ack);

	ask(request, (size_t)length);
	while (!client->is_complete) {
		length = snprintf(request, sizeof(request),
				  "{\"op\":\"connections\",\"client\":\"%s\",\"page\":\"%s\"}",
				  client->name, last_page);
		ask(request, (size_t)length);
	}
}

/* Everything closes, and whoever is registered fetches all that it is owed. */
static void settle(void)
{
	const struct clients *clients = &world.engine->clients;

	world.is_busy = false;
	world_close_all(&world);
	for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
		if (clients->client[i].name[0] == '\0')
			continue;
		fetch(i, 0);
		fetch(i, clients->client[i].batch);
		INVARIANT(listeners[i].told_bytes == 0);
		/* What the closes did not show may or may not have been told before. */
		INVARIANT(listeners[i].acked_bytes <=
			  world_counted(&world) - listeners[i].base_bytes);
		INVARIANT(listeners[i].acked_bytes + world.less_bytes >=
			  world_counted(&world) - listeners[i].base_bytes);
	}
}

const size_t fuzz_step_bytes = 0;
uint64_t fuzz_units;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data, *end = line + size;

	if (!query && query_new(&query) < 0)
		return 0;
	config_default(&config);
	memset(&metrics, 0, sizeof(metrics));
	memset(listeners, 0, sizeof(listeners));
	memset(last_page, 0, sizeof(last_page));
	last_batch = 0;
	world_open(&world);
	for (unsigned count = 0; count < CONVERSATION_MAX && line <= end; count++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		stop = stop ? stop : end;
		if (line < stop && *line == '!')
			world_move(&world, line + 1, (size_t)(stop - line - 1));
		else
			ask_line(line, (size_t)(stop - line));
		line = stop + 1;
	}
	settle();
	world_close(&world);
	return 0;
}
