/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/state.h"

#include <errno.h>
#include <string.h>

#define MISSED_MAX 255

int conn_state_init(struct conn_state *state, uint32_t capacity, uint64_t interval_ns,
		    uint64_t closed, uint64_t inferred)
{
	memset(state, 0, sizeof(*state));
	state->interval_ns = interval_ns;
	state->counts.closed = closed;
	state->counts.inferred = inferred;
	state->active_at = UINT32_MAX;
	return conn_table_init(&state->table, capacity);
}

void conn_state_fini(struct conn_state *state)
{
	conn_table_fini(&state->table);
}

bool conn_state_close(struct conn_state *state, const struct conn_record *record,
		      struct conn_view *view)
{
	const uint32_t index = conn_table_find(&state->table, record->id);
	/* A connection without facts was counted as opened when it closed. */
	const uint64_t counted_ns = record->flags & RECORD_NO_FACTS ? record->at_ns
								    : record->opened_ns;

	*view = (struct conn_view){.record = record, .index = index, .closed = true};
	if (index != CONN_TABLE_NONE) {
		struct conn_meta *meta = &state->table.metas[index];

		if (meta->phase == CONN_PHASE_TOMBSTONE) {
			state->counts.late_close++;
			conn_table_remove(&state->table, index);
			return false;
		}
		if (meta->phase == CONN_PHASE_DOOMED)
			state->doomed--;
		if (meta->is_published) {
			state->previous = state->table.entries[index].published;
			view->previous = &state->previous;
		}
		conn_table_remove(&state->table, index);
	}
	state->counts.closed++;
	if (counted_ns > state->mark_ns)
		state->closed_after_mark++;
	return true;
}

void conn_state_pass_begin(struct conn_state *state, uint64_t now_ns, uint64_t opened)
{
	state->pass++;
	state->mark_ns = now_ns;
	state->opened_at_mark = opened;
	state->closed_after_mark = 0;
	state->unplaced = 0;
	state->unplaced_old = 0;
}

void conn_state_seen(struct conn_state *state, const struct conn_record *record)
{
	struct conn_table *table = &state->table;
	uint32_t index = conn_table_find(table, record->id);
	struct conn_meta *meta;

	if (index == CONN_TABLE_NONE) {
		index = conn_table_add(table, record->id);
		if (index == CONN_TABLE_NONE) {
			state->counts.table_full++;
			state->unplaced++;
			state->unplaced_old += record->opened_ns <= state->mark_ns;
			return;
		}
	}
	meta = &table->metas[index];
	/* Told as closed and yet alive: remembered until it really closes, never told again. */
	if (meta->phase == CONN_PHASE_TOMBSTONE) {
		meta->seen = state->pass;
		return;
	}
	if (meta->phase == CONN_PHASE_DOOMED) {
		meta->phase = CONN_PHASE_LIVE;
		state->doomed--;
	}
	meta->opened_ns = record->opened_ns;
	meta->seen = state->pass;
	meta->missed = 0;
	table->entries[index].record = *record;
}

/* What a complete pass means for an entry that it missed. */
static void judge_missed(struct conn_state *state, uint32_t index, uint64_t now_ns)
{
	struct conn_meta *meta = &state->table.metas[index];
	const struct conn_record *record = &state->table.entries[index].record;

	if (meta->missed < MISSED_MAX)
		meta->missed++;
	if (meta->phase == CONN_PHASE_TOMBSTONE) {
		if (now_ns - meta->opened_ns >= state->interval_ns)
			conn_table_remove(&state->table, index);
		return;
	}
	if (meta->phase != CONN_PHASE_LIVE || meta->missed < CONN_SUSPECT_PASSES ||
	    now_ns - record->at_ns < CONN_INFER_AGE_NS)
		return;
	if (meta->missed < CONN_DOOM_PASSES) {
		state->suspects++;
		return;
	}
	meta->phase = CONN_PHASE_DOOMED;
	state->doomed++;
}

void conn_state_pass_end(struct conn_state *state, uint64_t now_ns)
{
	const struct conn_table *table = &state->table;
	uint64_t live = 0, old = 0;

	state->suspects = 0;
	for (uint32_t index = 0; index < table->high; index++) {
		const struct conn_meta *meta = &table->metas[index];

		if (!meta->in_use)
			continue;
		if (meta->seen != state->pass)
			judge_missed(state, index, now_ns);
		if (meta->in_use && meta->phase == CONN_PHASE_LIVE) {
			live++;
			old += meta->opened_ns <= state->mark_ns;
		}
	}
	state->infer_at = 0;
	state->counts.live = live + state->unplaced;
	state->books = (struct conn_books){
		.mark_ns = state->mark_ns,
		.opened = state->opened_at_mark,
		.closed = state->counts.closed - state->closed_after_mark,
		.live = old + state->unplaced_old,
	};
}

bool conn_state_infer_next(struct conn_state *state, uint64_t now_ns, struct conn_view *view)
{
	while (state->doomed > 0 && state->infer_at < state->table.high) {
		const uint32_t index = state->infer_at++;
		struct conn_meta *meta = &state->table.metas[index];
		struct conn_entry *entry = &state->table.entries[index];

		if (!meta->in_use || meta->phase != CONN_PHASE_DOOMED)
			continue;
		meta->phase = CONN_PHASE_TOMBSTONE;
		state->doomed--;
		state->counts.inferred++;
		state->previous = entry->published;
		*view = (struct conn_view){
			.record = &entry->record,
			.index = index,
			.previous = meta->is_published ? &state->previous : NULL,
			.closed = true,
			.inferred = true,
		};
		meta->opened_ns = now_ns;
		return true;
	}
	return false;
}

void conn_state_active_begin(struct conn_state *state)
{
	state->active_at = 0;
}

int conn_state_active_next(struct conn_state *state, uint32_t *budget, struct conn_view *view)
{
	const struct conn_table *table = &state->table;

	while (state->active_at < table->high) {
		const uint32_t index = state->active_at;
		struct conn_meta *meta = &table->metas[index];
		struct conn_entry *entry = &table->entries[index];
		struct conn_totals totals;

		if (*budget == 0)
			return -EAGAIN;
		(*budget)--;
		state->active_at++;
		if (!meta->in_use || meta->phase != CONN_PHASE_LIVE)
			continue;
		totals = conn_totals_of(&entry->record);
		if (meta->is_published)
			totals = conn_totals_larger(&totals, &entry->published);
		state->previous = entry->published;
		*view = (struct conn_view){
			.record = &entry->record,
			.index = index,
			.previous = meta->is_published ? &state->previous : NULL,
		};
		if (meta->is_published && !conn_totals_differ(&totals, &entry->published))
			return CONN_ACTIVE_SAME;
		entry->published = totals;
		meta->is_published = true;
		return CONN_ACTIVE_CHANGED;
	}
	return CONN_ACTIVE_END;
}

size_t conn_state_live_next(const struct conn_state *state, size_t slot, struct conn_view *view)
{
	const struct conn_table *table = &state->table;

	for (size_t index = slot; index < table->high; index++) {
		const struct conn_meta *meta = &table->metas[index];
		const struct conn_entry *entry = &table->entries[index];

		if (!meta->in_use || meta->phase != CONN_PHASE_LIVE)
			continue;
		*view = (struct conn_view){
			.record = &entry->record,
			.index = (uint32_t)index,
			.previous = meta->is_published ? &entry->published : NULL,
		};
		return index + 1;
	}
	return 0;
}
