/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/confine.h"

#include "common/log.h"

#include <linux/bpf.h>
#include <seccomp.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define ANY_ARGUMENT (-1)

/* One allowed system call; argument is compared with value unless it is ANY_ARGUMENT. */
struct rule {
	int call;
	int argument;
	unsigned long value;
	const char *reason;
};

static const struct rule rules[] = {
	{SCMP_SYS(poll), ANY_ARGUMENT, 0, "waiting"},
	{SCMP_SYS(ppoll), ANY_ARGUMENT, 0, "waiting, as some C libraries spell it"},
	{SCMP_SYS(restart_syscall), ANY_ARGUMENT, 0, "waiting, after a stop and continue"},
	{SCMP_SYS(accept4), ANY_ARGUMENT, 0, "a worker connects"},
	{SCMP_SYS(getsockopt), 2, SO_PEERCRED, "who it is"},
	{SCMP_SYS(setsockopt), 2, SO_SNDTIMEO, "how long sending to it may take"},
	{SCMP_SYS(recvmsg), ANY_ARGUMENT, 0, "its requests"},
	{SCMP_SYS(sendmsg), ANY_ARGUMENT, 0, "answers and grants"},
	{SCMP_SYS(sendto), ANY_ARGUMENT, 0, "telling systemd"},
	{SCMP_SYS(bpf), 0, BPF_ITER_CREATE, "a fresh iterator"},
	{SCMP_SYS(bpf), 0, BPF_OBJ_GET_INFO_BY_FD, "missed runs"},
	{SCMP_SYS(close), ANY_ARGUMENT, 0, "ended sessions, granted iterators"},
	{SCMP_SYS(read), ANY_ARGUMENT, 0, "the signal descriptor"},
	{SCMP_SYS(write), 0, STDERR_FILENO, "the log"},
	{SCMP_SYS(rt_sigreturn), ANY_ARGUMENT, 0, "a debugger's or the kernel's signal"},
	{SCMP_SYS(exit_group), ANY_ARGUMENT, 0, "the end"},
#ifdef SOCKWARDEN_ASAN
	{SCMP_SYS(mmap), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(munmap), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(madvise), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(mprotect), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(futex), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(sigaltstack), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(getpid), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(gettid), ANY_ARGUMENT, 0, "sanitizer"},
	{SCMP_SYS(readlink), ANY_ARGUMENT, 0, "sanitizer's report"},
	{SCMP_SYS(openat), ANY_ARGUMENT, 0, "sanitizer's report"},
	{SCMP_SYS(rt_sigaction), ANY_ARGUMENT, 0, "sanitizer's report"},
#endif
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

static int set_limits(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0)
		return -errno;
	return 0;
}

static int install_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter ? 0 : -ENOMEM;

	for (size_t i = 0; !error && i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if (rule->argument == ANY_ARGUMENT)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 0);
		else
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1,
						 SCMP_CMP64((unsigned)rule->argument, SCMP_CMP_EQ,
							    rule->value));
	}
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

int confine_lock(void)
{
	int error = set_limits();

	if (error)
		return error;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return install_filter();
}
