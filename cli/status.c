/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: whether all is well. For people a few lines, for programs the worker's answer as it is.
 * The exit code tells a monitor: 7 when records were lost, 1 when the worker calls itself bad.
 */
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/text.h"
#include "cli/usage.h"

#include <string.h>

#define LABEL_COLUMNS 13
#define LINE_COLUMNS 79

struct status_options {
	struct usage_common common;
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, .offset = offsetof(struct status_options, json),
	 .help = "the worker's whole answer as one line of JSON"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

/* The printable text of a scalar member; "-" if it is missing or null. */
static const char *scalar(const cJSON *object, const char *key, char out[128])
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);

	if (cJSON_IsNumber(value))
		snprintf(out, 128, "%.0f", value->valuedouble);
	else if (cJSON_IsBool(value))
		snprintf(out, 128, "%s", cJSON_IsTrue(value) ? "yes" : "no");
	else
		field_string(object, key, out, 128);
	return out;
}

/* Prints an object's members behind a title, with a new line before the right margin. */
static void print_pairs(const char *title, const cJSON *object)
{
	const cJSON *member = NULL;
	size_t column = LABEL_COLUMNS;

	printf("%-*s", LABEL_COLUMNS, title);
	cJSON_ArrayForEach(member, object)
	{
		char key[128];
		char value[128];
		size_t length;

		text_escape(key, sizeof(key), member->string, strlen(member->string));
		length = strlen(key) + 1 + strlen(scalar(object, member->string, value));
		if (column > LABEL_COLUMNS && column + length + 2 > LINE_COLUMNS) {
			printf("\n%-*s", LABEL_COLUMNS, "");
			column = LABEL_COLUMNS;
		}
		printf("%s%s=%s", column > LABEL_COLUMNS ? "  " : "", key, value);
		column += length + (column > LABEL_COLUMNS ? 2 : 0);
	}
	putchar('\n');
}

static const cJSON *member_of(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void print_people(const cJSON *status)
{
	static const char *const red = "\033[31m";
	const cJSON *connections = member_of(status, "connections");
	const cJSON *loss = member_of(status, "loss");
	const bool bad = cJSON_IsTrue(member_of(loss, "budget_exceeded"));
	const bool well = strcmp(cJSON_GetStringValue(member_of(status, "health")) ?: "", "good") ==
			  0;
	const bool colour = output_has_colour();
	char uptime[TEXT_SHORT_BYTES] = "-";
	const cJSON *stage = NULL;
	char text[8][128];
	uint64_t seconds;
	uint64_t lost = 0;

	if (field_number(member_of(status, "uptime_s"), &seconds) && seconds < UINT32_MAX)
		text_duration(uptime, seconds * 1000000000);
	cJSON_ArrayForEach(stage, member_of(loss, "stages"))
	{
		uint64_t number = 0;

		if (field_number(stage, &number))
			lost += number;
	}
	printf("%-*s%s%s%s; privd alive: %s\n", LABEL_COLUMNS, "health", colour && !well ? red : "",
	       scalar(status, "health", text[0]), colour && !well ? "\033[0m" : "",
	       scalar(member_of(status, "privd"), "alive", text[1]));
	printf("%-*s%s, up %s, instance %s\n", LABEL_COLUMNS, "worker",
	       scalar(status, "version", text[0]), uptime, scalar(status, "instance", text[1]));
	printf("%-*s%s\n", LABEL_COLUMNS, "kernel",
	       scalar(member_of(status, "kernel"), "release", text[0]));
	print_pairs("hooks", member_of(member_of(status, "kernel"), "hooks"));
	printf("%-*s%s opened = %s closed + %s live + %s inferred + %llu lost; "
	       "unaccounted: %s\n",
	       LABEL_COLUMNS, "connections", scalar(connections, "opened", text[0]),
	       scalar(connections, "closed", text[1]), scalar(connections, "live", text[2]),
	       scalar(connections, "inferred", text[3]), (unsigned long long)lost,
	       scalar(connections, "unaccounted", text[4]));
	printf("%-*s%s of %s places in use\n", LABEL_COLUMNS, "table",
	       scalar(connections, "tracked", text[0]), scalar(connections, "capacity", text[1]));
	printf("%-*s%s%s%s\n", LABEL_COLUMNS, "loss budget", colour && bad ? red : "",
	       bad ? "EXCEEDED" : "kept", colour && bad ? "\033[0m" : "");
	print_pairs("lost", member_of(loss, "stages"));
	print_pairs("sandbox", member_of(status, "sandbox"));
	print_pairs("counters", member_of(status, "counters"));
	print_pairs("gauges", member_of(status, "gauges"));
}

/* The exit code that the answer stands for. */
static enum exit_code judge(const cJSON *status)
{
	const char *health = cJSON_GetStringValue(member_of(status, "health"));

	if (cJSON_IsTrue(member_of(member_of(status, "loss"), "budget_exceeded"))) {
		message("records were lost: 'sockwarden status' tells where; more ring pages "
			"(sockwarden-privd --ring-pages) or a larger state.max_connections help");
		return EXIT_LOSS;
	}
	if (!health || strcmp(health, "good") != 0) {
		message("the worker's health is bad: see 'journalctl -u sockwarden-worker'");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static enum exit_code status_run(const struct invocation *call)
{
	struct status_options asked = {.json = false};
	static struct client client = CLIENT_INIT;
	struct client_message answer = {0};
	cJSON *status = NULL;
	enum exit_code code;

	if (!usage_parse(&verb_status, call, &asked, &code))
		return code;
	code = client_open_queries(&client, asked.common.runtime_dir);
	if (code == EXIT_OK)
		code = client_ask(&client, "{\"op\":\"status\"}", &answer);
	if (code != EXIT_OK)
		goto out;
	status = cJSON_ParseWithLength(answer.json.text, answer.json.length);
	if (!cJSON_IsObject(status)) {
		message("the worker's answer is not understood: are both of one version?");
		code = EXIT_FAILED;
		goto out;
	}
	if (asked.json) {
		slice_write(answer.json, stdout);
		putchar('\n');
	} else {
		print_people(status);
	}
	code = judge(status);
out:
	cJSON_Delete(status);
	client_message_fini(&answer);
	return code;
}

const struct verb verb_status = {
	.name = "status",
	.operands = "",
	.summary = "health, loss by stage, kernel hooks; exit code 7 if records were lost",
	.options = options,
	.run = status_run,
};
