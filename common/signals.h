/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals as a descriptor: what ends a daemon is read when its loop gets to it.
 */
#ifndef SOCKWARDEN_COMMON_SIGNALS_H
#define SOCKWARDEN_COMMON_SIGNALS_H

#include <stdbool.h>

/*
 * Blocks SIGTERM, SIGINT and, if a daemon has something to reload, SIGHUP in this thread and those
 * that it starts, and ignores the latter otherwise, and SIGPIPE and SIGXFSZ: a log that nobody
 * reads, or that may not grow, is an error to handle and not the end.
 * Returns a descriptor (signalfd(2), CLOEXEC, does not block) from which they are read, or -errno.
 */
int signals_open(bool reloads);

#endif
