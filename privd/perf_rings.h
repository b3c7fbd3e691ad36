/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One perf ring per online CPU, in which full batches, or packets, leave the kernel. privd opens and maps
 * them and never reads: its mapping keeps a ring and what is in it alive while no worker is there.
 * The mapping is writable, since a ring that is first mapped read-only overwrites itself.
 */
#ifndef SOCKWARDEN_PRIVD_PERF_RINGS_H
#define SOCKWARDEN_PRIVD_PERF_RINGS_H

#include "proto/record.h"

struct perf_ring_grant {
	unsigned cpu;
	int fd;
};

struct perf_rings {
	unsigned data_pages; /* per ring, a power of two */
	unsigned count;
	struct perf_ring_grant rings[RECORD_CPUS_MAX];
};

/*
 * Opens, maps and enables a ring for each online CPU of possible_cpus and puts it into the perf
 * event array rings_fd. A reader is woken when a quarter of its ring is filled. Returns 0 or -errno.
 */
int perf_rings_open(struct perf_rings *rings, int rings_fd, unsigned possible_cpus,
		    unsigned data_pages);

#endif
