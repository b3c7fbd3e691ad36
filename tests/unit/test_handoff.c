/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/handoff.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

static const enum handoff_direction directions[] = {HANDOFF_TO_PRIVD, HANDOFF_TO_WORKER};
static const enum handoff_state states[] = {
	HANDOFF_STATE_NEW,
	HANDOFF_STATE_GREETED,
	HANDOFF_STATE_SERVING,
};
/* No header, parts of one, every length of the table, one beside each, and the limits. */
static const size_t lengths[] = {
	0,   1,	  7,   8,   9,	 15,  16,  17,	23,  24,   25,
	103, 104, 105, 655, 656, 657, 903, 912, 905, 1024, 1025,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A message of one type and length whose header is right; room for the longest in lengths. */
struct message {
	union {
		struct handoff_header header;
		unsigned char bytes[HANDOFF_MESSAGE_MAX + 1];
	};
};

static void message_init(struct message *message, unsigned type, size_t length)
{
	memset(message, 0, sizeof(*message));
	message->header.type = (uint16_t)type;
	message->header.length = (uint16_t)length;
}

/* The same question as handoff_check()'s, asked of the table row by row. */
static const struct handoff_row *expected_row(unsigned type, size_t length, unsigned fds,
					      enum handoff_direction direction,
					      enum handoff_state state)
{
	for (size_t i = 0; i < handoff_table_count; i++) {
		const struct handoff_row *row = &handoff_table[i];

		if (row->type == type && row->length == length && row->fds == fds &&
		    row->direction == direction && ((row->states >> state) & 1))
			return row;
	}
	return NULL;
}

static int check(struct handoff_session *session, const struct message *message, size_t length,
		 unsigned fds, enum handoff_direction direction)
{
	const struct handoff_row *row = NULL;
	const char *why = NULL;

	return handoff_check(session, message->bytes, length, fds, direction, &row, &why);
}

/* Judges one message in a new session of that state and compares all that may change. */
static bool judged_right(const struct message *message, unsigned type, size_t length, unsigned fds,
			 enum handoff_direction direction, enum handoff_state state)
{
	static const struct handoff_row sentinel;
	const struct handoff_row *expected = expected_row(type, length, fds, direction, state);
	struct handoff_session session = {.state = state};
	const struct handoff_row *row = &sentinel;
	const char *why = NULL;
	int error;

	error = handoff_check(&session, message->bytes, length, fds, direction, &row, &why);
	if (expected)
		return error == 0 && row == expected && session.seen == 1U << type &&
		       session.state == state;
	return error < 0 && row == &sentinel && why && why[0] && session.seen == 0 &&
	       session.state == state;
}

static bool type_judged_right(unsigned type)
{
	struct message message;
	bool right = true;

	for (size_t l = 0; l < COUNT(lengths); l++) {
		message_init(&message, type, lengths[l]);
		for (size_t s = 0; s < COUNT(states); s++) {
			for (unsigned fds = 0; fds <= 2; fds++) {
				right = right &&
					judged_right(&message, type, lengths[l], fds, directions[0],
						     states[s]) &&
					judged_right(&message, type, lengths[l], fds, directions[1],
						     states[s]);
			}
		}
	}
	return right;
}

Test(handoff, accepts_exactly_the_rows_of_the_table)
{
	for (unsigned type = 0; type <= UINT16_MAX; type++)
		cr_assert(type_judged_right(type), "type %u was judged wrong", type);
}

Test(handoff, has_the_tested_length_of_every_row)
{
	for (size_t i = 0; i < handoff_table_count; i++) {
		bool tested = false;

		for (size_t l = 0; l < COUNT(lengths); l++)
			tested = tested || lengths[l] == handoff_table[i].length;
		cr_assert(tested, "add %u to lengths", handoff_table[i].length);
	}
}

Test(handoff, accepts_a_once_message_once_and_others_again)
{
	for (size_t i = 0; i < handoff_table_count; i++) {
		const struct handoff_row *row = &handoff_table[i];
		enum handoff_direction direction = (enum handoff_direction)row->direction;
		struct handoff_session session = {.state = HANDOFF_STATE_NEW};
		struct handoff_session before;
		struct message message;

		while (!((row->states >> session.state) & 1))
			session.state++;
		message_init(&message, row->type, row->length);
		cr_assert_eq(check(&session, &message, row->length, row->fds, direction), 0);
		before = session;
		cr_assert_eq(check(&session, &message, row->length, row->fds, direction),
			     row->once ? -EPROTO : 0, "%s a second time", row->name);
		cr_assert_eq(session.seen, before.seen);
		cr_assert_eq(session.state, before.state);
	}
}

Test(handoff, refuses_a_header_that_contradicts_the_packet)
{
	for (size_t i = 0; i < handoff_table_count; i++) {
		const struct handoff_row *row = &handoff_table[i];
		enum handoff_direction direction = (enum handoff_direction)row->direction;
		struct handoff_session session = {.state = HANDOFF_STATE_NEW};
		struct message message;

		while (!((row->states >> session.state) & 1))
			session.state++;
		message_init(&message, row->type, row->length);
		message.header.length++;
		cr_assert_eq(check(&session, &message, row->length, row->fds, direction), -EBADMSG);
		message_init(&message, row->type, row->length);
		message.header.pad0 = 1U << 31;
		cr_assert_eq(check(&session, &message, row->length, row->fds, direction), -EBADMSG);
		cr_assert_eq(session.seen, 0);
	}
}

Test(handoff, names_the_reason_of_a_refusal_by_its_errno)
{
	struct handoff_session session = {.state = HANDOFF_STATE_NEW};
	struct message message;

	message_init(&message, HANDOFF_HELLO, sizeof(struct handoff_hello));
	cr_assert_eq(check(&session, &message, 7, 0, HANDOFF_TO_PRIVD), -EMSGSIZE);
	cr_assert_eq(check(&session, &message, 25, 0, HANDOFF_TO_PRIVD), -EMSGSIZE);
	cr_assert_eq(check(&session, &message, 24, 0, HANDOFF_TO_WORKER), -EPROTO);
	cr_assert_eq(check(&session, &message, 24, 1, HANDOFF_TO_PRIVD), -EBADF);
	message_init(&message, HANDOFF_PING, sizeof(struct handoff_empty));
	cr_assert_eq(check(&session, &message, 8, 0, HANDOFF_TO_PRIVD), -EPROTO);
	message_init(&message, 31, sizeof(struct handoff_empty));
	cr_assert_eq(check(&session, &message, 8, 0, HANDOFF_TO_PRIVD), -ENOMSG);
}

Test(handoff, reads_a_message_at_any_alignment)
{
	unsigned char room[sizeof(struct handoff_hello) + 8];

	for (size_t shift = 0; shift < 8; shift++) {
		struct handoff_session session = {.state = HANDOFF_STATE_NEW};
		struct handoff_hello hello = {.version = HANDOFF_VERSION};
		const struct handoff_row *row = NULL;
		const char *why = NULL;

		handoff_header_init(&hello.header, HANDOFF_HELLO);
		memcpy(room + shift, &hello, sizeof(hello));
		cr_assert_eq(handoff_check(&session, room + shift, sizeof(hello), 0,
					   HANDOFF_TO_PRIVD, &row, &why),
			     0);
	}
}

Test(handoff, lets_the_worker_send_no_descriptor)
{
	for (size_t i = 0; i < handoff_table_count; i++) {
		if (handoff_table[i].direction == HANDOFF_TO_PRIVD)
			cr_assert_eq(handoff_table[i].fds, 0, "%s", handoff_table[i].name);
	}
}

Test(handoff, has_one_sound_row_for_each_type)
{
	for (size_t i = 0; i < handoff_table_count; i++) {
		const struct handoff_row *row = &handoff_table[i];
		const unsigned type = row->type;
		struct handoff_header header;

		cr_assert_eq(handoff_row(type), row, "type %u is there twice", type);
		cr_assert_lt(row->type, 32, "the session remembers types as bits of a word");
		cr_assert_geq(row->length, sizeof(struct handoff_header));
		cr_assert_leq(row->length, HANDOFF_MESSAGE_MAX);
		cr_assert_leq(row->fds, 1);
		cr_assert_neq(row->states, 0);
		cr_assert_eq(row->states & ~7U, 0);
		cr_assert_str_eq(handoff_name(type), row->name);
		handoff_header_init(&header, (enum handoff_type)type);
		cr_assert_eq(header.type, type);
		cr_assert_eq(header.length, row->length);
		cr_assert_eq(header.pad0, 0);
	}
	cr_assert_null(handoff_row(0));
	cr_assert_null(handoff_row(31));
	cr_assert_str_eq(handoff_name(0), "unknown");
}

Test(handoff, has_an_abi_and_a_resume_size_that_grows_with_the_processors)
{
	cr_assert_neq(handoff_abi(), 0);
	cr_assert_eq(handoff_resume_bytes(0), sizeof(struct handoff_resume));
	cr_assert_eq(handoff_resume_bytes(1024), 32 + 1024 * 8);
}
