/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/loop.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/notify.h"
#include "worker/publish/meta_events.h"
#include "worker/publish/query.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_NS (50 * NS_PER_MS)
#define META_INTERVAL_NS (10 * NS_PER_S)
#define PING_INTERVAL_NS (4 * NS_PER_S)
/* A snapshot that failed does not wait for the next regular one. */
#define SNAPSHOT_RETRY_NS (1 * NS_PER_S)
/* Times that the watchdog is told within its time, so that one of them may be late. */
#define WATCHDOG_SHARES 4
#define STATUS_BYTES (HEALTH_REASON_BYTES + 32)
#define EVENTS_PER_WAIT 64
/*
 * How long what a predecessor left is kept for its subscribers: nng dials again within a second
 * (NNG_OPT_RECONNMINT), on a busy machine later, and what is read while nobody listens is told to
 * nobody.
 */
#define REJOIN_NS (3000 * NS_PER_MS)
#define REJOIN_LOOK_MS 10

/* What an epoll event's data says; a ring's is WAKE_RING + its index, those of packets come last. */
enum wake {
	WAKE_SIGNAL = 0,
	WAKE_PRIVD = 1,
	WAKE_QUERY = 2,
	WAKE_PACKETS = 3,
	WAKE_RING = 4,
};

struct loop {
	struct loop_parts parts;
	struct query *query;
	struct query_source source;
	struct meta_events meta;
	struct loss loss;
	int epoll_fd;
	uint64_t now_ns;
	struct clock_offsets wall;
	uint64_t started_ns;
	uint64_t next_tick_ns;
	uint64_t next_meta_ns;
	uint64_t next_ping_ns;
	uint64_t next_pass_ns;
	uint64_t next_watchdog_ns;
	bool publishing_active; /* a pass over the table is under way */
	bool stop;
	int result;
};

static void take_time(struct loop *loop)
{
	uint64_t wall_ns;

	loop->now_ns = clock_ns(CLOCK_MONOTONIC);
	wall_ns = clock_ns(CLOCK_REALTIME);
	clock_offsets_follow(&loop->wall, (struct clock_offsets){
						  .monotonic_ns = wall_ns - loop->now_ns,
						  .boot_ns = wall_ns - clock_ns(CLOCK_BOOTTIME),
					  });
	loop->source.wall = loop->wall;
	loop->source.now_ns = loop->now_ns;
	pipeline_tick(loop->parts.pipeline, loop->now_ns, loop->wall);
}

/* privd is gone, or what it says cannot be trusted: the end, not in silence. */
static void lose_privd(struct loop *loop)
{
	loop->parts.facts->privd_alive = false;
	loop->stop = true;
	loop->result = -EPIPE;
}

/* In words, to whoever reads the log and to systemctl's status; subscribers are told at once. */
static void tell_health(struct loop *loop)
{
	const struct health_report *report = &loop->parts.facts->health;
	char status[STATUS_BYTES];

	if (report->is_good)
		log_info("health is good again");
	else
		log_error("health is bad: %s", report->reason);
	snprintf(status, sizeof(status), "STATUS=health is %s%s",
		 report->is_good ? "good" : "bad: ", report->reason);
	notify_send(loop->parts.notify_fd, status);
	loop->next_meta_ns = loop->now_ns;
}

static void judge_health(struct loop *loop)
{
	struct worker_facts *facts = loop->parts.facts;
	struct health *health = &loop->parts.pipeline->health;
	const bool was_good = facts->health.is_good;

	if (handoff_client_is_late(loop->parts.client))
		health_expect(health, HEALTH_PRIVD, loop->now_ns);
	else
		health_progress(health, HEALTH_PRIVD);
	health_judge(health, loop->now_ns, &facts->health);
	/* Gone for good: not a matter of time, and logged already. */
	if (loop->parts.client->fd < 0) {
		facts->health.is_good = false;
		facts->health.states[HEALTH_PRIVD] = HEALTH_BAD;
		snprintf(facts->health.reason, sizeof(facts->health.reason),
			 "privd: sockwarden-privd is gone");
	} else if (facts->health.is_good != was_good) {
		tell_health(loop);
	}
}

