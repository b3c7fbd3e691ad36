/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the running kernel offers to sockwarden, found out without the daemons. A fact is a name, a
 * value for people and programs, and how it is known: read from a file, tried for real, or not
 * tried because the caller lacks the privilege. Nothing that is tried stays: every program, link
 * and event is closed before its fact is told.
 */
#ifndef SOCKWARDEN_CLI_PROBE_FACTS_H
#define SOCKWARDEN_CLI_PROBE_FACTS_H

#include "common/features.h"

#include <stdbool.h>
#include <stddef.h>

#define PROBE_VALUE_BYTES 192

enum probe_verdict {
	PROBE_NO,
	PROBE_YES,
	PROBE_UNKNOWN, /* not tried, for want of privilege */
};

struct probe_fact {
	enum probe_verdict verdict;
	char value[PROBE_VALUE_BYTES]; /* printable */
};

struct probe_facts {
	char release[PROBE_VALUE_BYTES];
	int btf_error; /* 0, or why the kernel's types cannot be read: -errno */
	struct features features;
	bool privileged; /* CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, are effective here */
	struct probe_fact btf;
	struct probe_fact cookies;
	struct probe_fact tracepoint; /* tp_btf on the state changes */
	struct probe_fact trampoline; /* fexit on the accept function */
	struct probe_fact kprobe;     /* kretprobe on it */
	struct probe_fact iterators;
	bool map_iterators; /* those over maps' elements are among them, or nobody has tried */
	struct probe_fact landlock;
	struct probe_fact seccomp;
	struct probe_fact cgroup;
	struct probe_fact paranoid;  /* perf_event_paranoid */
	struct probe_fact bpf_users; /* unprivileged_bpf_disabled */
	struct probe_fact conntrack;
};

void probe_facts_gather(struct probe_facts *facts);

/* The ABI that a Landlock version call gave, in words: what it can restrict. */
const char *probe_landlock_words(int abi);

#endif
