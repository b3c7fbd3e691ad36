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

static struct handoff_resume *resume_of(const struct handoff_grants *grants)
{
	return grants->resume.memory;
}

/* How often UDP's flows are looked at for those that are over, and at most. */
#define SWEEP_INTERVAL_NS (5 * NS_PER_S)
#define SWEEP_PAUSE_NS (200 * NS_PER_MS)
/* One part of so many of the time may go into snapshots for who asks, and so much at once. */
#define REFRESH_SHARE 10
#define REFRESH_BURST_NS (500 * NS_PER_MS)
#define REFRESH_DEBT_NS (100 * NS_PER_MS)
/* Packets that are read in one go: some ms. */
#define PACKETS_PER_DRAIN 8192
/* A packet socket's block is handed over within 10 ms; then it is read. */
#define AWAIT_PACKETS_MS 15
/* What failed is tried again. */
#define CGROUPS_RETRY_NS NS_PER_S

static bool traces_udp(const struct pipeline *pipeline)
{
	return pipeline->grants->udp_settings.memory != NULL;
}

/* Tells the programs how long a flow may be silent. */
static void write_udp_settings(const struct handoff_grants *grants, const struct config *config)
{
	struct udp_settings *settings = grants->udp_settings.memory;

	__atomic_store_n(&settings->timeout_ns, config->udp_timeout_s * NS_PER_S, __ATOMIC_RELAXED);
	__atomic_store_n(&settings->stream_timeout_ns, config->udp_stream_timeout_s * NS_PER_S,
			 __ATOMIC_RELAXED);
}

static int open_rings(struct pipeline *pipeline)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct handoff_grants *grants = pipeline->grants;
	const uint8_t *batches = grants->batches.memory;

	for (uint32_t cpu = 0; cpu < grants->possible_cpus; cpu++)
		pipeline->sources[cpu].mapped =
			batches + (size_t)cpu * grants->batches.stride_bytes;
	for (uint32_t i = 0; i < grants->rings.count; i++) {
		const struct handoff_ring *ring = &grants->rings.ring[i];
		int result =
			perf_ring_init(&pipeline->rings[i], ring->memory, page, ring->data_bytes);

		if (result < 0)
			return result;
		pipeline->sources[ring->cpu].ring = &pipeline->rings[i];
	}
	for (uint32_t i = 0; i < grants->packet_rings.count; i++) {
		const struct handoff_ring *ring = &grants->packet_rings.ring[i];
		int result = perf_ring_init(&pipeline->packet_sources[i].ring, ring->memory, page,
					    ring->data_bytes);

		if (result < 0)
			return result;
	}
	if (frame_feed_init(&pipeline->frames, &grants->packet_socket) < 0)
		return -EINVAL;
	return packet_reader_init(&pipeline->packets, pipeline->packet_sources,
				  grants->packet_rings.count);
}

/* Makes permanent what was read; what the engine still holds back leaves right after. */
static void settle(void *ctx)
{
	struct pipeline *pipeline = ctx;
	const struct conn_counts *counts = &pipeline->engine.state.counts;

	batch_reader_commit(&pipeline->reader, counts->closed, counts->inferred);
}

int pipeline_send(struct pipeline *pipeline, const char *bytes, size_t length)
{
	const int result = bus_publish(pipeline->bus, bytes, length);

	if (result < 0)
		health_expect(&pipeline->health, HEALTH_PUBLISH, pipeline->now_ns);
	else
		health_progress(&pipeline->health, HEALTH_PUBLISH);
	return result;
}

static int send_message(void *ctx, const char *bytes, size_t length)
{
	return pipeline_send(ctx, bytes, length);
}

/* Reads the iterator's records into the engine's cache. */
static void ask_cgroups(void *ctx)
{
	struct pipeline *pipeline = ctx;
	_cleanup_close_ int fd = handoff_client_iterate(pipeline->client, HANDOFF_ITERATE_CGROUPS);
	struct snapshot *snapshot = &pipeline->cgroup_names;
	const struct cgroup_record *record;
	int result = fd;

	if (fd >= 0) {
		snapshot_begin(snapshot, fd, sizeof(*record));
		while ((result = snapshot_read(snapshot)) > 0) {
			while ((record = snapshot_next(snapshot))) {
				if (!engine_cgroup(&pipeline->engine, record))
					pipeline->malformed++;
			}
		}
	}
	pipeline->asked_ns = pipeline->now_ns;
	if (result == 0) {
		health_progress(&pipeline->health, HEALTH_CGROUPS);
		return;
	}
	if (!health_is_expected(&pipeline->health, HEALTH_CGROUPS))
		log_warning("control groups' names: %s", strerror(-result));
	health_expect(&pipeline->health, HEALTH_CGROUPS, pipeline->now_ns);
}

