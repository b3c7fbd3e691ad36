/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load MODE SECONDS THREADS: traffic over loopback, as fast as it goes; prints what was done per second.
 *
 *   churn     connect, accept, close, close: connections. Each thread is its own client and server.
 *   pingpong  64 bytes there and back on one connection: round trips.
 *   bulk      one connection, written to without pause: MiB.
 *
 * Destinations take turns among many addresses of 127/8, so that ports do not run out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define DESTINATIONS 200
#define PING_BYTES 64
#define BLOCK_BYTES (1 << 20)
#define PORT_FIRST 20000

struct worker {
	pthread_t thread;
	unsigned number;
	uint64_t done;
};

static atomic_bool is_over;
static void *(*run)(void *);

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_at(unsigned port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 64) < 0)
		fail("listen");
	return fd;
}

static int connect_to(unsigned destination, unsigned port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + destination),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect");
	return fd;
}

static void *run_churn(void *context)
{
	struct worker *worker = context;
	const unsigned port = PORT_FIRST + worker->number;
	const int listener = listen_at(port);

	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		const int client = connect_to((unsigned)(worker->done % DESTINATIONS), port);
		const int server = accept(listener, NULL, NULL);

		if (server < 0)
			fail("accept");
		close(client);
		close(server);
		worker->done++;
	}
	close(listener);
	return NULL;
}

static void move(ssize_t (*call)(int, void *, size_t, int), int fd, char *buffer)
{
	size_t moved = 0;

	while (moved < PING_BYTES) {
		const ssize_t n = call(fd, buffer + moved, PING_BYTES - moved, 0);

		if (n <= 0)
			fail("ping");
		moved += (size_t)n;
	}
}

static ssize_t send_some(int fd, void *buffer, size_t size, int flags)
{
	return send(fd, buffer, size, flags);
}

static void *run_pingpong(void *context)
{
	struct worker *worker = context;
	const unsigned port = PORT_FIRST + worker->number;
	const int listener = listen_at(port);
	const int client = connect_to(0, port);
	const int server = accept(listener, NULL, NULL);
	char buffer[PING_BYTES] = {0};

	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		move(send_some, client, buffer);
		move(recv, server, buffer);
		move(send_some, server, buffer);
		move(recv, client, buffer);
		worker->done++;
	}
	close(client);
	close(server);
	close(listener);
	return NULL;
}

static void *drain(void *context)
{
	char *block = malloc(BLOCK_BYTES);

	while (block && read(*(const int *)context, block, BLOCK_BYTES) > 0)
		;
	free(block);
	return NULL;
}

static void *run_bulk(void *context)
{
	struct worker *worker = context;
	const unsigned port = PORT_FIRST + worker->number;
	const int listener = listen_at(port);
	const int client = connect_to(0, port);
	int server = accept(listener, NULL, NULL);
	char *block = calloc(1, BLOCK_BYTES);
	uint64_t total = 0;
	pthread_t reader;

	if (!block || pthread_create(&reader, NULL, drain, &server) != 0)
		fail("bulk");
	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		const ssize_t n = write(client, block, BLOCK_BYTES);

		if (n < 0)
			fail("write");
		total += (uint64_t)n;
	}
	worker->done = total >> 20;
	close(client);
	pthread_join(reader, NULL);
	close(server);
	close(listener);
	free(block);
	return NULL;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	double seconds, began, took;
	unsigned threads;
	uint64_t done = 0;

	if (argc == 4)
		run = strcmp(argv[1], "churn") == 0	 ? run_churn
		      : strcmp(argv[1], "pingpong") == 0 ? run_pingpong
		      : strcmp(argv[1], "bulk") == 0	 ? run_bulk
							 : NULL;
	if (!run) {
		fprintf(stderr, "usage: load churn|pingpong|bulk SECONDS THREADS\n");
		return 2;
	}
	seconds = strtod(argv[2], NULL);
	threads = (unsigned)strtoul(argv[3], NULL, 10);
	if (seconds <= 0 || threads < 1 || threads > THREADS_MAX)
		return 2;
	began = now();
	for (unsigned i = 0; i < threads; i++) {
		workers[i].number = i;
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
			fail("thread");
	}
	usleep((useconds_t)(seconds * 1e6));
	atomic_store(&is_over, true);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
	}
	took = now() - began;
	printf("%llu %.6f\n", (unsigned long long)done, took);
	return 0;
}
