/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp filter made of a table: one row per allowed system call, with checks of arguments and
 * the reason why. What is not in the table kills the process (Linux 4.14), in every thread.
 *
 * A check compares all 64 bits of a register: a call that takes an int cannot be fooled by high
 * bits, since those that do not match are refused.
 */
#ifndef SOCKWARDEN_COMMON_SYSCALL_FILTER_H
#define SOCKWARDEN_COMMON_SYSCALL_FILTER_H

#include <seccomp.h>

#include <stddef.h>
#include <stdint.h>

#define SYSCALL_CHECKS_MAX 3

/* Holds if (argument & mask) == value. */
struct syscall_check {
	unsigned argument; /* 0..5 */
	uint64_t mask;
	uint64_t value;
};

struct syscall_rule {
	int call; /* SCMP_SYS(), negative where this architecture has no such call */
	const char *name;
	const char *reason;
	unsigned checks; /* of check; all must hold */
	struct syscall_check check[SYSCALL_CHECKS_MAX];
};

/* For rows: {CALL(read), "why"} or {CALL(read), "why", 1, {IS(0, 2)}} */
#define CALL(call_name) .call = SCMP_SYS(call_name), .name = #call_name
#define IS(argument_, value_)                                                    \
	{                                                                        \
		.argument = (argument_), .mask = ~UINT64_C(0), .value = (value_) \
	}
#define ONLY_BITS(argument_, bits)                                             \
	{                                                                      \
		.argument = (argument_), .mask = ~(uint64_t)(bits), .value = 0 \
	}

/* What the sanitizers' run time calls besides, in builds with them; empty in all others. */
extern const struct syscall_rule syscall_sanitizer_rules[];
extern const size_t syscall_sanitizer_rules_count;

/*
 * Builds the filter of rules, and of the sanitizers' where there are any. Returns 0, and the caller
 * releases *filter with seccomp_release(), or -errno.
 */
int syscall_filter_build(const struct syscall_rule *rules, size_t count, scmp_filter_ctx *filter);

/* Builds it and puts it on every thread of this process, for good. Returns 0 or -errno. */
int syscall_filter_load(const struct syscall_rule *rules, size_t count);

#endif
