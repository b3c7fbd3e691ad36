/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/batch.h"

#include <criterion/criterion.h>

#include <linux/perf_event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define DATA (64 * 1024)
#define CPUS 2

/* A machine in ordinary memory: two CPUs with a ring and a batch each, and the resume memory. */
struct machine {
	uint8_t *memory[CPUS];
	struct perf_ring rings[CPUS];
	struct conn_batch mapped[CPUS];
	struct batch_source sources[CPUS];
	struct batch_reader reader;
	struct handoff_resume *resume;
	uint64_t next_id; /* of a record */
	uint64_t now_ns;
};

/* A reader that starts with what the memory says, as a new worker does. */
static void machine_attach(struct machine *m)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		cr_assert_eq(perf_ring_init(&m->rings[cpu], m->memory[cpu], PAGE, DATA), 0);
		m->sources[cpu] = (struct batch_source){
			.ring = &m->rings[cpu],
			.mapped = &m->mapped[cpu],
		};
	}
	batch_reader_init(&m->reader, m->sources, CPUS, m->resume);
}

static void machine_open(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->resume = calloc(1, handoff_resume_bytes(CPUS));
	cr_assert_not_null(m->resume);
	for (uint16_t cpu = 0; cpu < CPUS; cpu++) {
		m->memory[cpu] = aligned_alloc(PAGE, PAGE + DATA);
		cr_assert_not_null(m->memory[cpu]);
		memset(m->memory[cpu], 0, PAGE + DATA);
		m->mapped[cpu].kind = RECORD_KIND_BATCH;
		m->mapped[cpu].version = RECORD_VERSION;
		m->mapped[cpu].cpu = cpu;
	}
	m->next_id = 1;
	machine_attach(m);
}

static void machine_close(struct machine *m)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		free(m->memory[cpu]);
	free(m->resume);
}

static void ring_put(struct machine *m, unsigned cpu, const void *payload, size_t length)
{
	struct perf_event_mmap_page *page = (void *)m->memory[cpu];
	const uint32_t raw = (uint32_t)((length + 4 + 7) / 8 * 8 - 4);
	const struct perf_event_header header = {
		.type = PERF_RECORD_SAMPLE,
		.size = (uint16_t)(8 + 4 + raw),
	};
	uint8_t record[PERF_RING_RECORD_MAX] = {0};

	memcpy(record, &header, sizeof(header));
	memcpy(record + 8, &raw, sizeof(raw));
	memcpy(record + 12, payload, length);
	for (size_t i = 0; i < header.size; i++)
		m->memory[cpu][PAGE + (page->data_head + i) % DATA] = record[i];
	page->data_head += header.size;
}

static struct conn_record record_make(uint64_t id)
{
	return (struct conn_record){
		.kind = RECORD_KIND_CLOSE,
		.version = RECORD_VERSION,
		.protocol = IPPROTO_TCP,
		.family = RECORD_FAMILY_IPV4,
		.tcp_state = 9,
		.id = id,
		.comm = "x",
	};
}

/* What the programs do at a close: fill the batch, send it when it is full. */
static void close_one(struct machine *m, unsigned cpu)
{
	struct conn_batch *batch = &m->mapped[cpu];

	batch->records[batch->len] = record_make(m->next_id++);
	batch->records[batch->len++].at_ns = m->now_ns;
	if (batch->len == RECORD_BATCH_CAPACITY) {
		ring_put(m, cpu, batch, sizeof(*batch));
		batch->len = 0;
		batch->id++;
	}
}

static void close_many(struct machine *m, unsigned cpu, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close_one(m, cpu);
}

/* One pass: how many records come; each id is marked in seen, if that is given. */
static unsigned pass(struct machine *m, uint8_t *seen)
{
	const struct conn_record *record;
	unsigned count = 0;

	batch_reader_begin(&m->reader, UINT64_MAX);
	while ((record = batch_reader_next(&m->reader))) {
		count++;
		if (seen)
			seen[record->id]++;
	}
	return count;
}

static void commit(struct machine *m)
{
	batch_reader_commit(&m->reader, m->reader.counts.records, 0);
}

Test(batch, a_batch_that_is_not_full_is_read_through_the_mapping)
{
	struct machine m;

	machine_open(&m);
	close_many(&m, 0, 3);
	close_many(&m, 1, 1);
	cr_expect_eq(pass(&m, NULL), 4);
	cr_expect_eq(pass(&m, NULL), 0);
	close_one(&m, 0);
	cr_expect_eq(pass(&m, NULL), 1);
	cr_expect_eq(m.reader.counts.batches, 0);
	machine_close(&m);
}

