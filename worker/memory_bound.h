/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The most memory that a worker with a configuration can take, row by row. Each row asks the
 * formula that stands beside its table (x_bytes()), so that a table that grows takes its row
 * along; what has no table (code, threads, requests that are being parsed) is a row of its own. It is an
 * upper bound of what is resident: most of it is reserved at start and touched only when used.
 *
 * `sockwarden config check` prints it, with the same code.
 */
#ifndef SOCKWARDEN_WORKER_MEMORY_BOUND_H
#define SOCKWARDEN_WORKER_MEMORY_BOUND_H

#include "common/config/config.h"

#include <stddef.h>
#include <stdint.h>

#define MEMORY_ROWS_MAX 32

/* What is not the configuration's to say. */
struct memory_host {
	uint32_t cpus;	     /* each has a ring and a batch */
	uint32_t ring_pages; /* sockwarden-privd --ring-pages */
	uint32_t page_bytes;
};

struct memory_row {
	const char *what;
	const char *key; /* what decides it: a configuration key, a privd option or "" */
	uint64_t bytes;
};

/* Fills in rows; returns how many. */
size_t memory_bound(struct memory_row rows[static MEMORY_ROWS_MAX], const struct config *config,
		    const struct memory_host *host);

#endif
