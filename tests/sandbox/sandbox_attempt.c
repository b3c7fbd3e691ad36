/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_attempt NAME DIRECTORY: goes through the worker's own steps up to the lock, nng's threads and
 * listeners (in DIRECTORY) included, then tries NAME. Ends with 0 if that worked, 3 if it was refused with an
 * error, 2 if the start failed; a forbidden call ends it with SIGSYS.
 * sandbox_attempt --list: "kill NAME" or "work NAME" for each.
 */
#include "common/log.h"
#include "common/signals.h"
#include "tests/sandbox/attempts.h"
#include "worker/confine.h"
#include "worker/publish/bus.h"
#include "worker/seccomp_rules.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define USER "nobody"
#define START_FAILED 2
#define REFUSED 3

static char file[256];

static const struct attempt *find(const char *name)
{
	for (size_t i = 0; i < attempts_count; i++) {
		if (strcmp(attempts[i].name, name) == 0)
			return &attempts[i];
	}
	return NULL;
}

/* Puts fd at this number. */
static bool place(int fd, int number)
{
	return fd >= 0 && dup3(fd, number, O_CLOEXEC) == number && close(fd) == 0;
}

/* Gives the directory to the worker's user, with a file in it. */
static bool prepare_directory(const char *runtime_dir)
{
	const struct passwd *user = getpwnam(USER);
	int fd;

	snprintf(file, sizeof(file), "%s/file", runtime_dir);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || close(fd) < 0)
		return false;
	if (geteuid() != 0)
		return true;
	return user && chown(runtime_dir, user->pw_uid, user->pw_gid) == 0 &&
	       chown(file, user->pw_uid, user->pw_gid) == 0;
}

/* The other end of every socket: sends back what comes, until all are closed. */
static void echo(const int *ends)
{
	char bytes[256];

	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i < 2; i++) {
			ssize_t n = recv(ends[i], bytes, sizeof(bytes), MSG_DONTWAIT);

			if (n > 0)
				send(ends[i], bytes, (size_t)n, MSG_NOSIGNAL);
		}
		usleep(50 * 1000);
	}
	_exit(0);
}

/*
 * A packet socket as privd gives it away, or what stands for it where whoever runs this may not make one. At
 * stdin, since the worker closes all that is beyond stderr when it becomes its user.
 */
static bool open_packets(struct stage *stage)
{
	const int version = TPACKET_V3;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	stage->has_packets = fd >= 0 && setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version,
						   sizeof(version)) == 0;
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	return fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO;
}

/* What the worker has when it locks itself; false if something of it cannot be made. */
static bool set_stage(struct stage *stage)
{
	int privd[2], plain[2], notify[2], netlink, ring;
	const struct rlimit limit = {4096, 4096};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getuid() == 0)
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, privd) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain) < 0 ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, notify) < 0)
		return false;
	stage->other_pid = fork();
	if (stage->other_pid == 0)
		echo((const int[]){privd[1], plain[1]});
	ring = memfd_create("ring", MFD_CLOEXEC);
	if (ring < 0 || ftruncate(ring, 4096) < 0)
		return false;
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	stage->plain_fd = plain[0];
	stage->ring_fd = SECCOMP_FD_PACKETS + 1;
	stage->file = file;
	stage->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return stage->page != MAP_FAILED && place(privd[0], SECCOMP_FD_PRIVD) &&
	       place(notify[0], SECCOMP_FD_NOTIFY) && place(netlink, SECCOMP_FD_CONNTRACK) &&
	       place(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), SECCOMP_FD_PACKETS) &&
	       place(ring, stage->ring_fd);
}

int main(int argc, char **argv)
{
	const struct attempt *attempt;
	struct stage stage = {0};
	struct bus *bus;
	uint32_t abi;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < attempts_count; i++)
			printf("%s %s\n", attempts[i].allowed ? "work" : "kill", attempts[i].name);
		return 0;
	}
	attempt = argc == 3 ? find(argv[1]) : NULL;
	if (!attempt) {
		fprintf(stderr, "usage: sandbox_attempt --list | NAME DIRECTORY\n");
		return START_FAILED;
	}
	log_init("sandbox_attempt", LOG_LEVEL_WARNING);
	if (!prepare_directory(argv[2]) || !open_packets(&stage) || confine_identity(USER) < 0 ||
	    signals_open(true) < 0 || !set_stage(&stage) || confine_files(argv[2], &abi) < 0 ||
	    bus_open(&bus, argv[2], 16) < 0 || confine_lock() < 0) {
		perror("sandbox_attempt: start");
		return START_FAILED;
	}
	_exit(attempt->run(&stage) ? 0 : REFUSED);
}
