/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving the one worker. A session is: who connected, its state in the handoff's table, and
 * nothing else; there is at most one. Whatever is wrong with a message ends the session with one
 * line in the log; tracing goes on and the next worker may come. No heap is used.
 */
#ifndef SOCKWARDEN_PRIVD_SESSION_H
#define SOCKWARDEN_PRIVD_SESSION_H

#include "privd/loader.h"
#include "privd/packets.h"
#include "privd/perf_rings.h"

#include <sys/types.h>

/* All that a worker may ever get; the caller owns it. */
struct session_grants {
	const struct loader *loader;
	const struct perf_rings *rings;
	struct packet_capture *packets;
	int resume_fd;
	size_t resume_bytes;
	int conntrack_fd; /* or why there is none, -errno; -ECANCELED: it is not wanted */
	size_t page_bytes;
	struct handoff_welcome welcome; /* filled in but for its header */
};

/*
 * Serves workers that run as worker_uid and connect to listen_fd until a signal arrives at
 * signal_fd (signalfd(2)). Returns the signal's number, or -errno if waiting failed.
 */
int session_serve(const struct session_grants *grants, int listen_fd, int signal_fd,
		  uid_t worker_uid);

#endif