static void take_nat_event(void *ctx, const struct nat_event *event)
{
	struct pipeline *pipeline = ctx;

	engine_nat(&pipeline->engine, event);
}

static void read_nat(struct pipeline *pipeline)
{
	const struct nat_taker taker = {.ctx = pipeline, .take = take_nat_event};

	nat_socket_read(&pipeline->nat, clock_ns(CLOCK_MONOTONIC), &taker);
}

/* Before the connections that were opened to what they name. */
static void read_packets(struct pipeline *pipeline, uint64_t seen_ns)
{
	const struct packet *packet = NULL;

	frame_feed_begin(&pipeline->frames, PACKETS_PER_DRAIN);
	while ((packet = frame_feed_next(&pipeline->frames)))
		engine_packet(&pipeline->engine, packet);
	packet_reader_begin(&pipeline->packets, clock_ns(CLOCK_MONOTONIC), seen_ns);
	for (unsigned i = 0; i < PACKETS_PER_DRAIN; i++) {
		packet = packet_reader_next(&pipeline->packets);
		if (!packet)
			break;
		engine_packet(&pipeline->engine, packet);
	}
	pipeline->more_packets = packet || frame_feed_has_more(&pipeline->frames);
	packet_reader_end(&pipeline->packets);
}

/*
 * A close record, after the events of translation and the packets that came before it. Where
 * packets come faster than they are read it does not wait for them.
 */
static void take_close(struct pipeline *pipeline, const struct conn_record *record)
{
	if (record->at_ns > pipeline->nat.read_ns)
		read_nat(pipeline);
	if (record->at_ns > pipeline->packets.until_ns && !pipeline->more_packets)
		read_packets(pipeline, record->at_ns);
	engine_close(&pipeline->engine, record);
}

static int pipeline_init(struct pipeline *pipeline, const struct config *config,
			 const struct identity *identity)
{
	const struct handoff_grants *grants = pipeline->grants;
	struct handoff_resume *resume = resume_of(grants);
	struct engine_settings settings = engine_settings_of(config);
	const struct engine_sink sink = {
		.ctx = pipeline,
		.settle = settle,
		.send = send_message,
		.ask_cgroups = ask_cgroups,
	};
	int result;

	pipeline->has_predecessor = resume->workers > 0;
	resume->workers++;
	settings.closed = resume->closed;
	settings.inferred = resume->inferred;
	settings.ephemeral = port_range_read();
	pipeline->rings = calloc(grants->rings.count, sizeof(*pipeline->rings));
	pipeline->sources = calloc(grants->possible_cpus, sizeof(*pipeline->sources));
	pipeline->packet_sources =
		calloc(grants->packet_rings.count + 1, sizeof(*pipeline->packet_sources));
	if (!pipeline->rings || !pipeline->sources || !pipeline->packet_sources)
		return -ENOMEM;
	result = open_rings(pipeline);
	if (result < 0)
		return result;
	if (traces_udp(pipeline))
		write_udp_settings(grants, config);
	else
		health_switch_off(&pipeline->health, HEALTH_SWEEP);
	nat_socket_init(&pipeline->nat, config->nat_enabled ? grants->conntrack_fd : -1);
	batch_reader_init(&pipeline->reader, pipeline->sources, grants->possible_cpus, resume);
	result = engine_init(&pipeline->engine, &settings, &sink, identity, &pipeline->metrics);
	if (result < 0)
		return result;
	return recording_init(&pipeline->recording, &pipeline->engine, config);
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
		result = pipeline_init(made, config, identity);
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
	recording_fini(&pipeline->recording);
	engine_fini(&pipeline->engine);
	packet_reader_fini(&pipeline->packets);
	free(pipeline->packet_sources);
	free(pipeline->sources);
	free(pipeline->rings);
	free(pipeline);
}

void pipeline_tick(struct pipeline *pipeline, uint64_t now_ns, struct clock_offsets wall)
{
	pipeline->now_ns = now_ns;
	engine_tick(&pipeline->engine, now_ns, wall, bus_has_subscribers(pipeline->bus));
}

