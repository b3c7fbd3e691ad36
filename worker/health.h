/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether each stage of the worker's loop gets on. A stage that has something to do is expected to
 * make progress; one that has not after eight seconds has stalled, and then health is bad and the
 * supervisor's watchdog is not told that all is well. A stage of which nothing is expected is
 * good, however long it has been idle. The time is a parameter, there is no clock in here.
 *
 * A loop that is stuck judges nothing; that is what the watchdog is for.
 */
#ifndef SOCKWARDEN_WORKER_HEALTH_H
#define SOCKWARDEN_WORKER_HEALTH_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Together with the longest time until a stage is tried (privd is asked every four seconds, and has one
 * and a half to answer) it stays below the 15 seconds in which trouble is to show.
 */
#define HEALTH_STALL_NS (8 * NS_PER_S)
/* Every stage's words at once, with room for the largest number. */
#define HEALTH_REASON_BYTES 512

/* X(symbol, published name, what is wrong when it stalls) */
#define HEALTH_STAGES(X)                                                    \
	X(INTAKE, "intake", "a ring is filling up and nothing is read")     \
	X(SNAPSHOT, "snapshot", "no snapshot of the connections succeeds")  \
	X(SWEEP, "sweep", "no look at UDP's flows succeeds")                \
	X(CGROUPS, "cgroups", "control groups' names cannot be read")       \
	X(PUBLISH, "publish", "messages cannot be handed to the bus")       \
	X(QUERY, "query", "requests cannot be taken from the query socket") \
	X(PRIVD, "privd", "sockwarden-privd does not answer")

enum health_stage {
#define HEALTH_SYMBOL(symbol, name, trouble) HEALTH_##symbol,
	HEALTH_STAGES(HEALTH_SYMBOL)
#undef HEALTH_SYMBOL
	HEALTH_STAGE_COUNT
};

enum health_state {
	HEALTH_GOOD,
	HEALTH_BAD,
	HEALTH_OFF, /* there is no such stage: its feature is off */
};

/* Zeroed memory: nothing is expected of any stage. */
struct health {
	struct {
		uint64_t since_ns; /* progress is expected since then */
		bool is_expected;
		bool is_off;
	} stages[HEALTH_STAGE_COUNT];
};

struct health_report {
	bool is_good; /* all of them are */
	enum health_state states[HEALTH_STAGE_COUNT];
	char reason[HEALTH_REASON_BYTES]; /* what is wrong, in words; empty while all is good */
};

/* The published name, such as "snapshot". */
const char *health_stage_name(enum health_stage stage);

/* The stage has something to do from now on, if it has not had already. */
void health_expect(struct health *health, enum health_stage stage, uint64_t now_ns);

/* It has done something, or has nothing left to do. */
void health_progress(struct health *health, enum health_stage stage);

bool health_is_expected(const struct health *health, enum health_stage stage);

/* There is no such stage here. */
void health_switch_off(struct health *health, enum health_stage stage);

void health_judge(const struct health *health, uint64_t now_ns, struct health_report *report);

#endif
