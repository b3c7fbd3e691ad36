/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/overflow.h"

#include <netinet/in.h>
#include <string.h>

_Static_assert(OVERFLOW_ROWS <= OVERFLOW_SLOTS / 2, "a free slot is always near");
_Static_assert((OVERFLOW_SLOTS & (OVERFLOW_SLOTS - 1)) == 0, "a mask finds a slot");

static uint32_t portless_row(uint8_t direction, uint8_t protocol)
{
	const uint32_t column = protocol == IPPROTO_UDP;

	return direction % OVERFLOW_DIRECTIONS * (uint32_t)OVERFLOW_PROTOCOLS + column;
}

static uint32_t home_slot(uint8_t direction, uint8_t protocol, uint16_t port)
{
	const uint32_t key = (uint32_t)direction << 24 | (uint32_t)protocol << 16 | port;

	return key * 2654435769U >> 22 & (OVERFLOW_SLOTS - 1);
}

/* The slot of a key, or the empty one where it would be. */
static uint16_t *slot_of(struct overflow *overflow, uint8_t direction, uint8_t protocol,
			 uint16_t port)
{
	uint32_t slot = home_slot(direction, protocol, port);

	while (overflow->slots[slot] != 0) {
		const struct overflow_row *row = &overflow->rows[overflow->slots[slot] - 1];

		if (row->direction == direction && row->protocol == protocol &&
		    row->remote_port == port)
			break;
		slot = (slot + 1) & (OVERFLOW_SLOTS - 1);
	}
	return &overflow->slots[slot];
}

static void begin_rows(struct overflow *overflow)
{
	for (uint32_t i = 0; i < OVERFLOW_PORTLESS_ROWS; i++)
		overflow->rows[i] = (struct overflow_row){
			.direction = (uint8_t)(i / OVERFLOW_PROTOCOLS),
			.protocol = i % OVERFLOW_PROTOCOLS ? IPPROTO_UDP : IPPROTO_TCP,
		};
	overflow->used = OVERFLOW_PORTLESS_ROWS;
}

static struct overflow_row *row_for(struct overflow *overflow, const struct conn_record *record)
{
	uint16_t *slot =
		slot_of(overflow, record->direction, record->protocol, record->remote_port);
	struct overflow_row *row;

	if (*slot != 0)
		return &overflow->rows[*slot - 1];
	if (record->remote_port == 0 || overflow->used == OVERFLOW_ROWS)
		return &overflow->rows[portless_row(record->direction, record->protocol)];
	row = &overflow->rows[overflow->used++];
	*row = (struct overflow_row){
		.direction = record->direction,
		.protocol = record->protocol,
		.remote_port = record->remote_port,
	};
	*slot = (uint16_t)overflow->used;
	return row;
}

static void add_sums(struct conn_sums *to, const struct conn_sums *more)
{
	to->connections += more->connections;
	to->sent_bytes += more->sent_bytes;
	to->recv_bytes += more->recv_bytes;
	to->sent_packets += more->sent_packets;
	to->recv_packets += more->recv_packets;
	to->retransmits += more->retransmits;
}

void overflow_add(struct overflow *overflow, const struct conn_record *record,
		  const struct conn_sums *owed, const struct conn_sums *given)
{
	struct overflow_row *row;

	if (overflow->used == 0)
		begin_rows(overflow);
	row = row_for(overflow, record);
	add_sums(&row->owed, owed);
	add_sums(&row->given, given);
}

void overflow_begin(struct overflow *overflow)
{
	for (uint32_t i = 0; i < overflow->used; i++)
		overflow->rows[i].given = (struct conn_sums){0};
}

void overflow_give(struct overflow *overflow)
{
	for (uint32_t i = 0; i < overflow->used; i++)
		overflow->rows[i].given = overflow->rows[i].owed;
}

/* Keeps the rows in which something is owed. */
static void pack(struct overflow *overflow)
{
	uint32_t kept = OVERFLOW_PORTLESS_ROWS;
	bool owes = false;

	for (uint32_t i = 0; i < OVERFLOW_PORTLESS_ROWS; i++)
		owes |= !conn_sums_are_zero(&overflow->rows[i].owed);
	memset(overflow->slots, 0, sizeof(overflow->slots));
	for (uint32_t i = OVERFLOW_PORTLESS_ROWS; i < overflow->used; i++) {
		struct overflow_row *row = &overflow->rows[i];

		if (conn_sums_are_zero(&row->owed))
			continue;
		overflow->rows[kept++] = *row;
		*slot_of(overflow, row->direction, row->protocol, row->remote_port) =
			(uint16_t)kept;
	}
	overflow->used = owes || kept > OVERFLOW_PORTLESS_ROWS ? kept : 0;
}

void overflow_ack(struct overflow *overflow)
{
	for (uint32_t i = 0; i < overflow->used; i++) {
		struct overflow_row *row = &overflow->rows[i];

		row->owed = conn_sums_since(&row->owed, &row->given);
		row->given = (struct conn_sums){0};
	}
	if (overflow->used > 0)
		pack(overflow);
}
