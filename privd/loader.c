/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/loader.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/name.h"
#include "conn.skel.h"
#include "conn_old.skel.h"
#include "proto/record.h"
#include "udp.skel.h"
#include "udp_old.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct candidate {
	enum facts_store store;
	enum accept_hook accept;
	unsigned accept_args; /* that this program is made for; 0: any */
	const char *accept_program;
};

/* Best first. */
static const struct candidate candidates[] = {
	{FACTS_TABLE, ACCEPT_FEXIT, 2, "accept_of_two"},
	{FACTS_TABLE, ACCEPT_FEXIT, 4, "accept_of_four"},
	{FACTS_TABLE, ACCEPT_KPROBE, 0, "accept_by_return"},
	{FACTS_TABLE, ACCEPT_NONE, 0, NULL},
	{FACTS_OLD, ACCEPT_FEXIT, 2, "accept_of_two"},
	{FACTS_OLD, ACCEPT_FEXIT, 4, "accept_of_four"},
	{FACTS_OLD, ACCEPT_KPROBE, 0, "accept_by_return"},
	{FACTS_OLD, ACCEPT_NONE, 0, NULL},
};

/* Programs that run on events: these are always there, and so are those that seed. */
static const char *const event_programs[] = {"state_change", "destroy", NULL};
static const char *const seeds[] = {"seed_files", "seed_orphans", "seed_udp", NULL};

/*
 * The iterators that a worker may ask for, the maps that they walk over, and those over tasks that take their
 * place where the kernel refuses iterators over maps' elements (bpf/walk.h).
 */
static const struct walk {
	enum handoff_iterator what;
	const char *program;
	const char *by_task;
	const char *map;
} walks[] = {
	{HANDOFF_ITERATE_CONNECTIONS, "snapshot", "snapshot_by_task", "fact_sets"},
	{HANDOFF_ITERATE_SPILLED, "snapshot_spilled", "snapshot_spilled_by_task", "spilled_facts"},
	{HANDOFF_ITERATE_CGROUPS, "list_cgroups", "list_cgroups_by_task", "cgroups"},
	{HANDOFF_ITERATE_FLOWS, "list_flows", "list_flows_by_task", "flow_sets"},
	{HANDOFF_ITERATE_ENDED_FLOWS, "sweep_flows", "sweep_flows_by_task", "flow_sets"},
};

/* UDP's programs by hook. */
#define UDP_PROGRAMS_MAX 5
static const char *const udp_programs[][UDP_PROGRAMS_MAX + 1] = {
	[UDP_FENTRY] = {"sent", "sent6", "received", "released", "released6"},
	[UDP_KPROBE] = {"sent_by_kprobe", "sent6_by_kprobe", "received_by_kprobe",
			"released_by_kprobe", "released6_by_kprobe"},
	[UDP_CGROUP] = {"skb_sent", "skb_received", "socket_bound", "socket_bound6", "socket_gone"},
};

__attribute__((format(printf, 2, 0))) static int print_debug(enum libbpf_print_level level,
							     const char *format, va_list arguments)
{
	static char text[1 << 24]; /* a verifier's log, whose last words matter; libbpf's limit */
	char *rest = text, *line;

	(void)level;
	vsnprintf(text, sizeof(text), format, arguments);
	while ((line = strsep(&rest, "\n")))
		log_debug("%s", line);
	return 0;
}

/* Whether a program is one that seeds, or an iterator that is used on this kernel. */
static bool is_iterator(const struct loader *loader, const char *program)
{
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
		if (strcmp(program, loader->by_task ? walks[i].by_task : walks[i].program) == 0)
			return true;
	}
	return name_find(seeds, program) >= 0;
}

static bool is_wanted(const struct loader *loader, const char *program,
		      const struct candidate *candidate)
{
	return name_find(event_programs, program) >= 0 || is_iterator(loader, program) ||
	       (candidate->accept_program && strcmp(program, candidate->accept_program) == 0);
}

static struct bpf_object *open_object(const struct candidate *candidate)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "sockwarden");
	size_t size;
	const void *bytes = candidate->store == FACTS_OLD ? conn_old__elf_bytes(&size)
							  : conn__elf_bytes(&size);

	return bpf_object__open_mem(bytes, size, &options);
}

