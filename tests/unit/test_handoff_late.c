/* SPDX-License-Identifier: Apache-2.0 */
/* A privd that answers after the worker has given up waiting, or never. */
#include "common/fdpass.h"
#include "worker/handoff_client.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int privd = -1;
static struct handoff_client client;

/* A session in which everything was granted, and that waits only 20 ms. */
static void open_session(void)
{
	const struct timeval timeout = {.tv_usec = 20000};
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	privd = pair[0];
	cr_assert_eq(handoff_client_adopt(&client, pair[1]), 0);
	cr_assert_eq(setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	client.session.state = HANDOFF_STATE_SERVING;
}

static void close_session(void)
{
	handoff_client_close(&client);
	close(privd);
}

TestSuite(handoff_late, .init = open_session, .fini = close_session);

static void say_pong(void)
{
	static struct handoff_pong pong;

	handoff_header_init(&pong.header, HANDOFF_PONG);
	cr_assert_eq(fdpass_send(privd, &pong, sizeof(pong), -1), 0);
}

static void say_iterator(enum handoff_iterator what, int fd)
{
	struct handoff_iterate answer = {.what = what};

	handoff_header_init(&answer.header, HANDOFF_ITERATOR);
	cr_assert_eq(fdpass_send(privd, &answer, sizeof(answer), fd), 0);
}

/* Requests that wait at privd's side. */
static unsigned requests(void)
{
	char bytes[HANDOFF_MESSAGE_MAX];
	unsigned count = 0;

	while (recv(privd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		count++;
	return count;
}

Test(handoff_late, leaves_the_session_open_and_asks_nothing_more)
{
	uint64_t missed;

	cr_expect_eq(handoff_client_ping(&client, &missed), -ETIMEDOUT);
	cr_expect_geq(client.fd, 0);
	cr_expect(handoff_client_is_late(&client));
	cr_expect_eq(handoff_client_ping(&client, &missed), -ETIMEDOUT);
	cr_expect_eq(handoff_client_iterate(&client, HANDOFF_ITERATE_CONNECTIONS), -ETIMEDOUT);
	cr_expect_eq(requests(), 1);
}

Test(handoff_late, drops_the_answer_when_it_comes_and_goes_on)
{
	uint64_t missed;
	int fd;

	cr_assert_eq(handoff_client_ping(&client, &missed), -ETIMEDOUT);
	say_pong();
	cr_expect_eq(handoff_client_unasked(&client), 0);
	cr_expect_not(handoff_client_is_late(&client));
	say_iterator(HANDOFF_ITERATE_CGROUPS, STDIN_FILENO);
	fd = handoff_client_iterate(&client, HANDOFF_ITERATE_CGROUPS);
	cr_assert_geq(fd, 0);
	close(fd);
}

Test(handoff_late, closes_the_descriptor_of_a_late_iterator)
{
	int next = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	close(next);
	cr_assert_eq(handoff_client_iterate(&client, HANDOFF_ITERATE_FLOWS), -ETIMEDOUT);
	say_iterator(HANDOFF_ITERATE_FLOWS, STDIN_FILENO);
	cr_expect_eq(handoff_client_unasked(&client), 0);
	cr_expect_eq(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0), next);
	close(next);
}

Test(handoff_late, takes_a_refusal_for_an_answer)
{
	struct handoff_refused refused = {.reason = "no"};

	cr_assert_eq(handoff_client_iterate(&client, HANDOFF_ITERATE_FLOWS), -ETIMEDOUT);
	handoff_header_init(&refused.header, HANDOFF_REFUSED);
	cr_assert_eq(fdpass_send(privd, &refused, sizeof(refused), -1), 0);
	cr_expect_eq(handoff_client_unasked(&client), 0);
	cr_expect_not(handoff_client_is_late(&client));
}

Test(handoff_late, ends_the_session_where_something_else_comes_or_more_than_one_answer)
{
	uint64_t missed;

	cr_assert_eq(handoff_client_ping(&client, &missed), -ETIMEDOUT);
	say_iterator(HANDOFF_ITERATE_FLOWS, STDIN_FILENO);
	cr_expect_eq(handoff_client_unasked(&client), -EPROTO);
	cr_expect_lt(client.fd, 0);
	cr_expect_not(handoff_client_is_late(&client));
	close(privd);

	open_session();
	cr_assert_eq(handoff_client_ping(&client, &missed), -ETIMEDOUT);
	say_pong();
	say_pong();
	cr_expect_eq(handoff_client_unasked(&client), 0);
	cr_expect_eq(handoff_client_unasked(&client), -EPROTO);
	cr_expect_lt(client.fd, 0);
}

Test(handoff_late, notices_that_privd_dies_meanwhile)
{
	uint64_t missed;

	cr_assert_eq(handoff_client_ping(&client, &missed), -ETIMEDOUT);
	shutdown(privd, SHUT_RDWR);
	cr_expect_eq(handoff_client_unasked(&client), -EPIPE);
	cr_expect_lt(client.fd, 0);
}
