/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"
#include "worker/loss.h"

#include <criterion/criterion.h>

#include <string.h>

#define BEGIN_NS (1000 * NS_PER_S)

static struct config config;
static struct metrics metrics;
static struct loss loss;

static void begin(void)
{
	config_default(&config);
	memset(&metrics, 0, sizeof(metrics));
	loss_init(&loss, &config, BEGIN_NS);
}

TestSuite(loss, .init = begin);

/* Sets a counter and looks, so many seconds after the beginning. */
static const struct loss_report *look(enum metric metric, uint64_t value, uint64_t after_s)
{
	metrics.value[metric] = value;
	loss_update(&loss, &metrics, BEGIN_NS + after_s * NS_PER_S);
	return &loss.report;
}

Test(loss, is_counted_at_the_stage_that_lost_it)
{
	struct loss_sums sums;

	metrics.value[METRIC_CONN_CLOSED] = 100;
	metrics.value[METRIC_BPF_RING_FULL] = 1;
	metrics.value[METRIC_BPF_ENDS_MISSED] = 7;
	metrics.value[METRIC_INTAKE_LOST_RECORDS] = 2;
	metrics.value[METRIC_CONN_TABLE_FULL] = 3;
	metrics.value[METRIC_SNAPSHOT_RECORDS] = 30;
	metrics.value[METRIC_PUBLISH_DROPPED] = 4;
	metrics.value[METRIC_PUBLISH_QUEUED] = 40;
	metrics.value[METRIC_BPF_OUTPUT_ERRORS] = 50;
	metrics.value[METRIC_INTAKE_PERF_LOST] = 50;
	loss_sums_of(&sums, &metrics);
	cr_expect_eq(sums.stages[LOSS_BPF].lost, 8);
	cr_expect_eq(sums.stages[LOSS_BPF].of, 108);
	/* Every refusal was seen by a program, which offered it again. */
	cr_expect_eq(sums.stages[LOSS_RING].lost, 0);
	cr_expect_eq(sums.stages[LOSS_BATCH].lost, 2);
	cr_expect_eq(sums.stages[LOSS_BATCH].of, 102);
	cr_expect_eq(sums.stages[LOSS_TABLE].lost, 3);
	cr_expect_eq(sums.stages[LOSS_TABLE].of, 30);
	cr_expect_eq(sums.stages[LOSS_PUBLISH].lost, 4);
	cr_expect_eq(sums.stages[LOSS_PUBLISH].of, 40);
	cr_expect_eq(loss_closes(&sums), 10);
	metrics.value[METRIC_INTAKE_PERF_LOST] = 54;
	loss_sums_of(&sums, &metrics);
	cr_expect_eq(sums.stages[LOSS_RING].lost, 4);
}

Test(loss, of_one_record_exceeds_the_standard_budgets_of_records)
{
	static const enum metric each[] = {METRIC_BPF_RING_FULL, METRIC_BPF_ENDS_MISSED,
					   METRIC_INTAKE_PERF_LOST, METRIC_INTAKE_LOST_RECORDS};

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		begin();
		cr_expect_not(look(METRIC_CONN_CLOSED, 1000000000, 1)->is_exceeded);
		cr_expect(look(each[i], 1, 2)->is_exceeded, "%s", metric_name(each[i]));
	}
}

Test(loss, of_what_users_can_see_for_themselves_has_no_standard_budget)
{
	metrics.value[METRIC_SNAPSHOT_RECORDS] = 5;
	metrics.value[METRIC_PUBLISH_QUEUED] = 5;
	look(METRIC_CONN_TABLE_FULL, 5, 1);
	cr_expect_not(look(METRIC_PUBLISH_DROPPED, 5, 1)->is_exceeded);
}