/* Sets a constant of the programs, if this map is the one that holds it. */
static int set_constant(struct bpf_map *map, const char *section, bool value)
{
	return strcmp(bpf_map__name(map), section) == 0
		       ? bpf_map__set_initial_value(map, &value, sizeof(value))
		       : 0;
}

/* Sets sizes and constants, and leaves out what this candidate, or a try of its hook, does not use. */
static int prepare(struct bpf_object *object, const struct candidate *candidate,
		   const struct loader *loader, bool only_accept)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int error;

	bpf_object__for_each_program(program, object)
	{
		const char *name = bpf_program__name(program);
		bool wanted = only_accept ? strcmp(name, candidate->accept_program) == 0
					  : is_wanted(loader, name, candidate);

		error = bpf_program__set_autoload(program, wanted);
		if (error)
			return error;
	}
	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);

		error = set_constant(map, ".rodata.accept", candidate->accept != ACCEPT_NONE);
		if (!error)
			error = set_constant(map, ".rodata.cgroup", loader->cgroup_v1);
		if (!error && (strcmp(name, "batches") == 0 || strcmp(name, "counters") == 0 ||
			       strcmp(name, "rings") == 0))
			error = bpf_map__set_max_entries(map, loader->possible_cpus);
		if (error)
			return error;
	}
	return 0;
}

/* Tells every batch whose it is, and then takes the right to write from user space, ours included. */
static int label_and_freeze(const struct loader *loader)
{
	struct conn_batch batch = {.kind = RECORD_KIND_BATCH, .version = RECORD_VERSION};

	for (unsigned cpu = 0; cpu < loader->possible_cpus; cpu++) {
		batch.cpu = (__u16)cpu;
		if (bpf_map_update_elem(loader->batches_fd, &cpu, &batch, BPF_ANY))
			return -errno;
	}
	if (bpf_map_freeze(loader->batches_fd) || bpf_map_freeze(loader->counters_fd) ||
	    bpf_map_freeze(loader->stage_fd))
		return -errno;
	return 0;
}

static int note_program(struct loader *loader, const struct bpf_program *program)
{
	if (loader->program_count == HANDOFF_PROGRAMS_MAX)
		return -E2BIG;
	loader->programs[loader->program_count++] = (struct loader_program){
		.name = bpf_program__name(program),
		.fd = bpf_program__fd(program),
	};
	return 0;
}

static int attach(struct loader *loader, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(loader->object, name);

	if (!program)
		return -ENOENT;
	/* The link stays until this process ends: its memory is never given back. */
	if (!bpf_program__attach(program))
		return -errno;
	return note_program(loader, program);
}

/* Whether the kernel takes the accept hook: without the programs that take it long to verify. */
static int try_accept(const struct loader *loader, const struct candidate *candidate)
{
	struct bpf_object *object = open_object(candidate);
	struct bpf_link *link = NULL;
	int error;

	if (!object)
		return -errno;
	error = prepare(object, candidate, loader, true);
	if (!error)
		error = bpf_object__load(object);
	if (!error) {
		link = bpf_program__attach(
			bpf_object__find_program_by_name(object, candidate->accept_program));
		error = link ? 0 : -errno;
	}
	bpf_link__destroy(link);
	bpf_object__close(object);
	return error;
}

static int try_candidate(struct loader *loader, const struct candidate *candidate)
{
	int error = candidate->accept_program ? try_accept(loader, candidate) : 0;

	if (error)
		return error;

	loader->program_count = 0;
	loader->object = open_object(candidate);
	if (!loader->object)
		return -errno;
	error = prepare(loader->object, candidate, loader, false);
	if (!error)
		error = bpf_object__load(loader->object);
	if (!error) {
		loader->batches_fd = bpf_object__find_map_fd_by_name(loader->object, "batches");
		loader->counters_fd = bpf_object__find_map_fd_by_name(loader->object, "counters");
		loader->stage_fd = bpf_object__find_map_fd_by_name(loader->object, "stage");
		loader->rings_fd = bpf_object__find_map_fd_by_name(loader->object, "rings");
		error = label_and_freeze(loader);
	}
	if (!error && candidate->accept_program)
		error = attach(loader, candidate->accept_program);
	if (error) {
		bpf_object__close(loader->object);
		loader->object = NULL;
		return error;
	}
	loader->store = candidate->store;
	loader->accept = candidate->accept;
	return 0;
}

