/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets have in common: the entry point, and how a broken promise ends a run.
 */
#ifndef SOCKWARDEN_TESTS_FUZZ_INVARIANT_H
#define SOCKWARDEN_TESTS_FUZZ_INVARIANT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Where a target's input is a list of steps (storm.c mixes them): the length of one, 0: lines; and
 * what was taken in so far, over all inputs: requests, samples.
 */
extern const size_t fuzz_step_bytes;
extern uint64_t fuzz_units;

#define INVARIANT(condition)                                                   \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "invariant broken: %s\n", #condition); \
			abort();                                               \
		}                                                              \
	} while (0)

#endif