/* While all is well; otherwise systemd will find out. */
static void feed_watchdog(struct loop *loop)
{
	if (loop->parts.watchdog_ns == 0 || loop->now_ns < loop->next_watchdog_ns ||
	    !loop->parts.facts->health.is_good)
		return;
	loop->next_watchdog_ns = loop->now_ns + loop->parts.watchdog_ns / WATCHDOG_SHARES;
	notify_send(loop->parts.notify_fd, "WATCHDOG=1");
}

static void update_facts(struct loop *loop)
{
	struct worker_facts *facts = loop->parts.facts;

	if (loop->parts.client->fd < 0)
		lose_privd(loop);
	else
		facts->privd_alive = !handoff_client_is_late(loop->parts.client);
	facts->uptime_s = (loop->now_ns - loop->started_ns) / NS_PER_S;
	judge_health(loop);
}

static void update_loss(struct loop *loop)
{
	loss_update(&loop->loss, &loop->parts.pipeline->metrics, loop->now_ns);
	loop->parts.facts->loss = loop->loss.report;
}

static int source_refresh(void *ctx)
{
	struct loop *loop = ctx;

	return pipeline_refresh(loop->parts.pipeline);
}

static void complete_view(void *ctx, struct conn_view *view)
{
	struct loop *loop = ctx;

	engine_complete(&loop->parts.pipeline->engine, view);
}

static bool is_told(void *ctx, const struct conn_record *record)
{
	const struct loop *loop = ctx;

	return engine_is_told(&loop->parts.pipeline->engine, record);
}

static size_t source_next(void *ctx, size_t slot, struct conn_view *view)
{
	struct loop *loop = ctx;

	return engine_live_next(&loop->parts.pipeline->engine, slot, view);
}

static void source_update(void *ctx)
{
	struct loop *loop = ctx;
	/* The books of the last pass balance, also where that is a while ago. */
	const bool has_books = pipeline_refresh(loop->parts.pipeline) == 0;

	pipeline_measure(loop->parts.pipeline, has_books);
	update_loss(loop);
	update_facts(loop);
}

static int recordings_begin(void *ctx, uint32_t *id)
{
	struct loop *loop = ctx;

	return recording_begin(&loop->parts.pipeline->recording, loop->now_ns, id);
}

static int recordings_end(void *ctx, uint32_t id)
{
	struct loop *loop = ctx;

	return recording_end(&loop->parts.pipeline->recording, id);
}

static long recordings_read(void *ctx, uint32_t id, uint64_t offset, uint8_t *bytes,
			    size_t capacity, bool *over)
{
	struct loop *loop = ctx;

	return recording_read(&loop->parts.pipeline->recording, id, offset, bytes, capacity,
			      loop->now_ns, over);
}

static int watch(struct loop *loop, int fd, uint32_t wake)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = wake};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* What can wait until subscribers are back; the rest is watched from the first moment. */
static int watch_data(struct loop *loop)
{
	const struct handoff_grants *grants = loop->parts.grants;
	int result = watch(loop, bus_query_fd(loop->parts.bus), WAKE_QUERY);

	if (result == 0 && grants->packet_socket.fd >= 0)
		result = watch(loop, grants->packet_socket.fd, WAKE_PACKETS);
	for (uint32_t i = 0; result == 0 && i < grants->rings.count; i++)
		result = watch(loop, grants->rings.ring[i].fd, WAKE_RING + i);
	for (uint32_t i = 0; result == 0 && i < grants->packet_rings.count; i++)
		result = watch(loop, grants->packet_rings.ring[i].fd,
			       WAKE_RING + grants->rings.count + i);
	return result;
}

