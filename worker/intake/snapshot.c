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

void snapshot_begin(struct snapshot *snapshot, int fd, size_t record_bytes)
{
	snapshot->fd = fd;
	snapshot->record_bytes = record_bytes;
	snapshot->at = 0;
	snapshot->end = 0;
}

int snapshot_read(struct snapshot *snapshot)
{
	const size_t rest = snapshot->end - snapshot->at;
	ssize_t got = -1;

	memmove(snapshot->buffer, snapshot->buffer + snapshot->at, rest);
	snapshot->at = 0;
	snapshot->end = rest;
	for (unsigned tries = 0; tries < AGAIN_MAX; tries++) {
		got = read(snapshot->fd, snapshot->buffer + rest, sizeof(snapshot->buffer) - rest);
		if (got >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (got < 0)
		return -errno;
	if (got == 0)
		return rest == 0 ? 0 : -EBADMSG;
	snapshot->end += (size_t)got;
	return 1;
}

const void *snapshot_next(struct snapshot *snapshot)
{
	const void *record = snapshot->buffer + snapshot->at;

	if (snapshot->end - snapshot->at < snapshot->record_bytes)
		return NULL;
	snapshot->at += snapshot->record_bytes;
	return record;
}
