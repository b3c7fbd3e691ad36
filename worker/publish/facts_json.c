/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/facts_json.h"

void metrics_json_write(struct json *json, const struct metrics *metrics, enum metric_kind kind)
{
	bool first = true;

	JSON_TEXT(json, "{");
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		enum metric metric = (enum metric)i;

		if (metric_kind(metric) != kind)
			continue;
		if (!first)
			JSON_TEXT(json, ",");
		first = false;
		json_word(json, metric_name(metric));
		JSON_TEXT(json, ":");
		json_number(json, metrics->value[metric]);
	}
	JSON_TEXT(json, "}");
}

void facts_json_health(struct json *json, const struct worker_facts *facts)
{
	static const char *const words[] = {
		[HEALTH_GOOD] = "good", [HEALTH_BAD] = "bad", [HEALTH_OFF] = "off"};
	const struct health_report *health = &facts->health;

	JSON_TEXT(json, "\"health\":");
	json_word(json, health->is_good ? "good" : "bad");
	JSON_TEXT(json, ",\"health_reason\":");
	if (health->reason[0] != '\0')
		json_string(json, health->reason, strnlen(health->reason, sizeof(health->reason)));
	else
		JSON_TEXT(json, "null");
	JSON_TEXT(json, ",\"stages\":{");
	for (unsigned i = 0; i < HEALTH_STAGE_COUNT; i++) {
		if (i > 0)
			JSON_TEXT(json, ",");
		json_word(json, health_stage_name((enum health_stage)i));
		JSON_TEXT(json, ":");
		json_word(json, words[health->states[i]]);
	}
	JSON_TEXT(json, "}");
}

void facts_json_completeness(struct json *json, const struct loss_interval *interval)
{
	const uint64_t all = interval->told + interval->lost;

	JSON_TEXT(json, "{\"interval_ms\":");
	json_number(json, interval->length_ms);
	JSON_TEXT(json, ",\"told\":");
	json_number(json, interval->told);
	JSON_TEXT(json, ",\"lost\":");
	json_number(json, interval->lost);
	JSON_TEXT(json, ",\"ppm\":");
	if (all > 0)
		json_u64(json, (uint64_t)((unsigned __int128)interval->told * 1000000 / all));
	else
		JSON_TEXT(json, "null");
	JSON_TEXT(json, "}");
}

void facts_json_sandbox(struct json *json, const struct worker_facts *facts)
{
	JSON_TEXT(json, "{\"seccomp\":");
	json_u64(json, facts->seccomp);
	JSON_TEXT(json, ",\"landlock_abi\":");
	json_u64(json, facts->landlock_abi);
	JSON_TEXT(json, ",\"no_new_privs\":");
	json_u64(json, facts->no_new_privs);
	JSON_TEXT(json, "}");
}

void facts_json_kernel(struct json *json, const struct worker_facts *facts)
{
	JSON_TEXT(json, "{\"release\":");
	if (facts->kernel[0] != '\0')
		json_string(json, facts->kernel, strnlen(facts->kernel, sizeof(facts->kernel)));
	else
		JSON_TEXT(json, "null");
	JSON_TEXT(json, ",\"hooks\":{");
	for (uint32_t i = 0; i < facts->hook_count && i < HANDOFF_HOOKS_MAX; i++) {
		const struct handoff_hook *hook = &facts->hooks[i];

		if (i > 0)
			JSON_TEXT(json, ",");
		json_string(json, hook->feature, strnlen(hook->feature, sizeof(hook->feature)));
		JSON_TEXT(json, ":");
		json_string(json, hook->hook, strnlen(hook->hook, sizeof(hook->hook)));
	}
	JSON_TEXT(json, "}}");
}
