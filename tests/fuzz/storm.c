/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm UNITS SEED FOLDER...: runs a target over inputs made from the steps of all files in the folders, mixed
 * at random and then mutated, until the target has taken in so many units (requests, samples). It needs
 * no fuzzer, so it runs in every build and at full speed; what it cannot do is learn. It prints the rate
 * and the resident memory after each tenth.
 */
#include "tests/fuzz/invariant.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 4096
#define FILE_BYTES_MAX 65536
#define INPUT_BYTES_MAX 8192
/* Lines are requests, which do much; steps of a fixed length do little. */
#define INPUT_LINES_MAX 64
#define INPUT_STEPS_MAX 600

struct step {
	uint8_t *bytes;
	size_t length;
};

static struct step steps[STEPS_MAX];
static size_t step_count;
static uint64_t state;

/* xorshift (Marsaglia 2003): the same storm for the same seed. */
static uint32_t dice(uint32_t sides)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 20) % sides);
}

static void add_step(const uint8_t *bytes, size_t length)
{
	if (step_count == STEPS_MAX)
		return;
	steps[step_count].bytes = malloc(length ? length : 1);
	if (!steps[step_count].bytes)
		exit(1);
	memcpy(steps[step_count].bytes, bytes, length);
	steps[step_count++].length = length;
}

static void cut(const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		const uint8_t *stop = fuzz_step_bytes ? NULL : memchr(bytes, '\n', length);
		size_t step = stop ? (size_t)(stop - bytes) + 1 : length;

		if (fuzz_step_bytes && fuzz_step_bytes < step)
			step = fuzz_step_bytes;
		add_step(bytes, step);
		bytes += step;
		length -= step;
	}
}

static int read_folder(const char *folder)
{
	static uint8_t bytes[FILE_BYTES_MAX];
	DIR *entries = opendir(folder);
	const struct dirent *entry;

	if (!entries)
		return -1;
	while ((entry = readdir(entries))) {
		char path[1024];
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (!file)
			continue;
		cut(bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
	}
	closedir(entries);
	return 0;
}

/* Steps one after the other; a line that had no end gets one. */
static size_t mix(uint8_t *input)
{
	const uint32_t count = 1 + dice(fuzz_step_bytes ? INPUT_STEPS_MAX : INPUT_LINES_MAX);
	size_t length = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct step *step = &steps[dice((uint32_t)step_count)];

		if (step->length >= INPUT_BYTES_MAX - length)
			break;
		memcpy(input + length, step->bytes, step->length);
		length += step->length;
		if (!fuzz_step_bytes && input[length - 1] != '\n')
			input[length++] = '\n';
	}
	return length;
}

/* One change: of a bit, of a byte, bytes taken out, bytes doubled, bytes of elsewhere. */
static size_t mutate(uint8_t *input, size_t length)
{
	const size_t at = dice((uint32_t)length), from = dice((uint32_t)length);
	size_t span = 1 + dice(16);

	switch (dice(5)) {
	case 0:
		input[at] ^= (uint8_t)(1U << dice(8));
		break;
	case 1:
		input[at] = (uint8_t)dice(256);
		break;
	case 2:
		span = span < length - at ? span : length - at;
		memmove(input + at, input + at + span, length - at - span);
		return length - span;
	case 3:
		span = span < length - at ? span : length - at;
		memmove(input + at + span, input + at, length - at);
		return length + span;
	default:
		span = span < length - at ? span : length - at;
		span = span < length - from ? span : length - from;
		memmove(input + at, input + from, span);
		break;
	}
	return length;
}

static uint64_t resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (file) {
		if (fscanf(file, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(uint64_t units)
{
	static uint8_t input[INPUT_BYTES_MAX + 64];
	const double start = seconds();
	uint64_t inputs = 0, tenths = 0;

	while (fuzz_units < units) {
		size_t length = mix(input);
		/* Half of the inputs stay as they are: their requests get further. */
		uint32_t changes = dice(2) ? dice(12) : 0;

		while (changes-- > 0 && length > 0 && length < INPUT_BYTES_MAX)
			length = mutate(input, length);
		LLVMFuzzerTestOneInput(input, length);
		inputs++;
		if (fuzz_units * 10 / units == tenths)
			continue;
		tenths = fuzz_units * 10 / units;
		printf("%" PRIu64 " units in %" PRIu64 " inputs, %.0f a second, resident %" PRIu64
		       " KiB\n",
		       fuzz_units, inputs, (double)fuzz_units / (seconds() - start),
		       resident_kib());
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ULL | 1;
	for (int i = 3; i < argc; i++) {
		if (read_folder(argv[i]) < 0) {
			perror(argv[i]);
			return 1;
		}
	}
	if (step_count == 0)
		return 1;
	run(strtoull(argv[1], NULL, 10));
	for (size_t i = 0; i < step_count; i++)
		free(steps[i].bytes);
	return 0;
}
