/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel writes, or what a broken one could: perf rings, batches, lone records, snapshot
 * stages, control groups, all the way into an engine and out as messages. The input is a list of steps,
 * struct step, of honest writes (as the programs do them) and of changed bytes.
 *
 * While all is honest each close is told exactly once, whoever is restarted when. Whatever bytes come,
 * positions and counters only grow, records that are handed out are valid, messages are strict JSON,
 * and of a connection no byte is told twice. Built with PLANTED_BUG a position is kept one record too
 * low in one corner.
 */
#include "common/json_scan.h"
#include "common/lazy_memory.h"
#include "common/log.h"
#include "tests/fuzz/intake_steps.h"
#include "tests/fuzz/invariant.h"
#include "worker/engine.h"
#include "worker/intake/batch.h"
#include "worker/intake/record_check.h"
#include "worker/intake/snapshot.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CPUS 2
#define PAGE 4096
#define DATA 16384 /* six batches */
#define STEPS_MAX 2048
#define IDS_MAX 4096 /* honest close records have an id below */
#define LIVE_ID 0x100000
#define LIVE 20
#define CHANGES_MAX 8
#define NS_PER_S_ 1000000000ULL

/* One connection, by what was handed to the engine and what came out. */
struct known {
	uint64_t told_bytes;
	uint64_t most_bytes; /* that a record has shown */
	uint8_t told;	     /* as closed, by any worker */
	bool is_written;     /* the programs did not give it up */
	bool was_live;	     /* a snapshot had this id */
};

static struct {
	uint8_t memory[CPUS][PAGE + DATA] __attribute__((aligned(PAGE)));
	struct perf_ring rings[CPUS];
	struct conn_batch mapped[CPUS];
	struct batch_source sources[CPUS];
	struct batch_reader reader;
	struct handoff_resume *resume;
	uint8_t last[CPUS][PERF_RING_RECORD_MAX];
	uint16_t last_size[CPUS];
	struct step changes[CHANGES_MAX];
	unsigned change_count;
	struct engine *engine;
	struct metrics metrics;
	struct known known[IDS_MAX];
	uint64_t next_id;
	uint64_t now_ns;
	unsigned messages;
	bool is_honest;
} m;

static struct snapshot snapshot;
static struct snapshot_stage stage;
static int empty_fd = -1, names_fd = -1;

const size_t fuzz_step_bytes = sizeof(struct step);
uint64_t fuzz_units; /* samples that were changed */

/* Applies what waits to be changed. */
static void change(uint8_t *bytes, size_t length)
{
	bool changed = false;

	for (unsigned i = 0; i < m.change_count; i++) {
		bytes[m.changes[i].b % length] ^= m.changes[i].a;
		changed |= m.changes[i].a != 0;
	}
	m.change_count = 0;
	fuzz_units += changed;
	if (changed)
		m.is_honest = false;
}

/* As the kernel: nothing is overwritten that was not read. */
static bool ring_put(unsigned cpu, const uint8_t *record, uint16_t size)
{
	struct perf_event_mmap_page *page = (void *)m.memory[cpu];

	if (page->data_head - page->data_tail > DATA - (uint64_t)size)
		return false;
	for (size_t i = 0; i < size; i++)
		m.memory[cpu][PAGE + (page->data_head + i) % DATA] = record[i];
	page->data_head += size;
	return true;
}

static bool put_sample(unsigned cpu, const void *payload, size_t length)
{
	const uint32_t raw = (uint32_t)((length + 4 + 7) / 8 * 8 - 4);
	const struct perf_event_header header = {
		.type = PERF_RECORD_SAMPLE,
		.size = (uint16_t)(8 + 4 + raw),
	};
	uint8_t *record = m.last[cpu];

	memset(record, 0, sizeof(m.last[cpu]));
	memcpy(record, &header, sizeof(header));
	memcpy(record + 8, &raw, sizeof(raw));
	memcpy(record + 12, payload, length);
	m.last_size[cpu] = header.size;
	change(record, header.size);
	return ring_put(cpu, record, header.size);
}

static void put_lost(unsigned cpu, uint64_t lost)
{
	const struct perf_event_header header = {.type = PERF_RECORD_LOST, .size = 24};
	uint8_t record[24] = {0};

	memcpy(record, &header, sizeof(header));
	memcpy(record + 16, &lost, sizeof(lost));
	ring_put(cpu, record, sizeof(record));
}

