/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load MODE SECONDS THREADS: datagrams over loopback, as fast as it goes; prints what was done and the
 * seconds that it took.
 *
 *   dns       a new socket for each question: 40 bytes asked, 120 answered by another process: queries.
 *   alone     the same, but the asking thread answers itself: queries without a change of task.
 *   pingpong  64 bytes there and back between two sockets that stay, in one thread: round trips.
 *   bulk      1,400 bytes from one socket to another and read there, in one thread: datagrams.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define PORT_FIRST 20000
#define QUESTION_BYTES 40
#define ANSWER_BYTES 120
#define PING_BYTES 64
#define BULK_BYTES 1400
#define BULK_AT_A_TIME 16

struct worker {
	pthread_t thread;
	unsigned number;
	uint64_t done;
};

static atomic_bool is_over;

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in address_of(const struct worker *worker)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)(PORT_FIRST + worker->number)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int server_of(const struct worker *worker)
{
	const struct sockaddr_in address = address_of(worker);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");
	return fd;
}

static int client_of(const struct worker *worker)
{
	const struct sockaddr_in address = address_of(worker);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect");
	return fd;
}

static void put(int fd, size_t bytes)
{
	char buffer[BULK_BYTES] = {0};

	if (send(fd, buffer, bytes, 0) != (ssize_t)bytes)
		fail("send");
}

static void get(int fd, size_t bytes)
{
	char buffer[BULK_BYTES];

	if (recv(fd, buffer, sizeof(buffer), 0) != (ssize_t)bytes)
		fail("recv");
}

static void answer(int server)
{
	char buffer[BULK_BYTES] = {0};
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);

	if (recvfrom(server, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer, &length) < 0 ||
	    sendto(server, buffer, ANSWER_BYTES, 0, (struct sockaddr *)&peer, length) < 0)
		fail("answer");
}

/* A process that answers, and ends with this one. */
static pid_t start_server(const struct worker *worker)
{
	const int server = server_of(worker);
	const pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			answer(server);
	}
	close(server);
	return pid;
}

static bool goes_on(void)
{
	return !atomic_load_explicit(&is_over, memory_order_relaxed);
}

static void *run_dns(void *context)
{
	struct worker *worker = context;

	while (goes_on()) {
		const int client = client_of(worker);

		put(client, QUESTION_BYTES);
		get(client, ANSWER_BYTES);
		close(client);
		worker->done++;
	}
	return NULL;
}

static void *run_alone(void *context)
{
	struct worker *worker = context;
	const int server = server_of(worker);

	while (goes_on()) {
		const int client = client_of(worker);

		put(client, QUESTION_BYTES);
		answer(server);
		get(client, ANSWER_BYTES);
		close(client);
		worker->done++;
	}
	close(server);
	return NULL;
}

static void *run_pingpong(void *context)
{
	struct worker *worker = context;
	const int server = server_of(worker), client = client_of(worker);
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);

	if (getsockname(client, (struct sockaddr *)&peer, &length) < 0 ||
	    connect(server, (const struct sockaddr *)&peer, length) < 0)
		fail("connect");
	while (goes_on()) {
		put(client, PING_BYTES);
		get(server, PING_BYTES);
		put(server, PING_BYTES);
		get(client, PING_BYTES);
		worker->done++;
	}
	close(client);
	close(server);
	return NULL;
}

static void *run_bulk(void *context)
{
	struct worker *worker = context;
	const int server = server_of(worker), client = client_of(worker);

	while (goes_on()) {
		for (int i = 0; i < BULK_AT_A_TIME; i++)
			put(client, BULK_BYTES);
		for (int i = 0; i < BULK_AT_A_TIME; i++)
			get(server, BULK_BYTES);
		worker->done += BULK_AT_A_TIME;
	}
	close(client);
	close(server);
	return NULL;
}

static const struct {
	const char *name;
	void *(*run)(void *);
	bool has_servers;
} modes[] = {
	{"dns", run_dns, true},
	{"alone", run_alone, false},
	{"pingpong", run_pingpong, false},
	{"bulk", run_bulk, false},
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	static pid_t servers[THREADS_MAX];
	const unsigned threads = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	uint64_t done = 0;
	double start;
	size_t mode = 0;

	while (argc == 4 && mode < sizeof(modes) / sizeof(modes[0]) &&
	       strcmp(argv[1], modes[mode].name) != 0)
		mode++;
	if (threads < 1 || threads > THREADS_MAX || mode == sizeof(modes) / sizeof(modes[0])) {
		fprintf(stderr, "usage: load dns|alone|pingpong|bulk SECONDS THREADS\n");
		return 2;
	}
	for (unsigned i = 0; i < threads; i++) {
		workers[i].number = i;
		if (modes[mode].has_servers)
			servers[i] = start_server(&workers[i]);
	}
	start = now_s();
	for (unsigned i = 0; i < threads; i++)
		pthread_create(&workers[i].thread, NULL, modes[mode].run, &workers[i]);
	usleep((useconds_t)(atof(argv[2]) * 1e6));
	atomic_store(&is_over, true);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
	}
	printf("%llu %f\n", (unsigned long long)done, now_s() - start);
	for (unsigned i = 0; i < threads && modes[mode].has_servers; i++) {
		kill(servers[i], SIGKILL);
		waitpid(servers[i], NULL, 0);
	}
	return 0;
}
