/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/status.h"

#include "worker/publish/facts_json.h"

int64_t status_unaccounted(const struct metrics *metrics)
{
	const uint64_t *value = metrics->value;
	const uint64_t lost = value[METRIC_INTAKE_LOST_RECORDS] + value[METRIC_BPF_RING_FULL] +
			      value[METRIC_BPF_ENDS_MISSED];
	const uint64_t inferred = value[METRIC_CONN_INFERRED];

	/*
	 * A lost close of a connection that was in a snapshot is inferred later: it must not be taken
	 * away twice. Modulo 2^64: a close that overtakes its opening gives a small negative.
	 */
	return (int64_t)(value[METRIC_CONN_OPENED] - value[METRIC_CONN_CLOSED] -
			 value[METRIC_CONN_LIVE] - (lost > inferred ? lost : inferred));
}

static void write_connections(struct json *json, const struct metrics *metrics,
			      const struct loss_sums *loss)
{
	const uint64_t *value = metrics->value;

	JSON_TEXT(json, "{\"opened\":");
	json_number(json, value[METRIC_CONN_OPENED]);
	JSON_TEXT(json, ",\"closed\":");
	json_number(json, value[METRIC_CONN_CLOSED]);
	JSON_TEXT(json, ",\"live\":");
	json_number(json, value[METRIC_CONN_LIVE]);
	JSON_TEXT(json, ",\"inferred\":");
	json_number(json, value[METRIC_CONN_INFERRED]);
	JSON_TEXT(json, ",\"lost\":");
	json_number(json, loss_closes(loss));
	JSON_TEXT(json, ",\"unaccounted\":");
	json_i64(json, status_unaccounted(metrics));
	JSON_TEXT(json, ",\"tracked\":");
	json_number(json, value[METRIC_CONN_TRACKED]);
	JSON_TEXT(json, ",\"capacity\":");
	json_number(json, value[METRIC_CONN_CAPACITY]);
	JSON_TEXT(json, "}");
}

static void write_budget(struct json *json, const struct loss_report *loss, unsigned stage)
{
	JSON_TEXT(json, "{\"lost\":");
	json_number(json, loss->window[stage].lost);
	JSON_TEXT(json, ",\"of\":");
	json_number(json, loss->window[stage].of);
	JSON_TEXT(json, ",\"budget_ppm\":");
	json_u64(json, loss->budget_ppm[stage]);
	JSON_TEXT(json, ",\"exceeded\":");
	json_bool(json, loss->exceeded[stage]);
	JSON_TEXT(json, "}");
}

static void write_loss(struct json *json, const struct loss_report *loss)
{
	JSON_TEXT(json, "{\"budget_exceeded\":");
	json_bool(json, loss->is_exceeded);
	JSON_TEXT(json, ",\"stages\":{");
	for (unsigned stage = 0; stage < LOSS_STAGE_COUNT; stage++) {
		if (stage > 0)
			JSON_TEXT(json, ",");
		json_word(json, loss_stage_name((enum loss_stage)stage));
		JSON_TEXT(json, ":");
		json_number(json, loss->total.stages[stage].lost);
	}
	JSON_TEXT(json, "},\"window_s\":");
	json_u64(json, loss->window_s);
	JSON_TEXT(json, ",\"budgets\":{");
	for (unsigned stage = 0; stage < LOSS_STAGE_COUNT; stage++) {
		if (stage > 0)
			JSON_TEXT(json, ",");
		json_word(json, loss_stage_name((enum loss_stage)stage));
		JSON_TEXT(json, ":");
		write_budget(json, loss, stage);
	}
	JSON_TEXT(json, "}}");
}

void status_json_write(struct json *json, const struct metrics *metrics,
		       const struct worker_facts *facts)
{
	JSON_TEXT(json, "{\"ok\":true,");
	facts_json_health(json, facts);
	JSON_TEXT(json, ",\"version\":");
	json_word(json, facts->version);
	JSON_TEXT(json, ",\"uptime_s\":");
	json_u64(json, facts->uptime_s);
	JSON_TEXT(json, ",\"host\":");
	json_string(json, facts->identity.host, strlen(facts->identity.host));
	JSON_TEXT(json, ",\"instance\":");
	json_word(json, facts->identity.instance);
	JSON_TEXT(json, ",\"kernel\":");
	facts_json_kernel(json, facts);
	JSON_TEXT(json, ",\"connections\":");
	write_connections(json, metrics, &facts->loss.total);
	JSON_TEXT(json, ",\"loss\":");
	write_loss(json, &facts->loss);
	JSON_TEXT(json, ",\"sandbox\":");
	facts_json_sandbox(json, facts);
	JSON_TEXT(json, ",\"counters\":");
	metrics_json_write(json, metrics, METRIC_KIND_COUNTER);
	JSON_TEXT(json, ",\"gauges\":");
	metrics_json_write(json, metrics, METRIC_KIND_GAUGE);
	JSON_TEXT(json, ",\"privd\":{\"alive\":");
	json_bool(json, facts->privd_alive);
	JSON_TEXT(json, "}}");
}
