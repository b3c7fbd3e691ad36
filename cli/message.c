/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/message.h"

#include "cli/text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024

void message(const char *format, ...)
{
	char text[MESSAGE_BYTES];
	char line[MESSAGE_BYTES * 2];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	text_escape(line, sizeof(line), text, strlen(text));
	fprintf(stderr, "sockwarden: %s\n", line);
}

void output_begin(void)
{
	static char buffer[1 << 16];

	/* A reader that goes away shows as EPIPE, which output_end() forgives. */
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, buffer, _IOLBF, sizeof(buffer));
}

static bool reader_is_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

bool output_is_broken(void)
{
	return ferror(stdout) || reader_is_gone();
}

enum exit_code output_end(enum exit_code code)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno == EPIPE || reader_is_gone())
		return code;
	/* When it was an earlier line that failed, its errno is gone. */
	message("cannot write to standard output: %s", errno ? strerror(errno) : "write error");
	return EXIT_FAILED;
}

bool output_has_colour(void)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && terminal &&
	       strcmp(terminal, "dumb") != 0;
}
