/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/handoff.h"

#include "proto/record.h"
#include "record_abi.h" /* made by the build: RECORD_ABI */

#include <errno.h>
#include <string.h>

#define NEW (1U << HANDOFF_STATE_NEW)
#define GREETED (1U << HANDOFF_STATE_GREETED)
#define SERVING (1U << HANDOFF_STATE_SERVING)

_Static_assert(sizeof(struct handoff_header) == 8, "header");
_Static_assert(sizeof(struct handoff_hello) == 24, "hello");
_Static_assert(offsetof(struct handoff_hello, abi) == 16, "hello");
_Static_assert(sizeof(struct handoff_welcome) == 40 + 12 * 64 + 64 + 32 + 8, "welcome");
_Static_assert(sizeof(struct handoff_refused) == 8 + 96, "refused");
_Static_assert(sizeof(struct handoff_grant) == 24, "grant");
_Static_assert(sizeof(struct handoff_grant_ring) == 16, "ring");
_Static_assert(sizeof(struct handoff_grant_socket) == 16, "socket");
_Static_assert(sizeof(struct handoff_iterate) == 16, "iterate");
_Static_assert(sizeof(struct handoff_pong) == 16 + 16 * 40, "pong");
_Static_assert(sizeof(struct handoff_resume) == 32, "resume");
_Static_assert(sizeof(struct handoff_welcome) <= HANDOFF_MESSAGE_MAX, "largest message");

#define EMPTY sizeof(struct handoff_empty)
#define GRANT sizeof(struct handoff_grant)

const struct handoff_row handoff_table[] = {
	/* type, length, fds, direction, states, once, name, meaning */
	{HANDOFF_HELLO, sizeof(struct handoff_hello), 0, HANDOFF_TO_PRIVD, NEW, true, "HELLO",
	 "opens the session: protocol version and ABI hash of the worker's build"},
	{HANDOFF_WELCOME, sizeof(struct handoff_welcome), 0, HANDOFF_TO_WORKER, NEW, true,
	 "WELCOME", "accepts it: sizes to come and the hook that each feature uses"},
	{HANDOFF_REFUSED, sizeof(struct handoff_refused), 0, HANDOFF_TO_WORKER,
	 NEW | GREETED | SERVING, false, "REFUSED", "says why a request was not granted"},
	{HANDOFF_GRANTS, EMPTY, 0, HANDOFF_TO_PRIVD, GREETED, true, "GRANTS",
	 "asks for every descriptor that the worker may have"},
	{HANDOFF_GRANT_BATCHES, GRANT, 1, HANDOFF_TO_WORKER, GREETED, true, "GRANT_BATCHES",
	 "the frozen array of close batches, to be mapped for reading"},
	{HANDOFF_GRANT_COUNTERS, GRANT, 1, HANDOFF_TO_WORKER, GREETED, true, "GRANT_COUNTERS",
	 "the frozen array of the programs' counters, to be mapped for reading"},
	{HANDOFF_GRANT_RESUME, GRANT, 1, HANDOFF_TO_WORKER, GREETED, true, "GRANT_RESUME",
	 "the memory in which the worker notes how far it has read"},
	{HANDOFF_GRANT_RING, sizeof(struct handoff_grant_ring), 1, HANDOFF_TO_WORKER, GREETED,
	 false, "GRANT_RING", "one CPU's perf ring, to be mapped; one message per online CPU"},
	{HANDOFF_GRANTS_END, EMPTY, 0, HANDOFF_TO_WORKER, GREETED, true, "GRANTS_END",
	 "everything was granted; the session serves requests from here on"},
	{HANDOFF_ITERATE, sizeof(struct handoff_iterate), 0, HANDOFF_TO_PRIVD, SERVING, false,
	 "ITERATE",
	 "asks for a fresh pass over the live connections, those beyond the table, the control groups, or UDP's flows"},
	{HANDOFF_ITERATOR, sizeof(struct handoff_iterate), 1, HANDOFF_TO_WORKER, SERVING, false,
	 "ITERATOR", "a descriptor from which one pass can be read"},
	{HANDOFF_PING, EMPTY, 0, HANDOFF_TO_PRIVD, SERVING, false, "PING",
	 "asks whether privd is alive and what its programs missed"},
	{HANDOFF_PONG, sizeof(struct handoff_pong), 0, HANDOFF_TO_WORKER, SERVING, false, "PONG",
	 "each program's runs that the kernel skipped"},
	{HANDOFF_GRANT_STAGE, GRANT, 1, HANDOFF_TO_WORKER, GREETED, true, "GRANT_STAGE",
	 "the frozen array in which a snapshot's records are put, to be mapped for reading"},
	{HANDOFF_GRANT_CONNTRACK, EMPTY, 1, HANDOFF_TO_WORKER, GREETED, true, "GRANT_CONNTRACK",
	 "a netlink socket with the kernel's events of address translation, to be received from"},
	{HANDOFF_GRANT_UDP_SETTINGS, GRANT, 1, HANDOFF_TO_WORKER, GREETED, true,
	 "GRANT_UDP_SETTINGS",
	 "the array in which the worker says how long a UDP flow may be silent"},
	{HANDOFF_GRANT_PACKET_RING, sizeof(struct handoff_grant_ring), 1, HANDOFF_TO_WORKER,
	 GREETED, false, "GRANT_PACKET_RING",
	 "one CPU's perf ring of captured DNS packets, to be mapped; one message per online CPU"},
	{HANDOFF_GRANT_PACKET_SOCKET, sizeof(struct handoff_grant_socket), 1, HANDOFF_TO_WORKER,
	 GREETED, true, "GRANT_PACKET_SOCKET",
	 "the packet socket whose classic filter captures DNS, its ring to be mapped"},
};

