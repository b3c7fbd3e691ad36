/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of a session, with a privd that grants what it should. */
#include "tests/unit/handoff_rig.h"

#include <errno.h>
#include <sys/resource.h>

TestSuite(handoff_client, .init = open_session, .fini = close_session);

Test(handoff_client, takes_what_was_promised_and_maps_it)
{
	struct offer offer = good_offer();
	struct handoff_grants grants;

	cr_assert_eq(take_offer(&offer, &grants), 0);
	cr_expect_eq(grants.possible_cpus, CPUS);
	cr_expect_eq(grants.rings.count, CPUS);
	cr_expect_eq(grants.rings.ring[1].cpu, 1);
	cr_expect_eq(grants.rings.ring[0].data_bytes, RING_PAGES * PAGE);
	cr_expect_geq(grants.rings.ring[0].fd, HANDOFF_FD_RINGS);
	cr_expect_eq(grants.conntrack_fd, -1);
	cr_expect_eq(((struct conn_batch *)grants.batches.memory)->len, 0);
	((struct handoff_resume *)grants.resume.memory)->closed = 1;
	cr_expect_eq(client.session.state, HANDOFF_STATE_SERVING);
	handoff_grants_fini(&grants);
}

Test(handoff_client, takes_the_rings_of_packets_where_some_are_captured)
{
	struct offer offer = good_offer();
	struct handoff_grants grants;

	offer.welcome.packet_rings = offer.packet_ring_count = CPUS;
	offer.welcome.dns_ports[0] = 53;
	cr_assert_eq(take_offer(&offer, &grants), 0);
	cr_expect_eq(grants.rings.count, CPUS);
	cr_expect_eq(grants.packet_rings.count, CPUS);
	cr_expect_eq(grants.packet_rings.ring[1].cpu, 1);
	cr_expect_geq(grants.packet_rings.ring[0].fd, HANDOFF_FD_RINGS);
	cr_expect_neq(grants.packet_rings.ring[0].fd, grants.rings.ring[0].fd);
	handoff_grants_fini(&grants);
}

Test(handoff_client, maps_the_packet_socket_and_places_it_at_the_number_of_the_sandbox)
{
	struct offer offer = good_offer();
	struct handoff_grants grants;

	offer.welcome.packet_sockets = offer.packet_socket_count = 1;
	cr_assert_eq(take_offer(&offer, &grants), 0);
	cr_expect_eq(grants.packet_socket.fd, HANDOFF_FD_PACKETS);
	cr_expect_eq(fcntl(HANDOFF_FD_PACKETS, F_GETFD), FD_CLOEXEC);
	cr_expect_eq(grants.packet_socket.block_bytes, PAGE);
	cr_expect_eq(grants.packet_socket.block_count, RING_PAGES);
	((uint8_t *)grants.packet_socket.memory)[RING_PAGES * PAGE - 1] = 1;
	cr_expect_eq(grants.packet_rings.count, 0);
	handoff_grants_fini(&grants);
	cr_expect_eq(fcntl(HANDOFF_FD_PACKETS, F_GETFD), -1);
	cr_expect_eq(grants.packet_socket.fd, -1);
	cr_expect_null(grants.packet_socket.memory);
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
