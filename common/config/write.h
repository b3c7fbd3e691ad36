/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration as the text that config_apply() makes the same configuration of.
 */
#ifndef SOCKWARDEN_COMMON_CONFIG_WRITE_H
#define SOCKWARDEN_COMMON_CONFIG_WRITE_H

#include "common/config/config.h"
#include "common/json.h"

/* Room for any configuration. */
#define CONFIG_JSON_BYTES_MAX (192 * 1024)

/* Appends an object with every key, in the table's order, without white space. */
void config_write(struct json *json, const struct config *config);

#endif
