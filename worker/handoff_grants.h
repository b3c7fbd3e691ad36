/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What privd grants: each descriptor is judged by what came with it, and mapped or put where it belongs.
 *
 * privd's socket and the descriptors that it hands out are kept at numbers from HANDOFF_FD_BASE up: the
 * sandbox lets nng's threads write below that only (worker/seccomp_rules.h).
 */
#ifndef SOCKWARDEN_WORKER_HANDOFF_GRANTS_H
#define SOCKWARDEN_WORKER_HANDOFF_GRANTS_H

#include "proto/handoff.h"
#include "proto/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDOFF_FD_BASE 512
#define HANDOFF_FD_CONNTRACK 514 /* exactly: the sandbox lets it be received from, nothing else */
#define HANDOFF_FD_PACKETS 515	 /* exactly: it may be asked for its losses, nothing else */
#define HANDOFF_FD_RINGS 516	 /* from here up */

/* One mapped array. */
struct handoff_array {
	void *memory; /* NULL: not mapped */
	size_t map_bytes;
	uint32_t stride_bytes;
	uint32_t count;
};

struct handoff_ring {
	int fd; /* for epoll only */
	uint32_t cpu;
	void *memory;	   /* one page, then data_bytes */
	size_t data_bytes; /* a power of two */
};

/* One for each online CPU. */
struct handoff_rings {
	struct handoff_ring *ring;
	uint32_t count;
};

/* A packet socket with its ring. */
struct handoff_socket {
	int fd;		    /* HANDOFF_FD_PACKETS, or -1: there is none */
	void *memory;	    /* NULL: not mapped */
	size_t block_bytes; /* whole pages */
	uint32_t block_count;
};

/* Everything that the worker is given; all of it is mapped, but for the netlink socket. */
struct handoff_grants {
	struct handoff_array batches;  /* struct conn_batch, read-only */
	struct handoff_array counters; /* struct conn_counters, read-only */
	struct handoff_array stage;    /* one struct snapshot_stage */
	struct handoff_array resume;   /* one struct handoff_resume, shared */
	/* One struct udp_settings, shared; memory is NULL where UDP is not traced. */
	struct handoff_array udp_settings;
	struct handoff_rings rings;
	/* Of captured DNS packets: rings, or a socket with one, or none where nothing is captured. */
	struct handoff_rings packet_rings;
	struct handoff_socket packet_socket;
	uint32_t possible_cpus;
	int conntrack_fd; /* HANDOFF_FD_CONNTRACK, or -1: there is none */
};

/* A message of those that grant something; handoff_check() has judged its length. */
union handoff_grant_message {
	struct handoff_header header;
	struct handoff_grant grant;
	struct handoff_grant_ring ring;
	struct handoff_grant_socket socket;
};

/* Room for what welcome promises. 0 or -ENOMEM; handoff_grants_fini() is due in any case. */
int handoff_grants_init(struct handoff_grants *grants, const struct handoff_welcome *welcome);

/*
 * Takes one grant. The descriptor stays the caller's to close: the mapping or a copy at its place is
 * what is kept. 0; -EPROTO with *fault, a short text; or an -errno of mapping or placing, without.
 */
int handoff_grants_take(struct handoff_grants *grants, const struct handoff_welcome *welcome,
			const union handoff_grant_message *message, int fd, const char **fault);

/* Whether all that welcome promises is here. */
bool handoff_grants_are_complete(const struct handoff_grants *grants,
				 const struct handoff_welcome *welcome);

/* Unmaps and closes the packet socket, if there is one. */
void handoff_socket_fini(struct handoff_socket *socket);

void handoff_grants_fini(struct handoff_grants *grants);

#endif
