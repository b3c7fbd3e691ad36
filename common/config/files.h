/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and reading the configuration's files: the main one and its drop-ins. Only regular
 * files are read, and only up to a bound.
 */
#ifndef SOCKWARDEN_COMMON_CONFIG_FILES_H
#define SOCKWARDEN_COMMON_CONFIG_FILES_H

#include <stddef.h>

#define CONFIG_DROP_IN_FOLDER "conf.d"

struct config_drop_ins {
	char **paths; /* in the byte order of their names */
	size_t count;
};

/*
 * Reads a whole file. Returns 0, and the caller owns *text (not terminated), or -errno: -EFBIG if
 * it is longer than length_max, -EINVAL if it is not a regular file.
 */
int config_files_read(const char *path, size_t length_max, char **text, size_t *length);

/*
 * Lists conf.d/NAME.json in the folder of path, hidden ones left out; none if there is no such folder.
 * Returns 0 and the caller owns *drop_ins, or -errno: -E2BIG if there are more than count_max.
 */
int config_files_drop_ins(const char *path, size_t count_max, struct config_drop_ins *drop_ins);

void config_files_free(struct config_drop_ins *drop_ins);

#endif
