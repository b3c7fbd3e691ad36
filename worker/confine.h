/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the worker gives up what it does not need, in three steps whose order matters because nng starts
 * threads and two of the three kinds of limits are a thread's own:
 *
 *   confine_identity()  first of all: not root, no capabilities, nothing to gain by exec, no
 *                       core file, not to be traced. Holds for all threads that come later.
 *   confine_files()     before the first thread: Landlock. Nothing of the file system but making
 *                       sockets in the runtime directory; no TCP, no signals to others.
 *   confine_lock()      when all threads, sockets and mappings exist: limits, then seccomp on every thread.
 *
 * Each returns 0 or -errno, logged; a worker that cannot take a step must not go on.
 */
#ifndef SOCKWARDEN_WORKER_CONFINE_H
#define SOCKWARDEN_WORKER_CONFINE_H

#include <stdint.h>

/*
 * Closes every descriptor above stderr. Where we are root, becomes user (never root; otherwise user
 * is ignored). Verifies that no capability is left. -ENOENT: no such user.
 */
int confine_identity(const char *user);

/*
 * runtime_dir NULL: no sockets either. *abi is the Landlock version that is enforced, 0 where the kernel has none (logged: the
 * system-call filter then stands alone).
 */
int confine_files(const char *runtime_dir, uint32_t *abi);

int confine_lock(void);

/* The system-call filter alone, for who writes files that were open before. */
int confine_calls(void);

#endif
