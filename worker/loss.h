/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was lost, stage by stage, against what may be. Every stage that can lose something has a
 * budget: so many of a million of what came to it, within the last loss.window_s seconds. What was
 * lost before this worker counts as if it were lost at its start, so that a restart hides nothing.
 *
 * Made of the metrics; the time is a parameter.
 */
#ifndef SOCKWARDEN_WORKER_LOSS_H
#define SOCKWARDEN_WORKER_LOSS_H

#include "common/config/config.h"
#include "worker/metrics.h"

#include <stdbool.h>
#include <stdint.h>

/* Steps in which the window moves on. */
#define LOSS_STEPS 64

/* X(symbol, published name): in the order of the data's way */
#define LOSS_STAGES(X)                                                                          \
	X(BPF, "bpf")	  /* the programs gave a close record up: its CPU's ring had no room */ \
	X(RING, "ring")	  /* a ring lost one without a program's knowledge */                   \
	X(BATCH, "batch") /* in a gap of batch numbers */                                       \
	X(PACKETS, "packets") /* captured DNS packets that their ring had no room for */        \
	X(TABLE, "table")     /* live connections that found no place; their closes are told */ \
	X(PUBLISH, "publish") /* messages that a subscriber's full queue let go */

enum loss_stage {
#define LOSS_SYMBOL(symbol, name) LOSS_##symbol,
	LOSS_STAGES(LOSS_SYMBOL)
#undef LOSS_SYMBOL
	LOSS_STAGE_COUNT
};

struct loss_sum {
	uint64_t lost;
	uint64_t of; /* that came to the stage, with the lost ones */
};

struct loss_sums {
	struct loss_sum stages[LOSS_STAGE_COUNT];
	uint64_t told; /* close records that reached a worker */
};

/* Close records that were told and lost in one interval. */
struct loss_interval {
	uint64_t told;
	uint64_t lost;
	uint64_t length_ms;
};

struct loss_report {
	struct loss_sums total; /* since the programs were loaded, or the worker was started */
	struct loss_sum window[LOSS_STAGE_COUNT];
	uint32_t budget_ppm[LOSS_STAGE_COUNT];
	bool exceeded[LOSS_STAGE_COUNT];
	bool is_exceeded; /* any of them */
	uint32_t window_s;
	struct loss_interval interval; /* the last one that loss_interval_end() ended */
};

struct loss {
	/* What was known at each, a ring; one more than a window has, which is on its way. */
	struct loss_sums steps[LOSS_STEPS + 1];
	unsigned oldest;
	uint64_t step_ns; /* 0: the window has no end */
	uint64_t next_step_ns;
	uint64_t interval_ns; /* when it began */
	struct loss_sums interval;
	struct loss_report report;
};

/* The published name, such as "bpf". */
const char *loss_stage_name(enum loss_stage stage);

void loss_sums_of(struct loss_sums *sums, const struct metrics *metrics);

/* Close records that are lost for good: of all stages that lose such. */
uint64_t loss_closes(const struct loss_sums *sums);

void loss_init(struct loss *loss, const struct config *config, uint64_t now_ns);

/* Brings loss->report up to date; says in the log where a budget begins to be exceeded. */
void loss_update(struct loss *loss, const struct metrics *metrics, uint64_t now_ns);

/* Ends an interval with what loss_update() has found last, and begins the next. */
void loss_interval_end(struct loss *loss, uint64_t now_ns);

#endif
