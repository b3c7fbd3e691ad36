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
	json_word(json, facts->healthy ? "good" : "bad");
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
