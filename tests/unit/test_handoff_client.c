/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fdpass.h"
#include "worker/handoff_client.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

static void open_session(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	privd = pair[0];
	cr_assert_eq(handoff_client_adopt(&client, pair[1]), 0);
	cr_assert_geq(client.fd, HANDOFF_FD_BASE);
}

static void close_session(void)
{
	handoff_client_close(&client);
	handoff_grants_fini(&served);
	close(privd);
}

static void say(const void *message, size_t length, int fd)
{
	cr_assert_eq(fdpass_send(privd, message, length, fd), 0);
}

static struct handoff_welcome good_welcome(void)
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

static int memory_fd(size_t bytes)
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
	bool no_end;
	bool no_descriptor; /* the first ring comes without one */
	unsigned conntracks;
	bool end_first;
};

static struct offer good_offer(void)
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
	}
	return offer;
}

static void say_end(void)
{
	struct handoff_empty end;

	handoff_header_init(&end.header, HANDOFF_GRANTS_END);
	say(&end, sizeof(end), -1);
}

static void say_conntrack(int fd)
{
	struct handoff_empty grant;

	handoff_header_init(&grant.header, HANDOFF_GRANT_CONNTRACK);
	say(&grant, sizeof(grant), fd);
}

static void say_offer(const struct offer *offer)
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
	if (!offer->no_end)
		say_end();
	close(array_fd);
	close(ring_fd);
}

/* Says the offer and has it taken; returns the first error. */
static int take_offer(const struct offer *offer, struct handoff_grants *grants)
{
	struct handoff_welcome welcome;
	int result;

	say_offer(offer);
	result = handoff_client_greet(&client, &welcome);
	return result < 0 ? result : handoff_client_grants(&client, &welcome, grants);
}

TestSuite(handoff_client, .init = open_session, .fini = close_session);

Test(handoff_client, takes_what_was_promised_and_maps_it)
{
	struct offer offer = good_offer();
	struct handoff_grants grants;

	cr_assert_eq(take_offer(&offer, &grants), 0);
	cr_expect_eq(grants.possible_cpus, CPUS);
	cr_expect_eq(grants.ring_count, CPUS);
	cr_expect_eq(grants.rings[1].cpu, 1);
	cr_expect_eq(grants.rings[0].data_bytes, RING_PAGES * PAGE);
	cr_expect_geq(grants.rings[0].fd, HANDOFF_FD_RINGS);
	cr_expect_eq(grants.conntrack_fd, -1);
	cr_expect_eq(((struct conn_batch *)grants.batches.memory)->len, 0);
	((struct handoff_resume *)grants.resume.memory)->closed = 1;
	cr_expect_eq(client.session.state, HANDOFF_STATE_SERVING);
	handoff_grants_fini(&grants);
}

Test(handoff_client, places_the_netlink_socket_at_the_number_of_the_sandbox)
{
	struct offer offer = good_offer();
	struct handoff_grants grants;

	offer.welcome.conntracks = offer.conntracks = 1;
	cr_assert_eq(take_offer(&offer, &grants), 0);
	cr_expect_eq(grants.conntrack_fd, HANDOFF_FD_CONNTRACK);
	cr_expect_eq(fcntl(HANDOFF_FD_CONNTRACK, F_GETFD), FD_CLOEXEC);
	handoff_grants_fini(&grants);
	cr_expect_eq(fcntl(HANDOFF_FD_CONNTRACK, F_GETFD), -1);
	cr_expect_eq(grants.conntrack_fd, -1);
}

Test(handoff_client, takes_no_netlink_socket_where_its_number_is_taken)
{
	const int other = memory_fd(1);
	struct offer offer = good_offer();
	struct handoff_grants grants;

	cr_assert_eq(dup3(other, HANDOFF_FD_CONNTRACK, O_CLOEXEC), HANDOFF_FD_CONNTRACK);
	close(other);
	offer.welcome.conntracks = offer.conntracks = 1;
	cr_expect_eq(take_offer(&offer, &grants), -EBUSY);
	close(HANDOFF_FD_CONNTRACK);
}

