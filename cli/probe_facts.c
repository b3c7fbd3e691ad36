/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/probe_facts.h"

#include "cli/text.h"
#include "common/cleanup.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define ACCEPT_FUNCTION "inet_csk_accept"
#define STATE_TRACEPOINT "inet_sock_set_state"
#define MAP_ITERATOR "bpf_map_elem"
#define TASK_ITERATOR "task" /* what is used where the other one is refused */

static void set(struct probe_fact *fact, enum probe_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void set(struct probe_fact *fact, enum probe_verdict verdict, const char *format, ...)
{
	char text[PROBE_VALUE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fact->verdict = verdict;
	text_escape(fact->value, sizeof(fact->value), text, strlen(text));
}

/* The first line of a small file; returns its length or -errno. */
static ssize_t read_line(const char *path, char *line, size_t capacity)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, line, capacity - 1);
	if (length < 0)
		return -errno;
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return (ssize_t)strlen(line);
}

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint64_t effective;

	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
	return (effective >> CAP_SYS_ADMIN & 1) ||
	       ((effective >> CAP_BPF & 1) && (effective >> CAP_PERFMON & 1));
}

static void not_tried(struct probe_fact *fact)
{
	set(fact, PROBE_UNKNOWN, "not tried: needs CAP_BPF and CAP_PERFMON (run as root)");
}

/*
 * Loads a program that does nothing, of a type that names the kernel function or event it belongs
 * to. Returns its descriptor or -errno.
 */
static int load_nothing(enum bpf_attach_type type, const char *target)
{
	/* r0 = 0; exit */
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = type);
	int id = libbpf_find_vmlinux_btf_id(target, type);
	int fd;

	if (id < 0)
		return id;
	options.attach_btf_id = (unsigned)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "sockwarden_try", "GPL", nothing,
			   sizeof(nothing) / sizeof(nothing[0]), &options);
	return fd < 0 ? -errno : fd;
}

/* Attaches such a program for a moment. */
static void try_tracing(struct probe_fact *fact, enum bpf_attach_type type, const char *target)
{
	_cleanup_close_ int program = load_nothing(type, target);
	_cleanup_close_ int link = -1;

	if (program < 0) {
		set(fact, PROBE_NO, "refused at load on %s: %s", target, strerror(-program));
		return;
	}
	link = bpf_raw_tracepoint_open(NULL, program);
	if (link < 0)
		set(fact, PROBE_NO, "refused at attach to %s: %s", target, strerror(errno));
	else
		set(fact, PROBE_YES, "tried on %s", target);
}

static void try_iterators(struct probe_facts *facts)
{
	_cleanup_close_ int of_maps = load_nothing(BPF_TRACE_ITER, MAP_ITERATOR);
	_cleanup_close_ int of_tasks = load_nothing(BPF_TRACE_ITER, TASK_ITERATOR);

	facts->map_iterators = of_maps >= 0;
	if (of_maps >= 0)
		set(&facts->iterators, PROBE_YES, "tried on %s", MAP_ITERATOR);
	else if (of_tasks >= 0)
		set(&facts->iterators, PROBE_YES, "tried on %s; refused on %s: %s", TASK_ITERATOR,
		    MAP_ITERATOR, strerror(-of_maps));
	else
		set(&facts->iterators, PROBE_NO, "refused: %s", strerror(-of_maps));
}

