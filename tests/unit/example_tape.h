/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tapes in memory: a test writes inputs, replays them and looks at the messages that come out.
 *
 *   struct example_tape tape;
 *   struct example_output output;
 *
 *   example_tape_begin(&tape, "{\"publish\":{\"interval_s\":1}}");
 *   tape_put_tick(&tape.writer, 1, 0, true);
 *   tape_put(&tape.writer, TAPE_CLOSE, &record, sizeof(record));
 *   tape_put_flush(&tape.writer, 1, true);
 *   tape_end(&tape.writer);
 *   result = example_tape_replay(&tape, &output);    output.text: one message a line
 *   example_output_free(&output);
 *   example_tape_free(&tape);
 *
 * A bug in here ends the test program.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_TAPE_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_TAPE_H

#include "worker/tape/replay.h"
#include "worker/tape/writer.h"

#include <stdlib.h>
#include <string.h>

struct example_bytes {
	char *text; /* NUL-terminated */
	size_t length;
	size_t capacity;
};

struct example_tape {
	struct tape_writer writer;
	struct example_bytes bytes;
};

struct example_output {
	char *text; /* NUL-terminated; never NULL after example_tape_replay() */
	struct example_bytes bytes;
	struct metrics metrics;
	char error[REPLAY_ERROR_BYTES];
};

static inline void example_bytes_add(struct example_bytes *bytes, const void *more, size_t length)
{
	while (bytes->capacity - bytes->length <= length) {
		bytes->capacity = bytes->capacity ? 2 * bytes->capacity : 4096;
		bytes->text = realloc(bytes->text, bytes->capacity);
		if (!bytes->text)
			abort();
	}
	memcpy(bytes->text + bytes->length, more, length);
	bytes->length += length;
	bytes->text[bytes->length] = '\0';
}

static inline void example_tape_take(void *ctx, const void *bytes, size_t length)
{
	example_bytes_add(ctx, bytes, length);
}

/* Writes the header and the configuration. */
static inline void example_tape_begin(struct example_tape *tape, const char *config)
{
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};

	*tape = (struct example_tape){.writer = {.put = example_tape_take, .ctx = &tape->bytes}};
	tape_begin(&tape->writer, &identity, config, strlen(config));
}

static inline void example_tape_free(struct example_tape *tape)
{
	free(tape->bytes.text);
}

/* What is read, and what comes out. */
struct example_ends {
	const struct example_bytes *in;
	size_t at;
	size_t piece; /* bytes that one read gives at most; 0: all */
	struct example_output *out;
};

static inline ssize_t example_fill(void *ctx, void *buffer, size_t capacity)
{
	struct example_ends *ends = ctx;
	size_t length = ends->in->length - ends->at;

	if (length > capacity)
		length = capacity;
	if (ends->piece > 0 && length > ends->piece)
		length = ends->piece;
	memcpy(buffer, ends->in->text + ends->at, length);
	ends->at += length;
	return (ssize_t)length;
}

static inline int example_send(void *ctx, const char *bytes, size_t length)
{
	struct example_ends *ends = ctx;

	example_bytes_add(&ends->out->bytes, bytes, length);
	example_bytes_add(&ends->out->bytes, "\n", 1);
	return 0;
}

/* Replays a tape that comes in pieces (0: at once); the result is replay_run()'s. */
static inline int example_tape_replay_pieces(const struct example_tape *tape,
					     struct example_output *output, size_t piece)
{
	struct example_ends ends = {.in = &tape->bytes, .piece = piece, .out = output};
	const struct replay_ends replay = {
		.ctx = &ends,
		.fill = example_fill,
		.send = example_send,
	};
	int result;

	*output = (struct example_output){.text = NULL};
	result = replay_run(&replay, &output->metrics, output->error);
	example_bytes_add(&output->bytes, "", 0);
	output->text = output->bytes.text;
	return result;
}

static inline int example_tape_replay(const struct example_tape *tape,
				      struct example_output *output)
{
	return example_tape_replay_pieces(tape, output, 0);
}

static inline void example_output_free(struct example_output *output)
{
	free(output->bytes.text);
}

#endif