/* Whether the kernel takes an iterator over a map's elements that does nothing. */
static bool has_map_iterators(void)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_ITER);
	const int id = libbpf_find_vmlinux_btf_id("bpf_map_elem", BPF_TRACE_ITER);
	_cleanup_close_ int fd = -1;

	options.attach_btf_id = (__u32)id;
	if (id > 0)
		fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "nothing", "Dual BSD/GPL", nothing, 2,
				   &options);
	return fd >= 0;
}

int loader_load(struct loader *loader, const struct features *features, enum facts_store store,
		enum accept_hook accept)
{
	int cpus = libbpf_num_possible_cpus();
	int error = -EOPNOTSUPP;

	if (cpus < 1 || cpus > RECORD_CPUS_MAX)
		return -E2BIG;
	loader->possible_cpus = (unsigned)cpus;
	loader->cgroup_v1 = features->cgroup_v1;
	loader->cgroup2 = features->cgroup2;
	loader->udp_order = features->udp_order;
	loader->by_task = !has_map_iterators();
	libbpf_set_print(print_debug);
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const struct candidate *candidate = &candidates[i];

		if (store != FACTS_AUTO && candidate->store != store)
			continue;
		if (store == FACTS_AUTO && candidate->store == FACTS_TABLE && !features->cookies)
			continue;
		if (accept != ACCEPT_AUTO && candidate->accept != accept)
			continue;
		if (candidate->accept_args && candidate->accept_args != features->accept_args)
			continue;
		error = try_candidate(loader, candidate);
		if (!error)
			return 0;
		log_debug("facts in %s with accept by %s: %s", facts_store_names[candidate->store],
			  accept_hook_names[candidate->accept], strerror(-error));
	}
	return error;
}

/* An iterator's link; map is what it walks over, or NULL. */
static struct bpf_link *attach_iterator(const struct bpf_object *object, const char *name,
					const char *map)
{
	LIBBPF_OPTS(bpf_iter_attach_opts, options);
	union bpf_iter_link_info info = {0};

	if (map) {
		info.map.map_fd = (unsigned)bpf_object__find_map_fd_by_name(object, map);
		options.link_info = &info;
		options.link_info_len = sizeof(info);
	}
	return bpf_program__attach_iter(bpf_object__find_program_by_name(object, name), &options);
}

/* Makes the links of the iterators that this object has. */
static int attach_walks(struct loader *loader, const struct bpf_object *object)
{
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
		struct bpf_link **link = &loader->iterators[walks[i].what];
		const char *name = loader->by_task ? walks[i].by_task : walks[i].program;

		if (!bpf_object__find_program_by_name(object, name) ||
		    !bpf_object__find_map_by_name(object, walks[i].map))
			continue;
		*link = attach_iterator(object, name, loader->by_task ? NULL : walks[i].map);
		if (!*link)
			return -errno;
	}
	return 0;
}

int loader_attach(struct loader *loader)
{
	int error;

	for (size_t i = 0; event_programs[i]; i++) {
		error = attach(loader, event_programs[i]);
		if (error)
			return error;
	}
	error = attach_walks(loader, loader->object);
	if (error)
		return error;
	/* Where there is no table everything is in the hash. */
	if (!loader->iterators[HANDOFF_ITERATE_CONNECTIONS])
		loader->iterators[HANDOFF_ITERATE_CONNECTIONS] =
			loader->iterators[HANDOFF_ITERATE_SPILLED];
	return 0;
}

