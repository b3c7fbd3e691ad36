/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "tests/unit/example_tape.h"
#include "worker/tape/reader.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>

#define EMPTY_CONFIG "{}"
/* Where the first entry behind the configuration is. */
#define FIRST_OFFSET (sizeof(struct tape_header) + sizeof(struct tape_entry_head) + 2)

static struct example_tape tape;
static struct example_output output;

static void make_tape(void)
{
	example_tape_begin(&tape, EMPTY_CONFIG);
}

static void free_tape(void)
{
	example_tape_free(&tape);
}

TestSuite(tape, .init = make_tape, .fini = free_tape);

static struct conn_record live_record(void)
{
	struct conn_record record = example_record();

	record.kind = RECORD_KIND_SNAPSHOT;
	record.tcp_state = 1;
	return record;
}

static void put_record(enum tape_type type, const struct conn_record *record)
{
	tape_put(&tape.writer, type, record, sizeof(*record));
}

static struct cgroup_record example_cgroup(void)
{
	return (struct cgroup_record){
		.kind = RECORD_KIND_CGROUP,
		.version = RECORD_VERSION,
		.id = 99,
		.path = "/system.slice/x.service",
	};
}

/* One closed connection of a control group, told at once. */
static void put_story(void)
{
	const struct conn_record closed = example_record();
	const struct cgroup_record cgroup = example_cgroup();

	tape_put_tick(&tape.writer, 2000000000, (struct clock_offsets){5, 6}, true);
	put_record(TAPE_CLOSE, &closed);
	tape_put(&tape.writer, TAPE_CGROUP, &cgroup, sizeof(cgroup));
	tape_put_time(&tape.writer, TAPE_CGROUPS_FILLED, 2000000000);
	tape_put_flush(&tape.writer, 2000000000, true);
}

Test(tape, a_replay_tells_what_the_tape_holds)
{
	put_story();
	tape_end(&tape.writer);
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	cr_expect_eq(strncmp(output.text,
			     "conn.v1 {\"schema\":\"conn.v1\",\"host\":\"host\","
			     "\"instance\":\"00112233aabbccdd\",\"seq\":1,\"ts_ns\":\"2000000005\","
			     "\"connections\":[{\"id\":\"0000000000001a2b\",\"state\":\"closed\"",
			     strlen("conn.v1 {")),
		     0);
	cr_expect_not_null(strstr(output.text, "\"ts_ns\":\"2000000005\""));
	cr_expect_not_null(strstr(output.text, "\"id\":\"0000000000001a2b\""));
	cr_expect_not_null(strstr(output.text, "\"cgroup\":\"/system.slice/x.service\""));
	cr_expect_eq(strchr(output.text, '\n'), output.text + output.bytes.length - 1);
	cr_expect_eq(output.metrics.value[METRIC_CONN_PUBLISHED], 1);
	example_output_free(&output);
}

Test(tape, gives_the_same_bytes_each_time_and_in_whatever_pieces_it_is_read)
{
	static const size_t pieces[] = {1, 2, 7, 100, 4096};
	struct example_output again;

	for (unsigned i = 0; i < 50; i++)
		put_story();
	tape_end(&tape.writer);
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		cr_assert_eq(example_tape_replay_pieces(&tape, &again, pieces[i]), 0);
		cr_expect_str_eq(again.text, output.text);
		example_output_free(&again);
	}
	example_output_free(&output);
}

Test(tape, nothing_is_written_while_nobody_listened)
{
	struct conn_record closed = example_record();

	tape_put_tick(&tape.writer, 1, (struct clock_offsets){0}, false);
	put_record(TAPE_CLOSE, &closed);
	tape_put_flush(&tape.writer, 1, true);
	closed.id++;
	tape_put_tick(&tape.writer, 2, (struct clock_offsets){0}, true);
	put_record(TAPE_CLOSE, &closed);
	tape_put_flush(&tape.writer, 2, true);
	tape_end(&tape.writer);
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	cr_expect_not_null(strstr(output.text, "\"seq\":2"));
	cr_expect_null(strstr(output.text, "\"seq\":1,"));
	example_output_free(&output);
}

Test(tape, entries_that_may_be_passed_over_are)
{
	tape_put(&tape.writer, (enum tape_type)(TAPE_OPTIONAL | 5), "later", 5);
	put_story();
	tape_put(&tape.writer, (enum tape_type)(TAPE_OPTIONAL | 6), NULL, 0);
	tape_end(&tape.writer);
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	cr_expect_gt(output.bytes.length, 0);
	example_output_free(&output);
}

