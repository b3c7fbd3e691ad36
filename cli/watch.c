/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: what the worker publishes, as it comes. One line per connection that closed or changed.
 * Messages that did not arrive, and a worker that was started anew, are told on stderr.
 */
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/seq.h"
#include "cli/text.h"
#include "cli/usage.h"
#include "common/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often a watch without news looks whether its reader is still there. */
#define IDLE_MS 500

struct watch_options {
	struct usage_common common;
	bool json;
	bool no_header;
	const char *topic;
	struct option_number count;
	struct option_number timeout; /* ms */
};

#define AT(field) .offset = offsetof(struct watch_options, field)

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, AT(json), .help = "JSON Lines, one connection per line"},
	{"topic", 0, OPTION_TEXT, AT(topic), .value = "T", .help = "conn.v1 (default) or meta.v1"},
	{"count", 0, OPTION_NUMBER, AT(count), 1, UINT32_MAX, "N", "end after N lines"},
	{"timeout", 0, OPTION_SECONDS, AT(timeout), 1, 1000000000, "S",
	 "end after S seconds; with --count it is a failure if fewer came"},
	{"no-header", 0, OPTION_FLAG, AT(no_header), .help = "no column titles"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

/* A topic, and the array that its messages hold; NULL: the message itself is what is printed. */
static const struct watch_topic {
	const char *name;
	const char *list;
} topics[] = {{"conn.v1", "connections"}, {"meta.v1", NULL}};

struct watch {
	const struct watch_options *asked;
	const struct watch_topic *topic;
	struct seq seq;
	uint64_t printed;
};

static const struct watch_topic *find_topic(const char *name)
{
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		if (strcmp(topics[i].name, name) == 0)
			return &topics[i];
	}
	return NULL;
}

static bool number_of(const cJSON *object, const char *key, uint64_t *number)
{
	return field_number(cJSON_GetObjectItemCaseSensitive(object, key), number);
}

/* Local time of day in ms; of the close where it is known, else of the message. */
static void time_of_day(char out[16], const cJSON *connection, uint64_t message_ns)
{
	uint64_t opened = 0;
	uint64_t duration = 0;
	uint64_t ns = message_ns;
	struct tm local = {0};
	time_t s;

	if (connection && number_of(connection, "opened_ns", &opened) &&
	    number_of(connection, "duration_ns", &duration))
		ns = opened + duration;
	s = (time_t)(ns / NS_PER_S);
	localtime_r(&s, &local);
	snprintf(out, 16, "%02u:%02u:%02u.%03u", (unsigned)local.tm_hour % 100,
		 (unsigned)local.tm_min % 100, (unsigned)local.tm_sec % 100,
		 (unsigned)(ns / NS_PER_MS % 1000));
}

/* The text of a field by its name. */
static const char *text_of(const cJSON *connection, const char *name, char *out, size_t capacity)
{
	field_text(field_find(name, strlen(name)), connection, false, out, capacity);
	return out;
}

#define ROW "%-12s %-6s %-21s %-2s %-21s %-20s %6s %6s %6s %6s %4s %s"

static void print_titles(bool bold)
{
	printf("%s" ROW "%s\n", bold ? "\033[1m" : "", "TIME", "STATE", "LOCAL", "", "REMOTE",
	       "PID/COMM", "SENT", "RECV", "RTT", "AGE", "RETR", "WHY", bold ? "\033[0m" : "");
}

static void print_connection(const cJSON *connection, uint64_t message_ns)
{
	char when[16];
	char cell[10][64];
	char process[FIELD_TEXT_BYTES];
	char comm[128];
	char why[160];

	time_of_day(when, connection, message_ns);
	snprintf(process, sizeof(process), "%s/%s", text_of(connection, "pid", cell[0], 64),
		 text_of(connection, "comm", comm, sizeof(comm)));
	text_of(connection, "close_reason", cell[1], 64);
	text_of(connection, "failure", cell[2], 64);
	if (strcmp(cell[2], "-") != 0)
		snprintf(why, sizeof(why), "%s %s", cell[1], cell[2]);
	else
		snprintf(why, sizeof(why), "%s", strcmp(cell[1], "-") == 0 ? "" : cell[1]);
	printf(ROW "\n", when, text_of(connection, "state", cell[3], 64),
	       text_of(connection, "local", cell[4], 64), field_arrow(connection),
	       text_of(connection, "remote", cell[5], 64), process,
	       text_of(connection, "total.sent_bytes", cell[6], 64),
	       text_of(connection, "total.recv_bytes", cell[7], 64),
	       text_of(connection, "rtt_us", cell[8], 64),
	       text_of(connection, "duration_ns", cell[9], 64),
	       text_of(connection, "total.retransmits", cell[0], 64), why);
}

/* The counters and gauges of a meta.v1 message that are not 0. */
static void print_meta(const cJSON *meta, uint64_t message_ns)
{
	static const char *const groups[] = {"gauges", "counters"};
	char when[16];
	char text[64];

	time_of_day(when, NULL, message_ns);
	field_string(meta, "health", text, sizeof(text));
	printf("%s health=%s", when, text);
	for (size_t i = 0; i < 2; i++) {
		const cJSON *member = NULL;

		cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(meta, groups[i]))
		{
			uint64_t number = 0;

			if (!field_number(member, &number) || number == 0)
				continue;
			text_escape(text, sizeof(text), member->string, strlen(member->string));
			printf(" %s=%llu", text, (unsigned long long)number);
		}
	}
	putchar('\n');
}

