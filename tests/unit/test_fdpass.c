/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fdpass.h"

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];

static void connect_ends(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static unsigned open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	cr_assert_not_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* Sends one packet with count copies of a descriptor, as no function of ours would. */
static void send_descriptors(unsigned count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(32 * sizeof(int))];
	} control = {0};
	char byte = 'x';
	struct iovec vector = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	for (unsigned i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &ends[0], sizeof(int));
	cr_assert_eq(sendmsg(ends[0], &message, 0), 1);
}

TestSuite(fdpass, .init = connect_ends);

Test(fdpass, carries_a_packet_without_a_descriptor)
{
	char text[8] = "";
	unsigned fds = 9;
	int fd = 9;

	cr_assert_eq(fdpass_send(ends[0], "hello", 6, -1), 0);
	cr_assert_eq(fdpass_receive(ends[1], text, sizeof(text), &fd, &fds), 6);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(fd, -1);
	cr_assert_eq(fds, 0);
}

Test(fdpass, carries_a_descriptor_that_works_and_closes_on_exec)
{
	char text[8] = "";
	unsigned fds = 0;
	int pipe_ends[2];
	int fd = -1;

	cr_assert_eq(pipe(pipe_ends), 0);
	cr_assert_eq(fdpass_send(ends[0], "x", 1, pipe_ends[1]), 0);
	cr_assert_eq(fdpass_receive(ends[1], text, sizeof(text), &fd, &fds), 1);
	cr_assert_eq(fds, 1);
	cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	cr_assert_eq(write(fd, "through", 7), 7);
	cr_assert_eq(read(pipe_ends[0], text, sizeof(text)), 7);
	cr_assert_arr_eq(text, "through", 7);
}

Test(fdpass, counts_and_closes_a_descriptor_that_is_not_wanted)
{
	unsigned before = open_descriptors();
	unsigned fds = 0;
	char byte;

	send_descriptors(1);
	cr_assert_eq(fdpass_receive(ends[1], &byte, 1, NULL, &fds), 1);
	cr_assert_eq(fds, 1);
	cr_assert_eq(open_descriptors(), before);
}

Test(fdpass, counts_and_closes_all_of_several_descriptors)
{
	unsigned before = open_descriptors();

	for (unsigned count = 2; count <= FDPASS_MAX; count++) {
		unsigned fds = 0;
		int fd = 9;
		char byte;

		send_descriptors(count);
		cr_assert_eq(fdpass_receive(ends[1], &byte, 1, &fd, &fds), 1);
		cr_assert_eq(fds, count);
		cr_assert_eq(fd, -1);
		cr_assert_eq(open_descriptors(), before, "%u descriptors leak", count);
	}
}

Test(fdpass, reports_more_descriptors_than_fit_as_too_many_and_closes_them)
{
	unsigned before = open_descriptors();

	for (unsigned count = FDPASS_MAX + 1; count <= 32; count++) {
		unsigned fds = 0;
		int fd = 9;
		char byte;

		send_descriptors(count);
		cr_assert_eq(fdpass_receive(ends[1], &byte, 1, &fd, &fds), 1);
		cr_assert_eq(fds, FDPASS_MAX + 1);
		cr_assert_eq(fd, -1);
		cr_assert_eq(open_descriptors(), before, "%u descriptors leak", count);
	}
}

Test(fdpass, tells_the_true_length_of_an_oversized_packet)
{
	char small[4] = "...";
	unsigned fds = 0;
	int fd = -1;

	cr_assert_eq(fdpass_send(ends[0], "0123456789", 10, -1), 0);
	cr_assert_eq(fdpass_receive(ends[1], small, 3, &fd, &fds), 10);
	cr_assert_arr_eq(small, "012", 4);
}

Test(fdpass, returns_0_at_the_end_of_the_stream)
{
	unsigned fds = 9;
	int fd = 9;
	char byte;

	close(ends[0]);
	cr_assert_eq(fdpass_receive(ends[1], &byte, 1, &fd, &fds), 0);
	cr_assert_eq(fd, -1);
	cr_assert_eq(fds, 0);
}

Test(fdpass, returns_the_errno_of_a_socket_that_does_not_block)
{
	unsigned fds = 0;
	int error = 0;
	int fd = -1;
	char byte = 0;

	cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(fdpass_receive(ends[0], &byte, 1, &fd, &fds), -EAGAIN);
	for (int i = 0; i < 100000 && !error; i++)
		error = fdpass_send(ends[0], &byte, 1, -1);
	cr_assert_eq(error, -EAGAIN);
}

Test(fdpass, survives_a_peer_that_is_gone)
{
	close(ends[1]);
	cr_assert_eq(fdpass_send(ends[0], "x", 1, -1), -EPIPE);
}
