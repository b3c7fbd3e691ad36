/* SPDX-License-Identifier: Apache-2.0 */
#include "common/syscall_filter.h"

#include <errno.h>

const struct syscall_rule syscall_sanitizer_rules[] = {
#ifdef SOCKWARDEN_ASAN
	{CALL(mmap), "sanitizer"},
	{CALL(munmap), "sanitizer"},
	{CALL(mprotect), "sanitizer"},
	{CALL(madvise), "sanitizer"},
	{CALL(futex), "sanitizer"},
	{CALL(sched_yield), "sanitizer"},
	{CALL(sched_getaffinity), "sanitizer: a thread that starts late looks for its stack"},
	{CALL(sigaltstack), "sanitizer"},
	{CALL(gettid), "sanitizer"},
	{CALL(getpid), "sanitizer"},
	{CALL(rt_sigaction), "sanitizer"},
	{CALL(openat), "sanitizer: its report names places"},
	{CALL(open), "sanitizer: its report names places"},
	{CALL(readlink), "sanitizer: its report names places"},
	{CALL(newfstatat), "sanitizer: its report names places"},
	{CALL(fstat), "sanitizer: its report names places"},
	{CALL(lseek), "sanitizer: its report names places"},
#else
	{.call = -1}, /* libseccomp's mark of a call that does not exist */
#endif
};

const size_t syscall_sanitizer_rules_count =
	sizeof(syscall_sanitizer_rules) / sizeof(syscall_sanitizer_rules[0]);

static int add_rule(scmp_filter_ctx filter, const struct syscall_rule *rule)
{
	struct scmp_arg_cmp checks[SYSCALL_CHECKS_MAX];

	/* libseccomp gives calls of other architectures negative numbers. */
	if (rule->call < 0)
		return 0;
	for (unsigned i = 0; i < rule->checks; i++) {
		checks[i] = (struct scmp_arg_cmp){
			.arg = rule->check[i].argument,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = rule->check[i].mask,
			.datum_b = rule->check[i].value,
		};
	}
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, rule->checks, checks);
}

static int add_rules(scmp_filter_ctx filter, const struct syscall_rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = add_rule(filter, &rules[i]);

		if (error < 0)
			return error;
	}
	return 0;
}

/* The attributes: every thread, whole process, no second architecture, a tree instead of a list. */
static int set_attributes(scmp_filter_ctx filter)
{
	const struct {
		enum scmp_filter_attr attribute;
		uint32_t value;
	} attributes[] = {
		{SCMP_FLTATR_CTL_TSYNC, 1},
		{SCMP_FLTATR_CTL_NNP, 1},
		{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS},
		{SCMP_FLTATR_CTL_OPTIMIZE, 2},
	};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		int error = seccomp_attr_set(filter, attributes[i].attribute, attributes[i].value);

		if (error < 0)
			return error;
	}
	return 0;
}

int syscall_filter_build(const struct syscall_rule *rules, size_t count, scmp_filter_ctx *filter)
{
	scmp_filter_ctx made = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error;

	if (!made)
		return -ENOMEM;
	error = set_attributes(made);
	if (error == 0)
		error = add_rules(made, rules, count);
	if (error == 0)
		error = add_rules(made, syscall_sanitizer_rules, syscall_sanitizer_rules_count);
	if (error < 0) {
		seccomp_release(made);
		return error;
	}
	*filter = made;
	return 0;
}

int syscall_filter_load(const struct syscall_rule *rules, size_t count)
{
	scmp_filter_ctx filter;
	int error = syscall_filter_build(rules, count, &filter);

	if (error < 0)
		return error;
	error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
