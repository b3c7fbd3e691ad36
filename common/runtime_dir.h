/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime directory, which belongs to the worker's user, and the handoff socket in it. Root
 * works here as that user (setfsuid(2)), so that nothing the user may have put into its directory
 * leads root anywhere else.
 */
#ifndef SOCKWARDEN_COMMON_RUNTIME_DIR_H
#define SOCKWARDEN_COMMON_RUNTIME_DIR_H

#include <sys/types.h>

/*
 * Makes the directory path (mode 0750) for uid and gid where it is missing; an existing one must be
 * the user's own and nobody else may write to it. Returns a descriptor of it or -errno, logged.
 */
int runtime_dir_open(const char *path, uid_t uid, gid_t gid);

/*
 * Listens on the handoff socket (mode 0600, the user's) in the directory. A stale socket is
 * replaced. Returns the descriptor, -EADDRINUSE if another privd serves it, or -errno; logged.
 */
int runtime_dir_listen(int directory, uid_t uid, gid_t gid);

#endif
