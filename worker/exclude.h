/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a connection is excluded: its local end is in exclude.source or its remote end in
 * exclude.destination, whoever opened it. Any item that matches excludes.
 *
 * Prefixes are nested or apart, never half over each other. So the prefixes of a family, sorted by
 * address and then by length, form a forest: the last one that begins at or before an address either
 * holds it, or one of its ancestors does, or none. A look-up is one binary search, and one step for
 * each prefix that holds the address or stands around its neighbour. Where nothing is excluded, it is
 * two comparisons. Everything is within the structure: 160 KiB, touched only as far as it is used.
 */
#ifndef SOCKWARDEN_WORKER_EXCLUDE_H
#define SOCKWARDEN_WORKER_EXCLUDE_H

#include "common/config/config.h"
#include "proto/record.h"

#include <stdbool.h>
#include <stdint.h>

/* One prefix with the ports that its items name. */
struct exclude_node {
	uint64_t high; /* address, its first bytes highest; IPv4: high is 0 */
	uint64_t low;
	uint16_t bits;	   /* of the prefix: 0..128, IPv4 96..128 */
	uint16_t parent;   /* the smallest prefix around it, or EXCLUDE_NO_NODE */
	uint16_t first[2]; /* its ranges, of TCP and UDP */
	uint16_t count[2];
};

#define EXCLUDE_NO_NODE UINT16_MAX

struct exclude_range {
	uint16_t low;
	uint16_t high;
};

/* One end's addresses of one family. */
struct exclude_forest {
	uint32_t node_count;
	uint32_t range_count;
	struct exclude_node nodes[CONFIG_EXCLUDES_MAX];
	/* Those of a node and a protocol stand together, sorted and apart. */
	struct exclude_range ranges[2 * CONFIG_EXCLUDES_MAX];
};

struct exclude {
	struct exclude_forest local[2]; /* IPv4, IPv6 */
	struct exclude_forest remote[2];
};

/* Sets *exclude to what these lists say. */
void exclude_build(struct exclude *exclude, const struct config_excludes *source,
		   const struct config_excludes *destination);

/* A valid record. */
bool exclude_matches(const struct exclude *exclude, const struct conn_record *record);

#endif
