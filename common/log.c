/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include "common/name.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_BYTES 512

static struct {
	const char *program;
	enum log_level level;
	bool journal; /* prefix lines with <priority> */
} settings = {.program = "sockwarden", .level = LOG_LEVEL_INFO};

void log_init(const char *program, enum log_level level)
{
	settings.program = program;
	settings.level = level;
	settings.journal = !isatty(STDERR_FILENO);
}

int log_level_parse(const char *name, enum log_level *level)
{
	static const char *const names[] = {"error", "warning", "info", "debug", NULL};
	static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
						LOG_LEVEL_DEBUG};
	int found = name_find(names, name);

	if (found < 0)
		return found;
	*level = levels[found];
	return 0;
}

void log_line(enum log_level level, const char *format, ...)
{
	const int saved_errno = errno;
	char line[LINE_BYTES];
	size_t length;
	va_list arguments;
	int n;

	if (level > settings.level)
		return;
	if (settings.journal)
		n = snprintf(line, sizeof(line), "<%d>%s: ", (int)level, settings.program);
	else
		n = snprintf(line, sizeof(line), "%s: ", settings.program);
	if (n < 0 || (size_t)n >= sizeof(line))
		return;
	length = (size_t)n;
	va_start(arguments, format);
	n = vsnprintf(line + length, sizeof(line) - length, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	length += (size_t)n;
	if (length > sizeof(line) - 1)
		length = sizeof(line) - 1;
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, length) < 0) {
		/* Nobody is left to be told. */
	}
	errno = saved_errno;
}