static struct conn_record make(uint8_t kind, uint64_t id, uint64_t bytes)
{
	return (struct conn_record){
		.kind = kind,
		.version = RECORD_VERSION,
		.protocol = IPPROTO_TCP,
		.family = RECORD_FAMILY_IPV4,
		.direction = RECORD_DIRECTION_OUTGOING,
		.tcp_state = 9,
		.id = id,
		.opened_ns = 1,
		.at_ns = m.now_ns,
		.sent_bytes = bytes,
		.cgroup_id = 1 + id % 3,
		.local_port = 40000,
		.remote_port = 80,
		.local_ip = {10, 0, 0, 1},
		.remote_ip = {10, 0, 0, 2},
		.comm = "x",
	};
}

/* What the programs do at a close (bpf/conn.bpf.c). */
static void close_one(unsigned cpu, uint16_t bytes)
{
	struct conn_batch *batch = &m.mapped[cpu];

	if (m.next_id == IDS_MAX || batch->len > RECORD_BATCH_CAPACITY)
		return;
	if (batch->len == RECORD_BATCH_CAPACITY) {
		if (!put_sample(cpu, batch, sizeof(*batch)))
			return;
		batch->len = 0;
		batch->id++;
	}
	m.known[m.next_id].is_written = true;
	batch->records[batch->len++] = make(RECORD_KIND_CLOSE, m.next_id++, bytes);
	if (batch->len == RECORD_BATCH_CAPACITY && put_sample(cpu, batch, sizeof(*batch))) {
		batch->len = 0;
		batch->id++;
	}
}

static void close_alone(unsigned cpu, uint16_t bytes)
{
	struct conn_lone lone = {
		.kind = RECORD_KIND_LONE, .version = RECORD_VERSION, .cpu = (uint16_t)cpu};

	if (m.next_id == IDS_MAX)
		return;
	lone.record = make(RECORD_KIND_CLOSE, m.next_id, bytes);
	m.known[m.next_id++].is_written = put_sample(cpu, &lone, sizeof(lone));
}

static struct known *known_of(uint64_t id)
{
	return id < IDS_MAX ? &m.known[id] : NULL;
}

static void commit(void *ctx)
{
	(void)ctx;
	batch_reader_commit(&m.reader, m.engine->state.counts.closed, 0);
#ifdef PLANTED_BUG
	if (m.resume->positions[0] % RECORD_BATCH_CAPACITY == 7)
		m.resume->positions[0]--;
#endif
}

/* The text behind the next key, or NULL. */
static const char *find(const char *from, const char *end, const char *key)
{
	const char *at = memmem(from, (size_t)(end - from), key, strlen(key));

	return at ? at + strlen(key) : NULL;
}

static void hear_connection(const char *at, const char *end)
{
	struct known *known = known_of(strtoull(at, NULL, 16));
	const char *delta = find(at, end, "\"delta\":{\"sent_bytes\":");

	INVARIANT(delta != NULL);
	if (!known)
		return;
	if (strncmp(at + 16, "\",\"state\":\"closed\"", 18) == 0)
		known->told++;
	known->told_bytes += strtoull(delta + (*delta == '"'), NULL, 10);
	if (m.is_honest)
		INVARIANT(known->told == 1);
	if (!known->was_live)
		INVARIANT(known->told_bytes <= known->most_bytes);
}

static int hear_message(void *ctx, const char *bytes, size_t length)
{
	const char *at = bytes, *end = bytes + length;
	struct json_scan_error wrong;

	(void)ctx;
	INVARIANT(length <= EVENT_BYTES_MAX && length > 8);
	/* The first and some: judging all would take half of the time (fuzz_tape does). */
	if (m.messages++ % 8 == 0)
		INVARIANT(json_scan_check(bytes + 8, length - 8, &wrong) == 0);
	while ((at = find(at, end, "{\"id\":\"")))
		hear_connection(at, end);
	return 0;
}

static void ask_nobody(void *ctx)
{
	(void)ctx;
}

static void engine_start(void)
{
	static struct config_excludes none;
	static const struct engine_sink sink = {
		.settle = commit, .send = hear_message, .ask_cgroups = ask_nobody};
	static const struct identity identity = {.host = "h", .instance = "i"};
	const struct engine_settings settings = {
		.max_connections = 16,
		.interval_ns = NS_PER_S_,
		.tcp_enabled = true,
		.udp_enabled = true,
		.ipv6_enabled = true,
		.exclude_source = &none,
		.exclude_destination = &none,
		.max_clients = 1,
		.max_closed = 16,
		.client_expiry_ns = 120 * NS_PER_S_,
		.ephemeral = PORT_RANGE_DEFAULT,
	};
	struct client *client;

	m.engine = lazy_memory_reserve(sizeof(*m.engine));
	INVARIANT(m.engine != NULL);
	INVARIANT(engine_init(m.engine, &settings, &sink, &identity, &m.metrics) == 0);
	INVARIANT(clients_begin(&m.engine->clients, "c", 0, m.now_ns, &client) == 0);
	engine_tick(m.engine, m.now_ns, (struct clock_offsets){1, 2}, true);
}

