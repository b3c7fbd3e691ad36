/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's one loop, on the main thread: it waits for rings, requests, privd and signals,
 * and every 50 ms looks at what does not announce itself (batches that are filling, messages that
 * wait, passes that are due). nng's threads move bytes and run none of our code but counting.
 */
#ifndef SOCKWARDEN_WORKER_LOOP_H
#define SOCKWARDEN_WORKER_LOOP_H

#include "common/config/config.h"
#include "worker/facts.h"
#include "worker/handoff_client.h"
#include "worker/pipeline.h"
#include "worker/publish/bus.h"

struct loop;

/* What the loop works with; all of it is the caller's and must outlive the loop. */
struct loop_parts {
	const struct config *config;
	struct handoff_client *client;
	const struct handoff_grants *grants;
	struct bus *bus;
	struct pipeline *pipeline;
	int signal_fd;		    /* of what ends the loop: common/signals.h */
	int notify_fd;		    /* of systemd, or -1 */
	uint64_t watchdog_ns;	    /* so often at least it is to hear that all is well; 0: never */
	struct worker_facts *facts; /* uptime, health and privd's state are kept up to date here */
};

/* Opens what the loop waits on, before the lock. 0 and the caller owns *loop, or -errno (logged). */
int loop_new(struct loop **loop, const struct loop_parts *parts);
void loop_free(struct loop *loop);

/* What loop_run() returns after SIGHUP. */
#define LOOP_RELOAD 1

/*
 * Runs until SIGTERM or SIGINT: returns 0; or SIGHUP: LOOP_RELOAD. When privd is gone, or breaks the contract: publishes
 * a last meta.v1 that says so and returns -EPIPE. Everything that was read has been sent.
 */
int loop_run(struct loop *loop);

#endif
