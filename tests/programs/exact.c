/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exact FAMILY COUNT FIRST PORT: makes COUNT connections to itself, one after the other, each from
 * a source address of its own, exchanges an exact number of bytes and closes in one of the orders
 * below. One line per connection goes to stdout:
 *
 *   index source-address source-port order client-wrote server-wrote
 *
 * FAMILY is 4, 6 (source fd00:5::INDEX+1 by a local route) or mapped (IPv4 in IPv6 sockets).
 * Both ends live in one thread, so that the program knows when the kernel has delivered and
 * acknowledged everything and the numbers do not depend on timing.
 */
#include "helper.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>

enum order {
	CLIENT_FIRST,
	SERVER_FIRST,
	BOTH, /* neither waits for the other's FIN */
	CLIENT_RESET,
	SERVER_RESET,
	CLIENT_UNREAD, /* closes with data that it has not read: the kernel sends RST */
	SERVER_UNREAD,
	HALF_CLOSED, /* the client shuts its side down before the server answers */
	ORDERS,
};

static const char *const order_names[ORDERS] = {
	"client_first", "server_first",	 "both",	  "client_reset",
	"server_reset", "client_unread", "server_unread", "half_closed",
};

enum family {
	FAMILY_4,
	FAMILY_6,
	FAMILY_MAPPED,
};

static char buffer[65536];

static bool would_block(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Moves size bytes from one end to the other; both are non-blocking. */
static void pump(int from, int to, size_t size)
{
	size_t written = 0;
	size_t taken = 0;

	while (taken < size) {
		ssize_t n = 0;
		ssize_t m;

		if (written < size) {
			n = write(from, buffer, size - written);
			if (!would_block(n))
				written += (size_t)CHECK(n);
		}
		m = read(to, buffer, sizeof(buffer));
		if (!would_block(m))
			taken += (size_t)CHECK(m);
		if (n <= 0 && m <= 0) {
			struct pollfd waiting = {.fd = to, .events = POLLIN};

			CHECK(poll(&waiting, 1, 1000));
		}
	}
}

/* Writes without reading at the other end, until it all lies there and is acknowledged. */
static void deliver(int from, int to, size_t size)
{
	int there = 0;
	int left = 1;

	if (CHECK(write(from, buffer, size)) != (ssize_t)size) {
		fprintf(stderr, "a short write of %zu bytes\n", size);
		exit(1);
	}
	while (there != (int)size || left != 0) {
		CHECK(ioctl(to, FIONREAD, &there));
		CHECK(ioctl(from, SIOCOUTQ, &left));
		if (left != 0)
			usleep(200);
	}
}

/* Waits until the peer has acknowledged everything that was written. */
static void wait_acknowledged(int fd)
{
	int left = 1;

	for (;;) {
		CHECK(ioctl(fd, SIOCOUTQ, &left));
		if (left == 0)
			return;
		usleep(200);
	}
}

/* Waits for the peer's end; a reset counts as one. */
static void read_end(int fd)
{
	for (;;) {
		struct pollfd waiting = {.fd = fd, .events = POLLIN};
		const ssize_t n = read(fd, buffer, 1);

		if (n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))
			return;
		if (n > 0) {
			fprintf(stderr, "more data than expected\n");
			exit(1);
		}
		if (!would_block(n))
			CHECK(n);
		CHECK(poll(&waiting, 1, 1000));
	}
}

static void close_with_reset(int fd)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	CHECK(close(fd));
}

static void finish(enum order order, int client, int server, size_t client_size, size_t server_size)
{
	if (order == HALF_CLOSED) {
		pump(client, server, client_size);
		CHECK(shutdown(client, SHUT_WR));
		read_end(server);
		pump(server, client, server_size);
		CHECK(close(server));
		read_end(client);
		CHECK(close(client));
		return;
	}
	if (order == SERVER_UNREAD)
		deliver(client, server, client_size);
	else
		pump(client, server, client_size);
	if (order == CLIENT_UNREAD)
		deliver(server, client, server_size);
	else
		pump(server, client, server_size);
	if (order != CLIENT_FIRST && order != SERVER_FIRST && order != BOTH) {
		wait_acknowledged(client);
		wait_acknowledged(server);
	}
	switch (order) {
	case CLIENT_FIRST:
	case CLIENT_UNREAD:
		CHECK(close(client));
		read_end(server);
		CHECK(close(server));
		break;
	case SERVER_FIRST:
	case SERVER_UNREAD:
		CHECK(close(server));
		read_end(client);
		CHECK(close(client));
		break;
	case BOTH:
		CHECK(close(client));
		CHECK(close(server));
		break;
	case CLIENT_RESET:
		close_with_reset(client);
		read_end(server);
		CHECK(close(server));
		break;
	case SERVER_RESET:
		close_with_reset(server);
		read_end(client);
		CHECK(close(client));
		break;
	case HALF_CLOSED:
	case ORDERS:
		break;
	}
}

