/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/confine.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "worker/seccomp_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock's parts that are newer than the oldest header that we build with (5.19). */
#define FS_ABI1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)	  /* ABI 2, Linux 5.19 */
#define FS_TRUNCATE (UINT64_C(1) << 14)	  /* ABI 3, Linux 6.2 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15)  /* ABI 5, Linux 6.10 */
#define NET_BIND_CONNECT_TCP UINT64_C(3)  /* ABI 4, Linux 6.7 */
#define SCOPE_ABSTRACT_SIGNAL UINT64_C(3) /* ABI 6, Linux 6.12 */

struct ruleset {
	uint64_t handled_fs;
	uint64_t handled_net;
	uint64_t scoped;
};

static int fail(const char *what)
{
	const int error = errno;

	log_error("confinement: %s: %s", what, strerror(error));
	return -error;
}

/* From root to user, for good: groups, then gid, then uid. */
static int switch_user(const char *user)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(user);
	if (!entry) {
		log_error("user %s does not exist: create it (useradd -r %s) or give --user", user,
			  user);
		return errno ? -errno : -ENOENT;
	}
	if (entry->pw_uid == 0 || entry->pw_gid == 0) {
		log_error("user %s is root: give an unprivileged one with --user", user);
		return -EPERM;
	}
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return fail("bounding set");
	}
	if (setgroups(1, &entry->pw_gid) < 0 ||
	    setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
	    setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0)
		return fail("changing the user");
	return 0;
}

/* What must hold from here on, whoever started us. */
static int verify_unprivileged(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) < 0)
		return fail("uids");
	if (real == 0 || effective == 0 || saved == 0 || setuid(0) == 0) {
		log_error("confinement: still root");
		return -EPERM;
	}
	if (syscall(SYS_capget, &header, data) < 0)
		return fail("capabilities");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		if (data[i].effective || data[i].permitted) {
			log_error("confinement: started with capabilities; none are needed");
			return -EPERM;
		}
	}
	return 0;
}

int confine_identity(const char *user)
{
	const struct rlimit none = {0};

	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) < 0 && errno != ENOSYS)
		return fail("close_range");
	umask(0077);
	if (geteuid() == 0) {
		int result = switch_user(user);

		if (result < 0)
			return result;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return fail("ambient capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail("no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail("dumpable");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return fail("core limit");
	return verify_unprivileged();
}

/* Everything that this version of Landlock can forbid. */
static struct ruleset ruleset_for(int abi)
{
	struct ruleset ruleset = {.handled_fs = FS_ABI1};

	if (abi >= 2)
		ruleset.handled_fs |= FS_REFER;
	if (abi >= 3)
		ruleset.handled_fs |= FS_TRUNCATE;
	if (abi >= 4)
		ruleset.handled_net = NET_BIND_CONNECT_TCP;
	if (abi >= 5)
		ruleset.handled_fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		ruleset.scoped = SCOPE_ABSTRACT_SIGNAL;
	return ruleset;
}

/* nng replaces a dead worker's sockets and makes its own; nothing else may be touched. */
static int allow_sockets_in(int ruleset_fd, const char *runtime_dir)
{
	_cleanup_close_ int directory = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE,
		.parent_fd = directory,
	};

	if (directory < 0)
		return fail(runtime_dir);
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return fail("Landlock rule");
	return 0;
}

int confine_files(const char *runtime_dir, uint32_t *abi)
{
	_cleanup_close_ int ruleset_fd = -1;
	struct ruleset ruleset;
	long version;
	int result;

	*abi = 0;
	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1) {
		log_warning("this kernel has no Landlock (since 5.13): only the system-call filter "
			    "keeps the worker from files");
		return 0;
	}
	ruleset = ruleset_for((int)version);
	ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	if (ruleset_fd < 0)
		return fail("Landlock ruleset");
	result = runtime_dir ? allow_sockets_in(ruleset_fd, runtime_dir) : 0;
	if (result < 0)
		return result;
	if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
		return fail("Landlock");
	*abi = (uint32_t)version;
	return 0;
}

static int limit(int resource, rlim_t value, const char *what)
{
	const struct rlimit both = {.rlim_cur = value, .rlim_max = value};

	return setrlimit((__rlimit_resource_t)resource, &both) < 0 ? fail(what) : 0;
}

static int lock_limits(void)
{
	struct stat log;
	int result;

	/* Who reads our log from a file wants to go on reading it. */
	if (fstat(STDERR_FILENO, &log) < 0 || !S_ISREG(log.st_mode)) {
		result = limit(RLIMIT_FSIZE, 0, "file size limit");
		if (result < 0)
			return result;
	}
	result = limit(RLIMIT_NPROC, 0, "process limit");
	if (result < 0)
		return result;
	/* Descriptors that come from now on have numbers below the fence. */
	return limit(RLIMIT_NOFILE, SECCOMP_FD_FENCE, "descriptor limit");
}

int confine_calls(void)
{
	const int result = syscall_filter_load(seccomp_rules, seccomp_rules_count);

	if (result < 0)
		log_error("confinement: seccomp: %s", strerror(-result));
	return result;
}

int confine_lock(void)
{
	const int result = lock_limits();

	return result < 0 ? result : confine_calls();
}
