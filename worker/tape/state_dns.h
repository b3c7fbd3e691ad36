/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine knows of DNS, onto a tape and back: worker/tape/tape_dns.h. A part of
 * worker/tape/state.h, which is what others use.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_STATE_DNS_H
#define SOCKWARDEN_WORKER_TAPE_STATE_DNS_H

#include "worker/engine.h"
#include "worker/tape/reader.h"
#include "worker/tape/tape_dns.h"
#include "worker/tape/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* Writes it; nothing if DNS is not looked at. */
void tape_state_dns_save(struct tape_writer *writer, const struct engine *engine);

/* The most bytes that it writes. */
uint64_t tape_state_dns_bytes_max(const struct dns_settings *settings);

struct tape_state_dns_loader {
	struct engine *engine;
	struct names_loader names;
	struct dns_stats_loader stats;
	uint16_t type; /* of the entry before; 0: none yet */
};

/* engine is as engine_init() left it. */
void tape_state_dns_loader_init(struct tape_state_dns_loader *loader, struct engine *engine);

/* As tape_state_load() and tape_state_loaded(). */
const char *tape_state_dns_load(struct tape_state_dns_loader *loader,
				const struct tape_entry *entry);
const char *tape_state_dns_loaded(struct tape_state_dns_loader *loader);

#endif
