/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/perf_ring.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <string.h>

#define DATA_BYTES_MIN 4096

/* PERF_RECORD_LOST: struct { header; u64 id; u64 lost; } */
#define LOST_COUNT_OFFSET 16
#define LOST_BYTES 24

static uint64_t room_now(const struct perf_ring *ring)
{
	const uint64_t used =
		__atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE) - ring->next;

	return used < ring->data_bytes ? ring->data_bytes - used : 0;
}

int perf_ring_init(struct perf_ring *ring, void *memory, size_t page_bytes, size_t data_bytes)
{
	if (!memory || page_bytes < sizeof(struct perf_event_mmap_page) ||
	    data_bytes < DATA_BYTES_MIN || (data_bytes & (data_bytes - 1)) != 0)
		return -EINVAL;
	memset(ring, 0, sizeof(*ring));
	ring->page = memory;
	ring->data = (const uint8_t *)memory + page_bytes;
	ring->data_bytes = data_bytes;
	ring->next = __atomic_load_n(&ring->page->data_tail, __ATOMIC_RELAXED);
	ring->head = ring->next;
	ring->room = room_now(ring);
	return 0;
}

bool perf_ring_can_wait(const struct perf_ring *ring)
{
	return room_now(ring) >= ring->room / 2;
}

/* What is left cannot be understood, so none of it is. */
static void skip_all(struct perf_ring *ring)
{
	ring->malformed++;
	ring->next = ring->head;
}

void perf_ring_begin(struct perf_ring *ring)
{
	/* Pairs with the kernel's barrier between a record's bytes and data_head. */
	ring->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	if (ring->head - ring->next > ring->data_bytes)
		skip_all(ring);
}

/* length bytes from position on, in one piece. */
static const uint8_t *piece(struct perf_ring *ring, uint64_t position, size_t length)
{
	const size_t offset = (size_t)(position & (ring->data_bytes - 1));
	const size_t first = (size_t)ring->data_bytes - offset;

	if (length <= first)
		return ring->data + offset;
	memcpy(ring->bounce, ring->data + offset, first);
	memcpy(ring->bounce + first, ring->data, length - first);
	return ring->bounce;
}

/* Reads a sample's raw payload; false when its sizes contradict each other. */
static bool take_sample(const uint8_t *record, size_t size, struct perf_sample *sample)
{
	const size_t prefix = sizeof(struct perf_event_header) + sizeof(uint32_t);
	uint32_t raw;

	if (size < prefix)
		return false;
	memcpy(&raw, record + sizeof(struct perf_event_header), sizeof(raw));
	if (raw > size - prefix)
		return false;
	sample->payload = record + prefix;
	sample->length = raw;
	return true;
}

int perf_ring_next(struct perf_ring *ring, struct perf_sample *sample)
{
	while (ring->next != ring->head) {
		const uint64_t left = ring->head - ring->next;
		struct perf_event_header header;
		const uint8_t *record;

		if (left < sizeof(header)) {
			skip_all(ring);
			break;
		}
		memcpy(&header, piece(ring, ring->next, sizeof(header)), sizeof(header));
		if (header.size < sizeof(header) || header.size > left) {
			skip_all(ring);
			break;
		}
		if (header.size > PERF_RING_RECORD_MAX) {
			ring->malformed++;
			ring->next += header.size;
			continue;
		}
		record = piece(ring, ring->next, header.size);
		ring->next += header.size;
		if (header.type == PERF_RECORD_SAMPLE) {
			if (take_sample(record, header.size, sample))
				return 1;
			ring->malformed++;
		} else if (header.type == PERF_RECORD_LOST && header.size >= LOST_BYTES) {
			uint64_t lost;

			memcpy(&lost, record + LOST_COUNT_OFFSET, sizeof(lost));
			ring->lost += lost;
		}
	}
	return 0;
}

void perf_ring_commit(struct perf_ring *ring, uint64_t position)
{
	/* Our reads of the bytes come before the kernel may overwrite them. */
	__atomic_store_n(&ring->page->data_tail, position, __ATOMIC_RELEASE);
}
