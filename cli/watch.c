/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: what the worker publishes, as it comes. One line per connection that closed or changed, per row of
 * DNS statistics that changed, per name that was learnt.
 * Messages that did not arrive, and a worker that was started anew, are told on stderr.
 */
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/seq.h"
#include "cli/text.h"
#include "cli/usage.h"
#include "cli/watch_lines.h"
#include "common/clock.h"

#include <errno.h>
#include <string.h>

/* How often a watch without news looks whether its reader is still there. */
#define IDLE_MS 500

struct watch_options {
	struct usage_common common;
	bool json;
	bool no_header;
	bool no_resolve;
	const char *topic;
	struct option_number count;
	struct option_number timeout; /* ms */
};

#define AT(field) .offset = offsetof(struct watch_options, field)

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, AT(json), .help = "JSON Lines, one connection (or row) per line"},
	{"topic", 0, OPTION_TEXT, AT(topic), .value = "T",
	 .help = "conn.v1 (default), dns.v1, names.v1 or meta.v1",
	 .choices = "conn.v1 dns.v1 names.v1 meta.v1"},
	{"count", 0, OPTION_NUMBER, AT(count), 1, UINT32_MAX, "N", "end after N lines"},
	{"timeout", 0, OPTION_SECONDS, AT(timeout), 1, 1000000000, "S",
	 "end after S seconds; with --count it is a failure if fewer came"},
	{"no-resolve", 'n', OPTION_FLAG, AT(no_resolve),
	 .help = "remote addresses, not their names"},
	{"no-header", 0, OPTION_FLAG, AT(no_header), .help = "no column titles"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

struct watch {
	const struct watch_options *asked;
	const struct watch_lines *lines;
	struct seq seq;
	uint64_t printed;
};

static bool number_of(const cJSON *object, const char *key, uint64_t *number)
{
	return field_number(cJSON_GetObjectItemCaseSensitive(object, key), number);
}

static void tell_holes(struct watch *watch, const cJSON *head)
{
	const char *instance =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(head, "instance"));
	const char *const name = watch->lines->topic;
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

static void tell_strange(const struct watch *watch)
{
	message("%s: a message that is not understood: are both of one version?",
		watch->lines->topic);
}

/* Prints the elements of a message's list. */
static void print_list(struct watch *watch, struct slice list, uint64_t message_ns)
{
	struct slice element;

	while (!is_done(watch) && !ferror(stdout) && slice_next(&list, &element)) {
		cJSON *json;

		if (watch->asked->json) {
			print_json(watch, element);
			continue;
		}
		json = cJSON_ParseWithLength(element.text, element.length);
		if (json && watch->lines->print(json, message_ns, !watch->asked->no_resolve))
			watch->printed++;
		else
			tell_strange(watch);
		cJSON_Delete(json);
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
	const bool whole = !watch->lines->list;
	cJSON *head = whole ? cJSON_ParseWithLength(event->json.text, event->json.length)
			    : parse_head(event->json);
	uint64_t message_ns = 0;
	struct slice list;

	if (!head || !number_of(head, "ts_ns", &message_ns)) {
		tell_strange(watch);
	} else {
		tell_holes(watch, head);
		if (whole && watch->asked->json) {
			print_json(watch, event->json);
		} else if (whole) {
			watch->lines->print(head, message_ns, false);
			watch->printed++;
		} else if (slice_member(event->json, watch->lines->list, &list)) {
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
	watch.lines = watch_lines_find(asked.topic);
	if (!watch.lines) {
		message("watch: there is no topic '%.60s': it is conn.v1, dns.v1, names.v1 or meta.v1",
			asked.topic);
		return EXIT_USAGE;
	}
	code = client_open_events(&client, asked.common.runtime_dir, watch.lines->topic);
	if (code == EXIT_OK) {
		if (!asked.json && !asked.no_header && watch.lines->print_titles)
			watch.lines->print_titles(output_has_colour());
		code = follow(&watch, &client);
	}
	return code;
}

const struct verb verb_watch = {
	.name = "watch",
	.operands = "",
	.summary = "connections as they close or change; DNS, names as they come",
	.details = "Messages that were lost on the way are told on stderr, by their numbers.\n",
	.options = options,
	.run = watch_run,
};
