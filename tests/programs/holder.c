/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder COUNT PORT: makes COUNT connections over loopback to a child process and keeps them.
 * Connection I comes from its own source address; the client wrote I % 1000 + 1 bytes and the
 * server twice as many, all of which was read. Prints "ready CLIENT-PID SERVER-PID" and ends, closing
 * everything, when its standard input ends.
 */
#include "helper.h"

#include <signal.h>
#include <sys/prctl.h>

#define MOST 200000U

static char buffer[4096];
static int connections[MOST];

static size_t size_of(unsigned index)
{
	return index % 1000 + 1;
}

static void write_all(int fd, size_t size)
{
	if (CHECK(write(fd, buffer, size)) != (ssize_t)size)
		exit(1);
}

static void read_all(int fd, size_t size)
{
	while (size > 0)
		size -= (size_t)CHECK(read(fd, buffer, size));
}

static void serve(int listener, unsigned count)
{
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL));
	for (unsigned i = 0; i < count; i++) {
		connections[i] = CHECK(accept(listener, NULL, NULL));
		read_all(connections[i], size_of(i));
		write_all(connections[i], 2 * size_of(i));
	}
	/* The first client to close ends the program: all are closed together. */
	if (read(connections[0], buffer, 1) < 0)
		exit(1);
	exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in target = {.sin_family = AF_INET};
	unsigned count;
	int listener;
	pid_t child;

	if (argc != 3) {
		fprintf(stderr, "usage: holder COUNT PORT\n");
		return 2;
	}
	count = number_argument(argv[1], 1, MOST);
	target.sin_port = htons((uint16_t)number_argument(argv[2], 1, 65535));
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	allow_descriptors(count + 64);

	listener = CHECK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)));
	CHECK(bind(listener, (struct sockaddr *)&target, sizeof(target)));
	CHECK(listen(listener, 128));
	child = CHECK(fork());
	if (child == 0)
		serve(listener, count);
	CHECK(close(listener));
	for (unsigned i = 0; i < count; i++) {
		const struct sockaddr_in source = {.sin_family = AF_INET,
						   .sin_addr.s_addr = htonl(loopback_address(i))};

		connections[i] = CHECK(socket(AF_INET, SOCK_STREAM, 0));
		CHECK(bind(connections[i], (const struct sockaddr *)&source, sizeof(source)));
		CHECK(connect(connections[i], (struct sockaddr *)&target, sizeof(target)));
		write_all(connections[i], size_of(i));
		read_all(connections[i], 2 * size_of(i));
	}
	printf("ready %d %d\n", getpid(), child);
	CHECK(fflush(stdout));
	if (read(STDIN_FILENO, buffer, 1) < 0)
		return 1;
	return 0;
}
