/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_dns_stream into the folder that is its only argument: streams in order, out
 * of order, with holes, cut, sent again, ended, and of several flows.
 */
#include "tests/fuzz/seed_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* As in fuzz_dns_stream.c. */
#define STEP_SYN 4
#define STEP_FIN 8
#define STEP_RST 16
#define STEP_FOREIGN 32
#define STEP_TICK 64
#define STEP_NEXT 128

struct step {
	uint8_t flags; /* and the flow */
	uint16_t from;
	uint16_t length;  /* below 4,096 */
	uint8_t captured; /* sixteenths, odd; 0: all */
	uint8_t time;
};

static int write_seed(const char *folder, const char *name, const struct step *steps, size_t count)
{
	FILE *file = seed_open(folder, name);
	bool written = true;

	if (!file)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct step *step = &steps[i];
		const uint8_t bytes[8] = {
			step->flags,
			(uint8_t)(step->from >> 8),
			(uint8_t)step->from,
			(uint8_t)(step->length >> 4),
			(uint8_t)((step->length & 15) << 4 | step->captured),
			0,
			0,
			step->time,
		};

		written &= fwrite(bytes, sizeof(bytes), 1, file) == 1;
	}
	return fclose(file) == 0 && written ? 0 : -1;
}

#define WRITE(folder, name, steps) \
	write_seed(folder, name, steps, sizeof(steps) / sizeof((steps)[0]))

int main(int argc, char **argv)
{
	static const struct step in_order[] = {
		{STEP_SYN, 0, 0, 0, 1},
		{STEP_NEXT, 0, 1460, 0, 1},
		{STEP_NEXT, 0, 1460, 0, 1},
		{STEP_NEXT, 0, 4095, 0, 1},
		{STEP_NEXT, 0, 4095, 0, 1},
		{STEP_NEXT, 0, 4095, 0, 1},
		{STEP_NEXT, 0, 4095, 0, 1},
		{STEP_NEXT, 0, 4095, 0, 1},
		{STEP_NEXT, 0, 4095, 0, 1},
		{STEP_NEXT, 0, 4095, 0, 1},
		{STEP_NEXT | STEP_FIN, 0, 0, 0, 1},
		{STEP_NEXT, 0, 100, 0, 1},
	};
	static const struct step out_of_order[] = {
		{STEP_SYN, 0, 10, 0, 1}, {0, 400, 300, 0, 1},  {0, 10, 390, 0, 1},
		{0, 0, 500, 0, 1},	 {0, 1200, 300, 0, 1}, {0, 700, 500, 0, 1},
		{0, 1500, 60, 0, 1},
	};
	static const struct step holes[] = {
		{STEP_SYN | 1, 0, 100, 0, 1},
		{1, 300, 1000, 0, 1},
		{STEP_TICK | 1, 1300, 1000, 0, 20},
		{1, 100, 200, 0, 1},
		{1, 2500, 100, 0, 1},
		{1, 2700, 100, 0, 1},
		{1, 2900, 100, 0, 1},
		{1, 3100, 100, 0, 1},
		{1, 3300, 1500, 0, 1},
		{STEP_RST | 1, 5000, 0, 0, 1},
	};
	static const struct step cut[] = {
		{STEP_SYN | 2, 0, 4000, 3, 1},	{STEP_NEXT | 2, 0, 4000, 15, 1},
		{STEP_NEXT | 2, 0, 4000, 0, 1}, {STEP_NEXT | 2, 0, 4000, 7, 1},
		{STEP_NEXT | 2, 0, 4000, 0, 1},
	};
	static const struct step several[] = {
		{STEP_SYN, 0, 300, 0, 1},
		{STEP_SYN | 1, 0, 200, 0, 1},
		{STEP_SYN | 2, 0, 250, 0, 1},
		{STEP_SYN | 3, 0, 220, 0, 1},
		{STEP_NEXT, 0, 300, 0, 1},
		{STEP_NEXT | 1, 0, 300, 0, 1},
		{STEP_NEXT | 2, 0, 300, 0, 1},
		{STEP_NEXT | 3, 0, 300, 0, 1},
		{STEP_TICK, 0, 100, 0, 255},
		{STEP_TICK | 1, 0, 100, 0, 255},
		{STEP_SYN | STEP_NEXT | 3, 0, 100, 0, 1},
		{STEP_FOREIGN | 2, 17, 300, 0, 1},
		{STEP_NEXT | 2, 0, 600, 0, 1},
	};
	int result = 0;

	if (argc != 2)
		return 2;
	result |= WRITE(argv[1], "in_order", in_order);
	result |= WRITE(argv[1], "out_of_order", out_of_order);
	result |= WRITE(argv[1], "holes", holes);
	result |= WRITE(argv[1], "cut", cut);
	result |= WRITE(argv[1], "several", several);
	return result ? 1 : 0;
}
