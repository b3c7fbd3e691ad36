/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/rollup.h"

#include "worker/publish/conn_terms.h"

#include <string.h>

_Static_assert((ROLLUP_SLOTS & (ROLLUP_SLOTS - 1)) == 0, "a mask finds a slot");
_Static_assert(ROLLUP_ROWS_MAX <= ROLLUP_SLOTS / 2, "a free slot is always near");

void rollup_init(struct rollup *rollup, uint32_t limit)
{
	rollup->used = 0;
	rollup->limit = limit < ROLLUP_ROWS_MAX ? limit : ROLLUP_ROWS_MAX;
	memset(rollup->slots, 0, sizeof(rollup->slots));
}

static uint8_t direction_of(const struct conn_view *view)
{
	return view->direction ? view->direction : view->record->direction;
}

static bool is_short(const struct conn_view *view)
{
	uint64_t duration_ns;

	return view->closed && conn_duration_ns(view->record, &duration_ns) && duration_ns > 0 &&
	       duration_ns < ROLLUP_DURATION_NS && direction_of(view) != RECORD_DIRECTION_UNKNOWN;
}

/* The port that the others have in common, and the one that differs. */
static uint16_t service_port(const struct conn_record *record, uint8_t direction)
{
	return direction == RECORD_DIRECTION_OUTGOING ? record->remote_port : record->local_port;
}

static uint64_t half(const uint8_t *ip)
{
	uint64_t value;

	memcpy(&value, ip, sizeof(value));
	return value;
}

static uint32_t home_slot(const struct conn_view *view)
{
	const struct conn_record *record = view->record;
	uint64_t hash = record->pid * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ half(record->remote_ip) ^ hash >> 32) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ half(record->remote_ip + 8) ^ hash >> 29) * 0x94d049bb133111ebULL;
	hash = (hash ^ service_port(record, direction_of(view)) ^ hash >> 32) *
	       0x9e3779b97f4a7c15ULL;
	return (uint32_t)(hash >> 40) & (ROLLUP_SLOTS - 1);
}

static bool ended_alike(const struct rollup_row *row, const struct conn_view *view)
{
	const struct conn_view first = {
		.record = &row->record,
		.closed = true,
		.inferred = row->inferred,
	};

	/* Both are words of one table. */
	return row->inferred == view->inferred && row->record.error == view->record->error &&
	       conn_close_reason(&first) == conn_close_reason(view) &&
	       conn_failure(&first) == conn_failure(view);
}

/* Whether both are translated to the same, but for the port that differs, or neither is. */
static bool is_translated_alike(const struct rollup_row *row, const struct conn_view *view)
{
	const struct conn_nat *a = &row->nat, *b = view->nat;

	if (!row->has_nat || !b)
		return row->has_nat == (b != NULL);
	return memcmp(a->local_ip, b->local_ip, 16) == 0 &&
	       memcmp(a->remote_ip, b->remote_ip, 16) == 0 &&
	       (row->record.direction == RECORD_DIRECTION_OUTGOING
			? a->remote_port == b->remote_port
			: a->local_port == b->local_port);
}

static bool is_alike(const struct rollup_row *row, const struct conn_view *view)
{
	const struct conn_record *a = &row->record, *b = view->record;
	const uint8_t direction = direction_of(view);

	return a->pid == b->pid && a->start_ns == b->start_ns && a->netns == b->netns &&
	       a->protocol == b->protocol && a->family == b->family && a->direction == direction &&
	       service_port(a, direction) == service_port(b, direction) &&
	       a->cgroup_id == b->cgroup_id && memcmp(a->local_ip, b->local_ip, 16) == 0 &&
	       memcmp(a->remote_ip, b->remote_ip, 16) == 0 && is_translated_alike(row, view) &&
	       ended_alike(row, view);
}

/* Adds b to a; false, and changes nothing, if a number would wrap. */
static bool totals_add(struct conn_totals *a, const struct conn_totals *b)
{
	struct conn_totals sum;

	if (__builtin_add_overflow(a->sent_bytes, b->sent_bytes, &sum.sent_bytes) ||
	    __builtin_add_overflow(a->recv_bytes, b->recv_bytes, &sum.recv_bytes) ||
	    __builtin_add_overflow(a->sent_packets, b->sent_packets, &sum.sent_packets) ||
	    __builtin_add_overflow(a->recv_packets, b->recv_packets, &sum.recv_packets) ||
	    __builtin_add_overflow(a->retransmits, b->retransmits, &sum.retransmits))
		return false;
	*a = sum;
	return true;
}