bool pipeline_can_wait(const struct pipeline *pipeline)
{
	for (uint32_t i = 0; i < pipeline->grants->rings.count; i++) {
		if (!perf_ring_can_wait(&pipeline->rings[i]))
			return false;
	}
	for (uint32_t i = 0; i < pipeline->packets.count; i++) {
		if (!perf_ring_can_wait(&pipeline->packet_sources[i].ring))
			return false;
	}
	return frame_feed_can_wait(&pipeline->frames);
}

/* Closes that happened until then; where that is UINT64_MAX, all. */
static void read_closes(struct pipeline *pipeline, uint64_t until_ns)
{
	const struct conn_record *record;

	batch_reader_begin(&pipeline->reader, until_ns);
	while ((record = batch_reader_next(&pipeline->reader)))
		take_close(pipeline, record);
}

void pipeline_drain(struct pipeline *pipeline)
{
	read_nat(pipeline);
	read_packets(pipeline, 0);
	/* Behind the packets that came before them, unless those come faster than they are read. */
	read_closes(pipeline,
		    pipeline->more_packets ? UINT64_MAX : frame_feed_covered_ns(&pipeline->frames));
}

/* Waits for packets that the kernel keeps to itself for a moment. */
static void await_packets(struct pipeline *pipeline)
{
	const struct timespec pause = {.tv_nsec = NS_PER_MS};
	const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < AWAIT_PACKETS_MS; i++) {
		read_packets(pipeline, 0);
		if (pipeline->more_packets || frame_feed_covered_ns(&pipeline->frames) >= now_ns)
			return;
		nanosleep(&pause, NULL);
	}
}

void pipeline_drain_all(struct pipeline *pipeline)
{
	read_nat(pipeline);
	read_packets(pipeline, 0);
	read_closes(pipeline, UINT64_MAX);
}

bool pipeline_has_more(const struct pipeline *pipeline)
{
	return pipeline->nat.more || pipeline->more_packets;
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
		sum.orphaned += one.orphaned;
		sum.evicted += one.evicted;
		sum.overflow_sent_bytes += one.overflow_sent_bytes;
		sum.overflow_recv_bytes += one.overflow_recv_bytes;
		sum.overflow_sent_packets += one.overflow_sent_packets;
		sum.overflow_recv_packets += one.overflow_recv_packets;
		sum.packets += one.packets;
		sum.packets_lost += one.packets_lost;
		sum.packet_fragments += one.packet_fragments;
		sum.packets_malformed += one.packets_malformed;
	}
	return sum;
}

/* One piece of a snapshot into the table. */
static void take_piece(struct pipeline *pipeline)
{
	const struct conn_record *record;

	while ((record = snapshot_next(&pipeline->snapshot))) {
		if (conn_record_is_valid(record, RECORD_KIND_SNAPSHOT))
			engine_seen(&pipeline->engine, record);
		else if (conn_record_is_valid(record, RECORD_KIND_CLOSE))
			take_close(pipeline, record);
		else
			pipeline->malformed++;
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
		pipeline_drain_all(pipeline);
	}
	return result;
}

/* UDP's flows, or of these those that are over. */
static int read_flows(struct pipeline *pipeline, enum handoff_iterator what,
		      const struct conn_counters *counters, uint64_t now_ns)
{
	int result;

	pipeline->orphaned = counters->orphaned;
	pipeline->swept_ns = now_ns;
	result = read_snapshot(pipeline, what);
	if (result < 0)
		health_expect(&pipeline->health, HEALTH_SWEEP, now_ns);
	else
		health_progress(&pipeline->health, HEALTH_SWEEP);
	return result;
}

