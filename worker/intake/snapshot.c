/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/snapshot.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * An iterator that found nothing to say among a million objects returns EAGAIN
 * (kernel/bpf/bpf_iter.c, MAX_ITER_OBJECTS) and goes on at the next read.
 */
#define AGAIN_MAX 64

static void begin(struct snapshot *snapshot, int fd, size_t record_bytes)
{
	snapshot->fd = fd;
	snapshot->stage = NULL;
	snapshot->record_bytes = record_bytes;
	snapshot->piece = snapshot->buffer;
	snapshot->at = 0;
	snapshot->end = 0;
	snapshot->over = false;
}

void snapshot_begin(struct snapshot *snapshot, int fd, size_t record_bytes)
{
	begin(snapshot, fd, record_bytes);
}

void snapshot_begin_staged(struct snapshot *snapshot, int fd, const struct snapshot_stage *stage)
{
	begin(snapshot, fd, sizeof(stage->records[0]));
	snapshot->stage = stage;
	snapshot->piece = (const uint8_t *)stage->records;
}

/* Whether the stage, and not the limit on objects, is why read() gave EAGAIN. */
static bool stage_is_full(const struct snapshot *snapshot)
{
	return snapshot->stage && __atomic_load_n(&snapshot->stage->handed_out, __ATOMIC_ACQUIRE);
}

/* read(2), again where it only asks for that. */
static ssize_t read_some(const struct snapshot *snapshot, void *to, size_t room)
{
	ssize_t got = -1;

	for (unsigned tries = 0; tries < AGAIN_MAX; tries++) {
		got = read(snapshot->fd, to, room);
		if (got >= 0 || (errno != EAGAIN && errno != EINTR) ||
		    (errno == EAGAIN && stage_is_full(snapshot)))
			break;
	}
	return got < 0 ? -errno : got;
}

/* The stage's records are the piece. */
static int take_stage(struct snapshot *snapshot)
{
	const uint64_t count = __atomic_load_n(&snapshot->stage->count, __ATOMIC_ACQUIRE);

	if (count > RECORD_STAGE_CAPACITY)
		return -EBADMSG;
	snapshot->at = 0;
	snapshot->end = (size_t)count * snapshot->record_bytes;
	return 1;
}

static int read_staged(struct snapshot *snapshot)
{
	ssize_t got;

	if (snapshot->over)
		return 0;
	got = read_some(snapshot, snapshot->buffer, sizeof(snapshot->buffer));
	if (got > 0)
		return -EBADMSG; /* a staged pass writes nothing */
	if (got == -EAGAIN && stage_is_full(snapshot))
		return take_stage(snapshot);
	if (got < 0)
		return (int)got;
	snapshot->over = true;
	return take_stage(snapshot);
}

static int read_streamed(struct snapshot *snapshot)
{
	const size_t rest = snapshot->end - snapshot->at;
	ssize_t got;

	memmove(snapshot->buffer, snapshot->buffer + snapshot->at, rest);
	snapshot->at = 0;
	snapshot->end = rest;
	got = read_some(snapshot, snapshot->buffer + rest, sizeof(snapshot->buffer) - rest);
	if (got < 0)
		return (int)got;
	if (got == 0)
		return rest == 0 ? 0 : -EBADMSG;
	snapshot->end += (size_t)got;
	return 1;
}

int snapshot_read(struct snapshot *snapshot)
{
	return snapshot->stage ? read_staged(snapshot) : read_streamed(snapshot);
}

const void *snapshot_next(struct snapshot *snapshot)
{
	const void *record = snapshot->piece + snapshot->at;

	if (snapshot->end - snapshot->at < snapshot->record_bytes)
		return NULL;
	snapshot->at += snapshot->record_bytes;
	return record;
}
