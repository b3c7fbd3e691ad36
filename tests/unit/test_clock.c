/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"

#include <criterion/criterion.h>

Test(clock, offsets_stay_while_what_is_measured_only_wobbles)
{
	struct clock_offsets offsets = {0};

	clock_offsets_follow(&offsets, (struct clock_offsets){NS_PER_S, 2 * NS_PER_S});
	cr_expect_eq(offsets.monotonic_ns, NS_PER_S, "the first is taken");
	cr_expect_eq(offsets.boot_ns, 2 * NS_PER_S);
	for (uint64_t wobble = 0; wobble <= 10 * NS_PER_MS; wobble += NS_PER_MS) {
		clock_offsets_follow(&offsets, (struct clock_offsets){NS_PER_S + wobble,
								      2 * NS_PER_S - wobble});
		cr_expect_eq(offsets.monotonic_ns, NS_PER_S);
		cr_expect_eq(offsets.boot_ns, 2 * NS_PER_S);
	}
}

Test(clock, a_clock_that_is_set_is_followed_in_both_directions)
{
	static const struct {
		uint64_t before, after;
	} cases[] = {
		{NS_PER_S, NS_PER_S + 10 * NS_PER_MS + 1},
		{NS_PER_S, NS_PER_S - 10 * NS_PER_MS - 1},
		{NS_PER_S, 0},
		/* before 1970, or a clock that was never set */
		{5, -(uint64_t)NS_PER_S},
		{-(uint64_t)NS_PER_S, 5},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct clock_offsets offsets = {cases[i].before, cases[i].before};

		clock_offsets_follow(&offsets,
				     (struct clock_offsets){cases[i].after, cases[i].before});
		cr_expect_eq(offsets.monotonic_ns, cases[i].after, "case %zu", i);
		cr_expect_eq(offsets.boot_ns, cases[i].before, "case %zu", i);
	}
}

/* As it is around zero, where the difference changes its sign. */
Test(clock, an_offset_may_pass_zero)
{
	struct clock_offsets offsets = {2, 2};

	clock_offsets_follow(&offsets, (struct clock_offsets){-(uint64_t)2, 1});
	cr_expect_eq(offsets.monotonic_ns, 2);
	cr_expect_eq(offsets.boot_ns, 2);
}
