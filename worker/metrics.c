/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/metrics.h"

#include <stddef.h>

static const struct {
	const char *name;
	enum metric_kind kind;
} table[METRIC_COUNT] = {
#define METRIC_ROW(symbol, name, kind) [METRIC_##symbol] = {name, METRIC_KIND_##kind},
	METRICS(METRIC_ROW)
#undef METRIC_ROW
};

const struct metric_group metric_groups[] = {
#define GROUP_ROW(name, meaning) {name, meaning},
	METRIC_GROUPS(GROUP_ROW)
#undef GROUP_ROW
		{NULL, NULL},
};

const char *metric_name(enum metric metric)
{
	return table[metric].name;
}

enum metric_kind metric_kind(enum metric metric)
{
	return table[metric].kind;
}
