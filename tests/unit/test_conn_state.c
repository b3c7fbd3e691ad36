/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"
#include "worker/conn/state.h"
#include "worker/publish/conn_terms.h"

#include <criterion/criterion.h>

#include <errno.h>

#define INTERVAL (30 * NS_PER_S)

static struct conn_state state;
static uint64_t now;

static void open_state(uint32_t capacity)
{
	now = 1000 * NS_PER_S;
	cr_assert_eq(conn_state_init(&state, capacity, INTERVAL, 0, 0), 0);
}

static struct conn_record record_make(uint64_t id, uint64_t sent)
{
	return (struct conn_record){
		.id = id, .at_ns = now, .opened_ns = now - 1, .sent_bytes = sent};
}

static bool close_connection(uint64_t id, struct conn_view *view)
{
	static struct conn_record record;

	record = record_make(id, 77);
	return conn_state_close(&state, &record, view);
}

/* A pass that sees these ids (ended by 0), seconds after the last. */
static void snapshot(uint64_t seconds, const uint64_t *ids)
{
	now += seconds * NS_PER_S;
	conn_state_pass_begin(&state, now, 0);
	for (; *ids; ids++) {
		const struct conn_record record = record_make(*ids, *ids);

		conn_state_seen(&state, &record);
	}
	conn_state_pass_end(&state, now);
}

#define SNAPSHOT(seconds, ...) snapshot(seconds, (const uint64_t[]){__VA_ARGS__, 0})

/* So many passes that see only connection 9. */
static void miss(unsigned passes)
{
	for (unsigned i = 0; i < passes; i++)
		SNAPSHOT(30, 9);
}

static unsigned inferred(void)
{
	struct conn_view view;
	unsigned count = 0;

	while (conn_state_infer_next(&state, now, &view)) {
		cr_assert(view.closed);
		cr_assert(view.inferred);
		count++;
	}
	return count;
}

static unsigned live(void)
{
	struct conn_view view;
	unsigned count = 0;

	for (size_t slot = 0; (slot = conn_state_live_next(&state, slot, &view)) != 0;)
		count++;
	return count;
}

Test(conn_state, a_connection_that_was_never_seen_closes_once)
{
	struct conn_view view;

	open_state(64);
	cr_expect(close_connection(1, &view));
	cr_expect(view.closed);
	cr_expect_not(view.inferred);
	cr_expect_null(view.previous);
	cr_expect_eq(state.counts.closed, 1);
	conn_state_fini(&state);
}

Test(conn_state, a_close_takes_a_tracked_connection_out)
{
	struct conn_view view;

	open_state(64);
	SNAPSHOT(0, 1, 2, 3);
	cr_expect_eq(live(), 3);
	cr_expect(close_connection(2, &view));
	cr_expect_null(view.previous, "it was never told");
	cr_expect_eq(live(), 2);
	SNAPSHOT(30, 1, 3);
	SNAPSHOT(30, 1, 3);
	cr_expect_eq(inferred(), 0);
	conn_state_fini(&state);
}

Test(conn_state, two_missed_passes_make_a_suspect_and_five_an_inferred_close)
{
	struct conn_view view;

	open_state(64);
	SNAPSHOT(0, 1, 2);
	SNAPSHOT(30, 1);
	cr_expect_eq(state.suspects, 0);
	for (unsigned missed = 2; missed < CONN_DOOM_PASSES; missed++) {
		SNAPSHOT(missed == 2 ? 30 : 0, 1);
		cr_expect_eq(state.suspects, 1);
		cr_expect_eq(inferred(), 0);
		cr_expect_eq(live(), 2);
	}
	SNAPSHOT(0, 1);
	cr_expect_eq(state.suspects, 0);
	cr_expect_eq(live(), 1);
	cr_assert(conn_state_infer_next(&state, now, &view));
	cr_expect_eq(view.record->id, 2);
	cr_expect_eq(view.record->at_ns, 1000 * NS_PER_S, "as it was seen last");
	cr_expect_not(conn_state_infer_next(&state, now, &view));
	cr_expect_eq(state.counts.inferred, 1);
	cr_expect_eq(state.counts.closed, 0);
	conn_state_fini(&state);
}