static socklen_t make_address(enum family family, unsigned index, unsigned port, bool is_source,
			      struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	const uint32_t ip = htonl(is_source ? loopback_address(index) : INADDR_LOOPBACK);

	memset(address, 0, sizeof(*address));
	if (family == FAMILY_4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		v4->sin_addr.s_addr = ip;
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	if (family == FAMILY_MAPPED) {
		v6->sin6_addr.s6_addr[10] = 0xff;
		v6->sin6_addr.s6_addr[11] = 0xff;
		memcpy(&v6->sin6_addr.s6_addr[12], &ip, sizeof(ip));
	} else if (is_source) {
		const uint32_t tail = htonl(index + 1);

		v6->sin6_addr.s6_addr[0] = 0xfd;
		v6->sin6_addr.s6_addr[3] = 5;
		memcpy(&v6->sin6_addr.s6_addr[12], &tail, sizeof(tail));
	} else {
		v6->sin6_addr = in6addr_loopback;
	}
	return sizeof(*v6);
}

/* The address as text, IPv4-mapped as IPv4, and the port. */
static unsigned local_name(int fd, char text[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	const struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

	CHECK(getsockname(fd, (struct sockaddr *)&address, &length));
	if (address.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, text, INET6_ADDRSTRLEN);
		return ntohs(v4->sin_port);
	}
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, text, INET6_ADDRSTRLEN);
	return ntohs(v6->sin6_port);
}

/* A size that depends on nothing but the connection's number. */
static size_t size_of(unsigned index, unsigned side, enum order order)
{
	static const size_t sizes[] = {0, 1, 5, 64, 1000, 1448, 4096, 12345, 40000, 65536};
	const unsigned pick = (index / ORDERS) * 7U + side * 3U + index;
	const size_t size = sizes[pick % (sizeof(sizes) / sizeof(sizes[0]))];
	const bool is_unread = (order == CLIENT_UNREAD && side == 1) ||
			       (order == SERVER_UNREAD && side == 0);

	/* What nobody reads must fit into a socket's first buffer, and must be something. */
	return is_unread ? size % 8192 + 1 : size;
}

int main(int argc, char **argv)
{
	enum family family;
	unsigned count;
	unsigned first;
	unsigned port;
	int listener;
	struct sockaddr_storage target;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
	socklen_t target_length;

	if (argc != 5) {
		fprintf(stderr, "usage: exact 4|6|mapped COUNT FIRST PORT\n");
		return 2;
	}
	family = strcmp(argv[1], "4") == 0   ? FAMILY_4
		 : strcmp(argv[1], "6") == 0 ? FAMILY_6
					     : FAMILY_MAPPED;
	count = number_argument(argv[2], 1, 1U << 23);
	first = number_argument(argv[3], 0, 1U << 23);
	port = number_argument(argv[4], 1, 65535);

	listener = CHECK(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
	CHECK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)));
	any.sin6_port = htons((uint16_t)port);
	CHECK(bind(listener, (struct sockaddr *)&any, sizeof(any)));
	CHECK(listen(listener, 16));
	target_length = make_address(family, 0, port, false, &target);

	for (unsigned index = first; index < first + count; index++) {
		const enum order order = (enum order)(index % ORDERS);
		const size_t client_size = size_of(index, 0, order);
		const size_t server_size = size_of(index, 1, order);
		char text[INET6_ADDRSTRLEN];
		struct sockaddr_storage source;
		const socklen_t source_length = make_address(family, index, 0, true, &source);
		int client = CHECK(socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
		unsigned source_port;
		int server;

		if (family == FAMILY_6)
			CHECK(setsockopt(client, IPPROTO_IPV6, IPV6_FREEBIND, &(int){1},
					 sizeof(int)));
		CHECK(bind(client, (struct sockaddr *)&source, source_length));
		CHECK(connect(client, (struct sockaddr *)&target, target_length));
		server = CHECK(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
		CHECK(fcntl(client, F_SETFL, O_NONBLOCK));
		source_port = local_name(client, text);
		finish(order, client, server, client_size, server_size);
		printf("%u %s %u %s %zu %zu\n", index, text, source_port, order_names[order],
		       client_size, server_size);
	}
	return 0;
}
