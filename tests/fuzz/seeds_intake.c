/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_intake into the folder that is its only argument.
 */
#include "tests/fuzz/intake_steps.h"
#include "tests/fuzz/seed_file.h"

#include <stdio.h>

#define STEPS_MAX 16

/* The steps of one seed, over and over. */
struct seed {
	const char *name;
	unsigned times;
	struct step steps[STEPS_MAX];
	unsigned count;
};

static const struct seed seeds[] = {
	{"honest", 40, {{OP_CLOSE, 0, 7}, {OP_CLOSE, 1, 9}, {OP_CLOSE, 0, 1}, {OP_PASS, 0, 0}}, 4},
	{"lone", 8, {{OP_CLOSE, 0, 7}, {OP_LONE, 0, 9}, {OP_LONE, 1, 3}, {OP_PASS, 1, 0}}, 4},
	{"full", 200, {{OP_CLOSE, 0, 7}, {OP_LONE, 0, 7}}, 2},
	{"restart",
	 9,
	 {{OP_CLOSE, 0, 5},
	  {OP_CLOSE, 0, 6},
	  {OP_PASS, 1, 0},
	  {OP_CLOSE, 0, 7},
	  {OP_PASS, 0, 0},
	  {OP_RESTART, 0, 0}},
	 6},
	{"changed_lone", 120, {{OP_CHANGE, 3, 20}, {OP_LONE, 0, 9}, {OP_PASS, 1, 0}}, 3},
	{"changed_sizes",
	 60,
	 {{OP_CHANGE, 8, 6}, {OP_LONE, 1, 9}, {OP_LONE, 1, 9}, {OP_PASS, 1, 0}},
	 4},
	{"changed_batches", 40, {{OP_CLOSE, 0, 9}, {OP_CHANGE, 1, 16}, {OP_PASS, 1, 0}}, 3},
	{"again",
	 6,
	 {{OP_LONE, 0, 9}, {OP_AGAIN, 0, 0}, {OP_CHANGE, 16, 20}, {OP_AGAIN, 0, 0}, {OP_PASS, 1, 0}},
	 5},
	{"head",
	 4,
	 {{OP_CLOSE, 0, 9}, {OP_HEAD, 0, 24}, {OP_PASS, 1, 0}, {OP_HEAD, 0, 0xfff8}, {OP_PASS, 1, 0}},
	 5},
	{"lost", 3, {{OP_LOST, 0, 9}, {OP_LONE, 0, 9}, {OP_PASS, 1, 0}}, 3},
	{"mapped",
	 9,
	 {{OP_CLOSE, 0, 9}, {OP_MAPPED, 1, 8}, {OP_PASS, 1, 0}, {OP_MAPPED, 17, 4}, {OP_PASS, 1, 0}},
	 5},
	{"snapshots",
	 7,
	 {{OP_SNAPSHOT, 0, 0}, {OP_TICK, 2, 0}, {OP_SNAPSHOT, 3, 16}, {OP_PASS, 1, 0}},
	 4},
	{"stage", 2, {{OP_SNAPSHOT, 1, 1}, {OP_SNAPSHOT, 255, 5}, {OP_SNAPSHOT, 9, 48}}, 3},
	{"cgroups",
	 2,
	 {{OP_CGROUPS, 0, 0}, {OP_CLOSE, 0, 9}, {OP_CGROUPS, 1, 280}, {OP_PASS, 1, 0}},
	 4},
	{"resume", 9, {{OP_CLOSE, 0, 9}, {OP_PASS, 1, 0}, {OP_RESUME, 1, 0}, {OP_RESTART, 0, 0}}, 4},
};

static int write_seed(const char *folder, const struct seed *seed)
{
	FILE *file = seed_open(folder, seed->name);
	int error = 0;

	if (!file)
		return -1;
	for (unsigned i = 0; i < seed->times; i++)
		error |= fwrite(seed->steps, sizeof(seed->steps[0]), seed->count, file) !=
			 seed->count;
	return fclose(file) == 0 && !error ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		if (write_seed(argv[1], &seeds[i]) < 0)
			return 1;
	}
	return 0;
}
