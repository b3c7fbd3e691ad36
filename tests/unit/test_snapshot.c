/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"
#include "proto/record.h"
#include "worker/intake/cgroups.h"
#include "worker/intake/snapshot.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct snapshot snapshot;

/* Gives the reader bytes in pieces of this size; returns how many whole records it found. */
static unsigned read_in_pieces(size_t total, size_t piece, int *result)
{
	struct conn_record records[4];
	const struct conn_record *record;
	size_t written = 0;
	unsigned count = 0;
	int pipe_fds[2];

	memset(records, 0, sizeof(records));
	for (uint64_t i = 0; i < 4; i++)
		records[i].id = i;
	cr_assert_eq(pipe(pipe_fds), 0);
	snapshot_begin(&snapshot, pipe_fds[0], sizeof(struct conn_record));
	for (;;) {
		const size_t now = total - written < piece ? total - written : piece;

		if (now > 0)
			cr_assert_eq(write(pipe_fds[1], (uint8_t *)records + written, now),
				     (ssize_t)now);
		else
			close(pipe_fds[1]);
		written += now;
		*result = snapshot_read(&snapshot);
		if (*result <= 0)
			break;
		while ((record = snapshot_next(&snapshot))) {
			cr_assert_eq((uintptr_t)record % 8, 0);
			cr_assert_eq(record->id, count);
			count++;
		}
	}
	close(pipe_fds[0]);
	return count;
}

Test(snapshot, records_are_whole_whatever_the_size_of_the_reads)
{
	for (size_t piece = 1; piece <= 4 * sizeof(struct conn_record); piece++) {
		int result;

		cr_assert_eq(read_in_pieces(4 * sizeof(struct conn_record), piece, &result), 4);
		cr_assert_eq(result, 0);
	}
}

Test(snapshot, a_pass_that_ends_within_a_record_is_an_error)
{
	int result;

	cr_expect_eq(read_in_pieces(2 * sizeof(struct conn_record) + 1, 64, &result), 2);
	cr_expect_eq(result, -EBADMSG);
}

Test(snapshot, an_empty_pass_is_no_error)
{
	int result;

	cr_expect_eq(read_in_pieces(0, 64, &result), 0);
	cr_expect_eq(result, 0);
}

Test(snapshot, a_read_that_fails_is_passed_on)
{
	snapshot_begin(&snapshot, -1, sizeof(struct conn_record));
	cr_expect_eq(snapshot_read(&snapshot), -EBADF);
}

static struct snapshot_stage stage;

/* A pipe that says EAGAIN while it is open, as an iterator does whose stage is full. */
static int staged_pipe(int pipe_fds[2])
{
	cr_assert_eq(pipe2(pipe_fds, O_NONBLOCK), 0);
	return pipe_fds[0];
}

static unsigned count_piece(uint64_t first_id)
{
	const struct conn_record *record;
	unsigned count = 0;

	while ((record = snapshot_next(&snapshot)))
		cr_assert_eq(record->id, first_id + count++);
	return count;
}

Test(snapshot, a_staged_pass_gives_each_full_stage_and_then_the_rest)
{
	int pipe_fds[2];

	snapshot_begin_staged(&snapshot, staged_pipe(pipe_fds), &stage);
	for (uint64_t piece = 0; piece < 3; piece++) {
		stage.count = RECORD_STAGE_CAPACITY;
		stage.handed_out = 1;
		for (uint64_t i = 0; i < stage.count; i++)
			stage.records[i].id = piece * 10000 + i;
		cr_assert_eq(snapshot_read(&snapshot), 1);
		cr_assert_eq(count_piece(piece * 10000), RECORD_STAGE_CAPACITY);
	}
	close(pipe_fds[1]);
	stage.count = 5;
	stage.handed_out = 0;
	cr_assert_eq(snapshot_read(&snapshot), 1);
	cr_expect_eq(count_piece(stage.records[0].id), 5);
	cr_expect_eq(snapshot_read(&snapshot), 0);
	close(pipe_fds[0]);
}

