/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/health.h"

#include <stdio.h>

static const struct {
	const char *name;
	const char *trouble;
} table[HEALTH_STAGE_COUNT] = {
#define HEALTH_ROW(symbol, name, trouble) [HEALTH_##symbol] = {name, trouble},
	HEALTH_STAGES(HEALTH_ROW)
#undef HEALTH_ROW
};

const char *health_stage_name(enum health_stage stage)
{
	return table[stage].name;
}

void health_expect(struct health *health, enum health_stage stage, uint64_t now_ns)
{
	if (health->stages[stage].is_expected)
		return;
	health->stages[stage].is_expected = true;
	health->stages[stage].since_ns = now_ns;
}

void health_progress(struct health *health, enum health_stage stage)
{
	health->stages[stage].is_expected = false;
}

bool health_is_expected(const struct health *health, enum health_stage stage)
{
	return health->stages[stage].is_expected;
}

void health_switch_off(struct health *health, enum health_stage stage)
{
	health->stages[stage].is_off = true;
}

/* Appends one stage's trouble to the reason; what does not fit is left out. */
static size_t add_reason(struct health_report *report, size_t at, unsigned stage, uint64_t age_ns)
{
	const size_t room = sizeof(report->reason) - at;
	const int length = snprintf(report->reason + at, room, "%s%s: %s for %llu s",
				    at > 0 ? "; " : "", table[stage].name, table[stage].trouble,
				    (unsigned long long)(age_ns / NS_PER_S));

	if (length < 0 || (size_t)length >= room) {
		report->reason[at] = '\0';
		return at;
	}
	return at + (size_t)length;
}

void health_judge(const struct health *health, uint64_t now_ns, struct health_report *report)
{
	size_t length = 0;

	report->is_good = true;
	report->reason[0] = '\0';
	for (unsigned stage = 0; stage < HEALTH_STAGE_COUNT; stage++) {
		const uint64_t since_ns = health->stages[stage].since_ns;
		/* A stage may have been given a later time than the judge. */
		const uint64_t age_ns = now_ns > since_ns ? now_ns - since_ns : 0;

		report->states[stage] = HEALTH_GOOD;
		if (health->stages[stage].is_off) {
			report->states[stage] = HEALTH_OFF;
		} else if (health->stages[stage].is_expected && age_ns >= HEALTH_STALL_NS) {
			report->states[stage] = HEALTH_BAD;
			report->is_good = false;
			length = add_reason(report, length, stage, age_ns);
		}
	}
}
