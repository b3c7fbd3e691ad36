/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/confine.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNPRIVILEGED "nobody"

static char directory[] = "/tmp/sockwarden-confine-XXXXXX";

static void make_directory(void)
{
	const struct passwd *user = getpwnam(UNPRIVILEGED);

	cr_assert_not_null(user);
	cr_assert_not_null(mkdtemp(directory));
	if (geteuid() == 0)
		cr_assert_eq(chown(directory, user->pw_uid, user->pw_gid), 0);
}

static void remove_directory(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/s", directory);
	unlink(path);
	rmdir(directory);
}

TestSuite(confine, .init = make_directory, .fini = remove_directory);

/* Runs a step in a process of its own; returns the number of the first check that failed, or 0. */
static int in_child(int (*step)(void))
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0)
		_exit(step());
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "status %#x", (unsigned)status);
	return WEXITSTATUS(status);
}

static int identity_holds(void)
{
	struct rlimit core;
	const int stray = open("/dev/null", O_RDONLY);

	if (confine_identity(UNPRIVILEGED) < 0)
		return 1;
	if (fcntl(stray, F_GETFD) >= 0)
		return 2;
	if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0)
		return 3;
	if (setuid(0) == 0 || setgid(0) == 0)
		return 4;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 5;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0)
		return 6;
	if (getgroups(0, NULL) > 1)
		return 7;
	return 0;
}

Test(confine, identity_leaves_no_root_no_strays_and_no_way_back)
{
	cr_expect_eq(in_child(identity_holds), 0);
}

static int unknown_user(void)
{
	return geteuid() != 0 || confine_identity("no-such-user-here") < 0 ? 0 : 1;
}

static int root_user(void)
{
	return geteuid() != 0 || confine_identity("root") == -EPERM ? 0 : 1;
}

Test(confine, a_user_that_does_not_exist_or_is_root_is_refused)
{
	cr_expect_eq(in_child(unknown_user), 0);
	cr_expect_eq(in_child(root_user), 0);
}

static int bind_in(const char *where)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", where);
	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int files_hold(void)
{
	char path[128];
	uint32_t abi;

	if (confine_identity(UNPRIVILEGED) < 0 || confine_files(directory, &abi) < 0)
		return 1;
	if (abi == 0)
		return 99;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open("/", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 3;
	snprintf(path, sizeof(path), "%s/f", directory);
	if (open(path, O_CREAT | O_WRONLY, 0600) >= 0 || errno != EACCES)
		return 4;
	if (mkdir(path, 0700) == 0 || errno != EACCES)
		return 5;
	if (bind_in("/tmp") != -EACCES)
		return 6;
	if (bind_in(directory) != 0)
		return 7;
	snprintf(path, sizeof(path), "%s/s", directory);
	if (unlink(path) < 0)
		return 8;
	if (abi >= 6 && (kill(getppid(), 0) == 0 || errno != EPERM))
		return 9;
	return 0;
}

Test(confine, files_leaves_nothing_but_sockets_in_the_runtime_directory)
{
	const int failed = in_child(files_hold);

	if (failed == 99)
		cr_skip_test("this kernel has no Landlock");
	cr_expect_eq(failed, 0, "check %d", failed);
}

static int missing_directory(void)
{
	uint32_t abi;
	int result = confine_files("/no/such/directory", &abi);

	return result < 0 || abi == 0 ? 0 : 1;
}

Test(confine, a_runtime_directory_that_is_missing_is_an_error)
{
	cr_expect_eq(in_child(missing_directory), 0);
}

static int lock_holds(void)
{
	if (confine_identity(UNPRIVILEGED) < 0 || confine_lock() < 0)
		return 1;
	_exit(0);
}

/* A limit of a process, as /proc says it, or -1. */
static long limit_of(pid_t pid, const char *name)
{
	char path[64], line[256];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name), NULL, 10);
	}
	fclose(file);
	return value;
}

/* What the lock sets is read from outside: from inside it is forbidden to ask. */
static int limits_hold(void)
{
	int pipe_fds[2], failed = 4;
	pid_t pid;

	if (pipe(pipe_fds) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		char byte;

		close(pipe_fds[1]);
		if (dup2(pipe_fds[0], STDIN_FILENO) < 0 || dup2(STDIN_FILENO, STDERR_FILENO) < 0)
			_exit(1);
		if (confine_identity(UNPRIVILEGED) < 0 || confine_lock() < 0)
			_exit(2);
		_exit(read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 3);
	}
	close(pipe_fds[0]);
	for (unsigned tries = 0; failed && tries < 200; tries++) {
		if (limit_of(pid, "Max open files") == 512)
			failed = 0;
		usleep(10000);
	}
	if (limit_of(pid, "Max processes") != 0)
		failed = 5;
	if (limit_of(pid, "Max file size") != 0)
		failed = 6;
	close(pipe_fds[1]);
	return failed;
}

Test(confine, lock_leaves_a_process_that_can_end)
{
	cr_expect_eq(in_child(lock_holds), 0);
}

Test(confine, lock_limits_descriptors_processes_and_files)
{
	cr_expect_eq(in_child(limits_hold), 0);
}
