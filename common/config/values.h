/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One key's value from JSON into the configuration: its type, its range, its place in the text
 * where it is wrong.
 */
#ifndef SOCKWARDEN_COMMON_CONFIG_VALUES_H
#define SOCKWARDEN_COMMON_CONFIG_VALUES_H

#include "common/config/keys.h"

#include <cjson/cJSON.h>

#include <stddef.h>

/* One text on its way into a configuration. */
struct config_parse {
	struct config *config;
	const char *name;
	const char *original; /* as it was given: columns are counted in it */
	const char *text;     /* the same with comments blanked */
	size_t length;
	char *error;
	size_t error_bytes;
	uint64_t seen;	       /* keys that this text set */
	uint64_t seen_section; /* by the number of their first key */
};

/* Writes "NAME:LINE:COL: message" for what stands at offset. Returns -EINVAL. */
int config_fail(const struct config_parse *parse, size_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets the key to value, which stands at offset. Returns 0; or -EINVAL, said, key half changed. */
int config_value_set(struct config_parse *parse, const struct config_key *key, const cJSON *value,
		     size_t offset);

#endif