Test(conn_state, passes_in_quick_succession_infer_nothing)
{
	open_state(64);
	SNAPSHOT(0, 1);
	for (unsigned i = 0; i < 10; i++) {
		SNAPSHOT(0, 9);
		cr_expect_eq(state.suspects, 0);
		cr_expect_eq(inferred(), 0);
	}
	SNAPSHOT(2, 9);
	cr_expect_eq(inferred(), 1);
	conn_state_fini(&state);
}

Test(conn_state, a_suspect_that_is_seen_again_lives)
{
	open_state(64);
	SNAPSHOT(0, 1);
	miss(CONN_DOOM_PASSES - 1);
	cr_expect_eq(state.suspects, 1);
	SNAPSHOT(0, 1, 9);
	cr_expect_eq(state.suspects, 0);
	miss(CONN_DOOM_PASSES - 1);
	cr_expect_eq(inferred(), 0);
	conn_state_fini(&state);
}

Test(conn_state, an_incomplete_pass_judges_nobody)
{
	open_state(64);
	SNAPSHOT(0, 1);
	for (unsigned i = 0; i < 5; i++) {
		now += 30 * NS_PER_S;
		conn_state_pass_begin(&state, now, 0);
	}
	cr_expect_eq(live(), 1);
	SNAPSHOT(30, 9);
	cr_expect_eq(inferred(), 0);
	conn_state_fini(&state);
}

Test(conn_state, a_close_record_after_its_inference_is_late_and_not_told_again)
{
	struct conn_view view;

	open_state(64);
	SNAPSHOT(0, 1);
	miss(CONN_DOOM_PASSES);
	cr_assert_eq(inferred(), 1);
	cr_expect_not(close_connection(1, &view));
	cr_expect_eq(state.counts.late_close, 1);
	cr_expect_eq(state.counts.closed, 0);
	conn_state_fini(&state);
}

Test(conn_state, a_close_record_between_doom_and_inference_is_told_as_a_close)
{
	struct conn_view view;

	open_state(64);
	SNAPSHOT(0, 1);
	miss(CONN_DOOM_PASSES);
	cr_expect(close_connection(1, &view));
	cr_expect_not(view.inferred);
	cr_expect_eq(inferred(), 0);
	conn_state_fini(&state);
}

Test(conn_state, a_tombstone_stays_for_one_interval_and_then_gives_its_place_back)
{
	open_state(64);
	SNAPSHOT(0, 1);
	miss(CONN_DOOM_PASSES);
	cr_assert_eq(inferred(), 1);
	cr_expect_eq(state.table.used, 2);
	SNAPSHOT(29, 9);
	cr_expect_eq(state.table.used, 2);
	SNAPSHOT(1, 9);
	cr_expect_eq(state.table.used, 1);
	cr_expect_eq(inferred(), 0);
	conn_state_fini(&state);
}

Test(conn_state, a_connection_that_lives_on_after_its_inference_is_never_told_again)
{
	struct conn_view view;

	open_state(64);
	SNAPSHOT(0, 1);
	miss(CONN_DOOM_PASSES);
	cr_assert_eq(inferred(), 1);
	for (unsigned i = 0; i < 5; i++)
		SNAPSHOT(30, 1);
	cr_expect_eq(live(), 0);
	cr_expect_not(close_connection(1, &view));
	cr_expect_eq(state.counts.late_close, 1);
	conn_state_fini(&state);
}

static unsigned same; /* of the last round: with nothing new */

static unsigned actives(bool *with_previous)
{
	struct conn_view view;
	unsigned count = 0;
	uint32_t budget = 1000;

	enum conn_active found;

	same = 0;
	conn_state_active_begin(&state);
	while ((found = (enum conn_active)conn_state_active_next(&state, &budget, &view)) !=
	       CONN_ACTIVE_END) {
		cr_assert_not(view.closed);
		if (found == CONN_ACTIVE_SAME) {
			same++;
			continue;
		}
		cr_assert_eq(found, CONN_ACTIVE_CHANGED);
		*with_previous = view.previous != NULL;
		count++;
	}
	return count;
}

