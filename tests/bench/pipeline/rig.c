/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/pipeline/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rig_die(const char *what, int error)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(-error));
	exit(1);
}

static void settle(void *ctx)
{
	(void)ctx;
}

static void ask_cgroups(void *ctx)
{
	(void)ctx;
}

struct engine *rig_engine_new(struct metrics *metrics,
			      int (*send)(void *ctx, const char *bytes, size_t length))
{
	static const struct identity identity = {.host = "bench", .instance = "0011223344556677"};
	const struct engine_sink sink = {
		.settle = settle,
		.send = send,
		.ask_cgroups = ask_cgroups,
	};
	struct engine *engine = calloc(1, sizeof(*engine));
	struct engine_settings settings;
	struct config config;
	int result;

	if (!engine)
		rig_die("memory", -ENOMEM);
	config_default(&config);
	settings = engine_settings_of(&config);
	result = engine_init(engine, &settings, &sink, &identity, metrics);
	if (result < 0)
		rig_die("engine", result);
	return engine;
}

void rig_engine_free(struct engine *engine)
{
	engine_fini(engine);
	free(engine);
}

static int compare(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

double rig_median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

unsigned rig_rounds(int argc, char **argv, unsigned standard)
{
	const long given = argc > 1 ? strtol(argv[1], NULL, 10) : (long)standard;

	if (given < 1 || given > RIG_ROUNDS_MAX) {
		fprintf(stderr, "usage: %s [rounds, 1..%d]\n", program_invocation_short_name,
			RIG_ROUNDS_MAX);
		exit(2);
	}
	return (unsigned)given;
}
