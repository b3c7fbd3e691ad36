/* SPDX-License-Identifier: Apache-2.0 */
#include "common/notify.h"

#include <criterion/criterion.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Binds a datagram socket at name, '@' standing for the abstract name space. */
static int manager_open(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
		     0);
	return fd;
}

static void expect_ready_at(const char *name)
{
	int manager = manager_open(name);
	char text[32] = "";
	int fd;

	setenv("NOTIFY_SOCKET", name, 1);
	fd = notify_open();
	cr_assert_geq(fd, 0);
	notify_send(fd, "READY=1");
	cr_assert_eq(recv(manager, text, sizeof(text), 0), 7);
	cr_assert_str_eq(text, "READY=1");
}

Test(notify, tells_a_manager_that_listens_at_a_path)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/sockwarden-notify-%d", getpid());
	expect_ready_at(name);
	unlink(name);
}

Test(notify, tells_a_manager_that_listens_at_an_abstract_name)
{
	char name[64];

	snprintf(name, sizeof(name), "@sockwarden-notify-%d", getpid());
	expect_ready_at(name);
}

Test(notify, has_no_socket_where_nobody_asked)
{
	unsetenv("NOTIFY_SOCKET");
	cr_assert_eq(notify_open(), -1);
}

Test(notify, has_no_socket_for_an_address_that_cannot_be)
{
	char name[256];

	setenv("NOTIFY_SOCKET", "", 1);
	cr_assert_eq(notify_open(), -1);
	setenv("NOTIFY_SOCKET", "relative/path", 1);
	cr_assert_eq(notify_open(), -1);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	cr_assert_eq(notify_open(), -1);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	cr_assert_eq(notify_open(), -1);
}

Test(notify, takes_the_watchdog_s_time_from_a_manager_that_means_this_process)
{
	static const struct {
		const char *usec;
		const char *pid; /* NULL: not set; "": this process */
		uint64_t ns;
	} cases[] = {
		{"30000000", "", 30000000000},
		{"30000000", NULL, 30000000000},
		{"30000000", "1", 0},
		{"30000000", "x", 0},
		{NULL, "", 0},
		{"", "", 0},
		{"0", "", 0},
		{"-1", "", 0},
		{" 5", "", 0},
		{"5s", "", 0},
		{"18446744073709551", "", 18446744073709551000U},
		{"18446744073709552", "", 0},
		{"99999999999999999999999", "", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char own[16];

		snprintf(own, sizeof(own), "%d", getpid());
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (cases[i].usec)
			setenv("WATCHDOG_USEC", cases[i].usec, 1);
		if (cases[i].pid)
			setenv("WATCHDOG_PID", cases[i].pid[0] ? cases[i].pid : own, 1);
		cr_expect_eq(notify_watchdog_ns(), cases[i].ns, "case %zu", i);
	}
}

Test(notify, sends_nothing_without_a_socket)
{
	notify_send(-1, "READY=1");
}

Test(notify, neither_blocks_nor_dies_when_the_manager_does_not_read)
{
	char name[64];
	int manager;
	int fd;

	snprintf(name, sizeof(name), "@sockwarden-notify-%d", getpid());
	manager = manager_open(name);
	setenv("NOTIFY_SOCKET", name, 1);
	fd = notify_open();
	cr_assert_geq(fd, 0);
	for (int i = 0; i < 10000; i++)
		notify_send(fd, "STATUS=full");
	close(manager);
	notify_send(fd, "READY=1");
}
