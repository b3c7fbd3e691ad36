/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data's way through the worker, put together: intake (batches, snapshots, control groups) to
 * state (connections) to publish (conn.v1 messages). The loop says when; nothing here waits.
 *
 * Where the intake stands is committed before a message leaves: a successor of this process then
 * reads on behind what was published.
 */
#ifndef SOCKWARDEN_WORKER_PIPELINE_H
#define SOCKWARDEN_WORKER_PIPELINE_H

#include "common/config/config.h"
#include "worker/conn/state.h"
#include "worker/handoff_client.h"
#include "worker/intake/batch.h"
#include "worker/intake/cgroups.h"
#include "worker/intake/perf_ring.h"
#include "worker/intake/snapshot.h"
#include "worker/metrics.h"
#include "worker/publish/bus.h"
#include "worker/publish/conn_events.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipeline {
	struct handoff_client *client;
	const struct handoff_grants *grants;
	struct bus *bus;
	struct perf_ring *rings;      /* grants->ring_count */
	struct batch_source *sources; /* grants->possible_cpus */
	struct batch_reader reader;
	struct conn_state state;
	struct cgroups cgroups;
	struct snapshot snapshot;     /* of connections */
	struct snapshot cgroup_names; /* may run while the other one does */
	struct conn_events events;
	struct metrics metrics;
	uint64_t malformed; /* iterators' records */
	bool tcp_enabled;   /* connections are told */
	bool ipv6_enabled;  /* those of IPv6 too */
	uint64_t flush_age_ns;
	bool snapshot_failed; /* the last one */
	bool has_predecessor; /* another worker read these rings before */
	bool table_was_full;  /* at the last one */
};

/*
 * Takes over where the resume memory says; client, grants and bus stay the caller's and must live
 * longer. Returns 0 and the caller owns *pipeline, or -errno (logged).
 */
int pipeline_new(struct pipeline **pipeline, const struct config *config,
		 struct handoff_client *client, const struct handoff_grants *grants,
		 struct bus *bus, const struct identity *identity);
void pipeline_free(struct pipeline *pipeline);

/* Tells the time (CLOCK_MONOTONIC; wall_offset_ns is added for wall clock times) for what follows. */
void pipeline_tick(struct pipeline *pipeline, uint64_t now_ns, uint64_t wall_offset_ns);

/* Whether reading may still wait: no ring is filling up. */
bool pipeline_can_wait(const struct pipeline *pipeline);

/* Reads all rings and batches. */
void pipeline_drain(struct pipeline *pipeline);

/* Sends what waits if it is old enough, or in any case with force; commits. */
void pipeline_flush(struct pipeline *pipeline, uint64_t now_ns, bool force);

/*
 * Takes a snapshot into the table, draining on the way, and closes by inference what must have
 * ended. Returns 0 or -errno (counted, logged).
 */
int pipeline_snapshot(struct pipeline *pipeline);

/* Begins to publish live connections that have changed; pipeline_active_step() goes on with it. */
void pipeline_active_begin(struct pipeline *pipeline);

/* Looks at some thousand entries; once a tick. Returns true while there may be more. */
bool pipeline_active_step(struct pipeline *pipeline);

/* The first live connection at or after slot, as struct query_source's next. */
size_t pipeline_live_next(struct pipeline *pipeline, size_t slot, struct conn_view *view);

/*
 * Brings pipeline->metrics up to date. At the books' mark (right after a snapshot) opened, closed
 * and live are those of one moment and balance; otherwise they are as of now.
 */
void pipeline_measure(struct pipeline *pipeline, bool at_mark);

#endif
