/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of statistics, piece by piece, and put back from pieces that may be any bytes: rows at their
 * places, the order in which they give way, changes in the order in which they are told, and where the round
 * of publishing stands.
 *
 *   save:  dns_stats_save_head(); each row; each change
 *   load:  dns_stats_load_begin(); the same, in the same order; dns_stats_load_end()
 *
 * The members of what is saved are those of the same name in stats.h; there is no padding in what is
 * saved. Walks begin with INDEX_NONE.
 */
#ifndef SOCKWARDEN_WORKER_DNS_STATS_SAVE_H
#define SOCKWARDEN_WORKER_DNS_STATS_SAVE_H

#include "worker/dns/stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_stats_saved {
	uint64_t evicted;
	uint32_t used;
	uint32_t round;
};

/*
 * A row, by when something happened to it last; or, at place max_rows and with a key of zeroes, the overflow.
 * Saved is its first dns_stats_saved_row_bytes().
 */
struct dns_stats_saved_row {
	struct dns_stats_numbers total;
	uint32_t index;
	struct dns_stats_key key;
};

struct dns_stats_saved_change {
	struct dns_stats_numbers numbers;
	uint32_t row; /* its place */
	uint32_t round;
};

_Static_assert(sizeof(struct dns_stats_numbers) == 488, "no padding");
_Static_assert(offsetof(struct dns_stats_saved_row, key) == 492, "no padding before the name");
_Static_assert(sizeof(struct dns_stats_saved_change) == 496, "no padding");
_Static_assert(sizeof(struct dns_stats_saved) == 16, "no padding");

static inline size_t dns_stats_saved_row_bytes(const struct dns_stats_saved_row *row)
{
	return offsetof(struct dns_stats_saved_row, key) + dns_stats_key_bytes(&row->key);
}

void dns_stats_save_head(const struct dns_stats *stats, struct dns_stats_saved *saved);

/* The next row, the overflow last if it shows; *index is its place. False: no more. */
bool dns_stats_save_row(const struct dns_stats *stats, uint32_t *index,
			struct dns_stats_saved_row *saved);

/* The next change, the one that began first before the others. False: no more. */
bool dns_stats_save_change(const struct dns_stats *stats, uint32_t *index,
			   struct dns_stats_saved_change *saved);

struct dns_stats_loader {
	struct dns_stats *stats;
	uint32_t placed;
};

/* Each of these returns NULL, or a constant text that says what is wrong; then the table is not to be used. */

/* *stats is as dns_stats_init() left it. */
const char *dns_stats_load_begin(struct dns_stats_loader *loader, struct dns_stats *stats,
				 const struct dns_stats_saved *saved);
/* dns_stats_saved_row_bytes() are there. */
const char *dns_stats_load_row(struct dns_stats_loader *loader,
			       const struct dns_stats_saved_row *saved);
const char *dns_stats_load_change(struct dns_stats_loader *loader,
				  const struct dns_stats_saved_change *saved);
const char *dns_stats_load_end(const struct dns_stats_loader *loader);

#endif