static void expect_error(size_t offset, const char *error)
{
	char expected[REPLAY_ERROR_BYTES];

	snprintf(expected, sizeof(expected), "byte %zu: %s", offset, error);
	cr_expect_eq(example_tape_replay(&tape, &output), -EBADMSG, "%s", expected);
	cr_expect_str_eq(output.error, expected);
	example_output_free(&output);
}

#define HEADER(field) offsetof(struct tape_header, field)
#define END_BYTES (sizeof(struct tape_entry_head) + sizeof(struct tape_end))

Test(tape, what_is_damaged_is_told_with_its_place)
{
	static const struct {
		size_t cut; /* bytes at the end that are missing */
		size_t at;  /* of the byte that is another one, if change is not 0 */
		uint8_t change;
		size_t offset; /* that is told */
		const char *error;
	} cases[] = {
		{END_BYTES + 11, 0, 0, 0, "shorter than a recording's header"},
		{END_BYTES, 0, 0, FIRST_OFFSET, "the recording is cut: it has no end"},
		{END_BYTES - 3, 0, 0, FIRST_OFFSET, "the recording is cut within an entry"},
		{1, 0, 0, FIRST_OFFSET, "the recording is cut within an entry"},
		{0, HEADER(magic), 1, 0, "this is no recording"},
		{0, HEADER(version), 2, 0, "a version of the format that is not known here"},
		{0, HEADER(byte_order), 1, 0, "recorded on a machine of another byte order"},
		{0, HEADER(record_abi), 1, 0, "recorded by a build with other kernel records"},
		{0, HEADER(instance), 0x10, 0, "the header's names are none"},
		{0, HEADER(instance) + 20, 1, 0, "the header's names are none"},
		{0, HEADER(host) + 70, 1, 0, "the header's names are none"},
		{0, HEADER(config_digest), 1, sizeof(struct tape_header),
		 "the configuration's digest is wrong"},
		{0, FIRST_OFFSET, 1, FIRST_OFFSET, "a type of entry that is not known here"},
		{0, FIRST_OFFSET + 2, 1, FIRST_OFFSET, "an entry's padding is not zero"},
		{0, FIRST_OFFSET + 4, 1, FIRST_OFFSET, "an entry's length is not its type's"},
		{0, FIRST_OFFSET + 8, 1, FIRST_OFFSET, "the end counts another number of entries"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		example_tape_free(&tape);
		make_tape();
		tape_end(&tape.writer);
		tape.bytes.length -= cases[i].cut;
		tape.bytes.text[cases[i].at] ^= (char)cases[i].change;
		expect_error(cases[i].offset, cases[i].error);
	}
}

Test(tape, nothing_may_follow_the_end)
{
	tape_end(&tape.writer);
	example_bytes_add(&tape.bytes, "", 1);
	expect_error(FIRST_OFFSET, "something follows the end");
}

Test(tape, an_entry_that_no_worker_writes_is_told_with_its_place)
{
	static const char much[TAPE_PAYLOAD_BYTES_MAX + 1];
	const struct tape_tick tick = {.listened = 2};
	const struct tape_flush flush = {.force = 2};
	struct conn_record record = example_record();
	struct conn_record wrong = example_record();
	struct cgroup_record cgroup = example_cgroup();
	const struct {
		unsigned type;
		const void *payload;
		size_t length;
		const char *error;
	} cases[] = {
		{99, NULL, 0, "a type of entry that is not known here"},
		{TAPE_CLOSE, &record, sizeof(record) - 1, "an entry's length is not its type's"},
		{TAPE_OPTIONAL | 1, much, sizeof(much), "an entry is too long"},
		{TAPE_CLOSE, &wrong, sizeof(wrong), "no record can be this"},
		{TAPE_SEEN, &record, sizeof(record), "no record can be this"},
		{TAPE_TICK, &tick, sizeof(tick), "a tick's flag is neither 0 nor 1"},
		{TAPE_FLUSH, &flush, sizeof(flush), "a flush's flag is neither 0 nor 1"},
		{TAPE_CGROUP, &cgroup, sizeof(cgroup), "no control group can be this"},
		{TAPE_CONFIG, EMPTY_CONFIG, 2, "a second configuration"},
		{TAPE_STATE_FREE, "\0\0\0", 4, "a part of the state comes before its beginning"},
	};

	wrong.family = 5;
	cgroup.id = 0;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		example_tape_free(&tape);
		make_tape();
		tape_put(&tape.writer, (enum tape_type)cases[i].type, cases[i].payload,
			 cases[i].length);
		tape_end(&tape.writer);
		expect_error(FIRST_OFFSET, cases[i].error);
	}
}

