/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker can say about itself that is not a number that grows: who it is, what the
 * kernel gave it, what its sandbox is. The loop keeps one of these up to date; meta.v1 and the
 * status answer are written from it.
 */
#ifndef SOCKWARDEN_WORKER_FACTS_H
#define SOCKWARDEN_WORKER_FACTS_H

#include "proto/handoff.h"
#include "worker/health.h"
#include "worker/loss.h"

#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_HOST_BYTES 65	   /* HOST_NAME_MAX and its NUL */
#define IDENTITY_INSTANCE_BYTES 17 /* 64 random bits in hex and the NUL */
#define IDENTITY_SECRET_BYTES 33   /* 128 bits as hex */

/* Who speaks in an event; fixed for the life of a worker. */
struct identity {
	char host[IDENTITY_HOST_BYTES];
	char instance[IDENTITY_INSTANCE_BYTES];
	char secret[IDENTITY_SECRET_BYTES]; /* random, told to nobody: keys the tables' hashes */
};

struct worker_facts {
	struct identity identity;
	const char *version; /* PROJECT_VERSION */
	uint64_t uptime_s;   /* of the worker */
	struct health_report health;
	struct loss_report loss;
	bool privd_alive; /* its socket is open and it owes no answer */
	uint32_t uid;	  /* real, effective and saved, as the start made sure */
	uint32_t gid;
	uint64_t capabilities;		   /* effective and permitted, as bits: capabilities(7) */
	uint32_t seccomp;		   /* as /proc/PID/status: 0 none, 2 filter */
	uint32_t landlock_abi;		   /* that is enforced; 0: none */
	uint32_t no_new_privs;		   /* prctl(2) PR_GET_NO_NEW_PRIVS */
	char kernel[HANDOFF_KERNEL_BYTES]; /* as privd said, NUL-terminated */
	uint32_t hook_count;		   /* of hooks, at most HANDOFF_HOOKS_MAX */
	struct handoff_hook hooks[HANDOFF_HOOKS_MAX];
};

/* Fills in the host's name, a new random instance and a secret. Returns 0 or -errno. */
int identity_init(struct identity *identity);

/* Fills in uid, gid and capabilities, as the kernel says. Returns 0 or -errno. */
int facts_read_credentials(struct worker_facts *facts);

#endif
