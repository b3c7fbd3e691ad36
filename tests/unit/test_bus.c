/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"
#include "worker/publish/bus.h"

#include <criterion/criterion.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 5000
/* The numbers that the peers of PUB and REP say in their greeting. */
#define PROTOCOL_SUB 0x21
#define PROTOCOL_REQ 0x30

static char folder[] = "/tmp/sockwarden-bus-XXXXXX";
static struct bus *bus;

static void open_bus(void)
{
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(bus_open(&bus, folder, 8), 0);
}

static void close_bus(void)
{
	bus_close(bus);
	/* Both sockets' files are gone, so the folder is empty. */
	cr_expect_eq(rmdir(folder), 0);
}

TestSuite(bus, .init = open_bus, .fini = close_bus, .timeout = 30);

static void wait_subscribers(unsigned expected)
{
	for (unsigned ms = 0; ms < PATIENCE_MS && bus_subscribers(bus) != expected; ms++)
		usleep(1000);
	cr_assert_eq(bus_subscribers(bus), expected);
}

/*
 * A peer that speaks the protocol by hand: it may break its rules, need not read, and its end is
 * a close(2) (nng 1.5's subscribers now and then hang in nng_close()).
 */
static int greet(const char *name, unsigned char protocol)
{
	const unsigned char greeting[8] = {0, 'S', 'P', 0, 0, protocol, 0, 0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	unsigned char theirs[8];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(write(fd, greeting, sizeof(greeting)), 8);
	cr_assert_eq(recv(fd, theirs, sizeof(theirs), MSG_WAITALL), 8);
	return fd;
}

Test(bus, never_blocks_on_a_subscriber_that_does_not_read)
{
	static char message[64 * 1024];
	int fd = greet(BUS_EVENTS_SOCKET, PROTOCOL_SUB);
	uint64_t start;

	wait_subscribers(1);
	start = clock_ns(CLOCK_MONOTONIC);
	for (unsigned i = 0; i < 500; i++)
		cr_assert_eq(bus_publish(bus, message, sizeof(message)), 0);
	cr_expect_lt(clock_ns(CLOCK_MONOTONIC) - start, 5 * NS_PER_S);
	close(fd);
	wait_subscribers(0);
}

/* Whether the other side hangs up. */
static bool hangs_up(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&poller, 1, PATIENCE_MS) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static int dial(nng_socket socket, const char *name)
{
	char url[128];

	snprintf(url, sizeof(url), "ipc://%s/%s", folder, name);
	nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PATIENCE_MS);
	return nng_dial(socket, url, NULL, 0);
}

static nng_socket subscribe(const char *topic)
{
	nng_socket socket;

	cr_assert_eq(nng_sub0_open(&socket), 0);
	cr_assert_eq(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, topic, strlen(topic)), 0);
	cr_assert_eq(dial(socket, BUS_EVENTS_SOCKET), 0);
	return socket;
}

Test(bus, makes_sockets_for_the_owner_and_its_group_only)
{
	static const char *const names[] = {BUS_EVENTS_SOCKET, BUS_QUERY_SOCKET};

	for (size_t i = 0; i < 2; i++) {
		struct stat about;
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		cr_assert_eq(stat(path, &about), 0);
		cr_expect_eq(about.st_mode & 07777, 0660);
		cr_expect_eq(about.st_gid, getegid());
	}
}

Test(bus, delivers_to_those_who_subscribed_to_the_topic)
{
	nng_socket conn = subscribe("conn.v1 ");
	nng_socket meta = subscribe("meta.v1 ");
	char *bytes;
	size_t length;

	wait_subscribers(2);
	cr_assert_eq(bus_publish(bus, "conn.v1 {1}", 11), 0);
	cr_assert_eq(bus_publish(bus, "meta.v1 {2}", 11), 0);
	cr_assert_eq(nng_recv(conn, &bytes, &length, NNG_FLAG_ALLOC), 0);
	cr_expect_eq(length, 11);
	cr_expect_eq(memcmp(bytes, "conn.v1 {1}", 11), 0);
	nng_free(bytes, length);
	cr_assert_eq(nng_recv(meta, &bytes, &length, NNG_FLAG_ALLOC), 0);
	cr_expect_eq(memcmp(bytes, "meta.v1 {2}", 11), 0);
	nng_free(bytes, length);
}