static int open_descriptors(struct loop *loop)
{
	int result;

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	result = watch(loop, loop->parts.signal_fd, WAKE_SIGNAL);
	if (result == 0)
		result = watch(loop, loop->parts.client->fd, WAKE_PRIVD);
	return result;
}

int loop_new(struct loop **loop, const struct loop_parts *parts)
{
	struct loop *made = calloc(1, sizeof(*made));
	int result;

	if (!made)
		return -ENOMEM;
	made->parts = *parts;
	made->epoll_fd = -1;
	made->source = (struct query_source){
		.ctx = made,
		.refresh = source_refresh,
		.next = source_next,
		.update = source_update,
		.metrics = &parts->pipeline->metrics,
		.facts = parts->facts,
		.recordings =
			{
				.ctx = made,
				.begin = recordings_begin,
				.end = recordings_end,
				.read = recordings_read,
			},
		.batches =
			{
				.clients = &parts->pipeline->engine.clients,
				.table = &parts->pipeline->engine.state.table,
				.rollup = parts->config->state_rollup,
				.ctx = made,
				.refresh = source_refresh,
				.complete = complete_view,
				.is_told = is_told,
			},
		.config = parts->config,
		.dns = &parts->pipeline->engine.dns,
	};
	meta_events_init(&made->meta);
	loss_init(&made->loss, parts->config, clock_ns(CLOCK_MONOTONIC));
	result = query_new(&made->query);
	if (result == 0)
		result = open_descriptors(made);
	if (result < 0) {
		log_error("the loop's descriptors: %s", strerror(-result));
		loop_free(made);
		return result;
	}
	*loop = made;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	query_free(loop->query);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}

static void publish_meta(struct loop *loop)
{
	struct pipeline *pipeline = loop->parts.pipeline;
	const bool listened = bus_has_subscribers(loop->parts.bus);
	const char *bytes;
	size_t length;

	loop->next_meta_ns = loop->now_ns + META_INTERVAL_NS;
	pipeline_measure(pipeline, false);
	update_loss(loop);
	loss_interval_end(&loop->loss, loop->now_ns);
	loop->parts.facts->loss.interval = loop->loss.report.interval;
	update_facts(loop);
	length = meta_events_make(&loop->meta, &pipeline->metrics, loop->parts.facts,
				  loop->now_ns + loop->wall.monotonic_ns, listened, &bytes);
	if (length > 0)
		pipeline_send(pipeline, bytes, length);
	else if (!listened)
		health_progress(&pipeline->health, HEALTH_PUBLISH);
}

static void ping(struct loop *loop)
{
	uint64_t *missed = &loop->parts.pipeline->metrics.value[METRIC_BPF_MISSED_RUNS];

	loop->next_ping_ns = loop->now_ns + PING_INTERVAL_NS;
	handoff_client_ping(loop->parts.client, missed);
	if (loop->parts.client->fd < 0)
		lose_privd(loop);
}

static void take_regular_pass(struct loop *loop)
{
	loop->next_pass_ns = loop->now_ns + loop->parts.config->publish_interval_s * NS_PER_S;
	if (pipeline_snapshot(loop->parts.pipeline) < 0) {
		loop->next_pass_ns = loop->now_ns + SNAPSHOT_RETRY_NS;
		return;
	}
	engine_active_begin(&loop->parts.pipeline->engine);
	loop->publishing_active = true;
}

/* What is due at a tick beyond the rings. */
static void do_timers(struct loop *loop)
{
	recording_tick(&loop->parts.pipeline->recording, loop->now_ns);
	if (loop->now_ns >= loop->next_ping_ns)
		ping(loop);
	if (loop->now_ns >= loop->next_pass_ns)
		take_regular_pass(loop);
	else if (loop->parts.pipeline->engine.state.suspects > 0)
		pipeline_snapshot(loop->parts.pipeline);
	pipeline_sweep(loop->parts.pipeline, loop->now_ns);
	pipeline_check(loop->parts.pipeline);
	update_facts(loop);
	if (bus_take_joined(loop->parts.bus) || loop->now_ns >= loop->next_meta_ns)
		publish_meta(loop);
	feed_watchdog(loop);
}

