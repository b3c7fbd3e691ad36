/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that the locked worker may make: a table of (call, checks of arguments, reason)
 * and the filter that libseccomp makes of it. What is not in the table kills the process. The same
 * filter as text is deploy/seccomp-worker.pfc, which a test compares, so that every change of what
 * the worker may do is seen in review.
 */
#ifndef SOCKWARDEN_WORKER_SECCOMP_RULES_H
#define SOCKWARDEN_WORKER_SECCOMP_RULES_H

#include <seccomp.h>

#include <stddef.h>
#include <stdint.h>

/*
 * Descriptors by number. nng's connections and everything else that is opened after the lock
 * is below SECCOMP_FD_FENCE (RLIMIT_NOFILE sees to that), what must not be written to by just
 * anybody is above.
 */
#define SECCOMP_FD_FENCE 512
#define SECCOMP_FD_PRIVD 512
#define SECCOMP_FD_NOTIFY 513

#define SECCOMP_CHECKS_MAX 3

/* Holds if (argument & mask) == value, all 64 bits of it. */
struct seccomp_check {
	unsigned argument; /* 0..5 */
	uint64_t mask;
	uint64_t value;
};

struct seccomp_rule {
	int call; /* SCMP_SYS(), negative where this architecture has no such call */
	const char *name;
	const char *reason;
	unsigned checks; /* of check; all must hold */
	struct seccomp_check check[SECCOMP_CHECKS_MAX];
};

extern const struct seccomp_rule seccomp_rules[];
extern const size_t seccomp_rules_count;

/* Builds the filter. 0 and the caller releases *filter with seccomp_release(), or -errno. */
int seccomp_rules_build(scmp_filter_ctx *filter);

#endif
