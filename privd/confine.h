/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving power up, for good and in this order:
 *   1. confine_needs_bpf_capability()  a child that dropped everything tries what privd will need
 *   2. confine_drop_identity()         groups, gid, uid; capabilities; the bounding set
 *   3. confine_lock()                  limits, no_new_privs, not dumpable, seccomp
 * Everything that can fail happens before the first worker is served.
 */
#ifndef SOCKWARDEN_PRIVD_CONFINE_H
#define SOCKWARDEN_PRIVD_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether making an iterator from a link needs CAP_BPF here. It does not since 5.19, which stopped
 * asking for privilege where a descriptor is proof enough. attempt(context) returns 0 on success;
 * it runs in a child process without capabilities.
 */
bool confine_needs_bpf_capability(int (*attempt)(void *context), void *context);

/*
 * Becomes uid and gid with no supplementary groups and no capabilities, but for CAP_BPF if
 * keep_bpf. Returns 0 or -errno.
 */
int confine_drop_identity(uid_t uid, gid_t gid, bool keep_bpf);

/*
 * Sockets that must not be sent on have numbers from here on, and what is opened after the lock has not.
 * What privd opens at start, two rings for each CPU at most and some more, is below in any case.
 */
#define CONFINE_FD_FENCE 4096

/*
 * Takes a descriptor over and returns the same one beyond the fence, or -errno: -EMFILE where the hard limit of
 * open files is too low for that. What is an error already stays it.
 */
int confine_fence(int fd);

/* Locks the process to the system calls that serving needs. Returns 0 or -errno. */
int confine_lock(void);

#endif
