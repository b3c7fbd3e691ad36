/* SPDX-License-Identifier: Apache-2.0 */
/*
 * samepid PORT: two processes, one after the other, that have the same number. Each takes a name
 * ("first", "second"), connects, leaves its connection to the parent and ends. Prints "pid PID START
 * START" with the processes' start times as /proc/PID/stat has them (clock ticks since boot), and
 * ends with its standard input.
 */
#include "helper.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* Field 22 of /proc/self/stat; the name, field 2, has no blanks here. */
static unsigned long long start_ticks(void)
{
	char text[1024];
	char *at = text;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[length] = '\0';
	for (unsigned field = 1; field < 22 && at; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

static void send_descriptor(int channel, int fd, unsigned long long ticks)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {&ticks, sizeof(ticks)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	CHECK(sendmsg(channel, &message, 0));
}

/* Takes the start time; the descriptor stays open, without a name, until this process ends. */
static unsigned long long receive_descriptor(int channel)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	unsigned long long ticks = 0;
	struct iovec iov = {&ticks, sizeof(ticks)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (CHECK(recvmsg(channel, &message, 0)) != sizeof(ticks) || !CMSG_FIRSTHDR(&message))
		exit(1);
	return ticks;
}

/* fork(), with a number of our choice if pid is not 0 (clone3(2), 5.5). */
static pid_t fork_as(pid_t pid)
{
	struct clone_args arguments = {
		.exit_signal = SIGCHLD,
		.set_tid = pid ? (uint64_t)(uintptr_t)&pid : 0,
		.set_tid_size = pid != 0,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* One process and its connection. Returns its number. */
static pid_t play(const char *name, pid_t wanted, uint16_t port, unsigned long long *ticks)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	int channel[2];
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	pid = CHECK(fork_as(wanted));
	if (pid == 0) {
		const int fd = CHECK(socket(AF_INET, SOCK_STREAM, 0));

		CHECK(prctl(PR_SET_NAME, name));
		CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)));
		send_descriptor(channel[1], fd, start_ticks());
		_exit(0);
	}
	*ticks = receive_descriptor(channel[0]);
	CHECK(waitpid(pid, NULL, 0));
	CHECK(close(channel[0]));
	CHECK(close(channel[1]));
	return pid;
}

int main(int argc, char **argv)
{
	/* Start times are told in ticks of 10 ms. */
	const struct timespec pause = {.tv_nsec = 50000000};
	unsigned long long first, second;
	uint16_t port;
	pid_t pid;
	char byte;

	if (argc != 2) {
		fprintf(stderr, "usage: samepid PORT\n");
		return 2;
	}
	port = (uint16_t)number_argument(argv[1], 1, 65535);
	pid = play("first", 0, port, &first);
	CHECK(nanosleep(&pause, NULL));
	if (play("second", pid, port, &second) != pid)
		return 1;
	printf("pid %d %llu %llu\n", pid, first, second);
	CHECK(fflush(stdout));
	if (read(STDIN_FILENO, &byte, 1) < 0)
		return 1;
	return 0;
}
