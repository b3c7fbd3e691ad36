/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the connection programs and holds what came of it: the maps, the programs, the links.
 * Candidates are tried from the best to the plainest, and the first that the kernel takes stays.
 * Nothing here runs after privd dropped its privileges, but loader_iterate() and the counting of
 * missed runs, which are one bpf() call each.
 */
#ifndef SOCKWARDEN_PRIVD_LOADER_H
#define SOCKWARDEN_PRIVD_LOADER_H

#include "common/features.h"
#include "proto/handoff.h"

#include <stdint.h>

struct bpf_object;
struct bpf_link;

struct loader_program {
	const char *name;
	int fd;
};

struct loader {
	struct bpf_object *object;
	struct bpf_object *udp_object; /* NULL: UDP is not traced */
	enum facts_store store;
	enum accept_hook accept;
	enum udp_hook udp;
	const enum udp_hook *udp_order; /* as in struct features */
	unsigned possible_cpus;
	bool by_task;	/* maps are walked over by iterators over tasks */
	bool cgroup_v1; /* these two as in struct features */
	const char *cgroup2;
	int batches_fd;
	int counters_fd;
	int stage_fd;
	int rings_fd;
	int udp_settings_fd;
	struct bpf_link *iterators[HANDOFF_ITERATORS];	      /* by enum handoff_iterator */
	struct loader_program programs[HANDOFF_PROGRAMS_MAX]; /* those that run on events */
	unsigned program_count;
};

/*
 * Loads the maps and programs; nothing runs yet but the accept hook, which sends nothing. The
 * store and hook asked for may be AUTO. The arrays are frozen: only programs can write to them.
 * Returns 0, or the last -errno when no candidate was taken: -EPERM for want of privilege.
 */
int loader_load(struct loader *loader, const struct features *features, enum facts_store store,
		enum accept_hook accept);

/* Attaches everything, and makes the iterators' links. Rings must be in place. */
int loader_attach(struct loader *loader);

/*
 * Loads and attaches UDP's programs, the best set that the kernel takes of the hook asked for or, if
 * that is AUTO, of all. To be called when the rest is attached. Returns 0, also for UDP_NONE, or the
 * last -errno: UDP is not traced then, and the rest is as it was.
 */
int loader_start_udp(struct loader *loader, enum udp_hook hook);

/*
 * Runs a seeding program once: "seed_files" finds the sockets that exist already, with their
 * processes, "seed_udp" the same for UDP; "seed_orphans" the rest of this network namespace's. Returns 0 or -errno.
 */
int loader_seed(const struct loader *loader, const char *program);

/* A fresh pass of an iterator: a descriptor that is the caller's to close, or -errno. */
int loader_iterate(const struct loader *loader, enum handoff_iterator what);

/* Times that the kernel skipped a program since it was loaded; 0 where it does not count them. */
uint64_t loader_missed_runs(const struct loader_program *program);

#endif
