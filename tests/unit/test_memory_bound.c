/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/clients.h"
#include "worker/conn/table.h"
#include "worker/memory_bound.h"
#include "worker/nat/table.h"
#include "worker/tape/recorder.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

static const struct memory_host host = {.cpus = 2, .ring_pages = 512, .page_bytes = 4096};

static uint64_t total(const struct config *config, const struct memory_host *on)
{
	struct memory_row rows[MEMORY_ROWS_MAX];
	const size_t count = memory_bound(rows, config, on);
	uint64_t sum = 0;

	cr_assert_leq(count, MEMORY_ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		cr_expect_gt(rows[i].bytes, 0, "%s", rows[i].what);
		sum += rows[i].bytes;
	}
	return sum;
}

Test(memory_bound, grows_with_each_key_that_sizes_something)
{
	struct config standard;
	struct config config;

	config_default(&standard);
	config = standard;
	config.state_max_connections += 1000;
	cr_expect_eq(total(&config, &host) - total(&standard, &host),
		     conn_table_bytes(66536) - conn_table_bytes(65536) + recorder_bytes(66536, 0) -
			     recorder_bytes(65536, 0) + 1000 * 16 * sizeof(struct client_told));
	config = standard;
	config.nat_max_entries += 1000;
	cr_expect_eq(total(&config, &host) - total(&standard, &host),
		     nat_table_bytes(132072) - nat_table_bytes(131072) + recorder_bytes(1, 132072) -
			     recorder_bytes(1, 131072));
	config = standard;
	config.state_max_closed_buffered += 1000;
	cr_expect_eq(total(&config, &host) - total(&standard, &host),
		     1000 * (sizeof(struct closed_entry) + 16 * sizeof(struct client_told)));
	config = standard;
	config.state_max_clients++;
	cr_expect_gt(total(&config, &host) - total(&standard, &host),
		     2 * 65536 * sizeof(struct client_told));
	config = standard;
	config.publish_queue *= 2;
	cr_expect_gt(total(&config, &host) - total(&standard, &host), 1024 * 65536);
}

Test(memory_bound, does_not_overflow_at_the_largest_configuration)
{
	const struct memory_host large = {.cpus = 8192, .ring_pages = 65536, .page_bytes = 65536};
	struct config config;

	config_default(&config);
	config.state_max_connections = 4194304;
	config.nat_max_entries = 4194304;
	config.publish_queue = 8192;
	cr_expect_gt(total(&config, &large), 8192ULL * 65536 * 65536);
	cr_expect_lt(total(&config, &large), 8192ULL * 65537 * 65536 + (16ULL << 30));
}

/*
 * What touching code and a sanitizer's shadow adds. A word more in each of the table's entries would be
 * three times as much.
 */
#define BESIDE_BYTES (256 * 1024)

/* By the page table: statm adds up counters that lag behind by some hundred KiB on each CPU. */
static uint64_t resident_bytes(void)
{
	unsigned long long kib = 0;
	char line[256];
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	cr_assert_not_null(file);
	while (kib == 0 && fgets(line, sizeof(line), file))
		(void)sscanf(line, "Rss: %llu kB", &kib);
	fclose(file);
	cr_assert_gt(kib, 0);
	return kib * 1024;
}

Test(memory_bound, is_what_a_full_table_of_connections_takes)
{
	const uint32_t capacity = 100000;
	const uint64_t before = resident_bytes();
	struct conn_table table;
	uint64_t taken;

	cr_assert_eq(conn_table_init(&table, capacity), 0);
	for (uint64_t id = 1; id <= capacity; id++) {
		const uint32_t index = conn_table_add(&table, id);

		cr_assert_neq(index, CONN_TABLE_NONE);
		memset(&table.entries[index], 1, sizeof(table.entries[index]));
	}
	taken = resident_bytes() - before;
	cr_expect_leq(taken, conn_table_bytes(capacity) + BESIDE_BYTES);
	cr_expect_gt(taken, conn_table_bytes(capacity) / 10 * 9);
	conn_table_fini(&table);
}
