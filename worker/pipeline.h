/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What feeds the engine and where its messages go: intake (rings, batches, snapshots, control
 * groups) in front of it, the bus behind it. The loop says when; nothing here waits.
 *
 * Where the intake stands is committed before a message leaves: a successor of this process then
 * reads on behind what was published.
 */
#ifndef SOCKWARDEN_WORKER_PIPELINE_H
#define SOCKWARDEN_WORKER_PIPELINE_H

#include "common/clock.h"
#include "common/config/config.h"
#include "worker/engine.h"
#include "worker/frame_feed.h"
#include "worker/handoff_client.h"
#include "worker/health.h"
#include "worker/intake/batch.h"
#include "worker/intake/packet_reader.h"
#include "worker/intake/perf_ring.h"
#include "worker/intake/snapshot.h"
#include "worker/metrics.h"
#include "worker/nat/socket.h"
#include "worker/publish/bus.h"
#include "worker/recording.h"

#include <stdbool.h>
#include <stdint.h>

struct pipeline {
	struct handoff_client *client;
	const struct handoff_grants *grants;
	struct bus *bus;
	struct perf_ring *rings;      /* grants->rings.count */
	struct batch_source *sources; /* grants->possible_cpus */
	struct batch_reader reader;
	struct packet_source *packet_sources; /* grants->packet_rings.count */
	struct packet_reader packets;
	struct frame_feed frames; /* or these, and no packet rings */
	bool more_packets;	  /* the last call left some unread */
	struct engine engine;
	struct recording recording;   /* of what the engine is given */
	struct snapshot snapshot;     /* of connections */
	struct snapshot cgroup_names; /* may run while the other one does */
	struct nat_socket nat; /* its events are read before the records that they are about */
	struct metrics metrics;
	struct health health;	   /* the loop's stages report here, too */
	uint64_t now_ns;	   /* CLOCK_MONOTONIC, at the last tick */
	uint64_t malformed;	   /* iterators' records */
	bool snapshot_failed;	   /* the last one */
	bool sweep_failed;	   /* the same */
	uint64_t refreshed_ns;	   /* when the last snapshot for who asks was taken */
	int64_t refresh_budget_ns; /* what the next ones may take: it grows with time */
	uint64_t orphaned;	   /* conn_counters.orphaned at the last look at UDP's flows */
	uint64_t swept_ns;	   /* when that was */
	uint64_t asked_ns;	   /* for control groups' names, at last */
	uint64_t taken;		   /* batches and records that were read, at the last check */
	bool has_predecessor;	   /* another worker read these rings before */
};

/*
 * Takes over where the resume memory says; config, client, grants and bus stay the caller's and must
 * live longer. Returns 0 and the caller owns *pipeline, or -errno (logged).
 */
int pipeline_new(struct pipeline **pipeline, const struct config *config,
		 struct handoff_client *client, const struct handoff_grants *grants,
		 struct bus *bus, const struct identity *identity);
void pipeline_free(struct pipeline *pipeline);

/* Tells the engine the time (CLOCK_MONOTONIC, the way to the wall clock's) and who listens. */
void pipeline_tick(struct pipeline *pipeline, uint64_t now_ns, struct clock_offsets wall);

/* Whether reading may still wait: no ring is filling up. */
bool pipeline_can_wait(const struct pipeline *pipeline);

/*
 * Reads the events of address translation, captured packets, all rings and batches. Closes that are younger than
 * the packets that can be seen wait for those, for some ms.
 */
void pipeline_drain(struct pipeline *pipeline);

/* The same of all closes that there are. */
void pipeline_drain_all(struct pipeline *pipeline);

/* Whether something is left to be read at once. */
bool pipeline_has_more(const struct pipeline *pipeline);

/*
 * Finds the UDP flows that are over, if it is time for it or sockets were closed that had several.
 * Costs nothing where UDP is not traced. 0 or -errno as pipeline_snapshot().
 */
int pipeline_sweep(struct pipeline *pipeline, uint64_t now_ns);

/*
 * Takes a snapshot into the table, draining on the way, and closes by inference what must have
 * ended. Returns 0 or -errno (counted, and the first of several logged); -ETIMEDOUT at once, and
 * neither, while privd is late.
 */
int pipeline_snapshot(struct pipeline *pipeline);

/*
 * The same for who asks: a tenth of the time goes into it in the long run, however often it is asked for.
 * When that is used up the last one stands for it, but never for more than a second: more of the time
 * goes into passes that take more than 0.1 s.
 */
int pipeline_refresh(struct pipeline *pipeline);

/* Hands a message, topic and object, to the bus. 0 or -errno. */
int pipeline_send(struct pipeline *pipeline, const char *bytes, size_t length);

/* Looks whether the intake gets on, and asks again for what failed; once a tick. */
void pipeline_check(struct pipeline *pipeline);

/* Brings pipeline->metrics up to date; at_mark as in engine_measure(). */
void pipeline_measure(struct pipeline *pipeline, bool at_mark);

#endif
