/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/audit_json.h"

#include "worker/publish/facts_json.h"
#include "worker/seccomp_rules.h"

#include <inttypes.h>
#include <stdio.h>

static void write_calls(struct json *json)
{
	for (size_t i = 0; i < seccomp_rules_count; i++) {
		const struct syscall_rule *rule = &seccomp_rules[i];

		if (i > 0)
			JSON_TEXT(json, ",");
		JSON_TEXT(json, "{\"name\":");
		json_word(json, rule->name);
		JSON_TEXT(json, ",\"arguments_checked\":");
		json_u64(json, rule->checks);
		JSON_TEXT(json, ",\"reason\":");
		json_string(json, rule->reason, strlen(rule->reason));
		JSON_TEXT(json, "}");
	}
}

void audit_json_write(struct json *json, const struct worker_facts *facts)
{
	char capabilities[sizeof("0123456789abcdef")];

	snprintf(capabilities, sizeof(capabilities), "%016" PRIx64, facts->capabilities);
	JSON_TEXT(json, "{\"ok\":true,\"worker\":{\"uid\":");
	json_u64(json, facts->uid);
	JSON_TEXT(json, ",\"gid\":");
	json_u64(json, facts->gid);
	JSON_TEXT(json, ",\"capabilities\":");
	json_word(json, capabilities);
	JSON_TEXT(json, ",\"seccomp\":");
	json_u64(json, facts->seccomp);
	JSON_TEXT(json, ",\"landlock_abi\":");
	json_u64(json, facts->landlock_abi);
	JSON_TEXT(json, ",\"no_new_privs\":");
	json_u64(json, facts->no_new_privs);
	JSON_TEXT(json, ",\"system_calls\":[");
	write_calls(json);
	JSON_TEXT(json, "]},\"kernel\":");
	facts_json_kernel(json, facts);
	JSON_TEXT(json, "}");
}
