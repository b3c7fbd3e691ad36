/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/memory_bound.h"

#include "proto/record.h"
#include "worker/conn/table.h"
#include "worker/nat/table.h"
#include "worker/pipeline.h"
#include "worker/publish/bus.h"
#include "worker/publish/query.h"
#include "worker/tape/recorder.h"

#define MIB (1024ULL * 1024)
/*
 * Code and data of the program and its libraries, the stacks of nng's threads (at most some
 * thirty, of which each touches a few pages), and what parsing one request allocates: 4 MiB when
 * idle.
 */
#define PROGRAM_BYTES (24 * MIB)

static uint64_t mapped_bytes(const struct memory_host *host)
{
	const uint64_t page = host->page_bytes;
	const uint64_t ring = (1 + (uint64_t)host->ring_pages) * page;
	/* Values of an array begin at multiples of 8; each mapping is rounded up to a page. */
	const uint64_t per_cpu = ring + sizeof(struct conn_batch) + sizeof(struct conn_counters) +
				 2 * sizeof(uint64_t);

	/* The packets' rings are as large. */
	return host->cpus * (per_cpu + ring) + sizeof(struct snapshot_stage) +
	       sizeof(struct handoff_resume) + 4 * page;
}

size_t memory_bound(struct memory_row rows[static MEMORY_ROWS_MAX], const struct config *config,
		    const struct memory_host *host)
{
	const struct clients_settings clients = {
		.max_clients = config->state_max_clients,
		.max_connections = config->state_max_connections,
		.max_closed = config->state_max_closed_buffered,
	};
	const struct dns_settings dns = dns_settings_of(config);
	const uint32_t translations = config->nat_enabled ? config->nat_max_entries : 0;
	const struct memory_row made[] = {
		{"program, libraries, threads", "", PROGRAM_BYTES},
		{"rings and batches, shared with the kernel", "--ring-pages", mapped_bytes(host)},
		{"buffers of the data's way", "", sizeof(struct pipeline)},
		{"live connections", "state.max_connections",
		 conn_table_bytes(config->state_max_connections)},
		{"clients: closed connections and what each was told",
		 "state.max_clients, .max_closed_buffered", clients_bytes(&clients)},
		{"translations of addresses", "nat.max_entries", nat_table_bytes(translations)},
		{"DNS: names, statistics, queries, conversations",
		 "dns.max_names, .max_stats, .max_in_flight, state.max_connections",
		 dns_bytes(&dns)},
		{"a recording, while there is one",
		 "state.max_connections, dns.max_names, .max_stats",
		 recorder_bytes(config->state_max_connections, translations, &dns)},
		{"messages that wait for subscribers", "publish.queue",
		 bus_events_bytes(config->publish_queue, EVENT_BYTES_MAX)},
		{"requests and answers", "", bus_queries_bytes(QUERY_LONGEST_BYTES)},
	};
	const size_t count = sizeof(made) / sizeof(made[0]);

	_Static_assert(sizeof(made) / sizeof(made[0]) <= MEMORY_ROWS_MAX, "rows fit");
	for (size_t i = 0; i < count; i++)
		rows[i] = made[i];
	return count;
}