const size_t handoff_table_count = sizeof(handoff_table) / sizeof(handoff_table[0]);

uint64_t handoff_abi(void)
{
	return RECORD_ABI;
}

const struct handoff_row *handoff_row(unsigned type)
{
	for (size_t i = 0; i < handoff_table_count; i++) {
		if (handoff_table[i].type == type)
			return &handoff_table[i];
	}
	return NULL;
}

const char *handoff_name(unsigned type)
{
	const struct handoff_row *row = handoff_row(type);

	return row ? row->name : "unknown";
}

static int refuse(const char **why, const char *text, int error)
{
	*why = text;
	return error;
}

int handoff_check(struct handoff_session *session, const void *bytes, size_t length, unsigned fds,
		  enum handoff_direction direction, const struct handoff_row **row,
		  const char **why)
{
	const struct handoff_row *found;
	struct handoff_header header;

	if (length < sizeof(header))
		return refuse(why, "shorter than a header", -EMSGSIZE);
	memcpy(&header, bytes, sizeof(header));
	found = handoff_row(header.type);
	if (!found)
		return refuse(why, "no such type", -ENOMSG);
	if (length != found->length)
		return refuse(why, "not the length of its type", -EMSGSIZE);
	if (header.length != found->length || header.pad0 != 0)
		return refuse(why, "malformed header", -EBADMSG);
	if (found->direction != direction)
		return refuse(why, "not this side's to send", -EPROTO);
	if (!(found->states & (1U << session->state)))
		return refuse(why, "not in this state", -EPROTO);
	if (found->once && (session->seen & (1U << found->type)))
		return refuse(why, "said before", -EPROTO);
	if (fds != found->fds)
		return refuse(why, "wrong number of descriptors", -EBADF);
	session->seen |= 1U << found->type;
	*row = found;
	return 0;
}

void handoff_header_init(struct handoff_header *header, enum handoff_type type)
{
	const struct handoff_row *row = handoff_row(type);

	header->type = (uint16_t)type;
	header->length = row ? row->length : 0;
	header->pad0 = 0;
}

size_t handoff_resume_bytes(unsigned possible_cpus)
{
	return sizeof(struct handoff_resume) + (size_t)possible_cpus * sizeof(uint64_t);
}
