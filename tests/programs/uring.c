/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring COUNT PORT BYTES: a child accepts, reads and answers by io_uring; the parent connects, writes
 * BYTES and reads them back by io_uring, COUNT times. No connect(), accept(), send() or recv()
 * system call is made. Prints "CLIENT-PID SERVER-PID" when all is done.
 */
#include "helper.h"

#include <liburing.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static struct io_uring ring;
static char buffer[65536];

/* Submits the one prepared request and returns its result. */
static int complete(void)
{
	struct io_uring_cqe *done;
	int result;

	CHECK(io_uring_submit(&ring));
	errno = -io_uring_wait_cqe(&ring, &done);
	if (errno) {
		perror("io_uring_wait_cqe");
		exit(1);
	}
	result = done->res;
	io_uring_cqe_seen(&ring, done);
	if (result < 0) {
		fprintf(stderr, "io_uring: %s\n", strerror(-result));
		exit(1);
	}
	return result;
}

static void send_all(int fd, unsigned size)
{
	unsigned sent = 0;

	while (sent < size) {
		io_uring_prep_send(io_uring_get_sqe(&ring), fd, buffer + sent, size - sent, 0);
		sent += (unsigned)complete();
	}
}

/* Returns fewer bytes than asked for only at the stream's end. */
static unsigned receive_all(int fd, unsigned size)
{
	unsigned taken = 0;

	while (taken < size) {
		int n;

		io_uring_prep_recv(io_uring_get_sqe(&ring), fd, buffer + taken, size - taken, 0);
		n = complete();
		if (n == 0)
			break;
		taken += (unsigned)n;
	}
	return taken;
}

static void serve(int listener, unsigned count, unsigned size)
{
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL));
	CHECK(io_uring_queue_init(8, &ring, 0));
	for (unsigned i = 0; i < count; i++) {
		int fd;

		io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
		fd = complete();
		send_all(fd, receive_all(fd, size));
		if (receive_all(fd, 1) != 0)
			exit(1);
		io_uring_prep_close(io_uring_get_sqe(&ring), fd);
		complete();
	}
	exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	unsigned count;
	unsigned size;
	int listener;
	pid_t child;
	int status;

	if (argc != 4) {
		fprintf(stderr, "usage: uring COUNT PORT BYTES\n");
		return 2;
	}
	count = number_argument(argv[1], 1, 1000000);
	address.sin_port = htons((uint16_t)number_argument(argv[2], 1, 65535));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	size = number_argument(argv[3], 1, sizeof(buffer));
	listener = CHECK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)));
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	CHECK(listen(listener, 128));
	child = CHECK(fork());
	if (child == 0)
		serve(listener, count, size);
	CHECK(close(listener));
	CHECK(io_uring_queue_init(8, &ring, 0));
	for (unsigned i = 0; i < count; i++) {
		const int fd = CHECK(socket(AF_INET, SOCK_STREAM, 0));

		io_uring_prep_connect(io_uring_get_sqe(&ring), fd, (struct sockaddr *)&address,
				      sizeof(address));
		complete();
		send_all(fd, size);
		if (receive_all(fd, size) != size)
			return 1;
		io_uring_prep_close(io_uring_get_sqe(&ring), fd);
		complete();
	}
	CHECK(waitpid(child, &status, 0));
	if (status != 0)
		return 1;
	printf("%d %d\n", getpid(), child);
	return 0;
}
