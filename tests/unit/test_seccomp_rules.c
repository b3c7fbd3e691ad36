/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/seccomp_rules.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CALLS_MOST 40
#define TEXT_BYTES 65536

Test(seccomp_rules, every_call_has_a_reason_and_there_are_few)
{
	unsigned calls = 0;

	for (size_t i = 0; i < seccomp_rules_count; i++) {
		const struct syscall_rule *rule = &seccomp_rules[i];
		bool first = true;

		cr_expect_not_null(rule->name);
		cr_expect_gt(strlen(rule->reason), 3, "%s", rule->name);
		cr_expect_leq(rule->checks, SYSCALL_CHECKS_MAX);
		for (size_t before = 0; before < i; before++)
			first &= seccomp_rules[before].call != rule->call;
		calls += first;
	}
	cr_expect_leq(calls, CALLS_MOST);
}

Test(seccomp_rules, a_check_that_can_never_hold_is_in_no_rule)
{
	for (size_t i = 0; i < seccomp_rules_count; i++) {
		for (unsigned c = 0; c < seccomp_rules[i].checks; c++) {
			const struct syscall_check *check = &seccomp_rules[i].check[c];

			cr_expect_eq(check->value & ~check->mask, 0, "%s", seccomp_rules[i].name);
			cr_expect_lt(check->argument, 6, "%s", seccomp_rules[i].name);
		}
	}
}

/* A sanitizer's build allows what the sanitizer needs; another machine has other numbers. */
#if defined(__x86_64__) && !defined(SOCKWARDEN_ASAN)
static char built[TEXT_BYTES], committed[TEXT_BYTES];

Test(seccomp_rules, the_committed_text_is_that_of_this_filter)
{
	scmp_filter_ctx filter;
	FILE *file = fopen(SECCOMP_PFC, "r");
	int fd = memfd_create("pfc", MFD_CLOEXEC);

	cr_assert_not_null(file, "%s is missing", SECCOMP_PFC);
	cr_assert_eq(syscall_filter_build(seccomp_rules, seccomp_rules_count, &filter), 0);
	cr_assert_eq(seccomp_export_pfc(filter, fd), 0);
	seccomp_release(filter);
	cr_assert_gt(pread(fd, built, sizeof(built) - 1, 0), 0);
	cr_assert_gt(fread(committed, 1, sizeof(committed) - 1, file), 0);
	cr_expect(strcmp(built, committed) == 0,
		  "the filter has changed: look at what `seccomp-export` writes, and if that is "
		  "what you mean, put it into deploy/seccomp-worker.pfc");
	fclose(file);
	close(fd);
}
#endif
