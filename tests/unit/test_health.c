/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/health.h"

#include <criterion/criterion.h>

#include <string.h>

#define BEGIN_NS (100 * NS_PER_S)

static struct health_report judged(const struct health *health, uint64_t now_ns)
{
	struct health_report report;

	health_judge(health, now_ns, &report);
	return report;
}

Test(health, of_stages_that_have_nothing_to_do_is_good_however_long)
{
	struct health health = {0};
	const struct health_report report = judged(&health, UINT64_MAX);

	cr_expect(report.is_good);
	cr_expect_str_eq(report.reason, "");
	for (unsigned stage = 0; stage < HEALTH_STAGE_COUNT; stage++)
		cr_expect_eq(report.states[stage], HEALTH_GOOD);
}

Test(health, turns_bad_within_fifteen_seconds_with_a_reason_for_each_stage)
{
	for (unsigned stage = 0; stage < HEALTH_STAGE_COUNT; stage++) {
		const char *name = health_stage_name((enum health_stage)stage);
		struct health health = {0};
		struct health_report report;

		health_expect(&health, (enum health_stage)stage, BEGIN_NS);
		cr_expect(judged(&health, BEGIN_NS + HEALTH_STALL_NS - 1).is_good, "%s", name);
		report = judged(&health, BEGIN_NS + 15 * NS_PER_S);
		cr_expect_not(report.is_good, "%s", name);
		cr_expect_eq(report.states[stage], HEALTH_BAD, "%s", name);
		cr_expect_eq(strncmp(report.reason, name, strlen(name)), 0, "%s", report.reason);
		cr_expect_not_null(strstr(report.reason, " for 15 s"), "%s", report.reason);
		for (unsigned other = 0; other < HEALTH_STAGE_COUNT; other++)
			cr_expect(other == stage || report.states[other] == HEALTH_GOOD);
	}
}

Test(health, counts_from_the_first_time_that_progress_was_due)
{
	struct health health = {0};

	for (uint64_t tick = 0; tick < 20; tick++)
		health_expect(&health, HEALTH_SNAPSHOT, BEGIN_NS + tick * NS_PER_S);
	cr_expect_not(judged(&health, BEGIN_NS + HEALTH_STALL_NS).is_good);
	cr_expect(health_is_expected(&health, HEALTH_SNAPSHOT));
}

Test(health, is_good_again_after_progress_and_stalls_anew_from_then_on)
{
	struct health health = {0};

	health_expect(&health, HEALTH_PRIVD, BEGIN_NS);
	cr_expect_not(judged(&health, BEGIN_NS + 60 * NS_PER_S).is_good);
	health_progress(&health, HEALTH_PRIVD);
	cr_expect(judged(&health, BEGIN_NS + 61 * NS_PER_S).is_good);
	health_expect(&health, HEALTH_PRIVD, BEGIN_NS + 62 * NS_PER_S);
	cr_expect(judged(&health, BEGIN_NS + 63 * NS_PER_S).is_good);
	cr_expect_not(judged(&health, BEGIN_NS + 62 * NS_PER_S + HEALTH_STALL_NS).is_good);
}

Test(health, does_not_judge_a_stage_that_is_not_there)
{
	struct health health = {0};
	struct health_report report;

	health_switch_off(&health, HEALTH_SWEEP);
	health_expect(&health, HEALTH_SWEEP, BEGIN_NS);
	report = judged(&health, BEGIN_NS + 60 * NS_PER_S);
	cr_expect(report.is_good);
	cr_expect_eq(report.states[HEALTH_SWEEP], HEALTH_OFF);
}

Test(health, is_not_bad_where_a_stage_knows_a_later_time_than_the_judge)
{
	struct health health = {0};

	health_expect(&health, HEALTH_INTAKE, BEGIN_NS + 1);
	cr_expect(judged(&health, BEGIN_NS).is_good);
}

Test(health, has_room_for_all_reasons_at_the_largest_numbers)
{
	struct health health = {0};
	struct health_report report;

	for (unsigned stage = 0; stage < HEALTH_STAGE_COUNT; stage++)
		health_expect(&health, (enum health_stage)stage, 0);
	report = judged(&health, UINT64_MAX);
	for (unsigned stage = 0; stage < HEALTH_STAGE_COUNT; stage++)
		cr_expect_not_null(strstr(report.reason,
					  health_stage_name((enum health_stage)stage)),
				   "%s", report.reason);
}
