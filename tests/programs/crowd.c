/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many peers of one UDP socket, as QUIC has them.
 *
 *   crowd serve IP PORT                    answers each datagram with one of half its size, on one socket
 *   crowd peers IP PORT COUNT MS_BETWEEN   COUNT sockets take turns to send one, so many ms apart, and read
 *                                          the answers
 *
 * Both say "ready", go on until their standard input ends and wait for what is on its way. Then they
 * print what they wrote and read, a line for each pair of ends:
 *
 *   IP PORT IP PORT sent_bytes sent_packets recv_bytes recv_packets
 */
#include "helper.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>

#define PEERS_MAX 4096
#define BYTES_MAX 1200
#define READ_MAX 64
#define LINGER_MS 1500 /* for answers on a busy machine */

struct peer {
	struct sockaddr_storage address;
	int fd;
	uint64_t sent_bytes, sent_packets, recv_bytes, recv_packets;
};

static struct peer peers[PEERS_MAX];
static unsigned used;

static socklen_t parse(const char *ip, const char *port, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
	const uint16_t number = htons((uint16_t)number_argument(port, 1, 65535));

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = number;
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, ip, &six->sin6_addr) != 1) {
		fprintf(stderr, "no address: %s\n", ip);
		exit(2);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = number;
	return sizeof(*six);
}

static void print_end(const struct sockaddr_storage *address)
{
	char ip[INET6_ADDRSTRLEN];
	const bool is_six = address->ss_family == AF_INET6;
	const void *bytes =
		is_six ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
		       : (const void *)&((const struct sockaddr_in *)address)->sin_addr;

	inet_ntop(address->ss_family, bytes, ip, sizeof(ip));
	/* The port is at the same place in both. */
	printf("%s %u ", ip, ntohs(((const struct sockaddr_in *)address)->sin_port));
}

static void print(const struct sockaddr_storage *local, const struct peer *peer)
{
	print_end(local);
	print_end(&peer->address);
	printf("%llu %llu %llu %llu\n", (unsigned long long)peer->sent_bytes,
	       (unsigned long long)peer->sent_packets, (unsigned long long)peer->recv_bytes,
	       (unsigned long long)peer->recv_packets);
}

/* A socket whose queue is long, so that the kernel drops nothing. */
static int open_socket(int family)
{
	const int bytes = 8 << 20;
	const int fd = CHECK(socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0));

	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)));
	return fd;
}

static struct peer *peer_of(const struct sockaddr_storage *address, socklen_t length)
{
	for (unsigned i = 0; i < used; i++) {
		if (memcmp(&peers[i].address, address, length) == 0)
			return &peers[i];
	}
	if (used == PEERS_MAX) {
		fprintf(stderr, "too many peers\n");
		exit(1);
	}
	peers[used].address = *address;
	return &peers[used++];
}

/* Waits where what was sent before has not left yet. */
static void send_whole(int fd, const void *bytes, size_t count, const struct sockaddr_storage *to,
		       socklen_t length)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};

	while (sendto(fd, bytes, count, 0, (const struct sockaddr *)to, length) < 0) {
		if (errno != EAGAIN)
			CHECK(-1);
		CHECK(poll(&writable, 1, -1));
	}
}

static void answer_all(int fd)
{
	char buffer[BYTES_MAX];

	for (;;) {
		struct sockaddr_storage from = {0};
		socklen_t length = sizeof(from);
		const ssize_t got =
			recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);
		struct peer *peer;

		if (got < 0)
			return;
		peer = peer_of(&from, length);
		peer->recv_bytes += (uint64_t)got;
		peer->recv_packets++;
		send_whole(fd, buffer, (size_t)got / 2, &from, length);
		peer->sent_bytes += (uint64_t)got / 2;
		peer->sent_packets++;
	}
}

static void serve(const struct sockaddr_storage *address, socklen_t length)
{
	const int fd = open_socket(address->ss_family);
	struct pollfd waiting[2] = {{.fd = fd, .events = POLLIN},
				    {.fd = STDIN_FILENO, .events = POLLIN}};

	CHECK(bind(fd, (const struct sockaddr *)address, length));
	puts("ready");
	fflush(stdout);
	while (!waiting[1].revents) {
		CHECK(poll(waiting, 2, -1));
		answer_all(fd);
	}
	waiting[1].fd = -1;
	while (CHECK(poll(waiting, 2, LINGER_MS)) > 0)
		answer_all(fd);
	for (unsigned i = 0; i < used; i++)
		print(address, &peers[i]);
}

static void read_answers(int epoll, int timeout_ms)
{
	struct epoll_event ready[READ_MAX];
	char buffer[BYTES_MAX];
	const int count = CHECK(epoll_wait(epoll, ready, READ_MAX, timeout_ms));

	for (int i = 0; i < count; i++) {
		struct peer *peer = ready[i].data.ptr;
		ssize_t got;

		while ((got = recv(peer->fd, buffer, sizeof(buffer), 0)) >= 0) {
			peer->recv_bytes += (uint64_t)got;
			peer->recv_packets++;
		}
	}
}

static int64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void send_one(struct peer *peer, unsigned turn)
{
	static const char bytes[BYTES_MAX];
	const size_t size = 2 + (turn * 7919U) % (BYTES_MAX - 2);

	send_whole(peer->fd, bytes, size, NULL, 0);
	peer->sent_bytes += size;
	peer->sent_packets++;
}

static void be_peers(const struct sockaddr_storage *address, socklen_t length, unsigned between_ms)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	const int epoll = CHECK(epoll_create1(0));
	int64_t next_ms = now_ms(), end_ms;

	allow_descriptors(used + 16);
	for (unsigned i = 0; i < used; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &peers[i]};

		peers[i].address = *address;
		peers[i].fd = open_socket(address->ss_family);
		CHECK(connect(peers[i].fd, (const struct sockaddr *)address, length));
		CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event));
	}
	puts("ready");
	fflush(stdout);
	/* Each had its turn at least once, however early the end comes. */
	for (unsigned turn = 0; turn < used || poll(&input, 1, 0) == 0; turn++) {
		send_one(&peers[turn % used], turn);
		next_ms += between_ms;
		do {
			const int64_t left = next_ms - now_ms();

			read_answers(epoll, left > 0 ? (int)left : 0);
		} while (now_ms() < next_ms);
	}
	end_ms = now_ms() + LINGER_MS;
	while (now_ms() < end_ms)
		read_answers(epoll, 50);
	for (unsigned i = 0; i < used; i++) {
		struct sockaddr_storage local = {0};
		socklen_t size = sizeof(local);

		CHECK(getsockname(peers[i].fd, (struct sockaddr *)&local, &size));
		print(&local, &peers[i]);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address;
	socklen_t length;

	if (argc == 4 && strcmp(argv[1], "serve") == 0) {
		length = parse(argv[2], argv[3], &address);
		serve(&address, length);
		return 0;
	}
	if (argc == 6 && strcmp(argv[1], "peers") == 0) {
		length = parse(argv[2], argv[3], &address);
		used = number_argument(argv[4], 1, PEERS_MAX);
		be_peers(&address, length, number_argument(argv[5], 0, 1000));
		return 0;
	}
	fprintf(stderr, "usage: crowd serve IP PORT | crowd peers IP PORT COUNT MS_BETWEEN\n");
	return 2;
}
