/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole session of hostile packets against handoff_check(). The input is a list of steps:
 *
 *   u8 flags (bit 0: sent by privd; bit 1: after it, the session goes to its next state)
 *   u8 descriptors, u16 length (host order), then length bytes (fewer at the input's end)
 *
 * Every verdict is compared with what the table says about the bytes, read here one by one.
 * Built with PLANTED_BUG the judge forgets one rule: the fuzzer must find that within seconds, or
 * it would not find anything else either.
 */
#include "proto/handoff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAG_TO_WORKER 1U
#define FLAG_ADVANCE 2U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct step {
	uint8_t flags;
	uint8_t fds;
	uint16_t length;
};

#define INVARIANT(condition)                                                   \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "invariant broken: %s\n", #condition); \
			abort();                                               \
		}                                                              \
	} while (0)

static int judge(struct handoff_session *session, const uint8_t *bytes, size_t length, unsigned fds,
		 enum handoff_direction direction, const struct handoff_row **row, const char **why)
{
#ifdef PLANTED_BUG
	/* A second GRANTS is let through, but only in a session that was greeted. */
	if (session->state == HANDOFF_STATE_GREETED && length == sizeof(struct handoff_empty) &&
	    bytes[0] == HANDOFF_GRANTS)
		session->seen &= ~(1U << HANDOFF_GRANTS);
#endif
	return handoff_check(session, bytes, length, fds, direction, row, why);
}

/* Whether the bytes are a message that the table allows in this session. */
static bool is_allowed(const struct handoff_session *session, const uint8_t *bytes, size_t length,
		       unsigned fds, enum handoff_direction direction)
{
	uint16_t type;
	uint16_t said;
	uint32_t padding;

	if (length < 8)
		return false;
	memcpy(&type, bytes, 2);
	memcpy(&said, bytes + 2, 2);
	memcpy(&padding, bytes + 4, 4);
	for (size_t i = 0; i < handoff_table_count; i++) {
		const struct handoff_row *row = &handoff_table[i];

		if (row->type == type)
			return row->length == length && said == length && padding == 0 &&
			       row->fds == fds && row->direction == direction &&
			       (row->states & (1U << session->state)) &&
			       !(row->once && (session->seen & (1U << type)));
	}
	return false;
}

static void take_step(struct handoff_session *session, const struct step *step,
		      const uint8_t *bytes, size_t length)
{
	enum handoff_direction direction = step->flags & FLAG_TO_WORKER ? HANDOFF_TO_WORKER
									: HANDOFF_TO_PRIVD;
	const struct handoff_session before = *session;
	const struct handoff_row *row = NULL;
	const char *why = NULL;
	int error = judge(session, bytes, length, step->fds, direction, &row, &why);

	if (is_allowed(&before, bytes, length, step->fds, direction)) {
		INVARIANT(error == 0 && row != NULL && row->length == length);
		INVARIANT(session->seen == (before.seen | (1U << row->type)));
	} else {
		INVARIANT(error == -EMSGSIZE || error == -EBADMSG || error == -ENOMSG ||
			  error == -EPROTO || error == -EBADF);
		INVARIANT(row == NULL && why != NULL);
		INVARIANT(session->seen == before.seen);
	}
	INVARIANT(session->state == before.state);
	if ((step->flags & FLAG_ADVANCE) && session->state != HANDOFF_STATE_SERVING)
		session->state++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handoff_session session = {.state = HANDOFF_STATE_NEW};
	struct step step;

	while (size >= sizeof(step)) {
		uint8_t *exact;
		size_t length;

		memcpy(&step, data, sizeof(step));
		data += sizeof(step);
		size -= sizeof(step);
		length = step.length < size ? step.length : size;
		/* A block of exactly that length, so that the sanitizer sees a read beyond it. */
		exact = malloc(length ? length : 1);
		if (!exact)
			return 0;
		memcpy(exact, data, length);
		take_step(&session, &step, exact, length);
		free(exact);
		data += length;
		size -= length;
	}
	return 0;
}