Test(bus, says_once_that_a_subscriber_joined)
{
	int fd;

	cr_expect_not(bus_take_joined(bus));
	cr_expect_not(bus_has_subscribers(bus));
	fd = greet(BUS_EVENTS_SOCKET, PROTOCOL_SUB);
	wait_subscribers(1);
	cr_expect(bus_has_subscribers(bus));
	cr_expect(bus_take_joined(bus));
	cr_expect_not(bus_take_joined(bus));
	close(fd);
	wait_subscribers(0);
	cr_expect_not(bus_take_joined(bus));
}

Test(bus, refuses_subscribers_over_its_limit)
{
	int fds[BUS_CONNECTIONS_MAX];
	int extra;

	for (unsigned i = 0; i < BUS_CONNECTIONS_MAX; i++) {
		fds[i] = greet(BUS_EVENTS_SOCKET, PROTOCOL_SUB);
		wait_subscribers(i + 1);
	}
	extra = greet(BUS_EVENTS_SOCKET, PROTOCOL_SUB);
	cr_expect(hangs_up(extra));
	cr_expect_eq(bus_rejected(bus), 1);
	cr_expect_eq(bus_subscribers(bus), BUS_CONNECTIONS_MAX);
	close(extra);
	close(fds[0]);
	wait_subscribers(BUS_CONNECTIONS_MAX - 1);
	/* There is room again. */
	fds[0] = greet(BUS_EVENTS_SOCKET, PROTOCOL_SUB);
	wait_subscribers(BUS_CONNECTIONS_MAX);
	for (unsigned i = 0; i < BUS_CONNECTIONS_MAX; i++)
		close(fds[i]);
	wait_subscribers(0);
}