/* Opens the event of a return probe on the accept function (perf_event_open(2), dynamic PMU). */
static void try_kprobe(struct probe_fact *fact)
{
	struct perf_event_attr attributes = {.size = sizeof(attributes)};
	_cleanup_close_ int event = -1;
	char line[32];

	if (read_line("/sys/bus/event_source/devices/kprobe/type", line, sizeof(line)) < 0) {
		set(fact, PROBE_NO, "this kernel was built without kprobes");
		return;
	}
	attributes.type = (uint32_t)strtoul(line, NULL, 10);
	attributes.config = 1; /* a return probe: format/retprobe is config:0 */
	attributes.config1 = (uint64_t)(uintptr_t)ACCEPT_FUNCTION;
	event = (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		set(fact, PROBE_NO, "refused on %s: %s", ACCEPT_FUNCTION, strerror(errno));
	else
		set(fact, PROBE_YES, "tried on %s", ACCEPT_FUNCTION);
}

static void gather_tracing(struct probe_facts *facts)
{
	struct features *const features = &facts->features;

	facts->btf_error = features_read(features);
	if (facts->btf_error) {
		set(&facts->btf, PROBE_NO, "%s",
		    facts->btf_error == -ENOENT
			    ? "no /sys/kernel/btf/vmlinux: the kernel was built "
			      "without CONFIG_DEBUG_INFO_BTF"
			    : strerror(-facts->btf_error));
		set(&facts->cookies, PROBE_NO, "not without BTF");
	} else {
		set(&facts->btf, PROBE_YES, "/sys/kernel/btf/vmlinux");
		set(&facts->cookies, features->cookies ? PROBE_YES : PROBE_NO,
		    features->cookies ? "cookies in tracing programs"
				      : "not before 5.12: facts go to a hash");
	}
	if (facts->btf_error) {
		set(&facts->tracepoint, PROBE_NO, "not without BTF");
		set(&facts->trampoline, PROBE_NO, "not without BTF");
		set(&facts->iterators, PROBE_NO, "not without BTF");
	} else if (facts->privileged) {
		try_tracing(&facts->tracepoint, BPF_TRACE_RAW_TP, STATE_TRACEPOINT);
		try_tracing(&facts->trampoline, BPF_TRACE_FEXIT, ACCEPT_FUNCTION);
		try_iterators(facts);
	} else {
		not_tried(&facts->tracepoint);
		not_tried(&facts->trampoline);
		not_tried(&facts->iterators);
		facts->map_iterators = true;
	}
	if (facts->privileged)
		try_kprobe(&facts->kprobe);
	else
		not_tried(&facts->kprobe);
}

const char *probe_landlock_words(int abi)
{
	static const char *const words[] = {
		"none",
		"files",
		"files, renames",
		"files, renames, truncation",
		"files, TCP ports",
		"files, TCP ports, device ioctl",
		"files, TCP ports, device ioctl, signals and abstract sockets",
	};
	const int last = (int)(sizeof(words) / sizeof(words[0])) - 1;

	return words[abi < 0 ? 0 : abi > last ? last : abi];
}

static void gather_confinement(struct probe_facts *facts)
{
	const long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (abi >= 1)
		set(&facts->landlock, PROBE_YES, "ABI %ld (%s)", abi,
		    probe_landlock_words((int)abi));
	else
		set(&facts->landlock, PROBE_NO, "%s",
		    errno == EOPNOTSUPP ? "built, but not switched on (lsm=landlock,...)"
					: "not before 5.13, or not built");
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		set(&facts->seccomp, PROBE_YES, "filters, with killing of the whole process");
	else
		set(&facts->seccomp, PROBE_NO, "no filters that kill a process (needs 4.14)");
}

/* With v1 the mount point of its first hierarchy, otherwise that of v2, from /proc/self/mounts. */
static void gather_cgroup(struct probe_fact *fact, bool v1)
{
	const char *const wanted = v1 ? "cgroup" : "cgroup2";
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[1024];

	set(fact, PROBE_NO, "none is mounted: containers stay unknown");
	while (mounts && fgets(line, sizeof(line), mounts)) {
		char *rest = line;
		const char *device = strsep(&rest, " ");
		const char *path = strsep(&rest, " ");
		const char *type = strsep(&rest, " ");

		(void)device;
		if (!type || strcmp(type, wanted) != 0)
			continue;
		if (v1)
			set(fact, PROBE_YES, "v1, such as %s: a controller's groups are told",
			    path);
		else
			set(fact, PROBE_YES, "v2 at %s", path);
		break;
	}
	if (mounts)
		fclose(mounts);
}

static void gather_settings(struct probe_facts *facts)
{
	char line[32];

	if (read_line("/proc/sys/kernel/perf_event_paranoid", line, sizeof(line)) >= 0)
		set(&facts->paranoid, PROBE_YES, "%s", line);
	else
		set(&facts->paranoid, PROBE_NO, "this kernel was built without perf events");
	if (read_line("/proc/sys/kernel/unprivileged_bpf_disabled", line, sizeof(line)) >= 0)
		set(&facts->bpf_users, PROBE_YES, "%s", line);
	else
		set(&facts->bpf_users, PROBE_NO, "this kernel was built without bpf()");
	if (access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK) == 0)
		set(&facts->conntrack, PROBE_YES, "loaded");
	else
		set(&facts->conntrack, PROBE_NO, "not loaded: no address translation on this host");
}

void probe_facts_gather(struct probe_facts *facts)
{
	struct utsname name;

	*facts = (struct probe_facts){0};
	if (uname(&name) == 0)
		text_escape(facts->release, sizeof(facts->release), name.release,
			    strlen(name.release));
	/* What the kernel says about a refusal is told in one line here. */
	libbpf_set_print(NULL);
	facts->privileged = has_capabilities();
	gather_tracing(facts);
	gather_confinement(facts);
	gather_cgroup(&facts->cgroup, facts->features.cgroup_v1);
	gather_settings(facts);
}
