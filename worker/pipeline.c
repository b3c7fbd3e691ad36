/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/pipeline.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/intake/record_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A closed connection waits this long for others to share its message. */
#define FLUSH_AGE_NS (200 * NS_PER_MS)
/* A record waits one tick until it is read and another until its age is looked at. */
#define FLUSH_MARGIN_NS (100 * NS_PER_MS)
/*
 * Table entries that one step of publishing active connections looks at, at least: about 80
 * messages per tick, which a subscriber's queue takes while it is slow for half a second.
 */
#define ACTIVE_STEP_ENTRIES 4096
/* Even the largest table is gone over within ten seconds. */
#define ACTIVE_STEPS_MAX 200

static struct handoff_resume *resume_of(const struct handoff_grants *grants)
{
	return grants->resume.memory;
}

static int open_rings(struct pipeline *pipeline)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct handoff_grants *grants = pipeline->grants;
	const uint8_t *batches = grants->batches.memory;

	for (uint32_t cpu = 0; cpu < grants->possible_cpus; cpu++)
		pipeline->sources[cpu].mapped =
			batches + (size_t)cpu * grants->batches.stride_bytes;
	for (uint32_t i = 0; i < grants->ring_count; i++) {
		const struct handoff_ring *ring = &grants->rings[i];
		int result =
			perf_ring_init(&pipeline->rings[i], ring->memory, page, ring->data_bytes);

		if (result < 0)
			return result;
		pipeline->sources[ring->cpu].ring = &pipeline->rings[i];
	}
	return 0;
}

static int pipeline_init(struct pipeline *pipeline, const struct config *config)
{
	const struct handoff_grants *grants = pipeline->grants;
	struct handoff_resume *resume = resume_of(grants);
	const uint64_t delay_ns = config->publish_closed_delay_ms * NS_PER_MS;
	int result;

	pipeline->has_predecessor = resume->workers > 0;
	resume->workers++;
	pipeline->rings = calloc(grants->ring_count, sizeof(*pipeline->rings));
	pipeline->sources = calloc(grants->possible_cpus, sizeof(*pipeline->sources));
	if (!pipeline->rings || !pipeline->sources)
		return -ENOMEM;
	result = open_rings(pipeline);
	if (result < 0)
		return result;
	batch_reader_init(&pipeline->reader, pipeline->sources, grants->possible_cpus,
			  resume_of(grants));
	pipeline->tcp_enabled = config->tcp_enabled;
	pipeline->ipv6_enabled = config->ipv6_enabled;
	pipeline->flush_age_ns = delay_ns > FLUSH_MARGIN_NS ? delay_ns - FLUSH_MARGIN_NS : 0;
	if (pipeline->flush_age_ns > FLUSH_AGE_NS)
		pipeline->flush_age_ns = FLUSH_AGE_NS;
	return conn_state_init(&pipeline->state, config->state_max_connections,
			       config->publish_interval_s * NS_PER_S, resume->closed,
			       resume->inferred);
}

int pipeline_new(struct pipeline **pipeline, const struct config *config,
		 struct handoff_client *client, const struct handoff_grants *grants,
		 struct bus *bus, const struct identity *identity)
{
	struct pipeline *made = calloc(1, sizeof(*made));
	int result = -ENOMEM;

	if (made) {
		made->client = client;
		made->grants = grants;
		made->bus = bus;
		conn_events_init(&made->events, identity);
		result = pipeline_init(made, config);
	}
	if (result < 0) {
		log_error("the connections' table: %s", strerror(-result));
		pipeline_free(made);
		return result;
	}
	*pipeline = made;
	return 0;
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	conn_state_fini(&pipeline->state);
	free(pipeline->sources);
	free(pipeline->rings);
	free(pipeline);
}

void pipeline_tick(struct pipeline *pipeline, uint64_t now_ns, uint64_t wall_offset_ns)
{
	conn_events_tick(&pipeline->events, now_ns, wall_offset_ns,
			 bus_has_subscribers(pipeline->bus));
}