static void engine_stop(void)
{
	engine_fini(m.engine);
	lazy_memory_release(m.engine, sizeof(*m.engine));
}

static void worker_start(void)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		INVARIANT(perf_ring_init(&m.rings[cpu], m.memory[cpu], PAGE, DATA) == 0);
		m.sources[cpu] = (struct batch_source){
			.ring = &m.rings[cpu],
			.mapped = &m.mapped[cpu],
		};
	}
	batch_reader_init(&m.reader, m.sources, CPUS, m.resume);
	engine_start();
}

/* What the last one told of these is not known any more. */
static void worker_restart(void)
{
	engine_stop();
	for (unsigned id = 0; id < IDS_MAX; id++) {
		m.known[id].told_bytes = 0;
		m.known[id].most_bytes = 0;
	}
	worker_start();
}

static void machine_open(void)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		memset(m.memory[cpu], 0, sizeof(struct perf_event_mmap_page));
	memset(m.mapped, 0, sizeof(m.mapped));
	if (!m.resume)
		m.resume = malloc(handoff_resume_bytes(CPUS));
	INVARIANT(m.resume != NULL);
	memset(m.resume, 0, handoff_resume_bytes(CPUS));
	memset(m.known, 0, sizeof(m.known));
	memset(m.last_size, 0, sizeof(m.last_size));
	for (uint16_t cpu = 0; cpu < CPUS; cpu++) {
		m.mapped[cpu].kind = RECORD_KIND_BATCH;
		m.mapped[cpu].version = RECORD_VERSION;
		m.mapped[cpu].cpu = cpu;
	}
	m.change_count = 0;
	m.messages = 0;
	m.next_id = 1;
	m.now_ns = 1000 * NS_PER_S_;
	m.is_honest = true;
	if (empty_fd < 0)
		empty_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (names_fd < 0)
		names_fd = memfd_create("names", MFD_CLOEXEC);
	INVARIANT(empty_fd >= 0 && names_fd >= 0);
	worker_start();
}

static void note(const struct conn_record *record, bool is_live)
{
	struct known *known = known_of(record->id);

	if (!known)
		return;
	/* One that was inferred to have closed may be told again, much later. */
	known->was_live |= is_live;
	m.is_honest &= !is_live;
	if (record->sent_bytes > known->most_bytes)
		known->most_bytes = record->sent_bytes;
}

static void pass(bool tells)
{
	const struct batch_counts before = m.reader.counts;
	const struct batch_counts *counts = &m.reader.counts;
	const uint64_t positions[CPUS] = {m.sources[0].batch_id, m.sources[1].batch_id};
	const struct conn_record *record;
	unsigned taken = 0;

	batch_reader_begin(&m.reader, UINT64_MAX);
	while ((record = batch_reader_next(&m.reader))) {
		/* A ring of lone records only, and what two mapped batches hold. */
		INVARIANT(++taken <=
			  CPUS * (DATA / sizeof(struct conn_lone) + 2UL * RECORD_BATCH_CAPACITY));
		INVARIANT(conn_record_is_valid(record, RECORD_KIND_CLOSE));
		note(record, false);
		engine_close(m.engine, record);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		INVARIANT(m.sources[cpu].batch_id >= positions[cpu]);
		INVARIANT(m.sources[cpu].offset <= RECORD_BATCH_CAPACITY);
	}
	INVARIANT(counts->records == before.records + taken);
	INVARIANT(counts->gaps >= before.gaps && counts->lost >= before.lost &&
		  counts->malformed >= before.malformed && counts->duplicates >= before.duplicates);
	if (m.is_honest)
		INVARIANT(counts->gaps == 0 && counts->lost == 0 && counts->malformed == 0);
	if (tells)
		engine_flush(m.engine, m.now_ns, true);
}

/* A staged pass over some live connections, one byte of the stage changed. */
static void take_snapshot(uint8_t value, uint16_t at)
{
	const struct conn_record *record;
	uint8_t *bytes = (uint8_t *)&stage;
	int result;

	stage.count = LIVE;
	stage.handed_out = 0;
	for (uint64_t i = 0; i < LIVE; i++)
		stage.records[i] = make(RECORD_KIND_SNAPSHOT, LIVE_ID + i, i);
	bytes[at % (16 + LIVE * sizeof(struct conn_record))] ^= value;
	engine_pass_begin(m.engine, m.now_ns, 0);
	snapshot_begin_staged(&snapshot, empty_fd, &stage);
	while ((result = snapshot_read(&snapshot)) > 0) {
		while ((record = snapshot_next(&snapshot))) {
			if (conn_record_is_valid(record, RECORD_KIND_SNAPSHOT)) {
				note(record, true);
				engine_seen(m.engine, record);
			} else if (conn_record_is_valid(record, RECORD_KIND_CLOSE)) {
				note(record, true);
				m.is_honest = false;
				engine_close(m.engine, record);
			}
		}
	}
	INVARIANT(result == 0 || stage.count > RECORD_STAGE_CAPACITY);
	if (result == 0)
		engine_pass_end(m.engine, m.now_ns);
	engine_active_begin(m.engine);
	engine_active_step(m.engine);
}

