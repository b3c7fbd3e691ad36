/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_scan.h"
#include "worker/publish/meta_events.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include <string.h>

static struct meta_events events;
static struct metrics metrics;
static struct worker_facts facts = {
	.identity = {.host = "h", .instance = "00112233aabbccdd"},
	.version = "1",
	.health = {.is_good = true},
};

Test(meta_events, begin_as_every_event_and_hold_every_metric_by_name)
{
	static const char head[] = "meta.v1 {\"schema\":\"meta.v1\",\"host\":\"h\","
				   "\"instance\":\"00112233aabbccdd\",\"seq\":1,\"ts_ns\":\"7\","
				   "\"counters\":{\"conn.opened\":";
	const cJSON *kinds[2];
	const char *bytes;
	size_t length;
	cJSON *root;

	meta_events_init(&events);
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		metrics.value[i] = 1000 + i;
	length = meta_events_make(&events, &metrics, &facts, 7, true, &bytes);
	cr_assert_gt(length, sizeof(head));
	cr_assert_eq(memcmp(bytes, head, sizeof(head) - 1), 0, "%.200s", bytes);
	root = cJSON_ParseWithLength(bytes + 8, length - 8);
	cr_assert_not_null(root);
	kinds[METRIC_KIND_COUNTER] = cJSON_GetObjectItem(root, "counters");
	kinds[METRIC_KIND_GAUGE] = cJSON_GetObjectItem(root, "gauges");
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		enum metric metric = (enum metric)i;
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(kinds[metric_kind(metric)],
								      metric_name(metric));

		cr_assert_not_null(value, "%s", metric_name(metric));
		cr_expect_eq(value->valueint, 1000 + (int)i, "%s", metric_name(metric));
	}
	cr_expect_eq(cJSON_GetArraySize(kinds[0]) + cJSON_GetArraySize(kinds[1]), METRIC_COUNT);
	cr_expect_str_eq(cJSON_GetObjectItem(root, "health")->valuestring, "good");
	cr_expect(cJSON_IsNull(cJSON_GetObjectItem(root, "health_reason")));
	cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "stages")), HEALTH_STAGE_COUNT);
	cr_expect_not_null(cJSON_GetObjectItem(root, "sandbox"));
	cr_expect_not_null(cJSON_GetObjectItem(root, "kernel"));
	cJSON_Delete(root);
}

Test(meta_events, use_up_a_number_while_nobody_listens)
{
	const char *bytes = NULL;

	meta_events_init(&events);
	cr_expect_eq(meta_events_make(&events, &metrics, &facts, 7, false, &bytes), 0);
	cr_expect_null(bytes);
	cr_assert_gt(meta_events_make(&events, &metrics, &facts, 7, true, &bytes), 0);
	cr_expect_not_null(strstr(bytes, "\"seq\":2,"));
}

Test(meta_events, fit_with_every_number_and_name_at_its_longest)
{
	struct json_scan_error wrong;
	const char *bytes;
	size_t length;

	meta_events_init(&events);
	events.seq = UINT64_MAX;
	memset(&metrics, 0xff, sizeof(metrics));
	/* Bytes that are all escaped; arrays that are not terminated. */
	memset(&facts.identity.host, 1, sizeof(facts.identity.host) - 1);
	memset(facts.health.reason, 1, sizeof(facts.health.reason));
	memset(facts.kernel, 1, sizeof(facts.kernel));
	memset(facts.hooks, 1, sizeof(facts.hooks));
	facts.hook_count = UINT32_MAX;
	length = meta_events_make(&events, &metrics, &facts, UINT64_MAX, true, &bytes);
	cr_assert_gt(length, 0);
	cr_expect_eq(json_scan_check(bytes + 8, length - 8, &wrong), 0);
}
