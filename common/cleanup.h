/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-owned things: a variable marked with one of these gives its resource back when the scope
 * ends. take_fd() hands ownership to the caller visibly.
 */
#ifndef SOCKWARDEN_COMMON_CLEANUP_H
#define SOCKWARDEN_COMMON_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))
#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))

/* Returns *fd and leaves -1 behind, so that the scope no longer owns it. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
