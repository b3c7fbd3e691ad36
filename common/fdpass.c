/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

int fdpass_send(int socket_fd, const void *bytes, size_t length, int fd)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	union control control;

	if (fd >= 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	if (sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* Closes all but the descriptor that is wanted; returns how many there were. */
static unsigned collect(struct msghdr *message, int *wanted)
{
	struct cmsghdr *header;
	unsigned count = 0;
	int last = -1;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t n;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			if (last >= 0)
				close(last);
			memcpy(&last, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			count++;
		}
	}
	if (message->msg_flags & MSG_CTRUNC)
		count = FDPASS_MAX + 1;
	if (wanted && count == 1)
		*wanted = last;
	else if (last >= 0)
		close(last);
	return count;
}

ssize_t fdpass_receive(int socket_fd, void *bytes, size_t capacity, int *fd, unsigned *fds)
{
	struct iovec vector = {.iov_base = bytes, .iov_len = capacity};
	union control control;
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t length;

	if (fd)
		*fd = -1;
	*fds = 0;
	length = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC | MSG_TRUNC);
	if (length < 0)
		return -errno;
	*fds = collect(&message, fd);
	return length;
}
