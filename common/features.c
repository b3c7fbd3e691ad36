/* SPDX-License-Identifier: Apache-2.0 */
#include "common/features.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <errno.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

const char *const facts_store_names[] = {"auto", "table", "old", NULL};
const char *const accept_hook_names[] = {"auto", "fexit", "kprobe", "none", NULL};
const char *const udp_hook_names[] = {"auto", "fentry", "kprobe", "cgroup_skb", "none", NULL};

/* The number of arguments of a kernel function, or -ENOENT. */
static int function_arguments(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	const struct btf_type *type;

	if (id < 0)
		return -ENOENT;
	type = btf__type_by_id(btf, btf__type_by_id(btf, (unsigned)id)->type);
	return btf_vlen(type);
}

/*
 * As systemd and the container runtimes decide it (systemd's CGROUP_DELEGATION.md): where v2 rules
 * alone it is mounted right there, otherwise a tmpfs is, which holds the controllers' mount points.
 */
static bool has_cgroup_v1(void)
{
	struct statfs about;

	return statfs("/sys/fs/cgroup", &about) == 0 && about.f_type == TMPFS_MAGIC;
}

/* Beside v1 systemd mounts v2 in a place of its own. */
static const char *find_cgroup2(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	struct statfs about;

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if (statfs(roots[i], &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC)
			return roots[i];
	}
	return NULL;
}

/*
 * Whether tasks can be preempted in the kernel: its build says so (uname -v), and where that is chosen at
 * boot debugfs tells what was ("none (voluntary) full"); who cannot know must assume it.
 */
static bool is_preemptible(void)
{
	FILE *file;
	char line[128] = "";
	struct utsname about;

	if (uname(&about) < 0 || !strstr(about.version, "PREEMPT"))
		return false;
	file = fopen("/sys/kernel/debug/sched/preempt", "re");
	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = '\0';
		fclose(file);
	}
	return !strstr(line, "(none)") && !strstr(line, "(voluntary)");
}

int features_read(struct features *features)
{
	static const enum udp_hook fast[] = {UDP_FENTRY, UDP_KPROBE, UDP_CGROUP, UDP_NONE};
	static const enum udp_hook steady[] = {UDP_KPROBE, UDP_CGROUP, UDP_FENTRY, UDP_NONE};
	/* That there is none is the caller's to tell, in its own words. */
	const libbpf_print_fn_t print = libbpf_set_print(NULL);
	struct btf *btf = btf__load_vmlinux_btf();
	const int error = errno;
	int arguments;

	libbpf_set_print(print);
	features->cgroup_v1 = has_cgroup_v1();
	features->cgroup2 = find_cgroup2();
	features->udp_order = is_preemptible() ? steady : fast;
	if (!btf)
		return error == ESRCH ? -ENOENT : -error;
	/* The newest of what CONN_OLD_KERNEL does without (bpf/facts.h) is the cookies. */
	features->cookies = function_arguments(btf, "bpf_get_socket_ptr_cookie") >= 0;
	arguments = function_arguments(btf, "inet_csk_accept");
	features->accept_args = arguments == 4 || arguments == 2 ? (unsigned)arguments : 0;
	btf__free(btf);
	return 0;
}