Test(snapshot, an_iterator_that_only_asks_to_be_read_again_repeats_no_record)
{
	int pipe_fds[2];

	stage.count = 7; /* still filling */
	stage.handed_out = 0;
	snapshot_begin_staged(&snapshot, staged_pipe(pipe_fds), &stage);
	cr_expect_eq(snapshot_read(&snapshot), -EAGAIN);
	cr_expect_null(snapshot_next(&snapshot));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

Test(snapshot, a_stage_that_cannot_be_is_an_error)
{
	int pipe_fds[2];

	stage.count = RECORD_STAGE_CAPACITY + 1;
	stage.handed_out = 1;
	snapshot_begin_staged(&snapshot, staged_pipe(pipe_fds), &stage);
	cr_expect_eq(snapshot_read(&snapshot), -EBADMSG);
	cr_expect_eq(write(pipe_fds[1], "x", 1), 1);
	cr_expect_eq(snapshot_read(&snapshot), -EBADMSG, "bytes where none are written");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static struct cgroups cgroups;

static struct cgroup_record group(uint64_t id)
{
	struct cgroup_record record = {
		.kind = RECORD_KIND_CGROUP,
		.version = RECORD_VERSION,
		.id = id,
	};

	snprintf(record.path, sizeof(record.path), "/group-%lu", (unsigned long)id);
	return record;
}

Test(cgroups, paths_are_found_by_id_and_replaced_by_newer_ones)
{
	struct cgroup_record record = group(7);

	cr_expect_null(cgroups_find(&cgroups, 7));
	cr_expect(cgroups_put(&cgroups, &record));
	cr_expect_str_eq(cgroups_find(&cgroups, 7)->path, "/group-7");
	strcpy(record.path, "/renamed");
	cr_expect(cgroups_put(&cgroups, &record));
	cr_expect_str_eq(cgroups_find(&cgroups, 7)->path, "/renamed");
	cr_expect_null(cgroups_find(&cgroups, 0), "0 is no group");
}

Test(cgroups, malformed_records_are_refused)
{
	struct cgroup_record record = group(0);

	cr_expect_not(cgroups_put(&cgroups, &record), "id 0");
	record = group(1);
	record.kind = RECORD_KIND_CLOSE;
	cr_expect_not(cgroups_put(&cgroups, &record), "kind");
	record = group(1);
	record.version++;
	cr_expect_not(cgroups_put(&cgroups, &record), "version");
	record = group(1);
	record.pad1 = 1;
	cr_expect_not(cgroups_put(&cgroups, &record), "padding");
	record = group(1);
	memset(record.path, 'a', sizeof(record.path));
	cr_expect_not(cgroups_put(&cgroups, &record), "no end");
}

Test(cgroups, more_groups_than_places_push_out_the_oldest_of_their_set)
{
	unsigned found = 0;

	for (uint64_t id = 1; id <= 20000; id++) {
		const struct cgroup_record record = group(id);
		const struct cgroups_entry *entry;

		cr_assert(cgroups_put(&cgroups, &record));
		entry = cgroups_find(&cgroups, id);
		cr_assert_not_null(entry);
		cr_assert_str_eq(entry->path, record.path);
	}
	for (uint64_t id = 1; id <= 20000; id++)
		found += cgroups_find(&cgroups, id) != NULL;
	cr_expect_leq(found, CGROUPS_SETS * CGROUPS_WAYS);
	cr_expect_geq(found, CGROUPS_SETS * CGROUPS_WAYS * 9 / 10);
}

/* Misses a group and fills the cache, with what is asked for or without; false if that is not due. */
static bool miss(uint64_t id, uint64_t now_ns, bool is_there)
{
	const struct cgroup_record record = group(id);

	cr_assert_null(cgroups_find(&cgroups, id));
	if (!cgroups_is_due(&cgroups, now_ns))
		return false;
	if (is_there)
		cr_assert(cgroups_put(&cgroups, &record));
	cr_assert_eq(cgroups_find(&cgroups, id) != NULL, is_there);
	cgroups_filled(&cgroups, now_ns);
	return true;
}

Test(cgroups, groups_that_come_one_right_after_the_other_are_each_asked_for)
{
	const uint64_t start = 5 * NS_PER_S;
	uint64_t id = 1;

	while (miss(id, start, true))
		id++;
	cr_expect_eq(id - 1, CGROUPS_CREDIT_MAX);
	cr_expect_not(cgroups_is_due(&cgroups, start + 99 * NS_PER_MS));
	cr_expect(cgroups_is_due(&cgroups, start + 100 * NS_PER_MS));
}

Test(cgroups, a_group_that_is_not_to_be_had_is_asked_for_every_100_ms_at_most)
{
	const uint64_t start = 5 * NS_PER_S;
	unsigned asked = 0;

	for (uint64_t ms = 0; ms < 10000; ms++)
		asked += miss(99, start + ms * NS_PER_MS, false);
	cr_expect_eq(asked, 100);
}

Test(cgroups, however_many_come_they_are_not_asked_for_more_often_over_the_time)
{
	const uint64_t start = 5 * NS_PER_S;
	unsigned asked = 0;

	for (uint64_t ms = 0; ms < 10000; ms++)
		asked += miss(1000 + ms, start + ms * NS_PER_MS, true);
	cr_expect_geq(asked, 100);
	cr_expect_leq(asked, 100 + CGROUPS_CREDIT_MAX);
}
