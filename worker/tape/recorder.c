/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tape/recorder.h"

#include "worker/tape/state.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void put(void *ctx, const void *bytes, size_t length)
{
	struct recorder *recorder = ctx;
	const size_t at = recorder->written % recorder->capacity;
	const size_t to_end = recorder->capacity - at;

	if (recorder->missed > 0 ||
	    length > recorder->capacity - (recorder->written - recorder->given_up)) {
		recorder->overflows += recorder->missed == 0;
		recorder->missed += length;
		return;
	}
	if (length <= to_end) {
		memcpy(recorder->memory + at, bytes, length);
	} else {
		memcpy(recorder->memory + at, bytes, to_end);
		memcpy(recorder->memory, (const uint8_t *)bytes + to_end, length - to_end);
	}
	recorder->written += length;
}

size_t recorder_bytes(uint32_t max_connections, uint32_t nat_max_entries,
		      const struct dns_settings *dns)
{
	return RECORDER_ROOM_BYTES + TAPE_PAYLOAD_BYTES_MAX +
	       tape_state_bytes_max(max_connections, nat_max_entries, dns);
}

int recorder_init(struct recorder *recorder, size_t capacity)
{
	memset(recorder, 0, sizeof(*recorder));
	recorder->memory = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (recorder->memory == MAP_FAILED) {
		recorder->memory = NULL;
		return -ENOMEM;
	}
	recorder->capacity = capacity;
	recorder->writer.put = put;
	recorder->writer.ctx = recorder;
	return 0;
}

void recorder_fini(struct recorder *recorder)
{
	if (recorder->memory)
		munmap(recorder->memory, recorder->capacity);
	recorder->memory = NULL;
}

int recorder_begin(struct recorder *recorder, uint64_t now_ns)
{
	if (recorder->open)
		return -EBUSY;
	recorder->open = true;
	recorder->filling = true;
	recorder->written = 0;
	recorder->given_up = 0;
	recorder->missed = 0;
	recorder->asked_ns = now_ns;
	recorder->id++;
	return 0;
}

void recorder_stop(struct recorder *recorder)
{
	recorder->filling = false;
}

void recorder_drop(struct recorder *recorder)
{
	recorder->open = false;
	recorder->filling = false;
	madvise(recorder->memory, recorder->capacity, MADV_DONTNEED);
}

bool recorder_expire(struct recorder *recorder, uint64_t now_ns)
{
	if (!recorder->open || now_ns - recorder->asked_ns < RECORDER_PATIENCE_NS)
		return false;
	recorder_drop(recorder);
	return true;
}

long recorder_read(struct recorder *recorder, uint32_t id, uint64_t offset, uint8_t *bytes,
		   size_t capacity, uint64_t now_ns)
{
	uint64_t waiting;
	size_t at, to_end, length;

	if (!recorder->open || id != recorder->id || offset < recorder->given_up ||
	    offset > recorder->written)
		return -ESTALE;
	if (recorder->missed > 0)
		return -EOVERFLOW;
	recorder->asked_ns = now_ns;
	recorder->given_up = offset;
	waiting = recorder->written - offset;
	length = waiting < capacity ? (size_t)waiting : capacity;
	at = offset % recorder->capacity;
	to_end = recorder->capacity - at;
	if (length <= to_end) {
		memcpy(bytes, recorder->memory + at, length);
	} else {
		memcpy(bytes, recorder->memory + at, to_end);
		memcpy(bytes + to_end, recorder->memory, length - to_end);
	}
	return (long)length;
}
