/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line to stderr per event, with one write, prefixed with the priority that systemd's journal
 * understands (sd-daemon(3)) when stderr is not a terminal. No heap, no locale, no time stamp:
 * the journal has its own.
 */
#ifndef SOCKWARDEN_COMMON_LOG_H
#define SOCKWARDEN_COMMON_LOG_H

enum log_level {
	LOG_LEVEL_ERROR = 3, /* syslog(3) priorities */
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* Sets the program's name and the least urgent level that is written; default: info. */
void log_init(const char *program, enum log_level level);

/* Reads "error", "warning", "info" or "debug"; returns 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *level);

/* Writes one line, cut at 512 bytes; control characters in it become '?'. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