/* Commits, then sends the message that was built. */
static void send_events(struct pipeline *pipeline)
{
	uint64_t *metric = pipeline->metrics.value;
	struct conn_events_message message;

	batch_reader_commit(&pipeline->reader, pipeline->state.counts.closed,
			    pipeline->state.counts.inferred);
	if (!conn_events_finish(&pipeline->events, &message) || !message.bytes)
		return;
	if (bus_publish(pipeline->bus, message.bytes, message.length) < 0)
		return;
	metric[METRIC_PUBLISH_MESSAGES]++;
	metric[METRIC_PUBLISH_BYTES] += message.length;
	metric[METRIC_PUBLISH_RECORDS] += message.records;
}

/* Reads the iterator's records into the cache. */
static void fill_cgroups(struct pipeline *pipeline)
{
	_cleanup_close_ int fd = handoff_client_iterate(pipeline->client, HANDOFF_ITERATE_CGROUPS);
	struct snapshot *snapshot = &pipeline->cgroup_names;
	const struct cgroup_record *record;
	int result = fd;

	if (fd >= 0) {
		snapshot_begin(snapshot, fd, sizeof(*record));
		while ((result = snapshot_read(snapshot)) > 0) {
			while ((record = snapshot_next(snapshot))) {
				if (!cgroups_put(&pipeline->cgroups, record))
					pipeline->malformed++;
			}
		}
	}
	if (result < 0)
		log_warning("control groups' names: %s", strerror(-result));
}

/* The path of a view's control group, asking for new ones if that was not just done. */
static const char *cgroup_of(struct pipeline *pipeline, const struct conn_record *record,
			     uint64_t now_ns)
{
	const char *path = cgroups_path(&pipeline->cgroups, record->cgroup_id);

	if (path || !cgroups_is_due(&pipeline->cgroups, now_ns))
		return path;
	fill_cgroups(pipeline);
	path = cgroups_path(&pipeline->cgroups, record->cgroup_id);
	cgroups_filled(&pipeline->cgroups, now_ns);
	return path;
}

/* Whether the configuration wants it told. What is not still counts in the books. */
static bool is_told(const struct pipeline *pipeline, const struct conn_view *view)
{
	return pipeline->tcp_enabled &&
	       (pipeline->ipv6_enabled || view->record->family != RECORD_FAMILY_IPV6);
}

static void publish(struct pipeline *pipeline, struct conn_view *view)
{
	if (!is_told(pipeline, view))
		return;
	view->cgroup = cgroup_of(pipeline, view->record, pipeline->events.now_ns);
	if (conn_events_add(&pipeline->events, view) == -ENOSPC) {
		send_events(pipeline);
		conn_events_add(&pipeline->events, view);
	}
	pipeline->metrics.value[METRIC_CONN_PUBLISHED] += view->closed;
	if (conn_events_is_full(&pipeline->events))
		send_events(pipeline);
}

bool pipeline_can_wait(const struct pipeline *pipeline)
{
	for (uint32_t i = 0; i < pipeline->grants->ring_count; i++) {
		if (!perf_ring_can_wait(&pipeline->rings[i]))
			return false;
	}
	return true;
}

void pipeline_drain(struct pipeline *pipeline)
{
	const struct conn_record *record;
	struct conn_view view;

	batch_reader_begin(&pipeline->reader);
	while ((record = batch_reader_next(&pipeline->reader))) {
		if (conn_state_close(&pipeline->state, record, &view))
			publish(pipeline, &view);
	}
}

void pipeline_flush(struct pipeline *pipeline, uint64_t now_ns, bool force)
{
	const struct conn_events *events = &pipeline->events;

	if (force || conn_events_pending(events) == 0 ||
	    now_ns - conn_events_oldest_ns(events) >= pipeline->flush_age_ns)
		send_events(pipeline);
}

/* The programs' counters, summed over CPUs. */
static struct conn_counters sum_counters(const struct handoff_grants *grants)
{
	const uint8_t *counters = grants->counters.memory;
	struct conn_counters sum = {0};