Test(tape, no_state_may_follow_an_input)
{
	const struct tape_state state = {.seq = 1};

	tape_put(&tape.writer, TAPE_ACTIVE_STEP, NULL, 0);
	tape_put(&tape.writer, TAPE_STATE, &state, sizeof(state));
	tape_end(&tape.writer);
	expect_error(FIRST_OFFSET + sizeof(struct tape_entry_head), "state comes after an input");
}

Test(tape, a_wrong_configuration_is_told_as_a_wrong_file_is)
{
	example_tape_free(&tape);
	example_tape_begin(&tape, "{\"publish\":{\"interval_s\":0}}");
	tape_end(&tape.writer);
	cr_expect_eq(example_tape_replay(&tape, &output), -EBADMSG);
	cr_expect_not_null(strstr(output.error, "configuration:1:26: "), "%s", output.error);
	example_output_free(&output);
}

Test(tape, the_configuration_comes_first)
{
	struct tape_header header;

	/* Over the configuration's entry. */
	memcpy(&header, tape.bytes.text, sizeof(header));
	tape.bytes.length = sizeof(header);
	put_story();
	tape_end(&tape.writer);
	cr_expect_eq(example_tape_replay(&tape, &output), -EBADMSG);
	cr_expect_not_null(strstr(output.error, "the configuration does not come first"), "%s",
			   output.error);
	example_output_free(&output);
}

Test(tape, a_state_with_holes_or_doubles_is_refused)
{
	static const struct {
		uint32_t high;
		int index[2]; /* of connections; -1: none */
		int free[2];
		const char *error;
	} cases[] = {
		{2, {0, 1}, {-1, -1}, NULL},
		{2, {1, -1}, {0, -1}, NULL},
		{2, {-1, -1}, {1, 0}, NULL},
		{2, {0, -1}, {-1, -1}, "places are missing in the state"},
		{1, {0, 1}, {-1, -1}, "a connection has another one's place"},
		{2, {0, 0}, {-1, -1}, "a connection has another one's place"},
		{2, {0, -1}, {0, -1}, "a free place is not free"},
		{2, {-1, -1}, {1, 1}, "a free place is not free"},
		{2, {-1, -1}, {1, 2}, "a free place is not free"},
		{65537, {0, -1}, {-1, -1}, "no state can be this"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tape_state state = {.seq = 1, .high = cases[i].high};
		int result;

		example_tape_free(&tape);
		example_tape_begin(&tape, EMPTY_CONFIG);
		tape_put(&tape.writer, TAPE_STATE, &state, sizeof(state));
		for (unsigned k = 0; k < 2; k++) {
			struct tape_state_conn conn = {.index = (uint32_t)cases[i].index[k],
						       .record = live_record()};

			conn.record.id += k;
			if (cases[i].index[k] >= 0)
				tape_put(&tape.writer, TAPE_STATE_CONN, &conn, sizeof(conn));
		}
		for (unsigned k = 0; k < 2; k++) {
			const uint32_t index = (uint32_t)cases[i].free[k];

			if (cases[i].free[k] >= 0)
				tape_put(&tape.writer, TAPE_STATE_FREE, &index, sizeof(index));
		}
		tape_end(&tape.writer);
		result = example_tape_replay(&tape, &output);
		if (!cases[i].error) {
			cr_expect_eq(result, 0, "case %zu: %s", i, output.error);
		} else {
			cr_expect_eq(result, -EBADMSG, "case %zu", i);
			cr_expect_not_null(strstr(output.error, cases[i].error), "case %zu: %s", i,
					   output.error);
		}
		example_output_free(&output);
	}
}

Test(tape, messages_before_the_malformed_place_come_out)
{
	put_story();
	tape_put(&tape.writer, (enum tape_type)99, NULL, 0);
	cr_expect_eq(example_tape_replay(&tape, &output), -EBADMSG);
	cr_expect_eq(strncmp(output.text, "conn.v1 {", 9), 0);
	example_output_free(&output);
}
