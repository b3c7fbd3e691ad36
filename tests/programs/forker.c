/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forker PORT WORKERS: a server whose parent process listens and whose children, named
 * "acceptor", accept. Each connection is answered with what it sent until it ends; a line
 * "PID PEER-PORT BYTES" is printed for it. "listening PID" comes first. Ends with its standard
 * input.
 */
#include "helper.h"

#include <signal.h>
#include <sys/prctl.h>

static void work(int listener)
{
	static char buffer[65536];

	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL));
	CHECK(prctl(PR_SET_NAME, "acceptor"));
	for (;;) {
		struct sockaddr_in peer;
		socklen_t length = sizeof(peer);
		const int fd = CHECK(accept(listener, (struct sockaddr *)&peer, &length));
		size_t total = 0;
		ssize_t n;

		while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
			if (CHECK(write(fd, buffer, (size_t)n)) != n)
				exit(1);
			total += (size_t)n;
		}
		printf("%d %u %zu\n", getpid(), ntohs(peer.sin_port), total);
		CHECK(fflush(stdout));
		CHECK(close(fd));
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	unsigned workers;
	int listener;
	char byte;

	if (argc != 3) {
		fprintf(stderr, "usage: forker PORT WORKERS\n");
		return 2;
	}
	address.sin_port = htons((uint16_t)number_argument(argv[1], 1, 65535));
	workers = number_argument(argv[2], 1, 64);
	listener = CHECK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)));
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	CHECK(listen(listener, 128));
	printf("listening %d\n", getpid());
	CHECK(fflush(stdout));
	for (unsigned i = 0; i < workers; i++) {
		if (CHECK(fork()) == 0)
			work(listener);
	}
	if (read(STDIN_FILENO, &byte, 1) < 0)
		return 1;
	return 0;
}
