/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/status.h"

#include <criterion/criterion.h>

#include <string.h>

static struct worker_facts example_facts(void)
{
	return (struct worker_facts){
		.identity = {.host = "h", .instance = "00112233aabbccdd"},
		.version = "1.2.3",
		.uptime_s = 77,
		.health = {.is_good = true, .states = {[HEALTH_SWEEP] = HEALTH_OFF}},
		.loss =
			{
				.total.stages =
					{[LOSS_BPF] = {.lost = 5}, [LOSS_TABLE] = {.lost = 9}},
				.window[LOSS_BPF] = {2, 20},
				.budget_ppm[LOSS_BPF] = 100000,
				.window_s = 60,
			},
		.privd_alive = true,
		.seccomp = 2,
		.landlock_abi = 4,
		.no_new_privs = 1,
		.kernel = "6.1.0",
		.hook_count = 2,
		.hooks = {{"accept", "fexit"}, {"facts", "storage"}},
	};
}

Test(status, balances_the_books)
{
	struct metrics metrics = {{0}};

	metrics.value[METRIC_CONN_OPENED] = 100;
	metrics.value[METRIC_CONN_CLOSED] = 60;
	metrics.value[METRIC_CONN_LIVE] = 20;
	metrics.value[METRIC_CONN_INFERRED] = 20;
	cr_expect_eq(status_unaccounted(&metrics), 0);
	metrics.value[METRIC_CONN_CLOSED] = 61;
	cr_expect_eq(status_unaccounted(&metrics), -1);
	metrics.value[METRIC_CONN_CLOSED] = 57;
	cr_expect_eq(status_unaccounted(&metrics), 3);
}

Test(status, takes_a_connection_that_was_lost_and_then_inferred_away_once)
{
	struct metrics metrics = {{0}};

	metrics.value[METRIC_CONN_OPENED] = 100;
	metrics.value[METRIC_CONN_CLOSED] = 90;
	metrics.value[METRIC_INTAKE_LOST_RECORDS] = 4;
	metrics.value[METRIC_BPF_RING_FULL] = 5;
	metrics.value[METRIC_BPF_ENDS_MISSED] = 1;
	cr_expect_eq(status_unaccounted(&metrics), 0);
	metrics.value[METRIC_CONN_INFERRED] = 7;
	cr_expect_eq(status_unaccounted(&metrics), 0);
}

Test(status, is_written_with_every_key)
{
	static const char start[] =
		"{\"ok\":true,\"health\":\"good\",\"health_reason\":null,"
		"\"stages\":{\"intake\":\"good\",\"snapshot\":\"good\",\"sweep\":\"off\","
		"\"cgroups\":\"good\",\"publish\":\"good\",\"query\":\"good\",\"privd\":\"good\"},"
		"\"version\":\"1.2.3\",\"uptime_s\":77,"
		"\"host\":\"h\",\"instance\":\"00112233aabbccdd\","
		"\"kernel\":{\"release\":\"6.1.0\","
		"\"hooks\":{\"accept\":\"fexit\",\"facts\":\"storage\"}},"
		"\"connections\":{\"opened\":3,\"closed\":1,\"live\":1,\"inferred\":0,"
		"\"lost\":5,\"unaccounted\":1,\"tracked\":1,\"capacity\":64},"
		"\"loss\":{\"budget_exceeded\":false,"
		"\"stages\":{\"bpf\":5,\"ring\":0,\"batch\":0,\"packets\":0,\"table\":9,\"publish\":0},"
		"\"window_s\":60,\"budgets\":{"
		"\"bpf\":{\"lost\":2,\"of\":20,\"budget_ppm\":100000,\"exceeded\":false},"
		"\"ring\":{\"lost\":0,\"of\":0,\"budget_ppm\":0,\"exceeded\":false},"
		"\"batch\":{\"lost\":0,\"of\":0,\"budget_ppm\":0,\"exceeded\":false},"
		"\"packets\":{\"lost\":0,\"of\":0,\"budget_ppm\":0,\"exceeded\":false},"
		"\"table\":{\"lost\":0,\"of\":0,\"budget_ppm\":0,\"exceeded\":false},"
		"\"publish\":{\"lost\":0,\"of\":0,\"budget_ppm\":0,\"exceeded\":false}}},"
		"\"sandbox\":{\"seccomp\":2,\"landlock_abi\":4,\"no_new_privs\":1},"
		"\"counters\":{\"conn.opened\":3,\"conn.closed\":1,";
	static const char end[] =
		"\"gauges\":{\"conn.live\":1,\"conn.tracked\":1,\"conn.capacity\":64,"
		"\"clients.registered\":0,\"clients.waiting\":0,"
		"\"nat.entries\":0,\"nat.ended\":0,\"nat.capacity\":0,"
		"\"dns.in_flight\":0,\"dns.stats\":0,\"dns.conversations\":0,\"names.addresses\":0,"
		"\"publish.subscribers\":0},\"privd\":{\"alive\":true}}";
	struct worker_facts facts = example_facts();
	struct metrics metrics = {{0}};
	char text[8192];
	struct json json;

	metrics.value[METRIC_CONN_OPENED] = 3;
	metrics.value[METRIC_CONN_CLOSED] = 1;
	metrics.value[METRIC_CONN_LIVE] = 1;
	metrics.value[METRIC_CONN_TRACKED] = 1;
	metrics.value[METRIC_CONN_CAPACITY] = 64;
	json_init(&json, text, sizeof(text));
	status_json_write(&json, &metrics, &facts);
	cr_assert_not(json.overflow);
	text[json_length(&json)] = '\0';
	cr_expect_eq(strncmp(text, start, sizeof(start) - 1), 0, "%s", text);
	cr_expect_str_eq(text + json_length(&json) - (sizeof(end) - 1), end);
}

Test(status, says_bad_and_exceeded_and_unknown_where_that_is_so)
{
	struct worker_facts facts = {
		.version = "1",
		.loss = {.is_exceeded = true, .exceeded[LOSS_BATCH] = true},
		.health = {.states = {[HEALTH_PRIVD] = HEALTH_BAD}, .reason = "privd: is \"late\""},
	};
	struct metrics metrics = {{0}};
	char text[8192];
	struct json json;

	json_init(&json, text, sizeof(text));
	status_json_write(&json, &metrics, &facts);
	text[json_length(&json)] = '\0';
	cr_expect_not_null(strstr(text, "\"health\":\"bad\","
					"\"health_reason\":\"privd: is \\\"late\\\"\","));
	cr_expect_not_null(strstr(text, "\"query\":\"good\",\"privd\":\"bad\"}"));
	cr_expect_not_null(strstr(text, "\"budget_exceeded\":true"));
	cr_expect_not_null(strstr(text, "\"batch\":{\"lost\":0,\"of\":0,\"budget_ppm\":0,"
					"\"exceeded\":true}"));
	cr_expect_not_null(strstr(text, "\"kernel\":{\"release\":null,\"hooks\":{}}"));
	cr_expect_not_null(strstr(text, "\"privd\":{\"alive\":false}"));
}
