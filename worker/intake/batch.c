/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/batch.h"

#include "worker/intake/record_check.h"

#include <string.h>

enum stage {
	STAGE_BEGIN = 0,  /* look how far the ring is */
	STAGE_RING = 1,	  /* hand out what it holds */
	STAGE_MAPPED = 2, /* then the batch that is filling */
	STAGE_END = 3,
};

/* Where the records that are being handed out came from. */
enum origin {
	ORIGIN_RING = 0,   /* a full batch: behind its last record the next batch begins */
	ORIGIN_MAPPED = 1, /* a batch that may still grow */
	ORIGIN_LONE = 2,   /* no position */
};

/* A CPU cannot make so many batches between two passes: the number is not a batch's id. */
#define GAP_MAX (1ULL << 32)

#define AHEAD_MAX_NS 1000000000ULL

/* The id of the batch that is filling: those before it have left, none behind it exists. */
static uint64_t filling_id(const struct batch_source *source)
{
	const struct conn_batch *mapped = source->mapped;

	return __atomic_load_n(&mapped->id, __ATOMIC_ACQUIRE);
}

/*
 * Goes on where the resume memory says. A place that the programs have not reached would make
 * duplicates of all that follows: what is filling now is begun with instead.
 */
static void take_position(struct batch_reader *reader, struct batch_source *source,
			  uint64_t position)
{
	const uint64_t id = filling_id(source);

	source->batch_id = position / RECORD_BATCH_CAPACITY;
	source->offset = position % RECORD_BATCH_CAPACITY;
	/* The batch behind is right where all of this one was read. */
	if (source->batch_id > id ? source->batch_id - id > 1 : id - source->batch_id > GAP_MAX) {
		reader->counts.malformed++;
		source->batch_id = id;
		source->offset = 0;
	}
}

void batch_reader_init(struct batch_reader *reader, struct batch_source *sources, unsigned cpus,
		       struct handoff_resume *resume)
{
	memset(reader, 0, sizeof(*reader));
	reader->sources = sources;
	reader->cpus = cpus;
	reader->resume = resume;
	reader->cpu = cpus;
	reader->counts.lost = resume->lost;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		struct batch_source *source = &sources[cpu];

		take_position(reader, source, resume->positions[cpu]);
		source->committable = source->ring ? source->ring->next : 0;
		source->ahead = false;
	}
}

void batch_reader_begin(struct batch_reader *reader, uint64_t until_ns)
{
	reader->until_ns = until_ns;
	reader->cpu = 0;
	reader->stage = STAGE_BEGIN;
	reader->reread = false;
	reader->at = 0;
	reader->len = 0;
}

/* The position moves to batch id, record 0; what lies between never came. */
static void count_gap(struct batch_reader *reader, struct batch_source *source, uint64_t id)
{
	const uint64_t batches = id - source->batch_id;

	reader->counts.gaps += batches;
	reader->counts.lost += batches * RECORD_BATCH_CAPACITY - source->offset;
	source->batch_id = id;
	source->offset = 0;
}

/* A lone record is put where a batch's records are, with len 1. */
static void take_lone(struct batch_reader *reader, const struct perf_sample *sample)
{
	if (sample->length < sizeof(struct conn_lone)) {
		reader->counts.malformed++;
		return;
	}
	memcpy(&reader->batch.records[0],
	       sample->payload + __builtin_offsetof(struct conn_lone, record),
	       sizeof(reader->batch.records[0]));
	reader->counts.lone++;
	reader->origin = ORIGIN_LONE;
	reader->at = 0;
	reader->len = 1;
}

static void take_batch(struct batch_reader *reader, struct batch_source *source,
		       const struct perf_sample *sample)
{
	struct conn_batch *batch = &reader->batch;

	if (sample->length < sizeof(*batch)) {
		reader->counts.malformed++;
		return;
	}
	memcpy(batch, sample->payload, sizeof(*batch));
	if (batch->version != RECORD_VERSION || batch->cpu != reader->cpu || batch->len == 0 ||
	    batch->len > RECORD_BATCH_CAPACITY || batch->id > filling_id(source) ||
	    (batch->id > source->batch_id && batch->id - source->batch_id > GAP_MAX)) {
		reader->counts.malformed++;
		return;
	}
	if (batch->id < source->batch_id) {
		reader->counts.duplicates++;
		return;
	}
	if (batch->id > source->batch_id)
		count_gap(reader, source, batch->id);
	reader->counts.batches++;
	reader->origin = ORIGIN_RING;
	reader->at = (uint32_t)source->offset;
	reader->len = batch->len;
	if (reader->at >= reader->len) {
		/* Everything in it was read while it was filling. */
		source->batch_id++;
		source->offset = 0;
		reader->len = 0;
	}
}

/* Takes the ring's next sample; false when it is empty. */
static bool read_ring(struct batch_reader *reader, struct batch_source *source)
{
	struct perf_sample sample;
	const uint64_t malformed = source->ring->malformed;
	int found;

	source->committable = source->ring->next;
	found = perf_ring_next(source->ring, &sample);
	reader->counts.malformed += source->ring->malformed - malformed;
	if (!found) {
		source->committable = source->ring->next;
		return false;
	}
	if (sample.length >= 2 && sample.payload[0] == RECORD_KIND_BATCH)
		take_batch(reader, source, &sample);
	else if (sample.length >= 2 && sample.payload[0] == RECORD_KIND_LONE &&
		 sample.payload[1] == RECORD_VERSION)
		take_lone(reader, &sample);
	else
		reader->counts.malformed++;
	return true;
}

