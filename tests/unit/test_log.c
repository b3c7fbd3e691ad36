/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* posix_openpt */
#include "common/log.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

/* Makes stderr a datagram socket, so that one write is one datagram; returns the other end. */
static int capture_stderr(void)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
	cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	return ends[0];
}

/* The next write as a string; "" if there was none. */
static const char *next_write(int fd)
{
	static char text[2 * LINE_MAX_BYTES];
	ssize_t length = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[length < 0 ? 0 : length] = '\0';
	return text;
}

Test(log, writes_each_line_with_one_write_and_its_priority)
{
	int fd = capture_stderr();

	log_init("tester", LOG_LEVEL_DEBUG);
	log_error("one %d", 1);
	log_warning("two");
	log_info("three");
	log_debug("four");
	cr_assert_str_eq(next_write(fd), "<3>tester: one 1\n");
	cr_assert_str_eq(next_write(fd), "<4>tester: two\n");
	cr_assert_str_eq(next_write(fd), "<6>tester: three\n");
	cr_assert_str_eq(next_write(fd), "<7>tester: four\n");
	cr_assert_str_eq(next_write(fd), "");
}

Test(log, leaves_out_what_is_less_urgent_than_its_level)
{
	int fd = capture_stderr();

	log_init("tester", LOG_LEVEL_WARNING);
	log_debug("no");
	log_info("no");
	log_warning("yes");
	cr_assert_str_eq(next_write(fd), "<4>tester: yes\n");
	cr_assert_str_eq(next_write(fd), "");
}

Test(log, cuts_a_long_line_and_still_ends_it)
{
	int fd = capture_stderr();
	char text[2 * LINE_MAX_BYTES];
	const char *line;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_init("tester", LOG_LEVEL_INFO);
	log_info("%s", text);
	line = next_write(fd);
	cr_assert_eq(strlen(line), LINE_MAX_BYTES);
	cr_assert_eq(line[LINE_MAX_BYTES - 1], '\n');
	cr_assert_eq(line[LINE_MAX_BYTES - 2], 'x');
}

Test(log, cannot_be_made_to_write_a_second_line_or_an_escape)
{
	int fd = capture_stderr();

	log_init("tester", LOG_LEVEL_INFO);
	log_info("a\nb\rc\033[2Jd\177e\tf");
	cr_assert_str_eq(next_write(fd), "<6>tester: a?b?c?[2Jd?e?f\n");
}

Test(log, keeps_errno)
{
	capture_stderr();
	log_init("tester", LOG_LEVEL_INFO);
	close(STDERR_FILENO);
	errno = ENOLINK;
	log_info("nobody hears this");
	cr_assert_eq(errno, ENOLINK);
}

Test(log, leaves_the_priority_out_on_a_terminal)
{
	int controller = posix_openpt(O_RDWR | O_NOCTTY);
	char text[64] = "";
	int terminal;

	cr_assert_geq(controller, 0);
	cr_assert_eq(grantpt(controller), 0);
	cr_assert_eq(unlockpt(controller), 0);
	terminal = open(ptsname(controller), O_RDWR | O_NOCTTY);
	cr_assert_geq(terminal, 0);
	cr_assert_eq(dup2(terminal, STDERR_FILENO), STDERR_FILENO);
	log_init("tester", LOG_LEVEL_INFO);
	log_info("seen");
	cr_assert_gt(read(controller, text, sizeof(text) - 1), 0);
	cr_assert_str_eq(text, "tester: seen\r\n");
}
