/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client's poll costs the worker, its text and its way through the query socket included.
 *
 *   bench_poll [rounds]
 *
 * Another process asks, as a client does, and takes the whole batch, piece by piece. Told is the processor
 * time of all threads of this process, in which the worker's code answers; medians of the rounds.
 */
#include "tests/bench/pipeline/machine.h"
#include "tests/bench/pipeline/rig.h"
#include "worker/publish/bus.h"
#include "worker/publish/query.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRECTORY "/tmp/sockwarden-bench-XXXXXX"
#define MORE ",\"more\":\""

struct bench {
	struct metrics metrics;
	struct engine *engine;
	struct query *query;
	struct bus *bus;
	uint64_t now_ns;
	uint64_t next_id;
	int orders[2]; /* to the client: a byte for each batch */
	int reports[2];
	pid_t client;
};

struct report {
	uint64_t bytes;
	uint64_t connections;
};

static struct bench bench = {.now_ns = 1000000000000, .next_id = 1};

static int send_message(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	(void)bytes;
	(void)length;
	return 0;
}

static int refresh(void *ctx)
{
	(void)ctx;
	return 0;
}

static void complete(void *ctx, struct conn_view *view)
{
	engine_complete(ctx, view);
}

static bool is_told(void *ctx, const struct conn_record *record)
{
	return engine_is_told(ctx, record);
}

static uint64_t count_connections(const char *text)
{
	uint64_t count = 0;

	while ((text = strstr(text, "{\"id\":"))) {
		count++;
		text++;
	}
	return count;
}

/* --- the client, in a process of its own --- */

/* Exchanges one request for its answer, NUL-terminated; the caller frees it. */
static char *exchange(nng_socket socket, const char *request, size_t *length)
{
	char *text;
	void *answer;

	if (nng_send(socket, (void *)(uintptr_t)request, strlen(request), 0) ||
	    nng_recv(socket, &answer, length, NNG_FLAG_ALLOC))
		_exit(1);
	text = strndup(answer, *length);
	nng_free(answer, *length);
	if (!text)
		_exit(1);
	return text;
}

/* Takes a whole batch that acknowledges the one before, 0: none. Returns its number. */
static unsigned long take_batch(nng_socket socket, unsigned long ack, struct report *report)
{
	char request[160] = "{\"op\":\"connections\",\"client\":\"c\"}";
	unsigned long batch = 0;

	if (ack > 0)
		snprintf(request, sizeof(request),
			 "{\"op\":\"connections\",\"client\":\"c\",\"ack\":%lu}", ack);
	for (;;) {
		size_t length;
		char *answer = exchange(socket, request, &length);
		const char *tail = answer + length - QUERY_PAGE_BYTES - strlen(MORE) - 2;
		const bool more = memcmp(tail, MORE, strlen(MORE)) == 0;

		if (sscanf(answer, "{\"ok\":true,\"batch\":%lu", &batch) != 1) {
			fprintf(stderr, "bench_poll: %s: %s\n", request, answer);
			_exit(1);
		}
		report->bytes += length;
		report->connections += count_connections(answer);
		if (more)
			snprintf(request, sizeof(request),
				 "{\"op\":\"connections\",\"client\":\"c\",\"page\":\"%.*s\"}",
				 QUERY_PAGE_BYTES, tail + strlen(MORE));
		free(answer);
		if (!more)
			return batch;
	}
}

/* For each byte that comes takes a batch, of a new client if it is an 'n'. */
static void be_client(const char *url)
{
	unsigned long batch = 0;
	nng_socket socket;
	char order;

	if (nng_req0_open(&socket) || nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0) ||
	    nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK)) /* again, until somebody listens */
		_exit(1);
	while (read(bench.orders[0], &order, 1) == 1) {
		struct report report = {0};

		batch = take_batch(socket, order == 'n' ? 0 : batch, &report);
		if (write(bench.reports[1], &report, sizeof(report)) != sizeof(report))
			break;
	}
	_exit(0);
}

/* --- the worker --- */

