/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling systemd how it goes (sd_notify(3)'s protocol: one datagram to $NOTIFY_SOCKET). The
 * socket is opened and connected before a process locks itself, so that afterwards a send is all.
 */
#ifndef SOCKWARDEN_COMMON_NOTIFY_H
#define SOCKWARDEN_COMMON_NOTIFY_H

#include <stdint.h>

/* Returns a connected socket, or -1 where nobody asked to be told. */
int notify_open(void);

/*
 * How long systemd waits for a "WATCHDOG=1" before it takes this process for stuck
 * (sd_watchdog_enabled(3)), ns; 0: it does not wait for any.
 */
uint64_t notify_watchdog_ns(void);

/* Sends a state such as "READY=1"; does nothing for fd -1. */
void notify_send(int fd, const char *state);

#endif
