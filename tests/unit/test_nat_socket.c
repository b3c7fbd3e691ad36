/* SPDX-License-Identifier: Apache-2.0 */
/* With netlink sockets that need no privilege; the kernel's own events are integration tests. */
#include "tests/unit/example_nat.h"
#include "worker/nat/socket.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

static struct nat_socket nat;
static unsigned events;

static void count_event(void *ctx, const struct nat_event *event)
{
	(void)ctx;
	(void)event;
	events++;
}

static const struct nat_taker taker = {.take = count_event};

static int open_netlink(int protocol, struct sockaddr_nl *address)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	socklen_t length = sizeof(*address);

	*address = (struct sockaddr_nl){.nl_family = AF_NETLINK};
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &length), 0);
	return fd;
}

static void send_to(int fd, const struct sockaddr_nl *to, const void *bytes, size_t length)
{
	cr_assert_eq(sendto(fd, bytes, length, 0, (const struct sockaddr *)to, sizeof(*to)),
		     (ssize_t)length);
}

Test(nat_socket, reads_nothing_and_waits_for_nothing_where_nothing_is)
{
	struct sockaddr_nl address;

	nat_socket_init(&nat, -1);
	nat_socket_read(&nat, 5, &taker);
	cr_expect_eq(nat.read_ns, 5);
	nat_socket_init(&nat, open_netlink(NETLINK_USERSOCK, &address));
	nat_socket_read(&nat, 6, &taker);
	cr_expect_eq(nat.read_ns, 6);
	cr_expect_not(nat.more);
	cr_expect_eq(nat.counts.errors, 0);
	close(nat.fd);
	nat_socket_read(&nat, 7, &taker);
	cr_expect_eq(nat.counts.errors, 1);
	cr_expect_not(nat.more, "a dead socket is not read again at once");
}

Test(nat_socket, believes_no_other_process)
{
	static struct example_message message;
	const struct nat_event event = example_nat_event(1);
	struct sockaddr_nl ours, theirs;
	int sender;

	example_nat_message(&message, &event);
	nat_socket_init(&nat, open_netlink(NETLINK_USERSOCK, &ours));
	sender = open_netlink(NETLINK_USERSOCK, &theirs);
	send_to(sender, &ours, message.bytes, message.length);
	/* One that is too long. */
	send_to(sender, &ours, message.bytes, NAT_SOCKET_BUFFER_BYTES + 1);
	nat_socket_read(&nat, 1, &taker);
	cr_expect_eq(events, 0);
	cr_expect_eq(nat.counts.foreign, 1);
	cr_expect_eq(nat.counts.truncated, 1);
	close(sender);
	close(nat.fd);
}

Test(nat_socket, reads_a_bounded_number_at_a_time)
{
	const int bytes = 16 << 20;
	struct sockaddr_nl ours, theirs;
	int sender;
	unsigned sent = 0;

	nat_socket_init(&nat, open_netlink(NETLINK_USERSOCK, &ours));
	setsockopt(nat.fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	sender = open_netlink(NETLINK_USERSOCK, &theirs);
	while (sent < NAT_SOCKET_DATAGRAMS_MAX + 10 &&
	       sendto(sender, "x", 1, MSG_DONTWAIT, (const struct sockaddr *)&ours, sizeof(ours)) ==
		       1)
		sent++;
	/* Without privilege the buffer stays small; the bound is then that of the kernel. */
	nat_socket_read(&nat, 1, &taker);
	cr_expect_eq(nat.more, sent > NAT_SOCKET_DATAGRAMS_MAX);
	nat_socket_read(&nat, 2, &taker);
	cr_expect_not(nat.more);
	cr_expect_eq(nat.counts.foreign, sent);
	close(sender);
	close(nat.fd);
}

Test(nat_socket, reads_what_the_kernel_sends)
{
	const struct {
		struct nlmsghdr header;
		struct rtgenmsg family;
	} request = {
		.header = {sizeof(request), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 0, 0},
		.family = {.rtgen_family = AF_UNSPEC},
	};
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct sockaddr_nl ours;

	nat_socket_init(&nat, open_netlink(NETLINK_ROUTE, &ours));
	send_to(nat.fd, &kernel, &request, sizeof(request));
	nat_socket_read(&nat, 1, &taker);
	/* Interfaces are no translations. */
	cr_expect_eq(events, 0);
	cr_expect_gt(nat.counts.parsed.rejects[NAT_REJECT_KIND], 0);
	cr_expect_eq(nat.counts.parsed.rejects[NAT_REJECT_HEADER], 0);
	cr_expect_eq(nat.counts.foreign, 0);
	close(nat.fd);
}