	for (uint32_t cpu = 0; cpu < grants->counters.count; cpu++) {
		struct conn_counters one;

		memcpy(&one, counters + (size_t)cpu * grants->counters.stride_bytes, sizeof(one));
		sum.opened += one.opened;
		sum.lone += one.lone;
		sum.ring_full += one.ring_full;
		sum.output_errors += one.output_errors;
		sum.storage_failed += one.storage_failed;
		sum.second_chance += one.second_chance;
		sum.no_facts += one.no_facts;
		sum.spilled += one.spilled;
		sum.unspilled += one.unspilled;
		sum.third_chance += one.third_chance;
		sum.ends_missed += one.ends_missed;
	}
	return sum;
}

/* One piece of a snapshot into the table. */
static void take_piece(struct pipeline *pipeline)
{
	uint64_t *metric = pipeline->metrics.value;
	const struct conn_record *record;
	struct conn_view view;

	while ((record = snapshot_next(&pipeline->snapshot))) {
		if (conn_record_is_valid(record, RECORD_KIND_SNAPSHOT)) {
			conn_state_seen(&pipeline->state, record);
			metric[METRIC_SNAPSHOT_RECORDS]++;
		} else if (conn_record_is_valid(record, RECORD_KIND_CLOSE)) {
			if (conn_state_close(&pipeline->state, record, &view))
				publish(pipeline, &view);
		} else {
			pipeline->malformed++;
		}
	}
}

static int read_snapshot(struct pipeline *pipeline, enum handoff_iterator what)
{
	_cleanup_close_ int fd = handoff_client_iterate(pipeline->client, what);
	int result;

	if (fd < 0)
		return fd;
	snapshot_begin_staged(&pipeline->snapshot, fd, pipeline->grants->stage.memory);
	while ((result = snapshot_read(&pipeline->snapshot)) > 0) {
		take_piece(pipeline);
		pipeline_drain(pipeline);
	}
	return result;
}

/* Once each time that it begins, not at every snapshot. */
static void warn_if_full(struct pipeline *pipeline)
{
	const struct conn_state *state = &pipeline->state;
	const bool is_full = state->unplaced > 0;

	if (is_full && !pipeline->table_was_full)
		log_warning("the connection table is full: %llu of %llu live connections are told "
			    "only when they close; raise state.max_connections (now %u)",
			    (unsigned long long)state->unplaced,
			    (unsigned long long)state->counts.live, state->table.capacity);
	pipeline->table_was_full = is_full;
}

int pipeline_snapshot(struct pipeline *pipeline)
{
	const struct conn_counters counters = sum_counters(pipeline->grants);
	struct conn_view view;
	uint64_t now_ns;
	int result;

	conn_state_pass_begin(&pipeline->state, clock_ns(CLOCK_MONOTONIC), counters.opened);
	result = read_snapshot(pipeline, HANDOFF_ITERATE_CONNECTIONS);
	if (result == 0 && counters.spilled != counters.unspilled)
		result = read_snapshot(pipeline, HANDOFF_ITERATE_SPILLED);
	/* Whoever closed while it was read must be gone before the table is judged. */
	pipeline_drain(pipeline);
	pipeline->snapshot_failed = result < 0;
	if (result < 0) {
		pipeline->metrics.value[METRIC_SNAPSHOT_ERRORS]++;
		log_warning("snapshot: %s", strerror(-result));
		return result;
	}
	now_ns = clock_ns(CLOCK_MONOTONIC);
	conn_state_pass_end(&pipeline->state, now_ns);
	warn_if_full(pipeline);
	pipeline->metrics.value[METRIC_SNAPSHOT_PASSES]++;
	while (conn_state_infer_next(&pipeline->state, now_ns, &view))
		publish(pipeline, &view);
	return 0;
}

void pipeline_active_begin(struct pipeline *pipeline)
{
	conn_state_active_begin(&pipeline->state);
}

