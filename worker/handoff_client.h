/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of the handoff (proto/handoff.h): one request, one answer. Everything that
 * comes back is judged by handoff_check() and then by value; the first thing that is wrong is
 * logged in one line, ends the session, and every later call fails at once.
 */
#ifndef SOCKWARDEN_WORKER_HANDOFF_CLIENT_H
#define SOCKWARDEN_WORKER_HANDOFF_CLIENT_H

#include "proto/handoff.h"
#include "worker/handoff_grants.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * So long is an answer waited for. Before everything was granted, one that takes longer is the end;
 * later it is late: the session goes on, further requests fail with -ETIMEDOUT at once, and
 * handoff_client_unasked() takes the answer when it comes.
 */
#define HANDOFF_ANSWER_TIMEOUT_MS 1500

struct handoff_client {
	int fd; /* -1: closed or broken */
	struct handoff_session session;
	uint16_t late;			    /* the type of the answer that privd still owes, or 0 */
	char refusal[HANDOFF_REASON_BYTES]; /* privd's words, after -EACCES */
};

/*
 * Connects to privd's socket in the directory, trying again for wait_ms while nobody listens
 * there. 0, or -errno (logged).
 */
int handoff_client_connect(struct handoff_client *client, const char *runtime_dir,
			   unsigned wait_ms);

/* Takes over a connected SOCK_SEQPACKET socket instead. 0 or -errno; the fd is consumed. */
int handoff_client_adopt(struct handoff_client *client, int fd);

/*
 * HELLO. 0 with *welcome, whose texts are NUL-terminated and whose counts are in range; -EACCES
 * when privd refuses (not logged: it may be worth another try); -EPROTO, -EPIPE, -ETIMEDOUT or another -errno.
 */
int handoff_client_greet(struct handoff_client *client, struct handoff_welcome *welcome);

/* GRANTS: receives and maps exactly what welcome promised. Errors as above, or mmap's. */
int handoff_client_grants(struct handoff_client *client, const struct handoff_welcome *welcome,
			  struct handoff_grants *grants);

/*
 * ITERATE: a descriptor that the caller closes, or -errno; -EACCES when refused (logged). -EMFILE
 * when this process has no number left for it, -ETIMEDOUT when privd is late: the session goes on.
 */
int handoff_client_iterate(struct handoff_client *client, enum handoff_iterator what);

/*
 * PING: privd is alive; *missed_runs is the sum over its programs. -ETIMEDOUT when privd is late: the
 * session goes on.
 */
int handoff_client_ping(struct handoff_client *client, uint64_t *missed_runs);

/* Whether privd still owes an answer, so that nothing can be asked. */
static inline bool handoff_client_is_late(const struct handoff_client *client)
{
	return client->late != 0;
}

/*
 * The socket is readable although nobody waits for an answer. If it is the late one: drops it and
 * returns 0. Else it was closed, or privd breaks the contract: logs which, ends the session and
 * returns -EPIPE or -EPROTO.
 */
int handoff_client_unasked(struct handoff_client *client);

void handoff_client_close(struct handoff_client *client);

#endif