int pipeline_sweep(struct pipeline *pipeline, uint64_t now_ns)
{
	const uint64_t age_ns = now_ns - pipeline->swept_ns;
	struct conn_counters counters;
	int result;

	if (!traces_udp(pipeline) || age_ns < SWEEP_PAUSE_NS)
		return 0;
	if (age_ns >= SWEEP_INTERVAL_NS)
		health_expect(&pipeline->health, HEALTH_SWEEP, now_ns);
	if (handoff_client_is_late(pipeline->client))
		return -ETIMEDOUT;
	counters = sum_counters(pipeline->grants);
	if (age_ns < SWEEP_INTERVAL_NS && counters.orphaned == pipeline->orphaned)
		return 0;
	result = read_flows(pipeline, HANDOFF_ITERATE_ENDED_FLOWS, &counters, now_ns);
	if (result < 0) {
		pipeline->metrics.value[METRIC_SNAPSHOT_ERRORS]++;
		if (!pipeline->sweep_failed)
			log_warning("UDP's ended flows: %s", strerror(-result));
		pipeline->sweep_failed = true;
		return result;
	}
	pipeline->sweep_failed = false;
	pipeline->metrics.value[METRIC_UDP_SWEEPS]++;
	return 0;
}

static void tell_unattributed(struct pipeline *pipeline, const struct conn_counters *counters)
{
	const struct conn_sums sums = {
		.sent_bytes = counters->overflow_sent_bytes,
		.recv_bytes = counters->overflow_recv_bytes,
		.sent_packets = counters->overflow_sent_packets,
		.recv_packets = counters->overflow_recv_packets,
	};

	engine_unattributed(&pipeline->engine, &sums);
}

int pipeline_snapshot(struct pipeline *pipeline)
{
	const struct conn_counters counters = sum_counters(pipeline->grants);
	const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t end_ns;
	int result;

	health_expect(&pipeline->health, HEALTH_SNAPSHOT, now_ns);
	if (handoff_client_is_late(pipeline->client))
		return -ETIMEDOUT;
	engine_pass_begin(&pipeline->engine, now_ns, counters.opened);
	tell_unattributed(pipeline, &counters);
	result = read_snapshot(pipeline, HANDOFF_ITERATE_CONNECTIONS);
	if (result == 0 && counters.spilled != counters.unspilled)
		result = read_snapshot(pipeline, HANDOFF_ITERATE_SPILLED);
	if (result == 0 && traces_udp(pipeline))
		result = read_flows(pipeline, HANDOFF_ITERATE_FLOWS, &counters, now_ns);
	/* Whoever closed while it was read must be gone before the table is judged. */
	await_packets(pipeline);
	pipeline_drain_all(pipeline);
	end_ns = clock_ns(CLOCK_MONOTONIC);
	if (result < 0) {
		pipeline->metrics.value[METRIC_SNAPSHOT_ERRORS]++;
		if (!pipeline->snapshot_failed)
			log_warning("snapshot: %s", strerror(-result));
		pipeline->snapshot_failed = true;
		return result;
	}
	pipeline->snapshot_failed = false;
	health_progress(&pipeline->health, HEALTH_SNAPSHOT);
	engine_pass_end(&pipeline->engine, end_ns);
	return 0;
}

int pipeline_refresh(struct pipeline *pipeline)
{
	const int64_t burst_ns = (int64_t)REFRESH_BURST_NS, debt_ns = (int64_t)REFRESH_DEBT_NS;
	const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	const uint64_t earned_ns = (now_ns - pipeline->refreshed_ns) / REFRESH_SHARE;
	int64_t budget_ns = pipeline->refresh_budget_ns + (int64_t)earned_ns;
	int result = 0;

	/* Then the last one stands for nothing. */
	if (handoff_client_is_late(pipeline->client))
		return -ETIMEDOUT;
	if (budget_ns > burst_ns)
		budget_ns = burst_ns;
	if (budget_ns > 0) {
		result = pipeline_snapshot(pipeline);
		budget_ns -= (int64_t)(clock_ns(CLOCK_MONOTONIC) - now_ns);
		if (budget_ns < -debt_ns)
			budget_ns = -debt_ns;
	}
	pipeline->refreshed_ns = now_ns;
	pipeline->refresh_budget_ns = budget_ns;
	return result;
}

