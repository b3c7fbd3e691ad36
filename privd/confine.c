/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/confine.h"

#include "common/syscall_filter.h"

#include <linux/bpf.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BELOW_FENCE ONLY_BITS(0, CONFINE_FD_FENCE - 1)

static const struct syscall_rule rules[] = {
	{CALL(poll), "waiting"},
	{CALL(ppoll), "waiting, as some C libraries spell it"},
	{CALL(restart_syscall), "waiting, after a stop and continue"},
	{CALL(accept4), "a worker connects"},
	{CALL(getsockopt), "who it is", 2, {IS(1, SOL_SOCKET), IS(2, SO_PEERCRED)}},
	{CALL(setsockopt), "how long sending may take", 2, {IS(1, SOL_SOCKET), IS(2, SO_SNDTIMEO)}},
	{CALL(recvmsg), "its requests"},
	{CALL(sendmsg), "answers and grants", 1, {BELOW_FENCE}},
	{CALL(sendto), "telling systemd, and no other address", 2, {BELOW_FENCE, IS(4, 0)}},
	{CALL(bpf), "a fresh iterator", 1, {IS(0, BPF_ITER_CREATE)}},
	{CALL(bpf), "missed runs", 1, {IS(0, BPF_OBJ_GET_INFO_BY_FD)}},
	{CALL(close), "ended sessions, granted iterators"},
	{CALL(read), "the signal descriptor"},
	{CALL(write), "the log", 1, {IS(0, STDERR_FILENO)}},
	{CALL(exit_group), "the end"},
};

static int set_capabilities(bool bpf)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (bpf) {
		data[CAP_BPF / 32].effective = 1U << CAP_BPF % 32;
		data[CAP_BPF / 32].permitted = 1U << CAP_BPF % 32;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int drop_bounding_set(void)
{
	for (int capability = 0;; capability++) {
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
			continue;
		/* The first that the kernel does not know ends the list. */
		return errno == EINVAL && capability > CAP_CHOWN ? 0 : -errno;
	}
}

bool confine_needs_bpf_capability(int (*attempt)(void *context), void *context)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		int error = set_capabilities(false);

		_exit(error == 0 && attempt(context) == 0 ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return true;
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int confine_drop_identity(uid_t uid, gid_t gid, bool keep_bpf)
{
	uid_t real, effective, saved;
	int error = drop_bounding_set();

	if (error)
		return error;
	if (keep_bpf && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	error = set_capabilities(keep_bpf);
	if (error)
		return error;
	if (getresuid(&real, &effective, &saved) < 0)
		return -errno;
	return real == uid && effective == uid && saved == uid && uid != 0 ? 0 : -EPERM;
}

int confine_fence(int fd)
{
	struct rlimit limit;
	int high;

	if (fd < 0)
		return fd;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	high = fcntl(fd, F_DUPFD_CLOEXEC, CONFINE_FD_FENCE);
	if (high < 0)
		high = errno == EINVAL ? -EMFILE : -errno;
	close(fd);
	return high;
}

int confine_lock(void)
{
	const struct rlimit none = {0, 0}, fence = {CONFINE_FD_FENCE, CONFINE_FD_FENCE};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &fence) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall_filter_load(rules, sizeof(rules) / sizeof(rules[0]));
}
