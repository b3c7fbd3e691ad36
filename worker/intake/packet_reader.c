/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/packet_reader.h"

#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The ring's writer has the same clock: what is further ahead than this is no time. */
#define AHEAD_MAX_NS NS_PER_S

int packet_reader_init(struct packet_reader *reader, struct packet_source *sources, uint32_t count)
{
	memset(reader, 0, sizeof(*reader));
	reader->heap = calloc(count ? count : 1, sizeof(*reader->heap));
	if (!reader->heap)
		return -ENOMEM;
	reader->sources = sources;
	reader->count = count;
	return 0;
}

void packet_reader_fini(struct packet_reader *reader)
{
	free(reader->heap);
	reader->heap = NULL;
}

static uint64_t time_at(const struct packet_reader *reader, uint32_t place)
{
	return reader->sources[reader->heap[place]].packet.record.at_ns;
}

static void swap(struct packet_reader *reader, uint32_t one, uint32_t other)
{
	const uint32_t kept = reader->heap[one];

	reader->heap[one] = reader->heap[other];
	reader->heap[other] = kept;
}

static void sift_down(struct packet_reader *reader, uint32_t place)
{
	for (;;) {
		uint32_t least = place;

		for (uint32_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
			if (child < reader->heap_count &&
			    time_at(reader, child) < time_at(reader, least))
				least = child;
		}
		if (least == place)
			return;
		swap(reader, place, least);
		place = least;
	}
}

/* Reads the source's next packet of this pass; false if there is none (any more). */
static bool advance(struct packet_reader *reader, struct packet_source *source)
{
	struct perf_sample sample;

	for (;;) {
		source->at = source->ring.next;
		if (!perf_ring_next(&source->ring, &sample))
			return false;
		if (!packet_read(&sample, &source->packet)) {
			reader->malformed++;
			continue;
		}
		if (source->packet.record.at_ns <= reader->until_ns)
			return true;
		if (source->packet.record.at_ns - reader->until_ns > AHEAD_MAX_NS) {
			reader->malformed++;
			continue;
		}
		/* It is read again, and so is all that is behind it. */
		source->ring.next = source->at;
		return false;
	}
}

void packet_reader_begin(struct packet_reader *reader, uint64_t now_ns, uint64_t seen_ns)
{
	reader->until_ns = now_ns > PACKET_READER_SETTLE_NS ? now_ns - PACKET_READER_SETTLE_NS : 0;
	if (reader->until_ns < seen_ns)
		reader->until_ns = seen_ns;
	reader->heap_count = 0;
	reader->given = false;
	for (uint32_t i = 0; i < reader->count; i++) {
		perf_ring_begin(&reader->sources[i].ring);
		if (advance(reader, &reader->sources[i]))
			reader->heap[reader->heap_count++] = i;
	}
	for (uint32_t place = reader->heap_count; place-- > 0;)
		sift_down(reader, place);
}

/* What was given last is no longer needed: its ring goes on. */
static void pass_over_given(struct packet_reader *reader)
{
	if (!reader->given)
		return;
	reader->given = false;
	if (!advance(reader, &reader->sources[reader->heap[0]]))
		reader->heap[0] = reader->heap[--reader->heap_count];
	sift_down(reader, 0);
}

const struct packet *packet_reader_next(struct packet_reader *reader)
{
	pass_over_given(reader);
	reader->given = reader->heap_count > 0;
	if (!reader->given)
		return NULL;
	reader->packets++;
	return &reader->sources[reader->heap[0]].packet;
}

void packet_reader_end(struct packet_reader *reader)
{
	pass_over_given(reader);
	/* What was not given is read again. */
	for (uint32_t place = 0; place < reader->heap_count; place++) {
		struct packet_source *source = &reader->sources[reader->heap[place]];

		source->ring.next = source->at;
	}
	reader->heap_count = 0;
	for (uint32_t i = 0; i < reader->count; i++)
		perf_ring_commit(&reader->sources[i].ring, reader->sources[i].ring.next);
}
