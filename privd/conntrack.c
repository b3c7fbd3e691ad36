/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/conntrack.h"

#include "bpf/conntrack_filter.h"
#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel allows twice this and takes 1,280 bytes a message: 52,000 wait for the worker. */
#define RECEIVE_BYTES (32 << 20)
#define GROUP(group) (1U << ((group)-1))

/* Asks for the entries of all families; who reads the socket drives the dump on. */
static int ask_for_entries(int fd)
{
	const struct {
		struct nlmsghdr header;
		struct nfgenmsg families;
	} request = {
		.header = {sizeof(request), NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
			   NLM_F_REQUEST | NLM_F_DUMP, 0, 0},
		.families = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} reply;

	if (send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	/* A kernel that has no connection tracking for netlink says so at once, before any event. */
	if (recv(fd, &reply, sizeof(reply), MSG_PEEK) == sizeof(reply) &&
	    reply.header.nlmsg_type == NLMSG_ERROR)
		return reply.error.error;
	return 0;
}

int conntrack_open(void)
{
	const struct sock_fprog filter = {
		.len = sizeof(conntrack_filter) / sizeof(conntrack_filter[0]),
		.filter = conntrack_filter,
	};
	const struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = GROUP(NFNLGRP_CONNTRACK_NEW) | GROUP(NFNLGRP_CONNTRACK_DESTROY),
	};
	const int bytes = RECEIVE_BYTES, on = 1;
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	int error;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) < 0)
		return -errno;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		log_warning("translation in other network namespaces is not heard of: %s",
			    strerror(errno));
	if (bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) < 0)
		return -errno;
	error = ask_for_entries(fd);
	return error ? error : take_fd(&fd);
}
