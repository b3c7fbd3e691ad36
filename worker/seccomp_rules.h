/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that the locked worker may make: a table of (call, checks of arguments, reason)
 * of which common/syscall_filter.h makes the filter. What is not in the table kills the process. The same
 * filter as text is deploy/seccomp-worker.pfc, which a test compares, so that every change of what
 * the worker may do is seen in review.
 */
#ifndef SOCKWARDEN_WORKER_SECCOMP_RULES_H
#define SOCKWARDEN_WORKER_SECCOMP_RULES_H

#include "common/syscall_filter.h"

/*
 * Descriptors by number. nng's connections and everything else that is opened after the lock
 * is below SECCOMP_FD_FENCE (RLIMIT_NOFILE sees to that), what must not be written to by just
 * anybody is above.
 */
#define SECCOMP_FD_FENCE 512
#define SECCOMP_FD_PRIVD 512
#define SECCOMP_FD_NOTIFY 513
#define SECCOMP_FD_CONNTRACK 514
#define SECCOMP_FD_PACKETS 515

extern const struct syscall_rule seccomp_rules[];
extern const size_t seccomp_rules_count;

#endif