Test(batch, what_was_read_while_it_was_filling_is_not_read_again_when_it_comes_full)
{
	for (unsigned early = 0; early <= RECORD_BATCH_CAPACITY; early++) {
		uint8_t seen[64] = {0};
		struct machine m;

		machine_open(&m);
		close_many(&m, 0, early);
		pass(&m, seen);
		close_many(&m, 0, 20 - early);
		pass(&m, seen);
		for (unsigned id = 1; id <= 20; id++)
			cr_assert_eq(seen[id], 1, "record %u with %u read early", id, early);
		cr_assert_eq(m.reader.counts.records, 20);
		machine_close(&m);
	}
}

Test(batch, every_record_comes_once_however_passes_and_closes_are_mixed)
{
	static uint8_t seen[200000];
	struct machine m;

	srand(3);
	memset(seen, 0, sizeof(seen));
	machine_open(&m);
	for (unsigned round = 0; round < 5000; round++) {
		close_many(&m, (unsigned)rand() % CPUS, (unsigned)rand() % 40);
		if (rand() % 2) {
			pass(&m, seen);
			commit(&m);
		}
		/* A new worker takes over now and then, after a commit. */
		if (rand() % 50 == 0) {
			pass(&m, seen);
			commit(&m);
			machine_attach(&m);
		}
		if (rand() % 3 == 0) {
			pass(&m, seen);
			commit(&m);
		}
	}
	pass(&m, seen);
	for (uint64_t id = 1; id < m.next_id; id++)
		cr_assert_eq(seen[id], 1, "record %lu came %u times", (unsigned long)id, seen[id]);
	cr_expect_eq(m.reader.counts.lost, 0);
	cr_expect_eq(m.reader.counts.malformed, 0);
	machine_close(&m);
}

/* One pass up to a time; checks that nothing younger comes. */
static unsigned pass_until(struct machine *m, uint64_t until_ns, uint8_t *seen)
{
	const struct conn_record *record;
	unsigned count = 0;

	batch_reader_begin(&m->reader, until_ns);
	while ((record = batch_reader_next(&m->reader))) {
		cr_assert_leq(record->at_ns, until_ns);
		seen[record->id]++;
		count++;
	}
	return count;
}

static void close_lone(struct machine *m, unsigned cpu)
{
	struct conn_lone lone = {
		.kind = RECORD_KIND_LONE,
		.version = RECORD_VERSION,
		.cpu = (uint16_t)cpu,
		.record = record_make(m->next_id++),
	};

	lone.record.at_ns = m->now_ns;
	ring_put(m, cpu, &lone, sizeof(lone));
}

Test(batch, what_is_younger_than_the_pass_comes_with_a_later_one_and_every_record_once)
{
	static uint8_t seen[200000];
	struct machine m;

	srand(5);
	memset(seen, 0, sizeof(seen));
	machine_open(&m);
	m.now_ns = 1000;
	for (unsigned round = 0; round < 5000; round++) {
		const unsigned cpu = (unsigned)rand() % CPUS, closes = (unsigned)rand() % 40;

		for (unsigned i = 0; i < closes; i++) {
			m.now_ns += (unsigned)rand() % 10;
			if (rand() % 20 == 0)
				close_lone(&m, cpu);
			else
				close_one(&m, cpu);
		}
		pass_until(&m, m.now_ns - (unsigned)rand() % 100, seen);
		if (rand() % 2)
			commit(&m);
		if (rand() % 50 == 0) {
			commit(&m);
			machine_attach(&m);
			for (uint64_t id = 1; id < m.next_id; id++)
				cr_assert_leq(seen[id], 1);
		}
		/* All that is old enough has come. */
		if (rand() % 10 == 0)
			pass_until(&m, m.now_ns, seen);
	}
	pass_until(&m, m.now_ns, seen);
	for (uint64_t id = 1; id < m.next_id; id++)
		cr_assert_eq(seen[id], 1, "record %lu came %u times", (unsigned long)id, seen[id]);
	cr_expect_eq(m.reader.counts.lost, 0);
	cr_expect_eq(m.reader.counts.malformed, 0);
	machine_close(&m);
}

Test(batch, a_time_that_will_not_come_holds_nothing_up)
{
	struct machine m;

	machine_open(&m);
	close_many(&m, 0, 3);
	m.mapped[0].records[1].at_ns = UINT64_MAX;
	batch_reader_begin(&m.reader, 1000);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_not_null(batch_reader_next(&m.reader));
	cr_expect_null(batch_reader_next(&m.reader));
	machine_close(&m);
}

