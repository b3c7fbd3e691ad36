/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for one answer at a time, of exactly the size that was asked for, so that a sanitizer sees who writes
 * beyond it.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_ROOM_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_ROOM_H

#include "worker/publish/query.h"

#include <stdlib.h>

static inline char *example_room_get(void *ctx, size_t bytes)
{
	static char *memory;

	(void)ctx;
	free(memory);
	memory = malloc(bytes);
	return memory;
}

static const struct query_room example_room = {.get = example_room_get};

#endif
