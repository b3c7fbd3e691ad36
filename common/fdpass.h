/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One packet with at most a few descriptors over a Unix socket (SCM_RIGHTS, unix(7)). A receiver
 * that allows no descriptors is told how many came, and they are closed before it returns.
 */
#ifndef SOCKWARDEN_COMMON_FDPASS_H
#define SOCKWARDEN_COMMON_FDPASS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Descriptors that one packet may carry before the kernel's message counts as truncated. */
#define FDPASS_MAX 8

/*
 * Sends length bytes, with the descriptor fd unless it is -1 (the caller keeps its own copy).
 * Returns 0 or -errno; -EAGAIN when the socket does not block and has no room.
 */
int fdpass_send(int socket_fd, const void *bytes, size_t length, int fd);

/*
 * Receives one packet into at most capacity bytes. *fd is the one descriptor that came (CLOEXEC,
 * the caller's to close) or -1; *fds is how many came. When more than one came, or any although
 * fd is NULL, all of them are closed. Returns the packet's length (which is larger than capacity
 * for an oversized one), 0 at the end of the stream, or -errno.
 */
ssize_t fdpass_receive(int socket_fd, void *bytes, size_t capacity, int *fd, unsigned *fds);

#endif