Test(batch, a_successor_reads_exactly_what_was_not_committed)
{
	for (unsigned stop_at = 0; stop_at <= 50; stop_at++) {
		uint8_t first[64] = {0}, second[64] = {0};
		struct machine m;

		machine_open(&m);
		close_many(&m, 0, 41);
		close_many(&m, 1, 9);
		batch_reader_begin(&m.reader, UINT64_MAX);
		for (unsigned i = 0; i < stop_at; i++)
			first[batch_reader_next(&m.reader)->id]++;
		commit(&m);
		/* Read, but never committed: as good as not read. */
		batch_reader_next(&m.reader);
		machine_attach(&m);
		pass(&m, second);
		for (unsigned id = 1; id <= 50; id++)
			cr_assert_eq(first[id] + second[id], 1, "record %u, killed after %u", id,
				     stop_at);
		machine_close(&m);
	}
}

Test(batch, a_batch_that_is_still_in_the_ring_after_a_commit_is_dropped_as_a_duplicate)
{
	struct perf_event_mmap_page *page;
	struct machine m;

	machine_open(&m);
	close_many(&m, 0, 16);
	cr_assert_eq(pass(&m, NULL), 16);
	commit(&m);
	/* Killed between the positions and the tails. */
	page = (void *)m.memory[0];
	page->data_tail = 0;
	machine_attach(&m);
	cr_expect_eq(pass(&m, NULL), 0);
	cr_expect_eq(m.reader.counts.duplicates, 1);
	machine_close(&m);
}

Test(batch, a_missing_batch_in_the_ring_is_counted_and_the_rest_is_read)
{
	struct perf_event_mmap_page *page;
	uint64_t head;
	struct machine m;

	machine_open(&m);
	page = (void *)m.memory[0];
	close_many(&m, 0, 5);
	cr_assert_eq(pass(&m, NULL), 5);
	head = page->data_head;
	close_many(&m, 0, 11 + 16);
	page->data_head = head; /* two batches that the ring never got */
	close_many(&m, 0, 16 + 2);
	cr_expect_eq(pass(&m, NULL), 18);
	cr_expect_eq(m.reader.counts.gaps, 2);
	cr_expect_eq(m.reader.counts.lost, 11 + 16);
	commit(&m);
	cr_expect_eq(m.resume->lost, 27);
	machine_close(&m);
}

Test(batch, a_mapped_batch_that_is_ahead_is_believed_only_in_the_next_pass)
{
	struct perf_event_mmap_page *page;
	struct machine m;

	machine_open(&m);
	page = (void *)m.memory[0];
	close_many(&m, 0, 16 + 3);
	page->data_head = 0; /* not visible yet */
	cr_expect_eq(pass(&m, NULL), 0);
	cr_expect_eq(m.reader.counts.lost, 0);
	page->data_head = 8 + 4 + (sizeof(struct conn_batch) + 4 + 7) / 8 * 8 - 4;
	cr_expect_eq(pass(&m, NULL), 19, "now it is");
	cr_expect_eq(m.reader.counts.gaps, 0);

	page->data_head = page->data_head;
	m.mapped[0].id += 2; /* these never come */
	cr_expect_eq(pass(&m, NULL), 0);
	cr_expect_eq(m.reader.counts.gaps, 0);
	cr_expect_eq(pass(&m, NULL), 3);
	cr_expect_eq(m.reader.counts.gaps, 2);
	cr_expect_eq(m.reader.counts.lost, 13 + 16);
	machine_close(&m);
}

Test(batch, batches_that_are_ahead_pass_after_pass_and_all_come_are_no_gap)
{
	struct perf_event_mmap_page *page;
	uint64_t head;
	struct machine m;

	machine_open(&m);
	page = (void *)m.memory[0];
	/* Under load the head that we see is behind the batch's id in one pass as in the next. */
	close_many(&m, 0, 16);
	head = page->data_head;
	page->data_head = 0;
	cr_expect_eq(pass(&m, NULL), 0);
	page->data_head = head;
	close_many(&m, 0, 16);
	head = page->data_head;
	close_many(&m, 0, 16);
	page->data_head = head;
	cr_expect_eq(pass(&m, NULL), 32);
	cr_expect_eq(m.reader.counts.gaps, 0);
	cr_expect_eq(m.sources[0].batch_id, 2);
	page->data_head = head + head / 2;
	cr_expect_eq(pass(&m, NULL), 16);
	cr_expect_eq(m.reader.counts.gaps, 0);
	cr_expect_eq(m.reader.counts.lost, 0);
	machine_close(&m);
}