Test(conn_state, active_connections_are_told_at_first_and_then_when_they_change)
{
	struct conn_record record;
	struct conn_view view;
	bool previous = true;

	open_state(64);
	SNAPSHOT(0, 1, 2);
	cr_expect_eq(actives(&previous), 2);
	cr_expect_not(previous);
	cr_expect_eq(same, 0);
	cr_expect_eq(actives(&previous), 0, "nothing has changed");
	cr_expect_eq(same, 2);

	conn_state_pass_begin(&state, now, 0);
	record = record_make(1, 500);
	conn_state_seen(&state, &record);
	record = record_make(2, 2);
	conn_state_seen(&state, &record);
	conn_state_pass_end(&state, now);
	cr_expect_eq(actives(&previous), 1);
	cr_expect(previous);
	cr_expect_eq(same, 1);

	cr_expect(close_connection(1, &view));
	cr_assert_not_null(view.previous);
	cr_expect_eq(view.previous->sent_bytes, 500);
	conn_state_fini(&state);
}

static uint64_t sent_delta(const struct conn_view *view)
{
	struct conn_totals delta;

	conn_delta(view, &delta);
	return delta.sent_bytes;
}

Test(conn_state, what_a_pass_reads_as_less_than_was_told_is_not_told_twice)
{
	static const uint64_t readings[] = {100, 99, 99, 100, 150};
	uint64_t told = 0;
	struct conn_view view;

	open_state(16);
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		const struct conn_record record = record_make(1, readings[i]);
		uint32_t budget = 16;

		conn_state_pass_begin(&state, now, 1);
		conn_state_seen(&state, &record);
		conn_state_pass_end(&state, now);
		conn_state_active_begin(&state);
		while (conn_state_active_next(&state, &budget, &view) > 0)
			told += sent_delta(&view);
	}
	cr_expect_eq(told, 150);
	conn_state_fini(&state);
}

Test(conn_state, telling_active_connections_pauses_when_its_budget_is_used_up)
{
	struct conn_view view;
	uint32_t budget = 2;

	open_state(64);
	SNAPSHOT(0, 1, 2, 3);
	conn_state_active_begin(&state);
	cr_expect_eq(conn_state_active_next(&state, &budget, &view), CONN_ACTIVE_CHANGED);
	cr_expect_eq(conn_state_active_next(&state, &budget, &view), CONN_ACTIVE_CHANGED);
	cr_expect_eq(conn_state_active_next(&state, &budget, &view), -EAGAIN);
	budget = 2;
	cr_expect_eq(conn_state_active_next(&state, &budget, &view), CONN_ACTIVE_CHANGED);
	cr_expect_eq(view.record->id, 3);
	cr_expect_eq(conn_state_active_next(&state, &budget, &view), CONN_ACTIVE_END);
	conn_state_fini(&state);
}

Test(conn_state, what_finds_no_place_is_counted_and_still_counts_as_live)
{
	open_state(2);
	SNAPSHOT(0, 1, 2, 3, 4);
	cr_expect_eq(state.counts.table_full, 2);
	cr_expect_eq(state.counts.live, 4);
	cr_expect_eq(live(), 2);
	conn_state_fini(&state);
}

Test(conn_state, the_books_balance_at_the_mark_whatever_happens_during_the_pass)
{
	struct conn_record record;
	struct conn_view view;

	open_state(64);
	SNAPSHOT(0, 1, 2, 3);
	/* Three are open, a fourth has closed: the programs have counted four at the mark. */
	close_connection(4, &view);
	conn_state_pass_begin(&state, now, 4);
	for (uint64_t id = 1; id <= 3; id++) {
		record = record_make(id, 0);
		conn_state_seen(&state, &record);
	}
	/* Opened after the mark, one of them closed again, and one of the old ones closed. */
	now += NS_PER_MS;
	for (uint64_t id = 5; id <= 6; id++) {
		record = record_make(id, 0);
		record.opened_ns = now;
		conn_state_seen(&state, &record);
	}
	record = record_make(7, 0);
	record.opened_ns = now;
	cr_assert(conn_state_close(&state, &record, &view));
	record = record_make(3, 0);
	record.opened_ns = state.mark_ns - 5;
	cr_assert(conn_state_close(&state, &record, &view));
	conn_state_pass_end(&state, now);
	cr_expect_eq(state.books.opened, 4);
	cr_expect_eq(state.books.closed, 2);
	cr_expect_eq(state.books.live, 2);
	cr_expect_eq(state.counts.live, 4);
	conn_state_fini(&state);
}
