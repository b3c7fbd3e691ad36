/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays a tape to an engine of its own: the same code as in a running worker, fed from the tape,
 * with the tape's clock.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_REPLAY_H
#define SOCKWARDEN_WORKER_TAPE_REPLAY_H

#include "worker/metrics.h"
#include "worker/tape/reader.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define REPLAY_ERROR_BYTES 256

/* Where the tape comes from and the messages go; all of it is the caller's. */
struct replay_ends {
	void *ctx;
	ssize_t (*fill)(void *ctx, void *buffer, size_t capacity); /* as struct tape_reader's */
	/* One message, topic and object. 0, or -errno, which ends the replay. */
	int (*send)(void *ctx, const char *bytes, size_t length);
};

/*
 * Plays all of it. metrics are the engine's at the end. Returns 0; or with a text for people in
 * error: -EBADMSG for a malformed tape (messages before the malformed place have been sent), or
 * another -errno.
 */
int replay_run(const struct replay_ends *ends, struct metrics *metrics,
	       char error[static REPLAY_ERROR_BYTES]);

#endif
