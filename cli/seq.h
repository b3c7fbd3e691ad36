/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lost messages, seen from the numbers in those that arrive. Each topic counts its messages from
 * 1 in each life of the worker (its "instance"): a hole is a message that this subscriber did not
 * get, because it was too slow or not connected.
 */
#ifndef SOCKWARDEN_CLI_SEQ_H
#define SOCKWARDEN_CLI_SEQ_H

#include <stdint.h>

#define SEQ_INSTANCE_BYTES 40

struct seq {
	char instance[SEQ_INSTANCE_BYTES]; /* "" before the first message */
	uint64_t last;
};

enum seq_event {
	SEQ_FIRST,   /* the first message seen */
	SEQ_NEXT,    /* the one that was due */
	SEQ_HOLE,    /* *lost messages are missing before it */
	SEQ_RESTART, /* another worker speaks; *lost of its own messages came before this one */
	SEQ_REPEAT,  /* a number that was seen already: not to be expected */
};

/* Takes note of a message; instance is cut at SEQ_INSTANCE_BYTES - 1. Sets *lost (0 if none). */
enum seq_event seq_note(struct seq *seq, const char *instance, uint64_t number, uint64_t *lost);

#endif