Test(bus, refuses_clients_over_its_limit)
{
	int fds[BUS_CONNECTIONS_MAX + 8];
	const unsigned count = sizeof(fds) / sizeof(fds[0]);

	for (unsigned i = 0; i < count; i++)
		fds[i] = greet(BUS_QUERY_SOCKET, PROTOCOL_REQ);
	/* A greeting is answered before its connection is counted. */
	for (unsigned ms = 0; ms < PATIENCE_MS && bus_rejected(bus) < 8; ms++)
		usleep(1000);
	cr_expect_eq(bus_rejected(bus), 8);
	cr_expect_eq(bus_subscribers(bus), 0, "clients are not subscribers");
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

Test(bus, disconnects_a_subscriber_that_says_something)
{
	/* ipc: 1, then the length in network order. The message itself is never sent. */
	static const unsigned char header[9] = {1, 0, 0, 0, 0, 0, 1, 0, 0};
	int fd = greet(BUS_EVENTS_SOCKET, PROTOCOL_SUB);

	wait_subscribers(1);
	cr_assert_eq(write(fd, header, sizeof(header)), 9);
	cr_expect(hangs_up(fd));
	wait_subscribers(0);
	close(fd);
}

Test(bus, disconnects_who_announces_a_request_over_the_limit)
{
	static const unsigned char header[9] = {1, 0, 0, 0, 0, 0x40, 0, 0, 0}; /* 1 GiB */
	int fd = greet(BUS_QUERY_SOCKET, PROTOCOL_REQ);

	cr_assert_eq(write(fd, header, sizeof(header)), 9);
	cr_expect(hangs_up(fd));
	close(fd);
}

static int reply(const char *bytes, size_t length)
{
	char *room = bus_reply_begin(bus, length + 100);

	cr_assert_not_null(room);
	memcpy(room, bytes, length);
	return bus_reply(bus, length);
}

Test(bus, hands_over_requests_and_takes_answers)
{
	struct pollfd poller = {.fd = bus_query_fd(bus), .events = POLLIN};
	const char *request;
	nng_socket socket;
	char *answer;
	size_t length;

	cr_expect_eq(poll(&poller, 1, 0), 0);
	cr_expect_eq(bus_receive(bus, &request, &length), -EAGAIN);
	cr_assert_eq(nng_req0_open(&socket), 0);
	cr_assert_eq(dial(socket, BUS_QUERY_SOCKET), 0);
	for (unsigned i = 0; i < 3; i++) {
		char text[32];
		char *question = text;

		snprintf(text, sizeof(text), "question %u", i);
		cr_assert_eq(nng_send(socket, question, strlen(text), 0), 0);
		cr_assert_eq(poll(&poller, 1, PATIENCE_MS), 1);
		cr_assert_eq(bus_receive(bus, &request, &length), 0);
		cr_expect_eq(length, strlen(text));
		cr_expect_eq(memcmp(request, text, length), 0);
		cr_assert_eq(reply("answer", 6), 0);
		cr_assert_eq(nng_recv(socket, &answer, &length, NNG_FLAG_ALLOC), 0);
		cr_expect_eq(length, 6);
		nng_free(answer, length);
		cr_expect_eq(poll(&poller, 1, 0), 0);
	}
}

/* ipc: 1 and the length; then the request's id, whose top bit ends the backtrace; "x". */
static const unsigned char message[14] = {1, 0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0, 0, 1, 'x'};

/* Takes the request that a peer has written. */
static void take_request(void)
{
	struct pollfd poller = {.fd = bus_query_fd(bus), .events = POLLIN};
	const char *request;
	size_t length;

	cr_assert_eq(poll(&poller, 1, PATIENCE_MS), 1);
	cr_assert_eq(bus_receive(bus, &request, &length), 0);
}

Test(bus, every_answer_arrives_however_soon_the_client_asks_again)
{
	static char answer[60000];
	static char received[sizeof(answer) + 13];
	int fd = greet(BUS_QUERY_SOCKET, PROTOCOL_REQ);

	for (unsigned i = 0; i < 3000; i++) {
		cr_assert_eq(write(fd, message, sizeof(message)), sizeof(message));
		take_request();
		cr_assert_eq(reply(answer, sizeof(answer)), 0, "answer %u", i);
		cr_assert_eq(recv(fd, received, sizeof(received), MSG_WAITALL), sizeof(received));
	}
	close(fd);
}

Test(bus, disconnects_a_client_that_asks_on_without_reading)
{
	static char answer[1 << 20];
	int fd = greet(BUS_QUERY_SOCKET, PROTOCOL_REQ);
	uint64_t start = clock_ns(CLOCK_MONOTONIC);

	cr_assert_eq(write(fd, message, sizeof(message)), sizeof(message));
	take_request();
	cr_assert_eq(reply(answer, sizeof(answer)), 0);
	cr_assert_eq(write(fd, message, sizeof(message)), sizeof(message));
	take_request();
	cr_expect_eq(reply(answer, sizeof(answer)), -EAGAIN);
	cr_expect_lt(clock_ns(CLOCK_MONOTONIC) - start, 2 * NS_PER_S);
	while (recv(fd, answer, sizeof(answer), 0) > 0)
		;
	cr_expect(hangs_up(fd));
	close(fd);
}

Test(bus, survives_a_client_that_leaves_before_its_answer)
{
	struct pollfd poller = {.fd = bus_query_fd(bus), .events = POLLIN};
	int fd = greet(BUS_QUERY_SOCKET, PROTOCOL_REQ);
	const char *request;
	size_t length;

	cr_assert_eq(write(fd, message, sizeof(message)), sizeof(message));
	cr_assert_eq(poll(&poller, 1, PATIENCE_MS), 1);
	cr_assert_eq(bus_receive(bus, &request, &length), 0);
	cr_assert_eq(length, 1);
	close(fd);
	usleep(50000);
	reply("answer", 6);
	cr_expect_eq(bus_receive(bus, &request, &length), -EAGAIN);
	/* The next client is served as ever. */
	fd = greet(BUS_QUERY_SOCKET, PROTOCOL_REQ);
	cr_assert_eq(write(fd, message, sizeof(message)), sizeof(message));
	cr_assert_eq(poll(&poller, 1, PATIENCE_MS), 1);
	cr_assert_eq(bus_receive(bus, &request, &length), 0);
	cr_assert_eq(reply("answer", 6), 0);
	poller.fd = fd;
	cr_expect_eq(poll(&poller, 1, PATIENCE_MS), 1);
	close(fd);
}

Test(bus, is_refused_while_another_worker_is_alive_and_replaces_a_dead_ones_sockets)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct bus *second = NULL;
	int fd;

	cr_expect_eq(bus_open(&second, folder, 8), -EADDRINUSE);
	cr_expect_null(second);
	bus_close(bus);
	/* A file that nobody listens on, as a worker leaves it that was killed. */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, BUS_EVENTS_SOCKET);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	cr_expect_eq(bus_open(&bus, folder, 8), 0);
}

Test(bus, refuses_a_folder_that_is_not_there_and_a_path_that_is_too_long)
{
	char deep[200];
	struct bus *other = NULL;

	cr_expect_neq(bus_open(&other, "/nonexistent/sockwarden", 8), 0);
	memset(deep, 'a', sizeof(deep));
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	cr_expect_eq(bus_open(&other, deep, 8), -ENAMETOOLONG);
	cr_expect_null(other);
}