static void serve(struct loop *loop)
{
	struct health *health = &loop->parts.pipeline->health;

	if (query_serve(loop->query, loop->parts.bus, &loop->source) < 0)
		health_expect(health, HEALTH_QUERY, loop->now_ns);
	else
		health_progress(health, HEALTH_QUERY);
}

/* All that came: whoever asks for the end means it, whatever else was asked for. */
static void take_signals(struct loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->parts.signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			loop->result = 0;
		else if (!loop->stop)
			loop->result = LOOP_RELOAD;
		loop->stop = true;
	}
}

/* The descriptor of WAKE_PACKETS, or of a ring. */
static int source_fd(const struct handoff_grants *grants, uint32_t wake)
{
	const uint32_t index = wake - WAKE_RING;

	if (wake == WAKE_PACKETS)
		return grants->packet_socket.fd;
	return index < grants->rings.count
		       ? grants->rings.ring[index].fd
		       : grants->packet_rings.ring[index - grants->rings.count].fd;
}

/* Answers requests; the signal and privd are taken note of. Rings are read at every turn anyway. */
static void dispatch(struct loop *loop, const struct epoll_event *event)
{
	const uint32_t wake = event->data.u32;

	switch (wake) {
	case WAKE_SIGNAL:
		take_signals(loop);
		break;
	case WAKE_PRIVD:
		if (handoff_client_unasked(loop->parts.client) < 0)
			lose_privd(loop);
		break;
	case WAKE_QUERY:
		serve(loop);
		break;
	default:
		/* A ring whose event has died keeps its memory, but would wake us for ever. */
		if (event->events & (EPOLLHUP | EPOLLERR))
			epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL,
				  source_fd(loop->parts.grants, wake), NULL);
		break;
	}
}

static int wait_ms(const struct loop *loop)
{
	if (loop->next_tick_ns <= loop->now_ns || pipeline_has_more(loop->parts.pipeline))
		return 0;
	return (int)((loop->next_tick_ns - loop->now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void turn(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(loop));

	take_time(loop);
	pipeline_drain(loop->parts.pipeline);
	for (int i = 0; i < count; i++)
		dispatch(loop, &events[i]);
	if (loop->now_ns >= loop->next_tick_ns) {
		loop->next_tick_ns = loop->now_ns + TICK_NS;
		if (loop->publishing_active)
			loop->publishing_active = engine_active_step(&loop->parts.pipeline->engine);
		engine_flush(&loop->parts.pipeline->engine, loop->now_ns, false);
		do_timers(loop);
	}
}

/*
 * After another worker: until its subscribers are back, something else is due, or the rings have
 * no more time.
 */
static void await_subscribers(struct loop *loop)
{
	struct epoll_event event;

	while (loop->parts.pipeline->has_predecessor &&
	       loop->now_ns - loop->started_ns < REJOIN_NS &&
	       !bus_has_subscribers(loop->parts.bus) && pipeline_can_wait(loop->parts.pipeline)) {
		if (epoll_wait(loop->epoll_fd, &event, 1, REJOIN_LOOK_MS) != 0)
			break;
		take_time(loop);
	}
}

int loop_run(struct loop *loop)
{
	int result;

	take_time(loop);
	loop->started_ns = loop->now_ns;
	loop->next_ping_ns = loop->now_ns;
	await_subscribers(loop);
	result = watch_data(loop);
	if (result < 0) {
		log_error("the loop's descriptors: %s", strerror(-result));
		return result;
	}
	while (!loop->stop)
		turn(loop);
	take_time(loop);
	pipeline_drain_all(loop->parts.pipeline);
	engine_flush(&loop->parts.pipeline->engine, loop->now_ns, true);
	publish_meta(loop);
	return loop->result;
}
