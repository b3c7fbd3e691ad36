/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a close record costs in the worker, stage by stage.
 *
 *   bench_pipeline [rounds]
 *
 * Records come from perf rings in memory through the worker's intake into its engine; nothing of
 * the kernel is in these numbers. Each way adds a stage to the one before; ways take turns, so that
 * the machine's moods strike all alike, and the median of the rounds is told. Times are
 * processor time of all threads of this process.
 */
#include "common/clock.h"
#include "tests/bench/pipeline/machine.h"
#include "tests/bench/pipeline/rig.h"
#include "worker/publish/bus.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRECTORY "/tmp/sockwarden-bench-XXXXXX"
/* Records between two polls of each of the three clients. */
static const unsigned poll_every[] = {2048, 8192, MACHINE_RECORDS / 2};
#define CLIENTS 3

enum way {
	WAY_EXTRACT, /* rings to records */
	WAY_STATE,   /* and into the engine, without clients and subscribers */
	WAY_CLIENTS, /* and three clients take their deltas */
	WAY_JSON,    /* and everything is told to nobody who takes a copy */
	WAY_PUBLISH, /* and to one subscriber in another process */
	WAY_COUNT,
};

static const char *const way_names[WAY_COUNT] = {
	"extraction", "state", "deltas of three clients", "JSON", "sending to one subscriber",
};

struct bench {
	struct machine machine;
	struct engine *engine;
	struct metrics metrics;
	struct bus *bus;
	bool sends;
	uint64_t sent_bytes;
	uint64_t told; /* to clients */
	double ns[WAY_COUNT][RIG_ROUNDS_MAX];
};

static struct bench bench;

static int send_message(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	bench.sent_bytes += length;
	return bench.sends ? bus_publish(bench.bus, bytes, length) : 0;
}

/* A client takes everything that is new, without text, and acknowledges it with the next poll. */
static void poll_client(unsigned number)
{
	struct engine *engine = bench.engine;
	char name[] = {'c', (char)('0' + number), '\0'};
	struct client *client = clients_find(&engine->clients, name);
	const uint64_t ack = client ? client->batch : 0;
	struct conn_totals delta;
	struct conn_view view;
	int result = clients_begin(&engine->clients, name, ack, bench.machine.now_ns, &client);

	if (result < 0)
		rig_die(name, result);
	clients_overflow_told(&engine->clients, client);
	while (clients_closed_next(&engine->clients, client, &view)) {
		engine_complete(engine, &view);
		delta = conn_totals_of(view.record);
		if (view.previous)
			delta = conn_totals_since(&delta, view.previous);
		bench.told += delta.recv_packets > 0;
		clients_closed_told(client);
	}
	while (clients_live_next(&engine->clients, client, &engine->state.table, SIZE_MAX, &view))
		clients_live_told(client, &engine->state.table);
	clients_complete(client);
}

static void forget_clients(void)
{
	struct clients *clients = &bench.engine->clients;

	for (uint32_t i = 0; i < clients->settings.max_clients; i++) {
		if (clients->client[i].name[0] != '\0')
			clients_remove(clients, &clients->client[i]);
	}
}

/* All that is in the rings, one way. */
static uint64_t run(enum way way)
{
	struct machine *machine = &bench.machine;
	struct engine *engine = bench.engine;
	const struct conn_record *record;
	unsigned count = 0;
	uint64_t start;

	machine_fill(machine);
	bench.sends = way == WAY_PUBLISH;
	engine_tick(engine, machine->now_ns, RIG_WALL, way >= WAY_JSON);
	start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	batch_reader_begin(&machine->reader, UINT64_MAX);
	while ((record = batch_reader_next(&machine->reader))) {
		count++;
		if (way == WAY_EXTRACT)
			continue;
		engine_close(engine, record);
		for (unsigned i = 0; way >= WAY_CLIENTS && i < CLIENTS; i++) {
			if (count % poll_every[i] == 0)
				poll_client(i);
		}
	}
	engine_flush(engine, machine->now_ns, true);
	batch_reader_commit(&machine->reader, 0, 0);
	start = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	if (count != MACHINE_RECORDS)
		rig_die("records are missing", -EIO);
	return start;
}

/* The other process: takes all messages until it is killed. */
static void subscribe(const char *url)
{
	nng_socket socket;
	nng_msg *message;

	if (nng_sub0_open(&socket) || nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, "", 0) ||
	    nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0) || nng_dial(socket, url, NULL, 0))
		_exit(1);
	while (nng_recvmsg(socket, &message, 0) == 0)
		nng_msg_free(message);
	_exit(0);
}

static pid_t open_bus(const char *directory)
{
	char url[256];
	int ready[2], result;
	pid_t child;
	char byte;

	/* Forked before nng has threads. */
	snprintf(url, sizeof(url), "ipc://%s/" BUS_EVENTS_SOCKET, directory);
	if (pipe(ready) < 0)
		rig_die("pipe", -errno);
	child = fork();
	if (child < 0)
		rig_die("fork", -errno);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(ready[0], &byte, 1) == 1)
			subscribe(url);
		_exit(1);
	}
	result = bus_open(&bench.bus, directory, 8192);
	if (result < 0)
		rig_die("bus", result);
	if (write(ready[1], "x", 1) != 1)
		rig_die("pipe", -errno);
	while (!bus_has_subscribers(bench.bus))
		usleep(1000);
	return child;
}

static void report(double ns[WAY_COUNT])
{
	printf("%-28s %10s %10s %14s\n", "close records", "ns", "sum, ns", "records/s");
	for (unsigned way = 0; way < WAY_COUNT; way++)
		printf("%-28s %10.0f %10.0f %14.0f\n", way_names[way],
		       way > 0 ? ns[way] - ns[way - 1] : ns[way], ns[way], 1e9 / ns[way]);
}

static void bench_records(unsigned rounds)
{
	char directory[] = DIRECTORY;
	double ns[WAY_COUNT];
	pid_t child;

	if (!mkdtemp(directory))
		rig_die(directory, -errno);
	child = open_bus(directory);
	for (unsigned round = 0; round < rounds; round++) {
		for (enum way way = 0; way < WAY_COUNT; way++) {
			bench.ns[way][round] = (double)run(way) / MACHINE_RECORDS;
			/* Those without clients have none. */
			if (way == WAY_PUBLISH)
				forget_clients();
			if (way == WAY_PUBLISH)
				usleep(50000);
		}
	}
	for (unsigned way = 0; way < WAY_COUNT; way++)
		ns[way] = rig_median(bench.ns[way], rounds);
	report(ns);
	printf("told to clients: %llu, sent: %llu MiB\n\n", (unsigned long long)bench.told,
	       (unsigned long long)(bench.sent_bytes >> 20));
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	bus_close(bench.bus);
	rmdir(directory);
}

int main(int argc, char **argv)
{
	const unsigned rounds = rig_rounds(argc, argv, 21);

	if (machine_init(&bench.machine) < 0)
		rig_die("memory", -ENOMEM);
	bench.engine = rig_engine_new(&bench.metrics, send_message);
	bench_records(rounds);
	rig_engine_free(bench.engine);
	machine_fini(&bench.machine);
	return 0;
}
