/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files instead of invented inputs: every file of the folders that are
 * its arguments. So each corpus is a unit test of every build, without a fuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES (1 << 20)

static int replay_file(const char *folder, const char *name)
{
	char path[1024];
	uint8_t *data;
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file) {
		perror(path);
		return -1;
	}
	data = malloc(INPUT_BYTES);
	if (!data) {
		fclose(file);
		return -1;
	}
	size = fread(data, 1, INPUT_BYTES, file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

/* Returns how many files were run, or -1. */
static int replay_folder(const char *folder)
{
	DIR *entries = opendir(folder);
	const struct dirent *entry;
	int count = 0;

	if (!entries) {
		perror(folder);
		return -1;
	}
	while (count >= 0 && (entry = readdir(entries))) {
		if (entry->d_name[0] != '.')
			count = replay_file(folder, entry->d_name) ? -1 : count + 1;
	}
	closedir(entries);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int count = replay_folder(argv[i]);

		if (count < 0)
			return 1;
		total += count;
	}
	printf("%d inputs\n", total);
	return total > 0 ? 0 : 1;
}