Test(loss, is_over_the_budget_with_the_first_record_more)
{
	config.loss_batch_ppm = 1000;
	loss_init(&loss, &config, BEGIN_NS);
	look(METRIC_CONN_CLOSED, 999, 1);
	cr_expect_not(look(METRIC_INTAKE_LOST_RECORDS, 1, 1)->exceeded[LOSS_BATCH]);
	cr_expect(look(METRIC_INTAKE_LOST_RECORDS, 2, 1)->exceeded[LOSS_BATCH]);
	cr_expect_not(look(METRIC_CONN_CLOSED, 2000, 1)->exceeded[LOSS_BATCH]);
	cr_expect_not(loss.report.is_exceeded);
}

Test(loss, leaves_the_window_after_its_length_and_not_before)
{
	cr_expect(look(METRIC_INTAKE_LOST_RECORDS, 3, 5)->is_exceeded);
	for (uint64_t second = 10; second <= 3600; second += 10)
		cr_expect(look(METRIC_CONN_CLOSED, second, second)->is_exceeded, "%llu",
			  (unsigned long long)second);
	look(METRIC_CONN_CLOSED, 4000, 3600 + 10);
	look(METRIC_CONN_CLOSED, 4000, 3600 + 70);
	cr_expect_not(look(METRIC_CONN_CLOSED, 4000, 3600 + 130)->is_exceeded);
	cr_expect_eq(loss.report.window[LOSS_BATCH].lost, 0);
	/* What was ever lost is told all the same. */
	cr_expect_eq(loss.report.total.stages[LOSS_BATCH].lost, 3);
}

Test(loss, that_nobody_looked_at_for_long_still_counts_when_somebody_does)
{
	look(METRIC_CONN_CLOSED, 10, 1);
	cr_expect(look(METRIC_INTAKE_LOST_RECORDS, 1, 100000)->is_exceeded);
	cr_expect(look(METRIC_INTAKE_LOST_RECORDS, 1, 100000 + 3500)->is_exceeded);
}

Test(loss, before_this_worker_counts_as_if_it_were_at_its_start)
{
	metrics.value[METRIC_BPF_RING_FULL] = 9;
	cr_expect(look(METRIC_CONN_CLOSED, 500, 0)->is_exceeded);
	cr_expect(look(METRIC_CONN_CLOSED, 500, 3590)->is_exceeded);
}

Test(loss, counts_for_ever_where_the_window_has_no_end)
{
	config.loss_window_s = 0;
	loss_init(&loss, &config, BEGIN_NS);
	look(METRIC_INTAKE_LOST_RECORDS, 1, 1);
	for (uint64_t day = 1; day < 100; day++)
		cr_expect(look(METRIC_CONN_CLOSED, day, day * 86400)->is_exceeded);
}

Test(loss, of_an_interval_is_what_came_since_the_one_before)
{
	const struct loss_interval *interval = &loss.report.interval;

	metrics.value[METRIC_INTAKE_LOST_RECORDS] = 2;
	look(METRIC_CONN_CLOSED, 98, 10);
	loss_interval_end(&loss, BEGIN_NS + 10 * NS_PER_S);
	cr_expect_eq(interval->told, 98);
	cr_expect_eq(interval->lost, 2);
	cr_expect_eq(interval->length_ms, 10000);
	look(METRIC_CONN_CLOSED, 100, 13);
	loss_interval_end(&loss, BEGIN_NS + 13 * NS_PER_S);
	cr_expect_eq(interval->told, 2);
	cr_expect_eq(interval->lost, 0);
	cr_expect_eq(interval->length_ms, 3000);
	/* A counter of the last snapshot's moment, which is before what was seen. */
	look(METRIC_CONN_CLOSED, 99, 14);
	loss_interval_end(&loss, BEGIN_NS + 14 * NS_PER_S);
	cr_expect_eq(interval->told, 0);
}

Test(loss, is_judged_right_at_the_largest_numbers)
{
	config.loss_batch_ppm = 999999;
	loss_init(&loss, &config, BEGIN_NS);
	metrics.value[METRIC_CONN_CLOSED] = UINT64_MAX / 2;
	cr_expect_not(look(METRIC_INTAKE_LOST_RECORDS, UINT64_MAX / 2, 1)->exceeded[LOSS_BATCH]);
}
