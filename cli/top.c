/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top: a full-screen view. Each interval it asks for the status and then for a snapshot, page by
 * page, and between two pages it looks at the keys, the signals and the closed connections that
 * were published, so that nothing waits for anything.
 */
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/page.h"
#include "cli/text.h"
#include "cli/top_model.h"
#include "cli/top_screen.h"
#include "cli/usage.h"
#include "common/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Messages of closed connections that are taken before the screen is looked at again. */
#define EVENTS_AT_ONCE 64
/* What comes from the worker is drawn at most this often; what comes from the keys, at once. */
#define DRAW_MS 250

struct top_options {
	struct usage_common common;
	struct option_number interval; /* ms */
	bool no_resolve;
};

static const struct option_spec options[] = {
	{"interval", 0, OPTION_SECONDS, .offset = offsetof(struct top_options, interval), 100,
	 3600000, "S", "seconds between two looks (1)"},
	{"no-resolve", 'n', OPTION_FLAG, .offset = offsetof(struct top_options, no_resolve),
	 .help = "remote addresses, not their names, until n is pressed"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

/* What the worker was asked last and has not answered. */
enum phase {
	PHASE_IDLE,
	PHASE_STATUS,
	PHASE_PAGE,
};

struct top {
	struct client queries;
	struct client events;
	struct top_model model;
	struct top_header header;
	struct top_ui ui;
	struct top_shown *order; /* room for TOP_ROWS_MAX */
	enum phase phase;
	uint64_t interval_ns;
	uint64_t next_ns;   /* when the next round is due */
	uint64_t asked_ns;  /* when the waiting request was sent */
	uint64_t status_ns; /* when opened was taken */
	uint64_t opened;
	bool changed; /* the screen is out of date */
};

/* Sends a request; what cannot be sent is tried again with the next round. */
static void ask(struct top *top, const char *request, enum phase phase, uint64_t now_ns)
{
	if (request && client_send(&top->queries, request) == 0) {
		top->phase = phase;
		top->asked_ns = now_ns;
		return;
	}
	top->phase = PHASE_IDLE;
	top->header.answers = false;
	top->changed = true;
}

static uint64_t number_in(const cJSON *object, const char *key)
{
	uint64_t number = 0;

	field_number(cJSON_GetObjectItemCaseSensitive(object, key), &number);
	return number;
}

static void take_status(struct top *top, struct slice answer, uint64_t now_ns)
{
	struct top_header *const header = &top->header;
	cJSON *status = cJSON_ParseWithLength(answer.text, answer.length);
	const cJSON *connections = cJSON_GetObjectItemCaseSensitive(status, "connections");
	const uint64_t opened = number_in(connections, "opened");

	header->opened_per_s =
		header->has_status ? top_rate(top->opened, opened, now_ns - top->status_ns) : 0;
	top->opened = opened;
	top->status_ns = now_ns;
	header->live = number_in(connections, "live");
	header->lost = number_in(connections, "lost");
	field_string(status, "host", header->host, sizeof(header->host));
	field_string(status, "health", header->health, sizeof(header->health));
	header->has_status = true;
	header->answers = true;
	cJSON_Delete(status);
}

/* Hands each element of a list to take. */
static void for_each(struct top *top, struct slice list, uint64_t now_ns,
		     void (*take)(struct top_model *, const cJSON *, uint64_t))
{
	struct slice element;

	while (slice_next(&list, &element)) {
		cJSON *connection = cJSON_ParseWithLength(element.text, element.length);

		if (connection)
			take(&top->model, connection, now_ns);
		cJSON_Delete(connection);
	}
}

static const struct page_query snapshot = {.op = "snapshot", .filter = "", .list = "connections"};

static void ask_page(struct top *top, const char *token, uint64_t now_ns)
{
	char *request = page_request(&snapshot, token);

	ask(top, request, PHASE_PAGE, now_ns);
	cJSON_free(request);
}

static void take_answer(struct top *top, struct slice answer, uint64_t now_ns)
{
	struct page page;
	char why[384];

	/* A worker that is busy, or was started anew meanwhile: the next round asks again. */
	if (client_verdict(answer, why, sizeof(why)) != EXIT_OK) {
		top->phase = PHASE_IDLE;
		return;
	}
	if (top->phase == PHASE_STATUS) {
		take_status(top, answer, now_ns);
		top_model_begin(&top->model, now_ns);
		ask_page(top, "", now_ns);
		return;
	}
	if (!page_open(answer, snapshot.list, &page)) {
		top->phase = PHASE_IDLE;
		return;
	}
	for_each(top, page.list, now_ns, top_model_see);
	if (page.more[0]) {
		ask_page(top, page.more, now_ns);
		return;
	}
	top_model_end(&top->model, now_ns);
	top->phase = PHASE_IDLE;
	top->changed = true;
}

static void close_one(struct top_model *model, const cJSON *connection, uint64_t now_ns)
{
	const char *state =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(connection, "state"));

	if (state && strcmp(state, "closed") == 0)
		top_model_close(model, connection, now_ns);
}

/* Takes what came from the worker. While paused, everything is dropped. */
static void take_messages(struct top *top, uint64_t now_ns)
{
	struct client_message got = {0};

	for (int i = 0; i < EVENTS_AT_ONCE && client_receive(&top->events, &got, 0) == 1; i++) {
		struct slice list;

		if (!top->ui.paused && slice_member(got.json, "connections", &list)) {
			for_each(top, list, now_ns, close_one);
			top->changed = true;
		}
		client_message_fini(&got);
	}
	if (client_receive(&top->queries, &got, 0) == 1) {
		if (top->phase != PHASE_IDLE)
			take_answer(top, got.json, now_ns);
		client_message_fini(&got);
	}
}

static void start_round(struct top *top, uint64_t now_ns)
{
	if (top->phase != PHASE_IDLE && now_ns - top->asked_ns > CLIENT_ANSWER_MS * NS_PER_MS) {
		top->phase = PHASE_IDLE;
		top->header.answers = false;
		top->changed = true;
	}
	if (top->ui.paused || top->phase != PHASE_IDLE || now_ns < top->next_ns)
		return;
	top->next_ns = now_ns + top->interval_ns;
	ask(top, "{\"op\":\"status\"}", PHASE_STATUS, now_ns);
}

static void draw(struct top *top)
{
	const enum top_sort sort = top->ui.sort == TOP_SORT_REMOTE && top->ui.addresses
					   ? TOP_SORT_ADDRESS
					   : top->ui.sort;
	const size_t count =
		top_model_order(&top->model, sort, top->ui.filter, top->order, TOP_ROWS_MAX);

	top_screen_draw(&top->header, &top->model, top->order, count, &top->ui);
	top->changed = false;
}

/* Does what a signal asks for. Returns its number if it ends the command, else 0. */
static int take_signal(struct top *top, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	switch (info.ssi_signo) {
	case SIGWINCH:
		top_screen_resize();
		break;
	case SIGTSTP:
		top_screen_close();
		kill(getpid(), SIGSTOP);
		if (top_screen_open() != EXIT_OK)
			return SIGTERM;
		break;
	default:
		return (int)info.ssi_signo;
	}
	top->changed = true;
	return 0;
}

/* Runs until "quit" (returns 0) or a signal (returns its number). */
static int loop(struct top *top, int signals)
{
	uint64_t drawn_ns = 0;

	for (;;) {
		struct pollfd in[] = {{.fd = STDIN_FILENO, .events = POLLIN},
				      {.fd = signals, .events = POLLIN},
				      {.fd = top->queries.fd, .events = POLLIN},
				      {.fd = top->events.fd, .events = POLLIN}};
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
		int ended;

		start_round(top, now_ns);
		if (top->changed && now_ns - drawn_ns >= DRAW_MS * NS_PER_MS) {
			draw(top);
			drawn_ns = clock_ns(CLOCK_MONOTONIC);
		}
		if (poll(in, sizeof(in) / sizeof(in[0]), DRAW_MS) < 0 && errno != EINTR)
			return SIGTERM;
		now_ns = clock_ns(CLOCK_MONOTONIC);
		ended = in[1].revents ? take_signal(top, signals) : 0;
		if (ended)
			return ended;
		if (in[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			return SIGHUP;
		if (in[0].revents) {
			if (!top_screen_keys(&top->ui))
				return 0;
			top->changed = true;
			drawn_ns = 0;
		}
		take_messages(top, now_ns);
	}
}

/* Takes the terminal, runs, gives it back. */
static enum exit_code show(struct top *top, int signals, const sigset_t *before)
{
	enum exit_code code = top_screen_open();
	int signal_number;

	if (code != EXIT_OK)
		return code;
	top->changed = true;
	signal_number = loop(top, signals);
	top_screen_close();
	if (signal_number) {
		/* The terminal is itself again; now end as whoever sent the signal expects. */
		signal(signal_number, SIG_DFL);
		pthread_sigmask(SIG_SETMASK, before, NULL);
		raise(signal_number);
	}
	return EXIT_OK;
}

static enum exit_code top_run(const struct invocation *call)
{
	struct top_options asked = {.interval = {.value = 1000}};
	static struct top top = {
		.queries = CLIENT_INIT, .events = CLIENT_INIT, .header = {.answers = true}};
	enum exit_code code;
	sigset_t before;
	sigset_t taken;
	int signals;

	if (!usage_parse(&verb_top, call, &asked, &code))
		return code;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		message("top needs a terminal: use 'sockwarden watch' or 'sockwarden conns' in a pipe");
		return EXIT_USAGE;
	}
	top.ui.addresses = asked.no_resolve;
	top.interval_ns = asked.interval.value * NS_PER_MS;
	top_model_init(&top.model);
	top.order = calloc(TOP_ROWS_MAX, sizeof(top.order[0]));

	/* Blocked before there are threads, so that no thread takes a signal from the loop. */
	sigemptyset(&taken);
	for (size_t i = 0; i < 6; i++)
		sigaddset(&taken,
			  (const int[]){SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP}[i]);
	pthread_sigmask(SIG_BLOCK, &taken, &before);
	signals = signalfd(-1, &taken, SFD_CLOEXEC);
	if (!top.order || signals < 0) {
		message("cannot begin: %s", strerror(errno));
		code = EXIT_FAILED;
		goto out;
	}
	code = client_open_queries(&top.queries, asked.common.runtime_dir);
	if (code == EXIT_OK)
		code = client_open_events(&top.events, asked.common.runtime_dir, "conn.v1");
	if (code == EXIT_OK)
		code = show(&top, signals, &before);
out:
	top_model_fini(&top.model);
	free(top.order);
	if (signals >= 0)
		close(signals);
	return code;
}

const struct verb verb_top = {
	.name = "top",
	.operands = "",
	.summary = "full-screen live view, sorted by traffic",
	.details =
		"Keys: q quit, s sort, / filter, n names or addresses, p pause, arrows PgUp PgDn scroll, h help.\n",
	.options = options,
	.run = top_run,
};
