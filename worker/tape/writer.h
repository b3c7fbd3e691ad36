/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a tape (worker/tape/tape.h), entry by entry, to whoever takes the bytes: the recorder's
 * buffer, or a test's memory or file.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_WRITER_H
#define SOCKWARDEN_WORKER_TAPE_WRITER_H

#include "common/clock.h"
#include "worker/facts.h"
#include "worker/intake/packet.h"
#include "worker/tape/tape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tape_writer {
	/* Takes bytes, in order. What it cannot take it must remember itself: nothing is asked. */
	void (*put)(void *ctx, const void *bytes, size_t length);
	void *ctx;
	uint64_t entries;
};

/* Writes the header and the TAPE_CONFIG entry: length bytes of JSON at config. */
void tape_begin(struct tape_writer *writer, const struct identity *identity, const char *config,
		size_t length);

/* Writes one entry; length is that of its type. */
void tape_put(struct tape_writer *writer, enum tape_type type, const void *payload, size_t length);

void tape_put_time(struct tape_writer *writer, enum tape_type type, uint64_t now_ns);
void tape_put_tick(struct tape_writer *writer, uint64_t now_ns, struct clock_offsets wall,
		   bool listened);
void tape_put_pass_begin(struct tape_writer *writer, uint64_t now_ns, uint64_t opened);
void tape_put_flush(struct tape_writer *writer, uint64_t now_ns, bool force);

void tape_put_packet(struct tape_writer *writer, const struct packet *packet);

/* Writes TAPE_END. */
void tape_end(struct tape_writer *writer);

/* What the header's config_digest is. */
uint64_t tape_digest(const char *text, size_t length);

#endif
