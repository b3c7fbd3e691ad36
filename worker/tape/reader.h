/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a tape (worker/tape/tape.h), which may be any bytes: what is given out has a known type
 * and its type's length. What the payload says is its caller's to check.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_READER_H
#define SOCKWARDEN_WORKER_TAPE_READER_H

#include "worker/tape/tape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tape_entry {
	uint16_t type; /* enum tape_type */
	uint32_t length;
	const uint8_t *payload; /* good until the next entry is read */
};

struct tape_reader {
	/* As read(2): up to capacity more bytes, 0 at the end, or -errno. */
	ssize_t (*fill)(void *ctx, void *buffer, size_t capacity);
	void *ctx;
	struct tape_header header;
	uint64_t offset;   /* in the tape: of the entry that was given last, or is wrong */
	uint64_t entries;  /* given so far */
	const char *error; /* what is wrong, after -EBADMSG */
	size_t at;	   /* in buffer: behind the entry that was given last */
	size_t end;
	size_t last;		 /* bytes of that entry, head included */
	bool again;		 /* it is to be given once more */
	struct tape_entry entry; /* that one */
	bool over;		 /* TAPE_END was given */
	uint8_t buffer[2 * TAPE_PAYLOAD_BYTES_MAX];
};

/*
 * Reads the header. fill is as in struct tape_reader. Returns 0; -EBADMSG with reader->error and
 * reader->offset; or another -errno of fill.
 */
int tape_reader_init(struct tape_reader *reader,
		     ssize_t (*fill)(void *ctx, void *buffer, size_t capacity), void *ctx);

/*
 * The next entry, TAPE_END included; optional ones that are not known are passed over. Returns 1;
 * 0 behind TAPE_END; -EBADMSG as above, also for a tape that ends without TAPE_END; or another
 * -errno of fill.
 */
int tape_reader_next(struct tape_reader *reader, struct tape_entry *entry);

/* The entry that was given last will be given again. */
void tape_reader_unread(struct tape_reader *reader);

/* Notes that the entry that was given last is wrong; returns -EBADMSG. error is a constant text. */
int tape_reader_reject(struct tape_reader *reader, const char *error);

#endif
