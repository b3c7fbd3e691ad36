/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/nat/socket.h"

#include "common/clock.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

void nat_socket_init(struct nat_socket *nat, int fd)
{
	nat->fd = fd;
}

/* The namespace of a datagram: the kernel names it if it is not the socket's own. */
static int32_t nsid_of(struct msghdr *message)
{
	int32_t nsid = NAT_NSID_ROOT;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level == SOL_NETLINK && part->cmsg_type == NETLINK_LISTEN_ALL_NSID &&
		    part->cmsg_len == CMSG_LEN(sizeof(nsid)))
			memcpy(&nsid, CMSG_DATA(part), sizeof(nsid));
	}
	return nsid < 0 ? NAT_NSID_ROOT : nsid;
}

/*
 * Receives one datagram: 1 with *messages, of which nothing may be good; 0 if none is there;
 * or -errno.
 */
static int receive(struct nat_socket *nat, struct nat_messages *messages)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int32_t)) + 64];
	struct sockaddr_nl sender = {0};
	struct iovec bytes = {nat->buffer, sizeof(nat->buffer)};
	struct msghdr message = {
		.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const ssize_t length = recvmsg(nat->fd, &message, MSG_DONTWAIT);

	*messages = (struct nat_messages){0};
	if (length < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (message.msg_flags & MSG_TRUNC)
		nat->counts.truncated++;
	else if (message.msg_namelen != sizeof(sender) || sender.nl_pid != 0)
		nat->counts.foreign++;
	else
		messages->datagram = reader_of(nat->buffer, (size_t)length);
	messages->nsid = nsid_of(&message);
	/* Not before: what comes while others are read is read with them. */
	messages->read_ns = clock_ns(CLOCK_MONOTONIC);
	return 1;
}

void nat_socket_read(struct nat_socket *nat, uint64_t now_ns, const struct nat_taker *taker)
{
	struct nat_messages messages;
	struct nat_event event;

	nat->read_ns = now_ns;
	nat->more = false;
	if (nat->fd < 0)
		return;
	for (unsigned i = 0; i < NAT_SOCKET_DATAGRAMS_MAX; i++) {
		const int result = receive(nat, &messages);

		if (result == 0)
			return;
		if (result == -ENOBUFS) {
			nat->counts.overruns++;
		} else if (result < 0 && result != -EINTR) {
			nat->counts.errors++;
			return;
		}
		while (nat_messages_next(&messages, &event, &nat->counts.parsed)) {
			nat->counts.events++;
			taker->take(taker->ctx, &event);
		}
	}
	nat->more = true;
}