/* Copies what is new in the batch that is filling; false if it changed under our hands. */
static bool copy_mapped(struct batch_reader *reader, const struct batch_source *source,
			const struct conn_batch *mapped, uint32_t len)
{
	const size_t first = (size_t)source->offset;

	memcpy(&reader->batch.records[first], &mapped->records[first],
	       (len - first) * sizeof(mapped->records[0]));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&mapped->id, __ATOMIC_RELAXED) == source->batch_id;
}

/* Returns the stage that follows. */
static enum stage read_mapped(struct batch_reader *reader, struct batch_source *source)
{
	const struct conn_batch *mapped = source->mapped;
	const uint64_t id = filling_id(source);
	const uint32_t len = __atomic_load_n(&mapped->len, __ATOMIC_ACQUIRE);

	if (id > source->batch_id && id - source->batch_id > GAP_MAX) {
		reader->counts.malformed++;
		return STAGE_END;
	}
	if (id > source->batch_id) {
		if (source->ring && !reader->reread) {
			reader->reread = true;
			return STAGE_BEGIN;
		}
		/*
		 * The ring's head may become visible to us after the batch's id. A batch that
		 * is still missing a pass later is not going to come. One that has come since
		 * makes room for the next, seen in the same way.
		 */
		if (!source->ahead || source->ahead_id <= source->batch_id) {
			source->ahead = true;
			source->ahead_id = id;
			return STAGE_END;
		}
		count_gap(reader, source, source->ahead_id);
	}
	source->ahead = false;
	if (id != source->batch_id || len <= source->offset)
		return STAGE_END;
	if (len > RECORD_BATCH_CAPACITY) {
		reader->counts.malformed++;
		return STAGE_END;
	}
	if (copy_mapped(reader, source, mapped, len)) {
		reader->origin = ORIGIN_MAPPED;
		reader->at = (uint32_t)source->offset;
		reader->len = len;
	}
	return STAGE_END;
}

/* What is further ahead is no time, and must not hold up the others. */
static bool is_left(const struct batch_reader *reader)
{
	const uint64_t at_ns = reader->batch.records[reader->at].at_ns;

	return at_ns > reader->until_ns && at_ns - reader->until_ns <= AHEAD_MAX_NS;
}

/* Goes back to before the record at reader->at; the next pass reads it again. */
static void leave_rest(struct batch_reader *reader, struct batch_source *source)
{
	reader->len = reader->at;
	reader->stage = STAGE_END;
	if (reader->origin == ORIGIN_MAPPED)
		return;
	source->ring->next = source->committable;
	if (reader->origin == ORIGIN_RING)
		reader->counts.batches--;
	else
		reader->counts.lone--;
}

/* Hands out the record at reader->at and moves the position behind it. */
static const struct conn_record *hand_out(struct batch_reader *reader, struct batch_source *source)
{
	const struct conn_record *record = &reader->batch.records[reader->at++];
	const bool last = reader->at == reader->len;

	if (reader->origin == ORIGIN_RING && last) {
		source->batch_id++;
		source->offset = 0;
	} else if (reader->origin != ORIGIN_LONE) {
		source->offset = reader->at;
	}
	if (last && source->ring)
		source->committable = source->ring->next;
	if (!conn_record_is_valid(record, RECORD_KIND_CLOSE)) {
		reader->counts.malformed++;
		reader->counts.lost++;
		return NULL;
	}
	reader->counts.records++;
	return record;
}

/* One step of the state machine of a CPU. */
static void advance(struct batch_reader *reader, struct batch_source *source)
{
	switch ((enum stage)reader->stage) {
	case STAGE_BEGIN:
		if (source->ring) {
			const uint64_t malformed = source->ring->malformed;

			perf_ring_begin(source->ring);
			reader->counts.malformed += source->ring->malformed - malformed;
		}
		reader->stage = source->ring ? STAGE_RING : STAGE_MAPPED;
		break;
	case STAGE_RING:
		if (!read_ring(reader, source))
			reader->stage = STAGE_MAPPED;
		break;
	case STAGE_MAPPED:
		reader->stage = read_mapped(reader, source);
		break;
	case STAGE_END:
		reader->cpu++;
		reader->stage = STAGE_BEGIN;
		reader->reread = false;
		break;
	}
}

const struct conn_record *batch_reader_next(struct batch_reader *reader)
{
	while (reader->cpu < reader->cpus) {
		struct batch_source *source = &reader->sources[reader->cpu];

		if (reader->at < reader->len && is_left(reader)) {
			leave_rest(reader, source);
		} else if (reader->at < reader->len) {
			const struct conn_record *record = hand_out(reader, source);

			if (record)
				return record;
		} else {
			advance(reader, source);
		}
	}
	return NULL;
}

void batch_reader_commit(struct batch_reader *reader, uint64_t closed, uint64_t inferred)
{
	struct handoff_resume *resume = reader->resume;

	/*
	 * Positions before tails: who is killed between the two leaves records in the ring that
	 * the successor recognises as read.
	 */
	for (unsigned cpu = 0; cpu < reader->cpus; cpu++) {
		const struct batch_source *source = &reader->sources[cpu];

		__atomic_store_n(&resume->positions[cpu],
				 source->batch_id * RECORD_BATCH_CAPACITY + source->offset,
				 __ATOMIC_RELAXED);
	}
	__atomic_store_n(&resume->closed, closed, __ATOMIC_RELAXED);
	__atomic_store_n(&resume->inferred, inferred, __ATOMIC_RELAXED);
	__atomic_store_n(&resume->lost, reader->counts.lost, __ATOMIC_RELAXED);
	for (unsigned cpu = 0; cpu < reader->cpus; cpu++) {
		const struct batch_source *source = &reader->sources[cpu];

		if (source->ring)
			perf_ring_commit(source->ring, source->committable);
	}
}
