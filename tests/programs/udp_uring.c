/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_uring COUNT PORT BYTES: sends COUNT datagrams to a socket of its own at PORT and reads them, both by
 * io_uring; no send() or recv() system call is made. Prints "PID LOCAL-PORT" of the sending socket.
 */
#include "helper.h"

#include <liburing.h>

static struct io_uring ring;
static char buffer[65536];

/* Submits the one prepared request; its result must be this. */
static void complete(int expected)
{
	struct io_uring_cqe *done;

	CHECK(io_uring_submit(&ring));
	errno = -io_uring_wait_cqe(&ring, &done);
	if (errno || done->res != expected) {
		fprintf(stderr, "io_uring: %s\n", strerror(errno ? errno : -done->res));
		exit(1);
	}
	io_uring_cqe_seen(&ring, done);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	unsigned count, size;
	int receiver, sender;

	if (argc != 4) {
		fprintf(stderr, "usage: udp_uring COUNT PORT BYTES\n");
		return 2;
	}
	count = number_argument(argv[1], 1, 1000000);
	address.sin_port = htons((uint16_t)number_argument(argv[2], 1, 65535));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	size = number_argument(argv[3], 1, 65507);
	receiver = CHECK(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK(bind(receiver, (struct sockaddr *)&address, sizeof(address)));
	sender = CHECK(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK(connect(sender, (struct sockaddr *)&address, sizeof(address)));
	CHECK(getsockname(sender, (struct sockaddr *)&address, &length));
	CHECK(io_uring_queue_init(8, &ring, 0));
	for (unsigned i = 0; i < count; i++) {
		io_uring_prep_send(io_uring_get_sqe(&ring), sender, buffer, size, 0);
		complete((int)size);
		io_uring_prep_recv(io_uring_get_sqe(&ring), receiver, buffer, sizeof(buffer), 0);
		complete((int)size);
	}
	printf("%d %u\n", getpid(), ntohs(address.sin_port));
	return 0;
}
