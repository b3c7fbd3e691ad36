/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who pays for the maps. The kernel charges a map's memory, and later each socket's facts, to the
 * memory control group of the process that made the map. In privd's own group its limit would
 * decide how many sockets can be traced, and every connection of the host would pay for moving a
 * CPU's account between two groups (docs/performance.md).
 * So the maps are made in the root group, whose memory nobody counts.
 *
 * Where the way there is not open (a read-only or missing hierarchy) they are made where we are.
 */
#ifndef SOCKWARDEN_PRIVD_MEMORY_CGROUP_H
#define SOCKWARDEN_PRIVD_MEMORY_CGROUP_H

#include <limits.h>

struct memory_cgroup {
	char procs[PATH_MAX]; /* the file by which the process returns; "": it never left */
};

/* Goes to the root group, and notes in home where this process belongs. */
void memory_cgroup_leave(struct memory_cgroup *home);

/* Returns 0 when the process is home again, or -errno (logged). */
int memory_cgroup_return(const struct memory_cgroup *home);

#endif
