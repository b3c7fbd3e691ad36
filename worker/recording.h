/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running engine's inputs into a recorder, from one moment on: its state at that moment first,
 * so that a replay publishes what the engine publishes from there on.
 */
#ifndef SOCKWARDEN_WORKER_RECORDING_H
#define SOCKWARDEN_WORKER_RECORDING_H

#include "common/config/config.h"
#include "worker/engine.h"
#include "worker/tape/recorder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recording {
	struct engine *engine;
	struct recorder recorder;
	const struct config *config;
};

/* Reserves memory; engine and config stay the caller's. 0 or -ENOMEM. */
int recording_init(struct recording *recording, struct engine *engine, const struct config *config);
void recording_fini(struct recording *recording);

/* Begins one, between two inputs of the engine, which sends what waits. 0 or -EBUSY. */
int recording_begin(struct recording *recording, uint64_t now_ns, uint32_t *id);

/* Ends the tape of recording id; its rest can still be read. 0, or -ESTALE if there is none. */
int recording_end(struct recording *recording, uint32_t id);

/*
 * As recorder_read(). *over: the tape has ended, this is its rest, and the recording is gone. One
 * that is spoilt is gone too.
 */
long recording_read(struct recording *recording, uint32_t id, uint64_t offset, uint8_t *bytes,
		    size_t capacity, uint64_t now_ns, bool *over);

/* Gives up a recording that nobody fetches; once a tick. */
void recording_tick(struct recording *recording, uint64_t now_ns);

#endif