/* What totals were before delta was counted; packets wrap, as they do in records. */
static struct conn_totals totals_before(const struct conn_totals *totals,
					const struct conn_totals *delta)
{
	return (struct conn_totals){
		.sent_bytes = totals->sent_bytes - delta->sent_bytes,
		.recv_bytes = totals->recv_bytes - delta->recv_bytes,
		.sent_packets = totals->sent_packets - delta->sent_packets,
		.recv_packets = totals->recv_packets - delta->recv_packets,
		.retransmits = totals->retransmits - delta->retransmits,
	};
}

static void record_set_totals(struct conn_record *record, const struct conn_totals *totals)
{
	record->sent_bytes = totals->sent_bytes;
	record->recv_bytes = totals->recv_bytes;
	record->sent_packets = totals->sent_packets;
	record->recv_packets = totals->recv_packets;
	record->retransmits = totals->retransmits;
}

static void add_dns(struct rollup_row *row, const struct conn_view *view)
{
	if (!view->dns)
		return;
	row->has_dns = true;
	dns_conversation_add(&row->dns, view->dns);
}

static void add_times(struct rollup_row *row, const struct conn_record *record)
{
	row->srtt_us += record->srtt_us;
	row->rttvar_us += record->rttvar_us;
	row->measured += record->srtt_us != 0;
	row->handshake_us += record->handshake_us;
	row->shaken += record->handshake_us != 0;
	row->count++;
}

/* A difference of packets is one only below 2^31 (worker/conn/totals.h). */
static bool is_difference(const struct conn_totals *delta)
{
	return ((delta->sent_packets | delta->recv_packets | delta->retransmits) >> 31) == 0;
}

static bool merge(struct rollup_row *row, const struct conn_view *view)
{
	const struct conn_record *record = view->record;
	const bool has_previous = row->has_previous || view->previous;
	struct conn_totals totals = conn_totals_of(&row->record), delta = row->delta;
	const struct conn_totals more = conn_totals_of(record);
	struct conn_totals more_delta;

	conn_delta(view, &more_delta);
	if (!totals_add(&totals, &more) || !totals_add(&delta, &more_delta) ||
	    (has_previous && !is_difference(&delta)))
		return false;
	row->delta = delta;
	row->has_previous = has_previous;
	record_set_totals(&row->record, &totals);
	if (record->opened_ns < row->record.opened_ns)
		row->record.opened_ns = record->opened_ns;
	if (record->at_ns > row->record.at_ns)
		row->record.at_ns = record->at_ns;
	if (row->record.direction == RECORD_DIRECTION_OUTGOING) {
		row->record.local_port = 0;
		row->nat.local_port = 0;
	} else {
		row->record.remote_port = 0;
		row->nat.remote_port = 0;
	}
	add_dns(row, view);
	add_times(row, record);
	return true;
}

static bool add_row(struct rollup *rollup, const struct conn_view *view)
{
	struct rollup_row *row;

	if (rollup->used == rollup->limit)
		return false;
	row = &rollup->rows[rollup->used++];
	*row = (struct rollup_row){
		.record = *view->record,
		.has_previous = view->previous != NULL,
		.inferred = view->inferred,
	};
	row->record.direction = direction_of(view);
	conn_delta(view, &row->delta);
	row->has_nat = view->nat != NULL;
	if (view->nat)
		row->nat = *view->nat;
	add_dns(row, view);
	add_times(row, view->record);
	return true;
}

bool rollup_add(struct rollup *rollup, const struct conn_view *view)
{
	uint32_t slot;

	if (!is_short(view))
		return add_row(rollup, view);
	slot = home_slot(view);
	for (; rollup->slots[slot] != 0; slot = (slot + 1) & (ROLLUP_SLOTS - 1)) {
		struct rollup_row *row = &rollup->rows[rollup->slots[slot] - 1];

		if (is_alike(row, view) && merge(row, view))
			return true;
	}
	if (!add_row(rollup, view))
		return false;
	rollup->slots[slot] = (uint16_t)rollup->used;
	return true;
}

struct conn_view rollup_view(struct rollup *rollup, uint32_t number)
{
	struct rollup_row *row = &rollup->rows[number];
	const struct conn_totals totals = conn_totals_of(&row->record);

	row->previous = totals_before(&totals, &row->delta);
	if (row->measured > 0) {
		row->record.srtt_us = (uint32_t)(row->srtt_us / row->measured);
		row->record.rttvar_us = (uint32_t)(row->rttvar_us / row->measured);
	}
	if (row->shaken > 0)
		row->record.handshake_us = (uint32_t)(row->handshake_us / row->shaken);
	return (struct conn_view){
		.record = &row->record,
		.previous = row->has_previous ? &row->previous : NULL,
		.nat = row->has_nat ? &row->nat : NULL,
		.dns = row->has_dns ? &row->dns : NULL,
		.rolled_up = row->count > 1 ? row->count : 0,
		.closed = true,
		.inferred = row->inferred,
	};
}
