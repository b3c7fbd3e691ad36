/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: whether all is well. For people some lines, for programs the worker's answer as it is. The
 * exit code tells a monitor: 7 when a loss budget is exceeded, 1 when the worker calls itself bad.
 */
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/text.h"
#include "cli/usage.h"

#include <string.h>

#define LABEL_COLUMNS 13
#define LINE_COLUMNS 79
#define REASON_BYTES 1024

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

/* A value in red where it is bad news and the output shows colours. */
static void print_verdict(const char *title, const char *text, bool is_bad)
{
	const bool red = is_bad && output_has_colour();

	printf("%-*s%s%s%s", LABEL_COLUMNS, title, red ? "\033[31m" : "", text,
	       red ? "\033[0m" : "");
}

static bool is_well(const cJSON *status)
{
	const char *health = cJSON_GetStringValue(member_of(status, "health"));

	return health && strcmp(health, "good") == 0;
}

static void print_health(const cJSON *status)
{
	char reason[REASON_BYTES];
	char text[128];

	print_verdict("health", scalar(status, "health", text), !is_well(status));
	printf("; privd alive: %s\n", scalar(member_of(status, "privd"), "alive", text));
	if (cJSON_IsString(member_of(status, "health_reason"))) {
		field_string(status, "health_reason", reason, sizeof(reason));
		printf("%-*s%s\n", LABEL_COLUMNS, "", reason);
	}
	print_pairs("stages", member_of(status, "stages"));
}

/* One line for each stage: what it lost of what came to it, and what it may. */
static void print_loss(const cJSON *loss)
{
	const bool is_over = cJSON_IsTrue(member_of(loss, "budget_exceeded"));
	const cJSON *stage = NULL;
	char window[TEXT_SHORT_BYTES] = "ever";
	uint64_t seconds = 0;

	if (field_number(member_of(loss, "window_s"), &seconds) && seconds > 0 &&
	    seconds < UINT32_MAX)
		text_duration(window, seconds * 1000000000);
	print_verdict("loss budget", is_over ? "EXCEEDED" : "kept", is_over);
	putchar('\n');
	cJSON_ArrayForEach(stage, member_of(loss, "budgets"))
	{
		char name[128];
		char text[3][128];

		text_escape(name, sizeof(name), stage->string, strlen(stage->string));
		print_verdict("", name, cJSON_IsTrue(member_of(stage, "exceeded")));
		printf(" lost %s of %s (%s), budget %s ppm%s\n", scalar(stage, "lost", text[0]),
		       scalar(stage, "of", text[1]), window, scalar(stage, "budget_ppm", text[2]),
		       cJSON_IsTrue(member_of(stage, "exceeded")) ? ": EXCEEDED" : "");
	}
	print_pairs("lost ever", member_of(loss, "stages"));
}

/* The name of the group that a metric's name begins with. */
static size_t group_length(const char *name)
{
	return strcspn(name, ".");
}

/* Metrics by group: one line, or more, for each. */
static void print_groups(const char *title, const cJSON *metrics)
{
	const cJSON *member = metrics ? metrics->child : NULL;

	printf("%s\n", title);
	while (member) {
		const char *first = member->string;
		const size_t length = group_length(first);
		cJSON *group = cJSON_CreateObject();
		char name[128];

		text_escape(name, sizeof(name), first, length);
		for (; member && group_length(member->string) == length &&
		       strncmp(member->string, first, length) == 0;
		     member = member->next) {
			const char *rest = member->string + length;

			cJSON_AddItemReferenceToObject(group, rest[0] == '.' ? rest + 1 : rest,
						       (cJSON *)(uintptr_t)member);
		}
		print_pairs(name, group);
		cJSON_Delete(group);
	}
}

static void print_people(const cJSON *status)
{
	const cJSON *connections = member_of(status, "connections");
	char uptime[TEXT_SHORT_BYTES] = "-";
	char text[6][128];
	uint64_t seconds;

	if (field_number(member_of(status, "uptime_s"), &seconds) && seconds < UINT32_MAX)
		text_duration(uptime, seconds * 1000000000);
	print_health(status);
	printf("%-*s%s, up %s, instance %s\n", LABEL_COLUMNS, "worker",
	       scalar(status, "version", text[0]), uptime, scalar(status, "instance", text[1]));
	printf("%-*s%s\n", LABEL_COLUMNS, "kernel",
	       scalar(member_of(status, "kernel"), "release", text[0]));
	print_pairs("hooks", member_of(member_of(status, "kernel"), "hooks"));
	printf("%-*s%s opened = %s closed + %s live + %s inferred + %s lost; unaccounted: %s\n",
	       LABEL_COLUMNS, "connections", scalar(connections, "opened", text[0]),
	       scalar(connections, "closed", text[1]), scalar(connections, "live", text[2]),
	       scalar(connections, "inferred", text[3]), scalar(connections, "lost", text[4]),
	       scalar(connections, "unaccounted", text[5]));
	printf("%-*s%s of %s places in use\n", LABEL_COLUMNS, "table",
	       scalar(connections, "tracked", text[0]), scalar(connections, "capacity", text[1]));
	print_loss(member_of(status, "loss"));
	print_pairs("sandbox", member_of(status, "sandbox"));
	print_groups("counters", member_of(status, "counters"));
	print_groups("gauges", member_of(status, "gauges"));
}

/* The exit code that the answer stands for. */
static enum exit_code judge(const cJSON *status)
{
	char reason[REASON_BYTES];

	if (cJSON_IsTrue(member_of(member_of(status, "loss"), "budget_exceeded"))) {
		message("more was lost than the loss budget allows: 'sockwarden status' tells where; "
			"more ring pages (sockwarden-privd --ring-pages), a larger "
			"state.max_connections or publish.queue help");
		return EXIT_LOSS;
	}
	if (!is_well(status)) {
		field_string(status, "health_reason", reason, sizeof(reason));
		message("the worker's health is bad: %s; see 'journalctl -u sockwarden-worker'",
			reason);
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
	.summary = "health, loss by stage, kernel hooks; exit code 7 over the loss budget",
	.options = options,
	.run = status_run,
};
