/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine has in it, onto a tape and back: its tables entry by entry, each at its own place,
 * since the order in which connections are told is that of their places.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_STATE_H
#define SOCKWARDEN_WORKER_TAPE_STATE_H

#include "worker/engine.h"
#include "worker/tape/reader.h"
#include "worker/tape/state_dns.h"
#include "worker/tape/writer.h"

#include <stdint.h>

/*
 * Writes the engine's state, TAPE_STATE_*, between two of its inputs. No message may be in the
 * making: engine_flush() with force comes before.
 */
void tape_state_save(struct tape_writer *writer, const struct engine *engine);

/* The most bytes that it writes for tables of so many connections and translations, and of DNS. */
uint64_t tape_state_bytes_max(uint32_t max_connections, uint32_t nat_max_entries,
			      const struct dns_settings *dns);

/* Fills a new engine from TAPE_STATE_* entries. */
struct tape_state_loader {
	struct engine *engine;
	struct tape_state_dns_loader dns;
	uint32_t high;	    /* as TAPE_STATE told */
	uint32_t placed;    /* entries of the table, in use and free */
	uint32_t last_free; /* CONN_TABLE_NONE: none yet */
	bool begun;
};

/* engine is as engine_init() left it. */
void tape_state_loader_init(struct tape_state_loader *loader, struct engine *engine);

/* Takes one TAPE_STATE_* entry. Returns NULL, or a constant text that says what is wrong with it. */
const char *tape_state_load(struct tape_state_loader *loader, const struct tape_entry *entry);

/* What is wrong with all of them together, or NULL. */
const char *tape_state_loaded(struct tape_state_loader *loader);

#endif
