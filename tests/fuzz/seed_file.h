/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the programs that make a fuzz target's seeds write them: a file for each, in the folder that is their
 * only argument.
 */
#ifndef SOCKWARDEN_TESTS_FUZZ_SEED_FILE_H
#define SOCKWARDEN_TESTS_FUZZ_SEED_FILE_H

#include <stdio.h>

/* NULL, and the reason on standard error, where it cannot be written. The caller closes it. */
static inline FILE *seed_open(const char *folder, const char *name)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file)
		perror(path);
	return file;
}

#endif