/* Opens UDP's object with this hook's programs and the maps that the other object has made. */
static int load_udp(struct loader *loader, enum udp_hook hook)
{
	const bool by_address = hook == UDP_KPROBE ||
				(hook == UDP_FENTRY && loader->store == FACTS_OLD);
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "sockwarden_udp");
	struct bpf_program *program;
	struct bpf_map *map;
	size_t size;
	const void *bytes = loader->store == FACTS_OLD ? udp_old__elf_bytes(&size)
						       : udp__elf_bytes(&size);
	int error = 0;

	/* To be told before the verifier has worked for a second. */
	if (hook == UDP_KPROBE && access("/sys/bus/event_source/devices/kprobe/type", F_OK))
		return -errno;
	loader->udp_object = bpf_object__open_mem(bytes, size, &options);
	if (!loader->udp_object)
		return -errno;
	bpf_object__for_each_program(program, loader->udp_object)
	{
		const char *name = bpf_program__name(program);

		bpf_program__set_autoload(program, name_find(udp_programs[hook], name) >= 0 ||
							   is_iterator(loader, name));
	}
	bpf_object__for_each_map(map, loader->udp_object)
	{
		const char *name = bpf_map__name(map);
		int fd = bpf_object__find_map_fd_by_name(loader->object, name);

		if (fd >= 0 && name[0] != '.')
			error = bpf_map__reuse_fd(map, fd);
		if (!error)
			error = set_constant(map, ".rodata.sockets", by_address);
		if (!error)
			error = set_constant(map, ".rodata.cgroup", loader->cgroup_v1);
		if (error)
			return error;
	}
	return bpf_object__load(loader->udp_object);
}

/* All of the hook's programs, or none. */
static int attach_udp(struct loader *loader, enum udp_hook hook)
{
	_cleanup_close_ int root = -1;
	struct bpf_link *links[UDP_PROGRAMS_MAX] = {0};
	const unsigned count_before = loader->program_count;
	int error = attach_walks(loader, loader->udp_object);

	if (!error && hook == UDP_CGROUP) {
		root = open(loader->cgroup2 ? loader->cgroup2 : "", O_DIRECTORY | O_CLOEXEC);
		error = root < 0 ? -errno : 0;
	}
	for (size_t i = 0; !error && i < UDP_PROGRAMS_MAX; i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(loader->udp_object, udp_programs[hook][i]);

		links[i] = root >= 0 ? bpf_program__attach_cgroup(program, root)
				     : bpf_program__attach(program);
		error = links[i] ? note_program(loader, program) : -errno;
	}
	if (!error)
		return 0;
	for (size_t i = 0; i < UDP_PROGRAMS_MAX; i++)
		bpf_link__destroy(links[i]);
	loader->program_count = count_before;
	return error;
}

int loader_start_udp(struct loader *loader, enum udp_hook hook)
{
	int error = 0;

	for (const enum udp_hook *next = loader->udp_order; *next != UDP_NONE; next++) {
		if (hook != UDP_AUTO && hook != *next)
			continue;
		error = load_udp(loader, *next);
		if (!error)
			error = attach_udp(loader, *next);
		if (!error) {
			loader->udp = *next;
			loader->udp_settings_fd =
				bpf_object__find_map_fd_by_name(loader->udp_object, "udp_settings");
			return 0;
		}
		log_debug("UDP by %s: %s", udp_hook_names[*next], strerror(-error));
		bpf_link__destroy(loader->iterators[HANDOFF_ITERATE_FLOWS]);
		bpf_link__destroy(loader->iterators[HANDOFF_ITERATE_ENDED_FLOWS]);
		loader->iterators[HANDOFF_ITERATE_FLOWS] = NULL;
		loader->iterators[HANDOFF_ITERATE_ENDED_FLOWS] = NULL;
		bpf_object__close(loader->udp_object);
		loader->udp_object = NULL;
	}
	loader->udp = UDP_NONE;
	return error;
}

int loader_seed(const struct loader *loader, const char *program)
{
	const bool is_udp = strcmp(program, "seed_udp") == 0;
	struct bpf_link *link =
		attach_iterator(is_udp ? loader->udp_object : loader->object, program, NULL);
	_cleanup_close_ int fd = -1;
	int error = 0;
	char byte;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		error = -errno;
	while (!error && read(fd, &byte, sizeof(byte)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			error = -errno;
	}
	bpf_link__destroy(link);
	return error;
}

int loader_iterate(const struct loader *loader, enum handoff_iterator what)
{
	const struct bpf_link *link = loader->iterators[what];
	int fd = link ? bpf_iter_create(bpf_link__fd(link)) : -1;

	if (!link)
		return -EOPNOTSUPP;
	return fd < 0 ? -errno : fd;
}

uint64_t loader_missed_runs(const struct loader_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(program->fd, &info, &size))
		return 0;
	return info.recursion_misses;
}
