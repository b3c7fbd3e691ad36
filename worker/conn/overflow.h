/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client is owed without the detail: connections that had to make room before the client
 * acknowledged them, summed up by direction, protocol and remote port. Bytes are never lost, only
 * whose they were. A port that finds no row goes to the row without a port of its direction and
 * protocol, of which there is always one.
 *
 * Each row knows how much of it the running batch has told, in whatever form: as this row, or
 * connection by connection before they made room. That much is subtracted when the batch is
 * acknowledged; if it is not, all of it is told again.
 */
#ifndef SOCKWARDEN_WORKER_CONN_OVERFLOW_H
#define SOCKWARDEN_WORKER_CONN_OVERFLOW_H

#include "worker/conn/totals.h"

#include <stddef.h>
#include <stdint.h>

#define OVERFLOW_DIRECTIONS 3 /* enum record_direction */
#define OVERFLOW_PROTOCOLS 2
#define OVERFLOW_PORTLESS_ROWS (OVERFLOW_DIRECTIONS * OVERFLOW_PROTOCOLS)
#define OVERFLOW_ROWS 512 /* the portless ones come first */
#define OVERFLOW_SLOTS 1024

struct overflow_row {
	uint8_t direction;    /* enum record_direction */
	uint8_t protocol;     /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t remote_port; /* 0: of several */
	struct conn_sums owed;
	struct conn_sums given; /* of owed, what the running batch has told */
};

struct overflow {
	uint32_t used; /* rows, the portless ones included; 0: nothing is owed */
	struct overflow_row rows[OVERFLOW_ROWS];
	uint16_t slots[OVERFLOW_SLOTS]; /* of rows with a port: row + 1, 0: empty */
};

/* Zeroed memory is an empty one. */

/*
 * Adds a connection (one, or none where a part of it was added before) with what is owed of it and
 * how much of that the running batch has told already.
 */
void overflow_add(struct overflow *overflow, const struct conn_record *record,
		  const struct conn_sums *owed, const struct conn_sums *given);

/* Nothing is told yet: a batch begins, and the last one was not acknowledged. */
void overflow_begin(struct overflow *overflow);

/* All that is owed is told by the running batch from here on. */
void overflow_give(struct overflow *overflow);

/* The running batch was acknowledged. */
void overflow_ack(struct overflow *overflow);

#endif