void pipeline_check(struct pipeline *pipeline)
{
	const uint64_t taken = pipeline->reader.counts.batches + pipeline->reader.counts.records;
	struct health *health = &pipeline->health;

	if (taken != pipeline->taken || pipeline_can_wait(pipeline))
		health_progress(health, HEALTH_INTAKE);
	else
		health_expect(health, HEALTH_INTAKE, pipeline->now_ns);
	pipeline->taken = taken;
	if (health_is_expected(health, HEALTH_CGROUPS) &&
	    pipeline->now_ns - pipeline->asked_ns >= CGROUPS_RETRY_NS) {
		ask_cgroups(pipeline);
		engine_cgroups_filled(&pipeline->engine, pipeline->now_ns);
	}
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
	metrics->value[METRIC_UDP_ORPHANED] = sum->orphaned;
	metrics->value[METRIC_UDP_EVICTED] = sum->evicted;
	metrics->value[METRIC_UDP_OVERFLOW_SENT_BYTES] = sum->overflow_sent_bytes;
	metrics->value[METRIC_UDP_OVERFLOW_RECV_BYTES] = sum->overflow_recv_bytes;
	metrics->value[METRIC_UDP_OVERFLOW_SENT_PACKETS] = sum->overflow_sent_packets;
	metrics->value[METRIC_UDP_OVERFLOW_RECV_PACKETS] = sum->overflow_recv_packets;
	metrics->value[METRIC_DNS_CAPTURED] = sum->packets;
	metrics->value[METRIC_DNS_CAPTURE_LOST] = sum->packets_lost;
	metrics->value[METRIC_DNS_FRAGMENTS] = sum->packet_fragments;
	metrics->value[METRIC_DNS_BAD_PACKETS] = sum->packets_malformed;
}

static void measure_intake(struct pipeline *pipeline)
{
	const struct batch_counts *counts = &pipeline->reader.counts;
	uint64_t *metric = pipeline->metrics.value;
	uint64_t perf_lost = 0;

	for (uint32_t i = 0; i < pipeline->grants->rings.count; i++)
		perf_lost += pipeline->rings[i].lost;
	metric[METRIC_INTAKE_RECORDS] = counts->records;
	metric[METRIC_INTAKE_BATCHES] = counts->batches;
	metric[METRIC_INTAKE_LONE] = counts->lone;
	metric[METRIC_INTAKE_BATCH_GAPS] = counts->gaps;
	metric[METRIC_INTAKE_LOST_RECORDS] = counts->lost;
	metric[METRIC_INTAKE_MALFORMED] =
		counts->malformed + pipeline->malformed + pipeline->packets.malformed;
	metric[METRIC_INTAKE_DUPLICATES] = counts->duplicates;
	metric[METRIC_INTAKE_PERF_LOST] = perf_lost;
}

static void measure_nat(struct pipeline *pipeline)
{
	const struct nat_socket_counts *counts = &pipeline->nat.counts;
	const struct nat_message_counts *parsed = &counts->parsed;
	uint64_t *metric = pipeline->metrics.value;

	metric[METRIC_NAT_EVENTS] = counts->events;
	metric[METRIC_NAT_UNTRANSLATED] = parsed->untranslated;
	metric[METRIC_NAT_OVERRUNS] = counts->overruns;
	metric[METRIC_NAT_ERRORS] = counts->errors + parsed->refusals;
	metric[METRIC_NAT_FOREIGN] = counts->foreign;
	metric[METRIC_NAT_TRUNCATED] = counts->truncated;
	metric[METRIC_NAT_BAD_HEADER] = parsed->rejects[NAT_REJECT_HEADER];
	metric[METRIC_NAT_BAD_KIND] = parsed->rejects[NAT_REJECT_KIND];
	metric[METRIC_NAT_BAD_ATTRIBUTE] = parsed->rejects[NAT_REJECT_ATTRIBUTE];
	metric[METRIC_NAT_BAD_TUPLE] = parsed->rejects[NAT_REJECT_TUPLE];
}

void pipeline_measure(struct pipeline *pipeline, bool at_mark)
{
	const struct conn_counters sum = sum_counters(pipeline->grants);
	const struct bus_counts *sent = bus_count(pipeline->bus);

	measure_programs(&pipeline->metrics, &sum);
	measure_intake(pipeline);
	frame_feed_measure(&pipeline->frames, &pipeline->metrics);
	measure_nat(pipeline);
	engine_measure(&pipeline->engine, sum.opened, at_mark);
	pipeline->metrics.value[METRIC_RECORD_SPOILT] = pipeline->recording.recorder.overflows;
	pipeline->metrics.value[METRIC_PUBLISH_REJECTED] = bus_rejected(pipeline->bus);
	pipeline->metrics.value[METRIC_PUBLISH_QUEUED] = sent->queued;
	pipeline->metrics.value[METRIC_PUBLISH_DROPPED] = sent->dropped;
	pipeline->metrics.value[METRIC_PUBLISH_SUBSCRIBERS] = bus_subscribers(pipeline->bus);
}