Test(handoff_client, says_hello_with_version_and_abi_and_nothing_else)
{
	const struct handoff_welcome welcome = good_welcome();
	struct handoff_welcome got;
	struct handoff_hello hello;
	unsigned fds;

	say(&welcome, sizeof(welcome), -1);
	cr_assert_eq(handoff_client_greet(&client, &got), 0);
	cr_expect_eq(fdpass_receive(privd, &hello, sizeof(hello), NULL, &fds), sizeof(hello));
	cr_expect_eq(fds, 0);
	cr_expect_eq(hello.header.type, HANDOFF_HELLO);
	cr_expect_eq(hello.version, HANDOFF_VERSION);
	cr_expect_eq(hello.abi, handoff_abi());
}

/* One wrong thing in what privd says. */
static void other_version(struct offer *o)
{
	o->welcome.version++;
}
static void other_abi(struct offer *o)
{
	o->welcome.abi ^= 1;
}
static void no_cpus(struct offer *o)
{
	o->welcome.possible_cpus = 0;
}
static void many_cpus(struct offer *o)
{
	o->welcome.possible_cpus = RECORD_CPUS_MAX + 1;
}
static void no_rings(struct offer *o)
{
	o->welcome.rings = 0;
}
static void rings_beyond_cpus(struct offer *o)
{
	o->welcome.rings = CPUS + 1;
}
static void many_hooks(struct offer *o)
{
	o->welcome.hook_count = HANDOFF_HOOKS_MAX + 1;
}
static void endless_kernel(struct offer *o)
{
	memset(o->welcome.kernel, 'k', HANDOFF_KERNEL_BYTES);
}
static void endless_hook(struct offer *o)
{
	memset(o->welcome.hooks[0].hook, 'h', HANDOFF_HOOK_NAME_BYTES);
}
static void wrong_header(struct offer *o)
{
	o->welcome.header.length--;
}
static void padded_header(struct offer *o)
{
	o->welcome.header.pad0 = 1;
}
static void unknown_type(struct offer *o)
{
	o->welcome.header.type = 99;
}
static void wrong_direction(struct offer *o)
{
	handoff_header_init(&o->arrays[0].header, HANDOFF_PING);
	o->arrays[0].header.length = sizeof(o->arrays[0]);
}
static void other_value(struct offer *o)
{
	o->arrays[0].value_bytes -= 8;
}
static void other_count(struct offer *o)
{
	o->arrays[1].count = CPUS + 1;
}
static void small_stride(struct offer *o)
{
	o->arrays[0].stride_bytes = 16;
}
static void odd_stride(struct offer *o)
{
	o->arrays[0].stride_bytes += 4;
}
static void huge_stride(struct offer *o)
{
	o->arrays[0].stride_bytes = UINT32_MAX - 7;
}
static void small_map(struct offer *o)
{
	o->arrays[0].map_bytes = PAGE;
}
static void no_map(struct offer *o)
{
	o->arrays[2].map_bytes = 0;
}
static void array_twice(struct offer *o)
{
	o->arrays[1] = o->arrays[0];
}
static void odd_pages(struct offer *o)
{
	o->rings[0].data_pages = 3;
}
static void no_pages(struct offer *o)
{
	o->rings[1].data_pages = 0;
}
static void many_pages(struct offer *o)
{
	o->rings[1].data_pages = 1U << 31;
}
static void cpu_out_of_range(struct offer *o)
{
	o->rings[0].cpu = CPUS;
}
static void cpu_twice(struct offer *o)
{
	o->rings[1].cpu = 0;
}
static void ring_missing(struct offer *o)
{
	o->ring_count = 1;
}
static void ring_too_many(struct offer *o)
{
	o->ring_count = 3;
}
static void no_descriptor(struct offer *o)
{
	o->no_descriptor = true;
}
static void end_first(struct offer *o)
{
	o->end_first = true;
}

static void many_conntracks(struct offer *o)
{
	o->welcome.conntracks = 2;
}
static void conntrack_missing(struct offer *o)
{
	o->welcome.conntracks = 1;
}
static void conntrack_not_promised(struct offer *o)
{
	o->conntracks = 1;
}
static void conntrack_twice(struct offer *o)
{
	o->welcome.conntracks = 1;
	o->conntracks = 2;
}

#define CASE(function)              \
	{                           \
#function, function \
	}

