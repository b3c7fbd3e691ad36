/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The closed connections that some client has not acknowledged yet: one log for all clients, each of
 * which stands somewhere in it. What a connection costs here does not depend on how many clients there
 * are. The log has a fixed capacity: when it is full its oldest entry makes room, and whoever
 * still needed that is its user's concern (worker/conn/clients.h).
 *
 * Entries are numbered from 0, without holes; a number's place is number % capacity.
 */
#ifndef SOCKWARDEN_WORKER_CONN_CLOSED_LOG_H
#define SOCKWARDEN_WORKER_CONN_CLOSED_LOG_H

#include "worker/conn/view.h"

#include <stdbool.h>
#include <stdint.h>

struct closed_entry {
	struct conn_record record;
	struct conn_nat nat;		     /* if has_nat */
	struct dns_conversation_numbers dns; /* if has_dns */
	struct conn_totals base; /* told by an earlier entry of the same connection, if has_base */
	uint64_t told_by;	 /* bits of the clients that were told of it while it lived */
	bool has_base;
	bool has_nat;
	bool has_dns;
	bool inferred;
};

struct closed_log {
	struct closed_entry *entries;
	uint32_t capacity;
	uint64_t first; /* number of the oldest entry that is kept */
	uint64_t next;	/* number of the entry that is added next */
};

/* Returns 0 or -ENOMEM. Memory is touched as far as the log is used. */
int closed_log_init(struct closed_log *log, uint32_t capacity);
void closed_log_fini(struct closed_log *log);

/* Bytes that a log of this capacity may take. */
uint64_t closed_log_bytes(uint32_t capacity);

static inline bool closed_log_is_full(const struct closed_log *log)
{
	return log->next - log->first == log->capacity;
}

/* The entry with this number, first <= number < next. */
struct closed_entry *closed_log_at(const struct closed_log *log, uint64_t number);

/* Where the entry with this number is. */
uint32_t closed_log_place(const struct closed_log *log, uint64_t number);

/* Adds what is told; the log is not full. Returns the entry; its told_by is 0. */
struct closed_entry *closed_log_add(struct closed_log *log, const struct conn_view *view);

/* Lets all entries before this number go, first <= number <= next. */
void closed_log_release(struct closed_log *log, uint64_t number);

/* Forgets everything and gives the memory back. */
void closed_log_clear(struct closed_log *log);

#endif
