/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/loss.h"

#include "common/clock.h"
#include "common/log.h"

#include <string.h>

#define MILLION 1000000U

static const char *const names[LOSS_STAGE_COUNT] = {
#define LOSS_NAME(symbol, name) [LOSS_##symbol] = (name),
	LOSS_STAGES(LOSS_NAME)
#undef LOSS_NAME
};

const char *loss_stage_name(enum loss_stage stage)
{
	return names[stage];
}

void loss_sums_of(struct loss_sums *sums, const struct metrics *metrics)
{
	const uint64_t *value = metrics->value;
	const uint64_t told = value[METRIC_CONN_CLOSED];
	const uint64_t refused = value[METRIC_BPF_OUTPUT_ERRORS];
	const uint64_t perf = value[METRIC_INTAKE_PERF_LOST];
	const uint64_t bpf = value[METRIC_BPF_RING_FULL] + value[METRIC_BPF_ENDS_MISSED];
	/* A ring also counts as lost what it refused to a program, which then offers it again. */
	const uint64_t ring = perf > refused ? perf - refused : 0;
	const uint64_t batch = value[METRIC_INTAKE_LOST_RECORDS];

	*sums = (struct loss_sums){
		.stages =
			{
				[LOSS_BPF] = {bpf, told + bpf},
				[LOSS_RING] = {ring, told + ring},
				[LOSS_BATCH] = {batch, told + batch},
				[LOSS_PACKETS] = {value[METRIC_DNS_CAPTURE_LOST],
						  value[METRIC_DNS_CAPTURED]},
				[LOSS_TABLE] = {value[METRIC_CONN_TABLE_FULL],
						value[METRIC_SNAPSHOT_RECORDS]},
				[LOSS_PUBLISH] = {value[METRIC_PUBLISH_DROPPED],
						  value[METRIC_PUBLISH_QUEUED]},
			},
		.told = told,
	};
}

uint64_t loss_closes(const struct loss_sums *sums)
{
	return sums->stages[LOSS_BPF].lost + sums->stages[LOSS_RING].lost +
	       sums->stages[LOSS_BATCH].lost;
}

void loss_init(struct loss *loss, const struct config *config, uint64_t now_ns)
{
	struct loss_report *report = &loss->report;

	memset(loss, 0, sizeof(*loss));
	report->window_s = config->loss_window_s;
	report->budget_ppm[LOSS_BPF] = config->loss_bpf_ppm;
	report->budget_ppm[LOSS_RING] = config->loss_ring_ppm;
	report->budget_ppm[LOSS_BATCH] = config->loss_batch_ppm;
	report->budget_ppm[LOSS_PACKETS] = config->loss_packets_ppm;
	report->budget_ppm[LOSS_TABLE] = config->loss_table_ppm;
	report->budget_ppm[LOSS_PUBLISH] = config->loss_publish_ppm;
	loss->step_ns = config->loss_window_s * NS_PER_S / LOSS_STEPS;
	loss->next_step_ns = now_ns + loss->step_ns;
	loss->interval_ns = now_ns;
}

/* Some counters are those of the last snapshot's moment and may lag behind what was seen before. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* At the steps that went by, what was known before them; so nothing leaves the window too early. */
static void move_window(struct loss *loss, uint64_t now_ns)
{
	if (loss->step_ns == 0)
		return;
	for (unsigned i = 0; i <= LOSS_STEPS && now_ns >= loss->next_step_ns; i++) {
		loss->steps[loss->oldest] = loss->report.total;
		loss->oldest = (loss->oldest + 1) % (LOSS_STEPS + 1);
		loss->next_step_ns += loss->step_ns;
	}
	if (now_ns >= loss->next_step_ns)
		loss->next_step_ns = now_ns + loss->step_ns;
}

static bool is_over(const struct loss_sum *sum, uint32_t budget_ppm)
{
	/* A stage cannot lose more than came to it, so that a million of a million is never over. */
	return budget_ppm < MILLION &&
	       (unsigned __int128)sum->lost * MILLION > (unsigned __int128)sum->of * budget_ppm;
}

void loss_update(struct loss *loss, const struct metrics *metrics, uint64_t now_ns)
{
	struct loss_report *report = &loss->report;
	const struct loss_sums *base;

	move_window(loss, now_ns);
	base = &loss->steps[loss->oldest];
	loss_sums_of(&report->total, metrics);
	report->is_exceeded = false;
	for (unsigned stage = 0; stage < LOSS_STAGE_COUNT; stage++) {
		const struct loss_sum *total = &report->total.stages[stage];
		struct loss_sum *window = &report->window[stage];
		bool is_exceeded;

		window->lost = grown(total->lost, base->stages[stage].lost);
		window->of = grown(total->of, base->stages[stage].of);
		is_exceeded = is_over(window, report->budget_ppm[stage]);
		if (is_exceeded && !report->exceeded[stage])
			log_warning("loss budget exceeded at stage %s: %llu of %llu lost",
				    names[stage], (unsigned long long)window->lost,
				    (unsigned long long)window->of);
		report->exceeded[stage] = is_exceeded;
		report->is_exceeded |= is_exceeded;
	}
}

void loss_interval_end(struct loss *loss, uint64_t now_ns)
{
	struct loss_report *report = &loss->report;

	report->interval = (struct loss_interval){
		.told = grown(report->total.told, loss->interval.told),
		.lost = grown(loss_closes(&report->total), loss_closes(&loss->interval)),
		.length_ms = (now_ns - loss->interval_ns) / NS_PER_MS,
	};
	loss->interval = report->total;
	loss->interval_ns = now_ns;
}