static const struct {
	const char *name;
	void (*change)(struct offer *offer);
} wrong_offers[] = {
	CASE(other_version),
	CASE(other_abi),
	CASE(no_cpus),
	CASE(many_cpus),
	CASE(no_rings),
	CASE(many_hooks),
	CASE(rings_beyond_cpus),
	CASE(endless_kernel),
	CASE(endless_hook),
	CASE(wrong_header),
	CASE(padded_header),
	CASE(unknown_type),
	CASE(wrong_direction),
	CASE(other_value),
	CASE(other_count),
	CASE(small_stride),
	CASE(odd_stride),
	CASE(huge_stride),
	CASE(small_map),
	CASE(no_map),
	CASE(array_twice),
	CASE(odd_pages),
	CASE(no_pages),
	CASE(many_pages),
	CASE(cpu_out_of_range),
	CASE(cpu_twice),
	CASE(ring_missing),
	CASE(ring_too_many),
	CASE(no_descriptor),
	CASE(end_first),
	CASE(many_conntracks),
	CASE(conntrack_missing),
	CASE(conntrack_not_promised),
	CASE(conntrack_twice),
};

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Sends stderr into a pipe; returns its reading end. */
static int catch_log(int *saved)
{
	int pipe_fds[2];

	cr_assert_eq(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	*saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(pipe_fds[1], STDERR_FILENO);
	close(pipe_fds[1]);
	return pipe_fds[0];
}

static unsigned lines_in_log(int log, int saved)
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

Test(handoff_client, whatever_is_wrong_ends_the_session_with_one_line)
{
	close_session();
	for (size_t i = 0; i < sizeof(wrong_offers) / sizeof(wrong_offers[0]); i++) {
		const unsigned before = open_descriptors();
		struct offer offer = good_offer();
		struct handoff_grants grants;
		int result, log, saved;

		open_session();
		wrong_offers[i].change(&offer);
		log = catch_log(&saved);
		result = take_offer(&offer, &grants);
		cr_expect_eq(lines_in_log(log, saved), 1, "%s", wrong_offers[i].name);
		cr_expect_eq(result, -EPROTO, "%s: %s", wrong_offers[i].name, strerror(-result));
		cr_expect_lt(client.fd, 0, "%s", wrong_offers[i].name);
		close_session();
		cr_expect_eq(open_descriptors(), before, "%s leaks", wrong_offers[i].name);
	}
	open_session();
}

Test(handoff_client, a_refusal_is_told_apart_from_a_fault)
{
	struct handoff_refused refused = {.reason = "another worker is served"};
	struct handoff_welcome welcome;

	handoff_header_init(&refused.header, HANDOFF_REFUSED);
	say(&refused, sizeof(refused), -1);
	cr_expect_eq(handoff_client_greet(&client, &welcome), -EACCES);
	cr_expect_str_eq(client.refusal, "another worker is served");
}

Test(handoff_client, a_refusal_is_read_whenever_the_socket_is_closed_after_it)
{
	struct handoff_refused refused = {.reason = "another worker is connected"};
	struct handoff_welcome welcome;

	handoff_header_init(&refused.header, HANDOFF_REFUSED);
	say(&refused, sizeof(refused), -1);
	close(privd);
	privd = -1;
	cr_expect_eq(handoff_client_greet(&client, &welcome), -EACCES);
	cr_expect_str_eq(client.refusal, "another worker is connected");
}

Test(handoff_client, a_privd_that_goes_away_is_noticed_at_once)
{
	struct handoff_welcome welcome;
	int saved, log = catch_log(&saved);

	close(privd);
	privd = -1;
	cr_expect_eq(handoff_client_greet(&client, &welcome), -EPIPE);
	cr_expect_eq(lines_in_log(log, saved), 1);
	cr_expect_eq(handoff_client_greet(&client, &welcome), -EPIPE, "and stays away");
}

Test(handoff_client, a_privd_that_does_not_answer_is_given_up)
{
	struct handoff_welcome welcome;

	cr_expect_eq(handoff_client_greet(&client, &welcome), -ETIMEDOUT);
	cr_expect_lt(client.fd, 0);
}

/* Goes on to the state in which requests are served. */
static void serve(void)
{
	struct offer offer = good_offer();

	cr_assert_eq(take_offer(&offer, &served), 0);
}

static void say_iterator(uint32_t what, int fd)
{
	struct handoff_iterate answer = {.what = what};

	handoff_header_init(&answer.header, HANDOFF_ITERATOR);
	say(&answer, sizeof(answer), fd);
}

Test(handoff_client, an_iterator_comes_with_its_descriptor)
{
	const int fd = memory_fd(PAGE);
	int got;

	serve();
	say_iterator(HANDOFF_ITERATE_CGROUPS, fd);
	got = handoff_client_iterate(&client, HANDOFF_ITERATE_CGROUPS);
	cr_expect_geq(got, 0);
	close(got);
	close(fd);
}

Test(handoff_client, an_iterator_of_something_else_or_without_a_descriptor_is_a_fault)
{
	const int fd = memory_fd(PAGE);

	serve();
	say_iterator(HANDOFF_ITERATE_CONNECTIONS, fd);
	cr_expect_eq(handoff_client_iterate(&client, HANDOFF_ITERATE_CGROUPS), -EPROTO);
	close_session();
	open_session();
	serve();
	say_iterator(HANDOFF_ITERATE_CGROUPS, -1);
	cr_expect_eq(handoff_client_iterate(&client, HANDOFF_ITERATE_CGROUPS), -EPROTO);
	close(fd);
}

Test(handoff_client, an_iterator_that_finds_no_free_number_leaves_the_session_as_it_was)
{
	const int fd = memory_fd(PAGE), first_free = dup(fd);
	struct rlimit limit, tight;
	int got;

	serve();
	close(first_free);
	say_iterator(HANDOFF_ITERATE_CGROUPS, fd);
	say_iterator(HANDOFF_ITERATE_CGROUPS, fd);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	tight = (struct rlimit){.rlim_cur = (rlim_t)first_free, .rlim_max = limit.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	cr_expect_eq(handoff_client_iterate(&client, HANDOFF_ITERATE_CGROUPS), -EMFILE);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	got = handoff_client_iterate(&client, HANDOFF_ITERATE_CGROUPS);
	cr_expect_geq(got, 0);
	close(got);
	close(fd);
}

Test(handoff_client, a_refused_iterator_leaves_the_session_as_it_was)
{
	struct handoff_refused refused = {.reason = "no such iterator here"};
	const int fd = memory_fd(PAGE);
	int got;

	serve();
	handoff_header_init(&refused.header, HANDOFF_REFUSED);
	say(&refused, sizeof(refused), -1);
	cr_expect_eq(handoff_client_iterate(&client, HANDOFF_ITERATE_CONNECTIONS), -EACCES);
	say_iterator(HANDOFF_ITERATE_CONNECTIONS, fd);
	got = handoff_client_iterate(&client, HANDOFF_ITERATE_CONNECTIONS);
	cr_expect_geq(got, 0);
	close(got);
	close(fd);
}

Test(handoff_client, a_ping_sums_the_missed_runs)
{
	struct handoff_pong pong = {
		.program_count = 2,
		.programs = {{"a", 3}, {"b", 4}},
	};
	uint64_t missed = 0;

	serve();
	handoff_header_init(&pong.header, HANDOFF_PONG);
	say(&pong, sizeof(pong), -1);
	cr_expect_eq(handoff_client_ping(&client, &missed), 0);
	cr_expect_eq(missed, 7);
	pong.program_count = HANDOFF_PROGRAMS_MAX + 1;
	say(&pong, sizeof(pong), -1);
	cr_expect_eq(handoff_client_ping(&client, &missed), -EPROTO);
}

Test(handoff_client, an_answer_to_nothing_is_a_fault)
{
	struct handoff_pong pong = {.program_count = 0};

	serve();
	handoff_header_init(&pong.header, HANDOFF_PONG);
	say(&pong, sizeof(pong), -1);
	cr_expect_eq(handoff_client_unasked(&client), -EPROTO);
	cr_expect_lt(client.fd, 0);
}

Test(handoff_client, a_socket_that_nobody_listens_at_is_waited_for_and_then_given_up)
{
	struct handoff_client other;
	char longer[256];

	cr_expect_eq(handoff_client_connect(&other, "/tmp/no-such-directory", 120), -ENOENT);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_expect_eq(handoff_client_connect(&other, longer, 0), -ENAMETOOLONG);
}
