/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmarks of the worker have in common: an engine with the default configuration whose
 * messages go where the benchmark says, medians, and the end when something is wrong.
 */
#ifndef SOCKWARDEN_TESTS_BENCH_PIPELINE_RIG_H
#define SOCKWARDEN_TESTS_BENCH_PIPELINE_RIG_H

#include "worker/engine.h"

#define RIG_ROUNDS_MAX 1000
#define RIG_WALL ((struct clock_offsets){1795330000000000000ULL, 1795330000000000000ULL})

/* Says what is wrong, with -errno's text, and ends the program. */
_Noreturn void rig_die(const char *what, int error);

/* A new engine; send takes its messages. */
struct engine *rig_engine_new(struct metrics *metrics,
			      int (*send)(void *ctx, const char *bytes, size_t length));
void rig_engine_free(struct engine *engine);

/* Sorts the values. */
double rig_median(double *values, unsigned count);

/* Reads the one argument, rounds; ends the program with its usage if it is none. */
unsigned rig_rounds(int argc, char **argv, unsigned standard);

#endif