/* A streamed pass over three names, one byte changed and the end cut off with it. */
static void take_cgroups(uint8_t value, uint16_t at)
{
	struct cgroup_record names[3];
	const struct cgroup_record *name;
	const size_t length = sizeof(names) - (value % 4 == 1 ? at % sizeof(names) : 0);
	unsigned count = 0;
	int result;

	memset(names, 0, sizeof(names));
	for (uint64_t i = 0; i < 3; i++) {
		names[i].kind = RECORD_KIND_CGROUP;
		names[i].version = RECORD_VERSION;
		names[i].id = 1 + i;
		strcpy(names[i].path, "/docker/x");
	}
	((uint8_t *)names)[at % sizeof(names)] ^= value;
	INVARIANT(pwrite(names_fd, names, sizeof(names), 0) == (ssize_t)sizeof(names));
	INVARIANT(ftruncate(names_fd, (off_t)length) == 0 && lseek(names_fd, 0, SEEK_SET) == 0);
	snapshot_begin(&snapshot, names_fd, sizeof(names[0]));
	while ((result = snapshot_read(&snapshot)) > 0) {
		while ((name = snapshot_next(&snapshot))) {
			count++;
			INVARIANT(engine_cgroup(m.engine, name) ==
				  (cgroup_record_is_valid(name) && name->id != 0));
		}
	}
	INVARIANT(count == length / sizeof(names[0]));
	INVARIANT((result == 0) == (length % sizeof(names[0]) == 0));
	engine_cgroups_filled(m.engine, m.now_ns);
}

static void change_byte(uint8_t *bytes, size_t length, const struct step *step)
{
	bytes[step->b % length] ^= step->a;
	m.is_honest &= step->a == 0;
}

static void take_step(const struct step *step)
{
	const unsigned cpu = step->a % CPUS;
	struct perf_event_mmap_page *page = (void *)m.memory[cpu];

	switch ((enum op)(step->op % OP_COUNT)) {
	case OP_CLOSE:
		close_one(cpu, step->b);
		break;
	case OP_LONE:
		close_alone(cpu, step->b);
		break;
	case OP_CHANGE:
		if (m.change_count < CHANGES_MAX)
			m.changes[m.change_count++] = *step;
		break;
	case OP_AGAIN:
		if (m.last_size[cpu] == 0)
			break;
		m.is_honest = false;
		change(m.last[cpu], m.last_size[cpu]);
		ring_put(cpu, m.last[cpu], m.last_size[cpu]);
		break;
	case OP_HEAD:
		page->data_head += (unsigned long long)(int16_t)step->b;
		m.is_honest &= step->b == 0;
		break;
	case OP_LOST:
		put_lost(cpu, step->b);
		break;
	case OP_MAPPED:
		change_byte((uint8_t *)&m.mapped[0], sizeof(m.mapped[0]), step);
		break;
	case OP_PASS:
		pass(step->a & 1);
		break;
	case OP_RESTART:
		worker_restart();
		break;
	case OP_SNAPSHOT:
		take_snapshot(step->a, step->b);
		break;
	case OP_CGROUPS:
		take_cgroups(step->a, step->b);
		break;
	case OP_TICK:
		m.now_ns += step->a * NS_PER_S_;
		engine_tick(m.engine, m.now_ns, (struct clock_offsets){1, 2}, true);
		break;
	case OP_RESUME:
		change_byte((uint8_t *)m.resume->positions, CPUS * sizeof(uint64_t), step);
		break;
	case OP_COUNT:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct step step;

	log_init("fuzz", LOG_LEVEL_ERROR);
	machine_open();
	for (unsigned i = 0; i < STEPS_MAX && size >= sizeof(step); i++) {
		memcpy(&step, data, sizeof(step));
		data += sizeof(step);
		size -= sizeof(step);
		take_step(&step);
	}
	pass(true);
	for (uint64_t id = 1; m.is_honest && id < m.next_id; id++)
		INVARIANT(m.known[id].told == m.known[id].is_written);
	engine_stop();
	return 0;
}
