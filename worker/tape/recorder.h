/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording that is under way: the tape's bytes wait here until the client that asked for them
 * fetches them, a piece at a time. The memory is reserved once and touched only while somebody
 * records; what does not fit any more spoils the recording, which is counted and told, and holds
 * nothing up. There is one recording at a time, and one whose client stays away is given up.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_RECORDER_H
#define SOCKWARDEN_WORKER_TAPE_RECORDER_H

#include "worker/dns/dns.h"
#include "worker/tape/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What waits beside the state at the beginning: four seconds of 50,000 closes each. */
#define RECORDER_ROOM_BYTES (32U << 20)
/* Who has not asked for so long does not come back. */
#define RECORDER_PATIENCE_NS 10000000000ULL

struct recorder {
	struct tape_writer writer;
	uint8_t *memory;
	size_t capacity;
	uint64_t written; /* bytes of this tape, of which memory holds the last ones, in a circle */
	uint64_t given_up;  /* bytes that its client has */
	uint64_t missed;    /* bytes that found no room: the recording is spoilt */
	uint64_t asked_ns;  /* when its client asked last */
	uint32_t id;	    /* of this recording; another one has another */
	bool open;	    /* a client has a claim on it */
	bool filling;	    /* entries are still put in */
	uint64_t overflows; /* recordings that were spoilt */
};

/* Reserves capacity bytes. Returns 0 or -ENOMEM. */
int recorder_init(struct recorder *recorder, size_t capacity);
void recorder_fini(struct recorder *recorder);

/* The bytes that tables of so many connections and translations, and those of DNS, need. */
size_t recorder_bytes(uint32_t max_connections, uint32_t nat_max_entries,
		      const struct dns_settings *dns);

/*
 * Begins a recording: what recorder->writer is told from here on is kept. Returns 0, or -EBUSY if
 * there is one already.
 */
int recorder_begin(struct recorder *recorder, uint64_t now_ns);

/* Nothing more comes in; what waits can still be fetched. */
void recorder_stop(struct recorder *recorder);

/* Ends the recording, whatever waits, and gives the memory back. */
void recorder_drop(struct recorder *recorder);

/* Drops a recording whose client has stayed away. True if it did. */
bool recorder_expire(struct recorder *recorder, uint64_t now_ns);

/*
 * Up to capacity bytes from offset on, a place in the tape; what is before it is given up. Returns
 * how many (0: none yet, or no more if it is not filling); -ESTALE for a recording or an offset that
 * there is not; -EOVERFLOW if it is spoilt.
 */
long recorder_read(struct recorder *recorder, uint32_t id, uint64_t offset, uint8_t *bytes,
		   size_t capacity, uint64_t now_ns);

#endif
