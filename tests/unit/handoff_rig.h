/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of the worker's with a privd that is a test: it greets and grants, and a case changes one
 * thing of that. What the session logs can be counted.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_HANDOFF_RIG_H
#define SOCKWARDEN_TESTS_UNIT_HANDOFF_RIG_H

#include "common/fdpass.h"
#include "worker/handoff_client.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CPUS 2
#define PAGE 4096
#define RING_PAGES 4
#define ARRAYS 4
#define STAGE_PAGES ((sizeof(struct snapshot_stage) + PAGE - 1) / PAGE)

/* privd's side of a session: its answers are put into the socket before the client asks. */
static int privd = -1;
static struct handoff_client client;
static struct handoff_grants served; /* what serve() was granted */

static inline void open_session(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	privd = pair[0];
	cr_assert_eq(handoff_client_adopt(&client, pair[1]), 0);
	cr_assert_geq(client.fd, HANDOFF_FD_BASE);
}

static inline void close_session(void)
{
	handoff_client_close(&client);
	handoff_grants_fini(&served);
	close(privd);
}

static inline void say(const void *message, size_t length, int fd)
{
	cr_assert_eq(fdpass_send(privd, message, length, fd), 0);
}

static inline struct handoff_welcome good_welcome(void)
{
	struct handoff_welcome welcome = {
		.version = HANDOFF_VERSION,
		.possible_cpus = CPUS,
		.abi = handoff_abi(),
		.rings = CPUS,
		.hook_count = 1,
		.hooks = {{"accept", "none"}},
		.kernel = "6.1.0",
	};

	handoff_header_init(&welcome.header, HANDOFF_WELCOME);
	return welcome;
}

static inline int memory_fd(size_t bytes)
{
	int fd = memfd_create("grant", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

/* What is granted; a case changes one thing of it. */
struct offer {
	struct handoff_welcome welcome;
	struct handoff_grant arrays[ARRAYS];
	struct handoff_grant_ring rings[3];
	unsigned ring_count;
	struct handoff_grant_ring packet_rings[3];
	unsigned packet_ring_count;
	struct handoff_grant_socket packet_socket;
	unsigned packet_socket_count;
	bool no_end;
	bool no_descriptor; /* the first ring comes without one */
	unsigned conntracks;
	bool end_first;
};

static inline struct offer good_offer(void)
{
	const struct {
		enum handoff_type type;
		size_t value_bytes;
		uint32_t count;
	} arrays[ARRAYS] = {
		{HANDOFF_GRANT_BATCHES, sizeof(struct conn_batch), CPUS},
		{HANDOFF_GRANT_COUNTERS, sizeof(struct conn_counters), CPUS},
		{HANDOFF_GRANT_RESUME, handoff_resume_bytes(CPUS), 1},
		{HANDOFF_GRANT_STAGE, sizeof(struct snapshot_stage), 1},
	};
	struct offer offer = {.welcome = good_welcome(), .ring_count = CPUS};

	for (unsigned i = 0; i < ARRAYS; i++) {
		struct handoff_grant *grant = &offer.arrays[i];

		handoff_header_init(&grant->header, arrays[i].type);
		grant->value_bytes = (uint32_t)arrays[i].value_bytes;
		grant->stride_bytes = (grant->value_bytes + 7) / 8 * 8;
		grant->count = arrays[i].count;
		grant->map_bytes = i == ARRAYS - 1 ? STAGE_PAGES * PAGE : 2 * PAGE;
	}
	for (uint32_t cpu = 0; cpu < 3; cpu++) {
		handoff_header_init(&offer.rings[cpu].header, HANDOFF_GRANT_RING);
		offer.rings[cpu].cpu = cpu;
		offer.rings[cpu].data_pages = RING_PAGES;
		offer.packet_rings[cpu] = offer.rings[cpu];
		handoff_header_init(&offer.packet_rings[cpu].header, HANDOFF_GRANT_PACKET_RING);
	}
	handoff_header_init(&offer.packet_socket.header, HANDOFF_GRANT_PACKET_SOCKET);
	offer.packet_socket.block_bytes = PAGE;
	offer.packet_socket.block_count = RING_PAGES;
	return offer;
}

static inline void say_end(void)
{
	struct handoff_empty end;

	handoff_header_init(&end.header, HANDOFF_GRANTS_END);
	say(&end, sizeof(end), -1);
}

static inline void say_conntrack(int fd)
{
	struct handoff_empty grant;

	handoff_header_init(&grant.header, HANDOFF_GRANT_CONNTRACK);
	say(&grant, sizeof(grant), fd);
}

static inline void say_offer(const struct offer *offer)
{
	const int array_fd = memory_fd(STAGE_PAGES * PAGE);
	const int ring_fd = memory_fd((1 + RING_PAGES) * PAGE);

	say(&offer->welcome, sizeof(offer->welcome), -1);
	if (offer->end_first)
		say_end();
	for (unsigned i = 0; i < ARRAYS; i++)
		say(&offer->arrays[i], sizeof(offer->arrays[i]), array_fd);
	for (unsigned i = 0; i < offer->conntracks; i++)
		say_conntrack(array_fd);
	for (unsigned i = 0; i < offer->ring_count; i++)
		say(&offer->rings[i], sizeof(offer->rings[i]),
		    i == 0 && offer->no_descriptor ? -1 : ring_fd);
	for (unsigned i = 0; i < offer->packet_ring_count; i++)
		say(&offer->packet_rings[i], sizeof(offer->packet_rings[i]), ring_fd);
	for (unsigned i = 0; i < offer->packet_socket_count; i++)
		say(&offer->packet_socket, sizeof(offer->packet_socket), ring_fd);
	if (!offer->no_end)
		say_end();
	close(array_fd);
	close(ring_fd);
}

/* Says the offer and has it taken; returns the first error. */
static inline int take_offer(const struct offer *offer, struct handoff_grants *grants)
{
	struct handoff_welcome welcome;
	int result;

	say_offer(offer);
	result = handoff_client_greet(&client, &welcome);
	return result < 0 ? result : handoff_client_grants(&client, &welcome, grants);
}

/* Sends stderr into a pipe; returns its reading end. */
static inline int catch_log(int *saved)
{
	int pipe_fds[2];

	cr_assert_eq(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	*saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(pipe_fds[1], STDERR_FILENO);
	close(pipe_fds[1]);
	return pipe_fds[0];
}

static inline unsigned lines_in_log(int log, int saved)
{
	char text[4096] = "";
	unsigned lines = 0;

	dup2(saved, STDERR_FILENO);
	close(saved);
	(void)!read(log, text, sizeof(text) - 1);
	close(log);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

#endif
