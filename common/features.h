/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the running kernel offers to the connection programs, read from its BTF, which says which
 * functions it has and what they take; and how it was set up. The loader still tries: a kernel may
 * refuse what it has.
 */
#ifndef SOCKWARDEN_COMMON_FEATURES_H
#define SOCKWARDEN_COMMON_FEATURES_H

#include <stdbool.h>

/* How facts of sockets are kept. */
enum facts_store {
	FACTS_AUTO = 0,
	FACTS_TABLE = 1, /* in a table of our own, with sockets' cookies as ids (5.12) */
	FACTS_OLD = 2,	 /* in a hash, with what older kernels offer to programs */
};

/* How the process that accepts a connection is learnt. */
enum accept_hook {
	ACCEPT_AUTO = 0,
	ACCEPT_FEXIT = 1,
	ACCEPT_KPROBE = 2,
	ACCEPT_NONE = 3, /* the listener's owner stands for it, and who closes */
};

/* How UDP's datagrams are seen. */
enum udp_hook {
	UDP_AUTO = 0,
	UDP_FENTRY = 1,
	UDP_KPROBE = 2,
	UDP_CGROUP = 3, /* programs at the root control group */
	UDP_NONE = 4,	/* not at all */
};

struct features {
	bool cookies;	      /* tracing programs can ask for sockets' cookies (5.12) */
	unsigned accept_args; /* arguments of inet_csk_accept: 4, 2 (6.10); 0: not traceable */
	bool cgroup_v1; /* /sys/fs/cgroup holds v1 hierarchies, with or without v2 beside them */
	const char *cgroup2; /* where the v2 hierarchy's root is, or NULL: not mounted there */
	/*
	 * The hooks for UDP, best first, up to UDP_NONE. Where the kernel may be preempted a task that runs
	 * an fentry program can be, and the kernel then skips that program for the next task on its
	 * processor: datagrams would be missed. Programs of kprobes are not preempted.
	 */
	const enum udp_hook *udp_order;
};

/* Returns 0, or -ENOENT where the kernel has no BTF, or another -errno. */
int features_read(struct features *features);

/* The names of the enums' values, for options and the log; the lists end with NULL. */
extern const char *const facts_store_names[];
extern const char *const accept_hook_names[];
extern const char *const udp_hook_names[];

#endif
