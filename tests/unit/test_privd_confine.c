/* SPDX-License-Identifier: Apache-2.0 */
/* privd's own lock, in processes that are lost for it: what may be sent on, and what may not. */
#include "privd/confine.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILED 9

static int pair[2];

static void open_pair(void)
{
	const struct rlimit limit = {CONFINE_FD_FENCE + 64, CONFINE_FD_FENCE + 64};

	/* Where the hard limit is lower already, only root raises it. */
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

TestSuite(privd_confine, .init = open_pair);

/* Locks a child as privd locks itself, and has it send on fd. Returns how it ended. */
static int end_of(int fd, bool (*attempt)(int fd))
{
	int status = 0;
	const pid_t child = fork();

	if (child == 0)
		_exit(confine_lock() == 0 && attempt(fd) ? 0 : FAILED);
	cr_assert_gt(child, 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

static bool send_message(int fd)
{
	struct iovec vector = {"x", 1};
	const struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	return sendmsg(fd, &message, 0) == 1;
}

static bool send_to_nobody(int fd)
{
	return send(fd, "x", 1, 0) == 1;
}

static bool send_to_address(int fd)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX};

	return sendto(fd, "x", 1, 0, (const struct sockaddr *)&address, sizeof(address)) == 1;
}

static bool write_bytes(int fd)
{
	return write(fd, "x", 1) == 1;
}

static bool bind_again(int fd)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX};

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool attach_filter(int fd)
{
	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd)) == 0;
}

static bool send_beyond_32_bits(int fd)
{
	return syscall(SYS_sendto, 1ULL << 32 | (unsigned)fd, "x", 1, 0, NULL, 0) == 1;
}

Test(privd_confine, sends_on_what_is_below_the_fence_only)
{
	const int other = confine_fence(fcntl(pair[0], F_DUPFD_CLOEXEC, 3));
	bool (*const allowed[])(int) = {send_message, send_to_nobody};
	bool (*const deadly[])(int) = {send_message,	   send_to_nobody, send_to_address,
				       write_bytes,	   bind_again,	   attach_filter,
				       send_beyond_32_bits};

	cr_assert_geq(other, CONFINE_FD_FENCE);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		const int status = end_of(pair[0], allowed[i]);

		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%zu: %#x", i,
			  (unsigned)status);
	}
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		const int status = end_of(other, deadly[i]);

		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%zu: %#x", i,
			  (unsigned)status);
	}
	close(other);
}

Test(privd_confine, what_is_opened_after_the_lock_is_below_the_fence)
{
	const struct rlimit all = {CONFINE_FD_FENCE + 64, CONFINE_FD_FENCE + 64};
	struct rlimit limit;
	pid_t child;
	int status = 0;

	/* So that no session can come to be beyond it. */
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	child = fork();
	if (child == 0) {
		confine_lock();
		pause();
	}
	cr_assert_gt(child, 0);
	for (unsigned tries = 0; tries < 500; tries++) {
		cr_assert_eq(prlimit(child, RLIMIT_NOFILE, NULL, &limit), 0);
		if (limit.rlim_max == CONFINE_FD_FENCE)
			break;
		usleep(10000);
	}
	cr_expect_eq(limit.rlim_max, CONFINE_FD_FENCE);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
}

Test(privd_confine, an_error_passes_the_fence_as_it_is)
{
	cr_expect_eq(confine_fence(-EPERM), -EPERM);
	cr_expect_eq(confine_fence(-ECANCELED), -ECANCELED);
}

Test(privd_confine, a_limit_that_is_too_low_is_told_and_nothing_is_left_open)
{
	const struct rlimit limit = {256, 256};
	const int fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 100);

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_expect_eq(confine_fence(fd), -EMFILE);
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
}