/* Lets the client take a batch and answers it. */
static struct report serve_batch(char order)
{
	const struct query_source source = {
		.metrics = &bench.metrics,
		.batches =
			{
				.clients = &bench.engine->clients,
				.table = &bench.engine->state.table,
				.ctx = bench.engine,
				.refresh = refresh,
				.complete = complete,
				.is_told = is_told,
			},
		.now_ns = bench.now_ns,
		.wall = RIG_WALL,
	};
	struct pollfd waits[] = {
		{.fd = bus_query_fd(bench.bus), .events = POLLIN},
		{.fd = bench.reports[0], .events = POLLIN},
	};
	struct report report;

	if (write(bench.orders[1], &order, 1) != 1)
		rig_die("client", -errno);
	for (;;) {
		if (poll(waits, 2, 10000) <= 0)
			rig_die("client", -ETIMEDOUT);
		if (waits[1].revents)
			break;
		query_serve(bench.query, bench.bus, &source);
	}
	if (read(bench.reports[0], &report, sizeof(report)) != sizeof(report))
		rig_die("client", -EIO);
	return report;
}

/* All live connections move, so many others close. */
static void move(uint32_t live, uint32_t closed)
{
	struct engine *engine = bench.engine;
	struct conn_record record;

	bench.now_ns++;
	engine_tick(engine, bench.now_ns, RIG_WALL, false);
	for (uint32_t i = 0; i < closed; i++) {
		record = machine_record(bench.next_id++, bench.now_ns);
		engine_close(engine, &record);
	}
	engine_pass_begin(engine, bench.now_ns, 0);
	for (uint32_t id = 1; id <= live; id++) {
		record = machine_record(1ULL << 40 | id, bench.now_ns);
		record.kind = RECORD_KIND_SNAPSHOT;
		record.sent_bytes += bench.now_ns;
		engine_seen(engine, &record);
	}
	engine_pass_end(engine, bench.now_ns);
}

static void bench_size(uint32_t live, uint32_t closed, unsigned rounds)
{
	static double ms[RIG_ROUNDS_MAX];
	struct report report;

	bench.engine = rig_engine_new(&bench.metrics, send_message);
	move(live, 0);
	serve_batch('n');
	for (unsigned round = 0; round < rounds; round++) {
		uint64_t start;

		move(live, closed);
		start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		report = serve_batch('a');
		ms[round] = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / 1e6;
		if (report.connections != (uint64_t)live + closed)
			rig_die("connections are missing in the batch", -EIO);
	}
	printf("%10u %10u %12.1f %10.1f\n", live, closed, rig_median(ms, rounds),
	       (double)report.bytes / (1 << 20));
	rig_engine_free(bench.engine);
}

static void start_client(const char *directory)
{
	char url[256];

	snprintf(url, sizeof(url), "ipc://%s/" BUS_QUERY_SOCKET, directory);
	if (pipe(bench.orders) < 0 || pipe(bench.reports) < 0)
		rig_die("pipe", -errno);
	/* Before nng has threads here. */
	bench.client = fork();
	if (bench.client < 0)
		rig_die("fork", -errno);
	if (bench.client == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "client");
		be_client(url);
	}
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[][2] = {{65536, 65536}, {65536, 0}, {0, 65536}, {1000, 1000}};
	const unsigned rounds = rig_rounds(argc, argv, 15);
	char directory[] = DIRECTORY;
	int result;

	if (!mkdtemp(directory))
		rig_die(directory, -errno);
	start_client(directory);
	result = bus_open(&bench.bus, directory, 64);
	if (result < 0)
		rig_die("bus", result);
	if (query_new(&bench.query) < 0)
		rig_die("memory", -ENOMEM);
	printf("%10s %10s %12s %10s\n", "live", "closed", "a poll, ms", "MiB");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		bench_size(sizes[i][0], sizes[i][1], rounds);
	kill(bench.client, SIGTERM);
	waitpid(bench.client, NULL, 0);
	query_free(bench.query);
	bus_close(bench.bus);
	rmdir(directory);
	return 0;
}