Test(batch, a_lone_record_is_handed_out_and_moves_no_position)
{
	struct conn_lone lone = {.kind = RECORD_KIND_LONE, .version = RECORD_VERSION};
	uint8_t seen[64] = {0};
	struct machine m;

	machine_open(&m);
	close_many(&m, 0, 2);
	lone.record = record_make(60);
	ring_put(&m, 0, &lone, sizeof(lone));
	close_many(&m, 0, 15);
	cr_expect_eq(pass(&m, seen), 18);
	cr_expect_eq(seen[60], 1);
	cr_expect_eq(m.reader.counts.lone, 1);
	cr_expect_eq(m.sources[0].batch_id, 1);
	cr_expect_eq(m.sources[0].offset, 1);
	machine_close(&m);
}

/* A full batch from CPU 0 with something wrong in it. */
struct bad_batch {
	const char *what;
	size_t offset; /* of the byte that is changed */
	uint8_t value;
	size_t length;	  /* of the payload */
	unsigned records; /* that are handed out all the same */
	uint64_t malformed;
	uint64_t lost;
};

#define WHOLE sizeof(struct conn_batch)
#define LEN_AT offsetof(struct conn_batch, len)
#define ID_AT offsetof(struct conn_batch, id)
#define RECORD_AT(field) \
	(offsetof(struct conn_batch, records) + offsetof(struct conn_record, field))

static const struct bad_batch bad_batches[] = {
	{"another kind", 0, 77, WHOLE, 0, 1, 0},
	{"kind 0", 0, 0, WHOLE, 0, 1, 0},
	{"another version", 1, 9, WHOLE, 0, 1, 0},
	{"another CPU", offsetof(struct conn_batch, cpu), 1, WHOLE, 0, 1, 0},
	{"a CPU out of range", offsetof(struct conn_batch, cpu) + 1, 0xff, WHOLE, 0, 1, 0},
	{"len 0", LEN_AT, 0, WHOLE, 0, 1, 0},
	{"len 17", LEN_AT, 17, WHOLE, 0, 1, 0},
	{"a huge len", LEN_AT + 3, 0xff, WHOLE, 0, 1, 0},
	{"an id that no batch reaches", ID_AT + 7, 0x80, WHOLE, 0, 1, 0},
	{"one byte too short", 0, RECORD_KIND_BATCH, WHOLE - 5, 0, 1, 0},
	{"one byte long", 0, RECORD_KIND_BATCH, 1, 0, 1, 0},
	{"a lone record that is too short", 0, RECORD_KIND_LONE, 100, 0, 1, 0},
	{"a record of another kind", RECORD_AT(kind), RECORD_KIND_SNAPSHOT, WHOLE, 15, 1, 1},
	{"a record of another version", RECORD_AT(version), 2, WHOLE, 15, 1, 1},
	{"a record without a family", RECORD_AT(family), 5, WHOLE, 15, 1, 1},
	{"an unknown direction", RECORD_AT(direction), 3, WHOLE, 15, 1, 1},
	{"an unknown pid source", RECORD_AT(pid_source), 7, WHOLE, 15, 1, 1},
	{"no TCP state", RECORD_AT(tcp_state), 0, WHOLE, 15, 1, 1},
	{"an unknown TCP state", RECORD_AT(tcp_state), 13, WHOLE, 15, 1, 1},
	{"an unknown protocol", RECORD_AT(protocol), 136, WHOLE, 15, 1, 1},
	{"a TCP connection with a flow's end", RECORD_AT(end), 1, WHOLE, 15, 1, 1},
	{"a UDP flow with a TCP state", RECORD_AT(protocol), 17, WHOLE, 15, 1, 1},
	{"padding that is not zero", RECORD_AT(pad1), 1, WHOLE, 15, 1, 1},
	{"an errno out of range", RECORD_AT(error) + 1, 0xff, WHOLE, 15, 1, 1},
};

Test(batch, malformed_input_is_counted_and_never_handed_out)
{
	for (size_t i = 0; i < sizeof(bad_batches) / sizeof(bad_batches[0]); i++) {
		const struct bad_batch *c = &bad_batches[i];
		struct conn_batch batch = {
			.kind = RECORD_KIND_BATCH,
			.version = RECORD_VERSION,
			.len = RECORD_BATCH_CAPACITY,
		};
		struct machine m;

		machine_open(&m);
		for (unsigned r = 0; r < RECORD_BATCH_CAPACITY; r++)
			batch.records[r] = record_make(r);
		((uint8_t *)&batch)[c->offset] = c->value;
		ring_put(&m, 0, &batch, c->length);
		cr_expect_eq(pass(&m, NULL), c->records, "%s", c->what);
		cr_expect_eq(m.reader.counts.malformed, c->malformed, "%s", c->what);
		cr_expect_eq(m.reader.counts.lost, c->lost, "%s", c->what);
		machine_close(&m);
	}
}

