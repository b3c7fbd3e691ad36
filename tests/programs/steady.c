/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steady RATE SECONDS THREADS: so many connections per second over loopback to addresses of 127.77/16,
 * every fourth one with bytes, which are read to the last one. Prints what was made and written:
 *
 *   connections bytes seconds
 *
 * bytes are those of both ends together. A thread that falls behind catches up as fast as it can.
 */
#include "helper.h"

#include <pthread.h>
#include <time.h>

#define THREADS_MAX 16
#define ADDRESSES 200
#define ADDRESS_FIRST 0x7f4d0001U /* 127.77.0.1 */
#define PORT_FIRST 7100
#define BYTES_MAX 64

struct worker {
	pthread_t thread;
	unsigned number;
	uint64_t made;
	uint64_t bytes;
};

static double rate;
static double seconds;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct sockaddr_in address_of(unsigned index, unsigned port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(ADDRESS_FIRST + index % ADDRESSES),
	};
}

static int listen_at(unsigned port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	const int fd = CHECK(socket(AF_INET, SOCK_STREAM, 0)), on = 1;

	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	CHECK(listen(fd, 64));
	return fd;
}

/* Writes at one end and reads at the other. */
static void move(int from, int to, size_t size)
{
	char buffer[BYTES_MAX] = {0};
	size_t left = size;

	CHECK(send(from, buffer, size, 0));
	while (left > 0)
		left -= (size_t)CHECK(recv(to, buffer, left, 0));
}

static void connect_once(struct worker *worker, int listener, unsigned port)
{
	const unsigned turn = (unsigned)worker->made;
	const struct sockaddr_in peer = address_of(turn, port);
	const size_t there = turn % 4 ? 0 : 1 + turn / 4 % BYTES_MAX;
	const size_t back = turn % 16 ? 0 : 1 + turn / 16 % BYTES_MAX;
	const int client = CHECK(socket(AF_INET, SOCK_STREAM, 0));
	int server;

	CHECK(connect(client, (const struct sockaddr *)&peer, sizeof(peer)));
	server = CHECK(accept(listener, NULL, NULL));
	if (there)
		move(client, server, there);
	if (back)
		move(server, client, back);
	close(client);
	close(server);
	worker->made++;
	worker->bytes += there + back;
}

static void *run(void *context)
{
	struct worker *worker = context;
	const unsigned port = PORT_FIRST + worker->number;
	const int listener = listen_at(port);
	const double began = now(), end = began + seconds;

	while (now() < end) {
		const uint64_t due = (uint64_t)((now() - began) * rate);

		while (worker->made < due && now() < end)
			connect_once(worker, listener, port);
		usleep(1000);
	}
	close(listener);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	uint64_t made = 0, bytes = 0;
	unsigned threads;
	double began;

	if (argc != 4) {
		fprintf(stderr, "usage: steady RATE SECONDS THREADS\n");
		return 2;
	}
	threads = number_argument(argv[3], 1, THREADS_MAX);
	rate = (double)number_argument(argv[1], 1, 1000000) / threads;
	seconds = number_argument(argv[2], 1, 3600);
	began = now();
	for (unsigned i = 0; i < threads; i++) {
		workers[i].number = i;
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
			return 1;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		made += workers[i].made;
		bytes += workers[i].bytes;
	}
	printf("%llu %llu %.3f\n", (unsigned long long)made, (unsigned long long)bytes,
	       now() - began);
	return 0;
}