static void tell_holes(struct watch *watch, const cJSON *head)
{
	const char *instance =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(head, "instance"));
	const char *const name = watch->topic->name;
	const uint64_t before = watch->seq.last;
	uint64_t number = 0;
	uint64_t lost;

	if (!instance || !number_of(head, "seq", &number))
		return;
	switch (seq_note(&watch->seq, instance, number, &lost)) {
	case SEQ_RESTART:
		message("the worker was started anew (instance %s)", watch->seq.instance);
		if (lost > 0)
			message("%s: %llu messages of the new worker came too early for this watch",
				name, (unsigned long long)lost);
		break;
	case SEQ_HOLE:
		message("%s: %llu messages lost (seq %llu to %llu): this reader is too slow, or the "
			"worker's publish.queue too short",
			name, (unsigned long long)lost, (unsigned long long)before + 1,
			(unsigned long long)number - 1);
		break;
	case SEQ_REPEAT:
		message("%s: seq %llu came again after %llu", name, (unsigned long long)number,
			(unsigned long long)before);
		break;
	case SEQ_FIRST:
	case SEQ_NEXT:
		break;
	}
}

/* What could be given to no connection: a message rarely has such rows. */
static void tell_overflow(struct slice json)
{
	struct slice list, row;

	if (!slice_member(json, "overflow", &list))
		return;
	while (slice_next(&list, &row)) {
		char text[512];

		text_escape(text, sizeof(text), row.text, row.length);
		message("datagrams that belong to no flow that has a place: %s", text);
	}
}

static bool is_done(const struct watch *watch)
{
	return watch->asked->count.given && watch->printed >= watch->asked->count.value;
}

static void print_json(struct watch *watch, struct slice json)
{
	slice_write(json, stdout);
	putchar('\n');
	watch->printed++;
}

/* Prints the elements of a message's list. */
static void print_list(struct watch *watch, struct slice list, uint64_t message_ns)
{
	struct slice element;

	while (!is_done(watch) && !ferror(stdout) && slice_next(&list, &element)) {
		cJSON *connection;

		if (watch->asked->json) {
			print_json(watch, element);
			continue;
		}
		connection = cJSON_ParseWithLength(element.text, element.length);
		if (connection) {
			print_connection(connection, message_ns);
			watch->printed++;
		}
		cJSON_Delete(connection);
	}
}

/* The message's object without its list, which is long and read piece by piece. */
static cJSON *parse_head(struct slice json)
{
	static const char *const keys[] = {"instance", "seq", "ts_ns"};
	cJSON *head = cJSON_CreateObject();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct slice value;

		if (slice_member(json, keys[i], &value))
			cJSON_AddItemToObject(head, keys[i],
					      cJSON_ParseWithLength(value.text, value.length));
	}
	return head;
}

static void take(struct watch *watch, const struct client_message *event)
{
	const bool whole = !watch->topic->list;
	cJSON *head = whole ? cJSON_ParseWithLength(event->json.text, event->json.length)
			    : parse_head(event->json);
	uint64_t message_ns = 0;
	struct slice list;

	if (!head || !number_of(head, "ts_ns", &message_ns)) {
		message("%s: a message that is not understood: are both of one version?",
			watch->topic->name);
	} else {
		tell_holes(watch, head);
		if (whole && watch->asked->json) {
			print_json(watch, event->json);
		} else if (whole) {
			print_meta(head, message_ns);
			watch->printed++;
		} else if (slice_member(event->json, watch->topic->list, &list)) {
			tell_overflow(event->json);
			print_list(watch, list, message_ns);
		}
	}
	cJSON_Delete(head);
}

static enum exit_code follow(struct watch *watch, struct client *client)
{
	const struct watch_options *asked = watch->asked;
	const uint64_t end = clock_ns(CLOCK_MONOTONIC) + asked->timeout.value * NS_PER_MS;
	bool was_lost = false;

	while (!is_done(watch) && !output_is_broken()) {
		struct client_message event = {0};
		const uint64_t now = clock_ns(CLOCK_MONOTONIC);
		uint64_t wait_ms = IDLE_MS;
		int got;

		if (asked->timeout.given) {
			if (now >= end)
				break;
			if ((end - now) / NS_PER_MS < wait_ms)
				wait_ms = (end - now) / NS_PER_MS + 1;
		}
		got = client_receive(client, &event, (int)wait_ms);
		if (client_is_lost(client) != was_lost) {
			was_lost = !was_lost;
			message(was_lost ? "the worker is gone: waiting for it to come back"
					 : "the worker is back");
		}
		if (got == 0 || got == -EINTR)
			continue;
		if (got < 0) {
			message("cannot receive: %s", strerror(-got));
			return EXIT_FAILED;
		}
		take(watch, &event);
		client_message_fini(&event);
	}
	if (asked->count.given && !is_done(watch) && !output_is_broken()) {
		message("watch: %llu of %llu came within the time",
			(unsigned long long)watch->printed, (unsigned long long)asked->count.value);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static enum exit_code watch_run(const struct invocation *call)
{
	struct watch_options asked = {.topic = "conn.v1"};
	struct watch watch = {.asked = &asked};
	static struct client client = CLIENT_INIT;
	enum exit_code code;

	if (!usage_parse(&verb_watch, call, &asked, &code))
		return code;
	watch.topic = find_topic(asked.topic);
	if (!watch.topic) {
		message("watch: there is no topic '%.60s': it is conn.v1 or meta.v1", asked.topic);
		return EXIT_USAGE;
	}
	code = client_open_events(&client, asked.common.runtime_dir, watch.topic->name);
	if (code == EXIT_OK) {
		if (!asked.json && !asked.no_header && watch.topic->list)
			print_titles(output_has_colour());
		code = follow(&watch, &client);
	}
	return code;
}

const struct verb verb_watch = {
	.name = "watch",
	.operands = "",
	.summary = "connections as they close or change",
	.details = "Messages that were lost on the way are told on stderr, by their numbers.\n",
	.options = options,
	.run = watch_run,
};
