/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who does it: facts of the running task, to be taken in process context only, and of a task
 * that an iterator shows. A control group that is met for the first time leaves its path in the
 * cgroups map, where the worker's iterator finds it.
 */
#ifndef SOCKWARDEN_BPF_PROCESS_H
#define SOCKWARDEN_BPF_PROCESS_H

#include "bpf/facts.h"
#include "bpf/lock.h"

/* Set by the loader where controllers may have hierarchies of their own: cgroup v1, or both. */
const volatile bool cgroup_v1 SEC(".rodata.cgroup") = false;

#define CGROUP_LEVELS 10
#define CGROUP_NAME_BYTES 128

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct cgroup_record);
} cgroups SEC(".maps");

/* The last control group of each CPU, to be spared the look-up. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} last_cgroup SEC(".maps");

/*
 * Room for a path that is being put together: it may run over by one name before it is cut. Only
 * one program at a time puts one together: a task that is preempted in the middle may be followed
 * by another one on its CPU.
 */
struct cgroup_scratch {
	struct cgroup_record record;
	char overrun[CGROUP_NAME_BYTES];
	u64 busy;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cgroup_scratch);
} cgroup_scratch SEC(".maps");

/* A socket belongs to the running task when it holds the socket's lock (process context). */
static __always_inline bool sock_is_owned(const struct sock *sk)
{
	return READ(sk, sk_lock.owned) == 1;
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___rcu *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

/* Zero for what is in the v2 hierarchy. */
static __always_inline u64 cgroup_hierarchy(struct cgroup *cgroup)
{
	struct cgroup_root *root = READ(cgroup, root);

	return READ(root, hierarchy_id);
}

/* The group of a controller, unless that is in the v2 hierarchy or the process at its root. */
static __always_inline struct cgroup *cgroup_of_controller(struct css_set *css_set, u64 controller)
{
	struct cgroup_subsys_state **states = __builtin_preserve_access_index(&css_set->subsys[0]);
	struct cgroup_subsys_state *state;
	struct cgroup *cgroup;

#ifdef CONN_OLD_KERNEL
	bpf_probe_read_kernel(&state, sizeof(state), states + controller);
#else
	state = states[controller];
#endif
	cgroup = READ(state, cgroup);
	return READ(cgroup, level) && cgroup_hierarchy(cgroup) ? cgroup : NULL;
}

/*
 * The group that tells where a process belongs. With cgroup v1 most processes are at the root of the
 * v2 hierarchy, if there is one, and so are those of containers: their runtimes make a group in every
 * controller's hierarchy. systemd makes one for each service that has its tasks and memory accounted
 * for, which is its default.
 */
static __always_inline struct cgroup *cgroup_of(struct css_set *css_set)
{
	struct cgroup *cgroup = NULL;

#define TRY(controller)                                                               \
	if (!cgroup && bpf_core_enum_value_exists(enum cgroup_subsys_id, controller)) \
	cgroup = cgroup_of_controller(css_set,                                        \
				      bpf_core_enum_value(enum cgroup_subsys_id, controller))
	if (cgroup_v1) {
		TRY(pids_cgrp_id);
		TRY(memory_cgrp_id);
		TRY(cpu_cgrp_id);
	}
#undef TRY
	return cgroup ?: READ(css_set, dfl_cgrp);
}

/* Notes the path of a control group. Returns 0, or 1 if there was no room to put it together. */
static __noinline int cgroup_note(struct kernfs_node *node, u64 id)
{
	struct kernfs_node *levels[CGROUP_LEVELS] = {};
	struct cgroup_scratch *scratch;
	u32 zero = 0, depth = 0, at = 0, room = RECORD_CGROUP_PATH_BYTES - 1;

	scratch = bpf_map_lookup_elem(&cgroup_scratch, &zero);
	if (!scratch || !lock_try(&scratch->busy))
		return 1;
	__builtin_memset(&scratch->record, 0, sizeof(scratch->record));
	scratch->record.kind = RECORD_KIND_CGROUP;
	scratch->record.version = RECORD_VERSION;
	scratch->record.id = id;
	for (u32 i = 0; i < CGROUP_LEVELS; i++) {
		struct kernfs_node *parent = node ? kernfs_parent(node) : NULL;
		long length;

		if (!parent) /* the root has no name of its own */
			break;
		length = bpf_probe_read_kernel_str(scratch->overrun, CGROUP_NAME_BYTES,
						   BPF_CORE_READ(node, name));
		if (length <= 1 || length > room) /* its head is lost */
			break;
		room -= length;
		levels[i] = node;
		depth = i + 1;
		node = parent;
	}
	for (u32 i = 0; i < CGROUP_LEVELS; i++) {
		struct kernfs_node *level = levels[CGROUP_LEVELS - 1 - i];
		long length;

		if (!level)
			continue;
		if (at > RECORD_CGROUP_PATH_BYTES - 2)
			break;
		scratch->record.path[at] = '/';
		length = bpf_probe_read_kernel_str(scratch->record.path + at + 1, CGROUP_NAME_BYTES,
						   BPF_CORE_READ(level, name));
		if (length <= 1 || length > CGROUP_NAME_BYTES)
			break;
		at += length;
	}
	if (!depth)
		scratch->record.path[0] = '/';
	scratch->record.path[RECORD_CGROUP_PATH_BYTES - 1] = '\0';
	bpf_map_update_elem(&cgroups, &id, &scratch->record, BPF_ANY);
	lock_release(&scratch->busy);
	return 0;
}

static __always_inline void cgroup_see(struct kernfs_node *node, u64 id)
{
	u32 zero = 0;
	u64 *last = bpf_map_lookup_elem(&last_cgroup, &zero);

	if (!last || *last == id)
		return;
	if (bpf_map_lookup_elem(&cgroups, &id) || cgroup_note(node, id) == 0)
		*last = id;
}

/* Two loads are cheaper than a bounded copy; what stands behind the NUL does not matter. */
static __always_inline void read_comm(char comm[RECORD_COMM_BYTES], struct task_struct *task)
{
#ifdef CONN_OLD_KERNEL
	BPF_CORE_READ_STR_INTO((char(*)[RECORD_COMM_BYTES])comm, task, comm);
#else
	((u64 *)comm)[0] = ((u64 *)task->comm)[0];
	((u64 *)comm)[1] = ((u64 *)task->comm)[1];
	comm[RECORD_COMM_BYTES - 1] = '\0';
#endif
}

/* Facts of any task; the task may be another one than the running. */
static __always_inline void process_of(struct process *process, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	const struct cred *cred = READ(task, cred);
	struct css_set *css_set = READ(task, cgroups);
	struct cgroup *cgroup = cgroup_of(css_set);
	struct kernfs_node *node = READ(cgroup, kn);
	u64 cgroup_id = READ(node, id);

	/* Each hierarchy counts its groups by itself; none comes near 2^48. */
	if (cgroup_v1)
		cgroup_id ^= cgroup_hierarchy(cgroup) << 48;
	process->pid = READ(task, tgid);
	process->uid = READ(cred, uid.val);
	process->start_ns = READ(leader, start_boottime);
	process->cgroup_id = cgroup_id;
	read_comm(process->comm, leader);
	cgroup_see(node, cgroup_id);
}

/* The socket behind an open file, or NULL. */
static __always_inline struct socket *file_socket(struct file *file)
{
#ifdef CONN_OLD_KERNEL
	struct inode *inode = READ(file, f_inode);
	struct super_block *super_block = READ(inode, i_sb);

	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK ||
	    READ(super_block, s_magic) != SOCKFS_MAGIC)
		return NULL;
	return READ(file, private_data);
#else
	return bpf_sock_from_file(file);
#endif
}

/* bpf_get_current_pid_tgid() is not for all kinds of programs. */
static __always_inline u32 current_pid(void)
{
#ifdef CONN_OLD_KERNEL
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), tgid);
#else
	return bpf_get_current_task_btf()->tgid;
#endif
}

static __always_inline void process_of_current(struct process *process)
{
#ifdef CONN_OLD_KERNEL
	process_of(process, (struct task_struct *)bpf_get_current_task());
#else
	process_of(process, bpf_get_current_task_btf());
#endif
}

#endif
