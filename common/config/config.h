/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's configuration: one JSON file in which comments are allowed, then the drop-ins
 * conf.d/NAME.json beside it in the byte order of their names; a later value replaces an earlier one.
 * Keys are objects in objects: "publish.interval_s" is {"publish": {"interval_s": 30}}. One table
 * holds every key with its type, range and default. Nothing is guessed: an unknown or doubled
 * key, a wrong type or a value out of range is an error that names file, line and column, and
 * then the configuration is not used at all.
 */
#ifndef SOCKWARDEN_COMMON_CONFIG_CONFIG_H
#define SOCKWARDEN_COMMON_CONFIG_CONFIG_H

#include "common/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_DEFAULT "/etc/sockwarden/sockwarden.json"
/* A larger file, or more drop-ins, is an error. */
#define CONFIG_FILE_BYTES_MAX 262144
#define CONFIG_DROP_INS_MAX 256
/* Room for "FILE:LINE:COL: message". */
#define CONFIG_ERROR_BYTES 512

struct config {
	uint32_t publish_interval_s;	  /* 1..3600: active connections, meta data */
	uint32_t publish_closed_delay_ms; /* 50..60000: at most from a close to its message */
	uint32_t publish_queue;		  /* 1..8192: messages that wait per subscriber */
	uint32_t state_max_connections;	  /* 64..4194304: tracked at the same time */
	bool tcp_enabled;
	bool ipv6_enabled;
	enum log_level log_level; /* "error", "warning", "info" or "debug" */
};

/* Sets every value to its default. */
void config_default(struct config *config);

/*
 * Sets *config from the defaults, the file at path and the drop-ins beside it. Where the file is
 * missing and must_exist is false, the drop-ins alone count. Returns 0; or -errno with a text for
 * people in error, and *config is left alone: -EINVAL for content that is wrong, other values for
 * files that cannot be read.
 */
int config_load(struct config *config, const char *path, bool must_exist, char *error,
		size_t error_bytes);

/*
 * Applies the length bytes at text, which may be anything, to *config. name stands for the file
 * in the error's text. Returns 0, or -EINVAL or -ENOMEM with *config partly changed.
 */
int config_apply(struct config *config, const char *name, const char *text, size_t length,
		 char *error, size_t error_bytes);

#endif