bool pipeline_active_step(struct pipeline *pipeline)
{
	const uint32_t share = pipeline->state.table.high / ACTIVE_STEPS_MAX;
	uint32_t budget = share > ACTIVE_STEP_ENTRIES ? share : ACTIVE_STEP_ENTRIES;
	struct conn_view view;
	int found;

	while ((found = conn_state_active_next(&pipeline->state, &budget, &view)) > 0)
		publish(pipeline, &view);
	return found == -EAGAIN;
}

size_t pipeline_live_next(struct pipeline *pipeline, size_t slot, struct conn_view *view)
{
	size_t next = conn_state_live_next(&pipeline->state, slot, view);

	while (next != 0 && !is_told(pipeline, view))
		next = conn_state_live_next(&pipeline->state, next, view);
	if (next != 0)
		view->cgroup = cgroup_of(pipeline, view->record, pipeline->events.now_ns);
	return next;
}

static void measure_programs(struct metrics *metrics, const struct conn_counters *sum)
{
	metrics->value[METRIC_BPF_LONE] = sum->lone;
	metrics->value[METRIC_BPF_RING_FULL] = sum->ring_full;
	metrics->value[METRIC_BPF_OUTPUT_ERRORS] = sum->output_errors;
	metrics->value[METRIC_BPF_STORAGE_FAILED] = sum->storage_failed;
	metrics->value[METRIC_BPF_SECOND_CHANCE] = sum->second_chance;
	metrics->value[METRIC_BPF_NO_FACTS] = sum->no_facts;
	metrics->value[METRIC_BPF_THIRD_CHANCE] = sum->third_chance;
	metrics->value[METRIC_BPF_ENDS_MISSED] = sum->ends_missed;
}

static void measure_intake(struct pipeline *pipeline)
{
	const struct batch_counts *counts = &pipeline->reader.counts;
	uint64_t *metric = pipeline->metrics.value;
	uint64_t perf_lost = 0;

	for (uint32_t i = 0; i < pipeline->grants->ring_count; i++)
		perf_lost += pipeline->rings[i].lost;
	metric[METRIC_INTAKE_RECORDS] = counts->records;
	metric[METRIC_INTAKE_BATCHES] = counts->batches;
	metric[METRIC_INTAKE_LONE] = counts->lone;
	metric[METRIC_INTAKE_BATCH_GAPS] = counts->gaps;
	metric[METRIC_INTAKE_LOST_RECORDS] = counts->lost;
	metric[METRIC_INTAKE_MALFORMED] = counts->malformed + pipeline->malformed;
	metric[METRIC_INTAKE_DUPLICATES] = counts->duplicates;
	metric[METRIC_INTAKE_PERF_LOST] = perf_lost;
}

void pipeline_measure(struct pipeline *pipeline, bool at_mark)
{
	const struct conn_counters sum = sum_counters(pipeline->grants);
	const struct conn_state *state = &pipeline->state;
	uint64_t *metric = pipeline->metrics.value;

	measure_programs(&pipeline->metrics, &sum);
	measure_intake(pipeline);
	metric[METRIC_CONN_OPENED] = at_mark ? state->books.opened : sum.opened;
	metric[METRIC_CONN_CLOSED] = at_mark ? state->books.closed : state->counts.closed;
	metric[METRIC_CONN_LIVE] = at_mark ? state->books.live : state->counts.live;
	metric[METRIC_CONN_INFERRED] = state->counts.inferred;
	metric[METRIC_CONN_LATE_CLOSE] = state->counts.late_close;
	metric[METRIC_CONN_TABLE_FULL] = state->counts.table_full;
	metric[METRIC_CONN_TRACKED] = state->table.used;
	metric[METRIC_CONN_CAPACITY] = state->table.capacity;
	metric[METRIC_PUBLISH_REJECTED] = bus_rejected(pipeline->bus);
	metric[METRIC_PUBLISH_SUBSCRIBERS] = bus_subscribers(pipeline->bus);
}
