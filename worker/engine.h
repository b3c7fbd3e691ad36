/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data's way from a valid record onward: connections' state to conn.v1 messages. Everything
 * that has an influence on what is published comes in through the functions below, in order:
 * times, records, counters, control groups. There is no descriptor, no clock and no other process
 * in here, so whoever hands in the same again gets the same bytes out again.
 *
 * What comes out goes to a sink; in between the engine may ask its owner for control groups' names.
 * Whoever adds an input here adds its entry to worker/tape/tape.h, and a state to worker/tape/state.c.
 */
#ifndef SOCKWARDEN_WORKER_ENGINE_H
#define SOCKWARDEN_WORKER_ENGINE_H

#include "common/clock.h"
#include "common/config/config.h"
#include "worker/conn/clients.h"
#include "worker/conn/closed_ids.h"
#include "worker/conn/direction.h"
#include "worker/conn/local_addresses.h"
#include "worker/conn/state.h"
#include "worker/dns/dns.h"
#include "worker/exclude.h"
#include "worker/intake/cgroups.h"
#include "worker/intake/packet.h"
#include "worker/metrics.h"
#include "worker/nat/table.h"
#include "worker/publish/conn_events.h"
#include "worker/publish/dns_events.h"
#include "worker/tape/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What of the configuration, and of what was before, has an influence on what is published. */
struct engine_settings {
	uint32_t max_connections;
	uint64_t interval_ns;	  /* between two regular passes */
	uint64_t flush_age_ns;	  /* a message that is not full leaves at this age */
	bool tcp_enabled;	  /* connections are told */
	bool udp_enabled;	  /* flows are told */
	bool ipv6_enabled;	  /* those of IPv6 too */
	uint32_t nat_max_entries; /* 0: translations are not looked at */
	uint64_t nat_keep_ns;	  /* how long one counts after its end */
	struct dns_settings dns;
	const struct config_excludes *exclude_source; /* read only while they are applied */
	const struct config_excludes *exclude_destination;
	uint32_t max_clients;
	uint32_t max_closed; /* closed connections that wait for clients */
	uint64_t client_expiry_ns;
	bool rollup; /* in what clients are told */
	struct port_range ephemeral;
	uint64_t closed; /* by workers before this one */
	uint64_t inferred;
};

/* Where it goes, and who is asked; all of it is the owner's. Called from within the functions below. */
struct engine_sink {
	void *ctx;
	/*
	 * Whatever was handed in is told by now, or with the message that is sent next. Called before each
	 * message, and at each flush that finds nothing waiting.
	 */
	void (*settle)(void *ctx);
	/* A finished message, topic and object; bytes are good until it returns. 0 or -errno. */
	int (*send)(void *ctx, const char *bytes, size_t length);
	/* A control group is not known: engine_cgroup() for all that there are, before it returns. */
	void (*ask_cgroups)(void *ctx);
};

struct engine {
	struct engine_settings settings;
	struct engine_sink sink;
	struct metrics *metrics;
	struct conn_state state;
	struct closed_ids closed_ids;
	struct local_addresses local_addresses;
	struct clients clients;
	struct cgroups cgroups;
	struct conn_events events;
	struct exclude exclude;
	struct nat_table nat;
	struct conn_nat nat_found;		   /* of the last connection that was looked up */
	struct names_cursor names_found;	   /* the same */
	struct dns_conversation_numbers dns_found; /* the same */
	struct dns dns;
	struct dns_events dns_events;
	uint64_t names_told_ns; /* when names.v1 was last made */
	/* Is told each input before it is worked off; NULL: nobody records. */
	struct tape_writer *tape;
	bool table_was_full; /* at the last complete pass */
};

/*
 * The settings that follow from a configuration, to which they point; closed and inferred are 0, the
 * ephemeral ports the default ones.
 */
struct engine_settings engine_settings_of(const struct config *config);

/*
 * *engine is zeroed memory; settings, sink and identity are copied, metrics (the counters of this
 * stage are kept there) stays the caller's. Returns 0 or -errno.
 */
int engine_init(struct engine *engine, const struct engine_settings *settings,
		const struct engine_sink *sink, const struct identity *identity,
		struct metrics *metrics);
void engine_fini(struct engine *engine);

/*
 * Tells the time (CLOCK_MONOTONIC, and the way to the wall clock's) for what follows,
 * and whether somebody subscribes. Clients that did not ask for too long are forgotten.
 */
void engine_tick(struct engine *engine, uint64_t now_ns, struct clock_offsets wall, bool listened);

/* A valid close record. */
void engine_close(struct engine *engine, const struct conn_record *record);

/* Begins a snapshot pass: opened is the sum of conn_counters.opened, read at now_ns. */
void engine_pass_begin(struct engine *engine, uint64_t now_ns, uint64_t opened);

/* A valid snapshot record, within a pass. */
void engine_seen(struct engine *engine, const struct conn_record *record);

/*
 * Ends a complete pass, after everything that was closed before now_ns has been handed in; who
 * must have ended unseen is told as closed. A pass that failed is not ended: the next one begins.
 */
void engine_pass_end(struct engine *engine, uint64_t now_ns);

/* One control group's name; false if the record is malformed. */
bool engine_cgroup(struct engine *engine, const struct cgroup_record *record);

/* All that were handed in with engine_cgroup() without having been asked for are there. */
void engine_cgroups_filled(struct engine *engine, uint64_t now_ns);

/* A valid event of address translation. */
void engine_nat(struct engine *engine, const struct nat_event *event);

/* A captured packet, in the order of their times. */
void engine_packet(struct engine *engine, const struct packet *packet);

/* Sends what waits if it is old enough, or in any case with force. */
void engine_flush(struct engine *engine, uint64_t now_ns, bool force);

/* Begins to publish live connections that have changed; engine_active_step() goes on with it. */
void engine_active_begin(struct engine *engine);

/* Looks at some thousand entries; once a tick. Returns true while there may be more. */
bool engine_active_step(struct engine *engine);

/* What the programs could give to no flow, as sums that only grow. */
void engine_unattributed(struct engine *engine, const struct conn_sums *sums);

/* Fills in what is known of a connection beyond its record. */
void engine_complete(struct engine *engine, struct conn_view *view);

/* Whether the configuration wants it told. What is not still counts in the books. */
bool engine_is_told(const struct engine *engine, const struct conn_record *record);

/* The first live connection at or after slot, as struct query_source's next. */
size_t engine_live_next(struct engine *engine, size_t slot, struct conn_view *view);

/*
 * Brings this stage's metrics up to date. At the books' mark (right after a pass) opened, closed
 * and live are those of one moment and balance; otherwise they are as of now, with opened the sum
 * of conn_counters.opened.
 */
void engine_measure(struct engine *engine, uint64_t opened, bool at_mark);

#endif