Test(batch, a_name_without_an_end_is_malformed)
{
	struct machine m;

	machine_open(&m);
	close_one(&m, 0);
	memset(m.mapped[0].records[0].comm, 'a', RECORD_COMM_BYTES);
	cr_expect_eq(pass(&m, NULL), 0);
	cr_expect_eq(m.reader.counts.malformed, 1);
	machine_close(&m);
}

Test(batch, a_mapped_len_beyond_the_batch_is_malformed_and_nothing_is_read)
{
	struct machine m;

	machine_open(&m);
	m.mapped[0].len = RECORD_BATCH_CAPACITY + 1;
	cr_expect_eq(pass(&m, NULL), 0);
	m.mapped[1].len = UINT32_MAX;
	cr_expect_eq(pass(&m, NULL), 0);
	cr_expect_geq(m.reader.counts.malformed, 2);
	machine_close(&m);
}

Test(batch, a_resume_memory_that_makes_no_sense_is_survived)
{
	struct machine m;

	machine_open(&m);
	m.resume->positions[0] = UINT64_MAX;
	m.resume->positions[1] = 2 * RECORD_BATCH_CAPACITY;
	machine_attach(&m);
	cr_expect_eq(m.reader.counts.malformed, 2, "nothing has been that far");
	close_many(&m, 0, 40);
	close_many(&m, 1, 40);
	cr_expect_eq(pass(&m, NULL), 80);
	machine_close(&m);
}

Test(batch, a_full_batch_that_was_read_and_has_not_left_is_a_good_position)
{
	struct machine m;

	machine_open(&m);
	for (unsigned i = 0; i < RECORD_BATCH_CAPACITY; i++)
		m.mapped[0].records[i] = record_make(i);
	m.mapped[0].len = RECORD_BATCH_CAPACITY;
	cr_assert_eq(pass(&m, NULL), 16);
	commit(&m);
	machine_attach(&m);
	cr_expect_eq(pass(&m, NULL), 0);
	cr_expect_eq(m.reader.counts.malformed, 0);
	machine_close(&m);
}

Test(batch, a_batch_in_the_ring_that_the_programs_have_not_reached_is_malformed)
{
	struct conn_batch batch = {
		.kind = RECORD_KIND_BATCH,
		.version = RECORD_VERSION,
		.len = RECORD_BATCH_CAPACITY,
		.id = 1000,
	};
	struct machine m;

	machine_open(&m);
	close_many(&m, 0, 16);
	ring_put(&m, 0, &batch, sizeof(batch));
	close_many(&m, 0, 20);
	cr_expect_eq(pass(&m, NULL), 36, "what follows is not taken for duplicates");
	cr_expect_eq(m.reader.counts.malformed, 1);
	cr_expect_eq(m.reader.counts.gaps, 0);
	machine_close(&m);
}

Test(batch, a_cpu_without_a_ring_is_read_through_its_mapping)
{
	struct machine m;

	machine_open(&m);
	m.sources[1].ring = NULL;
	for (unsigned i = 0; i < RECORD_BATCH_CAPACITY; i++)
		m.mapped[1].records[i] = record_make(i);
	m.mapped[1].len = RECORD_BATCH_CAPACITY; /* full, and there is nowhere to send it */
	cr_expect_eq(pass(&m, NULL), 16);
	cr_expect_eq(pass(&m, NULL), 0);
	commit(&m);
	machine_close(&m);
}

Test(batch, random_damage_is_never_read_beyond_and_never_handed_out_invalid)
{
	struct machine m;

	srand(11);
	for (unsigned round = 0; round < 3000; round++) {
		const struct conn_record *record;

		machine_open(&m);
		close_many(&m, 0, 100);
		close_many(&m, 1, 100);
		for (unsigned damage = 0; damage < 20; damage++) {
			m.memory[rand() % CPUS][PAGE + rand() % (7 * 2600)] = (uint8_t)rand();
			((uint8_t *)&m.mapped[rand() % CPUS])[rand() % 64] ^= (uint8_t)rand();
		}
		batch_reader_begin(&m.reader, UINT64_MAX);
		while ((record = batch_reader_next(&m.reader))) {
			cr_assert_eq(record->kind, RECORD_KIND_CLOSE);
			cr_assert_not_null(memchr(record->comm, 0, sizeof(record->comm)));
		}
		commit(&m);
		machine_close(&m);
	}
}
