/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/closed_log.h"

#include "common/lazy_memory.h"

#include <errno.h>

uint64_t closed_log_bytes(uint32_t capacity)
{
	return sizeof(struct closed_entry) * (uint64_t)capacity;
}

int closed_log_init(struct closed_log *log, uint32_t capacity)
{
	*log = (struct closed_log){.capacity = capacity};
	log->entries = lazy_memory_reserve(closed_log_bytes(capacity));
	return log->entries ? 0 : -ENOMEM;
}

void closed_log_fini(struct closed_log *log)
{
	lazy_memory_release(log->entries, closed_log_bytes(log->capacity));
}

uint32_t closed_log_place(const struct closed_log *log, uint64_t number)
{
	return (uint32_t)(number % log->capacity);
}

struct closed_entry *closed_log_at(const struct closed_log *log, uint64_t number)
{
	return &log->entries[closed_log_place(log, number)];
}

struct closed_entry *closed_log_add(struct closed_log *log, const struct conn_view *view)
{
	struct closed_entry *entry = closed_log_at(log, log->next++);

	entry->record = *view->record;
	entry->told_by = 0;
	entry->has_base = false;
	entry->inferred = view->inferred;
	entry->has_nat = view->nat != NULL;
	if (view->nat)
		entry->nat = *view->nat;
	entry->has_dns = view->dns != NULL;
	if (view->dns)
		entry->dns = *view->dns;
	return entry;
}

void closed_log_release(struct closed_log *log, uint64_t number)
{
	log->first = number;
}

void closed_log_clear(struct closed_log *log)
{
	log->first = 0;
	log->next = 0;
	lazy_memory_clear(log->entries, closed_log_bytes(log->capacity));
}
