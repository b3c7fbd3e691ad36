/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "tests/unit/resident.h"
#include "worker/conn/clients.h"
#include "worker/conn/table.h"
#include "worker/engine.h"
#include "worker/memory_bound.h"
#include "worker/nat/table.h"
#include "worker/tape/recorder.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
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
	struct dns_settings dns, larger;
	struct config config;

	config_default(&standard);
	dns = dns_settings_of(&standard);
	config = standard;
	config.state_max_connections += 1000;
	larger = dns_settings_of(&config);
	cr_expect_eq(total(&config, &host) - total(&standard, &host),
		     conn_table_bytes(66536) - conn_table_bytes(65536) + dns_bytes(&larger) -
			     dns_bytes(&dns) + recorder_bytes(66536, 0, &larger) -
			     recorder_bytes(65536, 0, &dns) +
			     1000 * 16 * sizeof(struct client_told));
	config = standard;
	config.dns_max_names += 1000;
	config.dns_max_stats += 1000;
	larger = dns_settings_of(&config);
	cr_expect_eq(total(&config, &host) - total(&standard, &host),
		     dns_bytes(&larger) - dns_bytes(&dns) + recorder_bytes(1, 1, &larger) -
			     recorder_bytes(1, 1, &dns));
	cr_expect_gt(recorder_bytes(1, 1, &larger) - recorder_bytes(1, 1, &dns), 1000 * 1000);
	config = standard;
	config.nat_max_entries += 1000;
	cr_expect_eq(total(&config, &host) - total(&standard, &host),
		     nat_table_bytes(132072) - nat_table_bytes(131072) +
			     recorder_bytes(1, 132072, &dns) - recorder_bytes(1, 131072, &dns));
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
	config.dns_max_names = 4194304;
	config.dns_max_stats = 1048576;
	config.dns_max_in_flight = 1048576;
	config.publish_queue = 8192;
	cr_expect_gt(total(&config, &large), 8192ULL * 65536 * 65536);
	/* Two rings for each CPU. */
	cr_expect_lt(total(&config, &large), 2 * 8192ULL * 65537 * 65536 + (16ULL << 30));
}

/* A word more in each of the table's entries would be three times what is allowed beside it. */
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
	cr_expect_leq(taken, conn_table_bytes(capacity) + RESIDENT_SLACK_BYTES);
	cr_expect_gt(taken, conn_table_bytes(capacity) / 10 * 9);
	conn_table_fini(&table);
}

static void settle(void *ctx)
{
	(void)ctx;
}

static int send_nowhere(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	(void)bytes;
	(void)length;
	return 0;
}

/* All control groups that the cache has room for, each with the longest path. */
static void fill_cgroups(void *ctx)
{
	struct cgroup_record record = {.kind = RECORD_KIND_CGROUP, .version = RECORD_VERSION};

	memset(record.path, 'x', sizeof(record.path) - 1);
	for (record.id = 1; record.id <= 4 * CGROUPS_SETS * CGROUPS_WAYS; record.id++)
		engine_cgroup(*(struct engine **)ctx, &record);
}

static struct conn_record full_record(uint64_t number, enum record_kind kind)
{
	struct conn_record record = example_record();

	record.kind = (__u8)kind;
	record.id = number;
	record.sent_bytes = number;
	record.remote_port = (uint16_t)number;
	memcpy(record.local_ip, &number, 4);
	return record;
}

/* Every client is told of everything and acknowledges nothing. */
static void tell_clients(struct engine *engine, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const char name[] = {'c', (char)('A' + i), '\0'};
		struct client *client;
		struct conn_view view;

		cr_assert_eq(clients_begin(&engine->clients, name, 0, 1, &client), 0);
		clients_overflow_told(&engine->clients, client);
		while (clients_closed_next(&engine->clients, client, &view))
			clients_closed_told(client);
		while (clients_live_next(&engine->clients, client, &engine->state.table, SIZE_MAX,
					 &view))
			clients_live_told(client, &engine->state.table);
		clients_complete(client);
	}
}

static void fill_translations(struct engine *engine, uint32_t count)
{
	for (uint32_t number = 0; number < count; number++) {
		struct nat_event event = {
			.kind = NAT_EVENT_NEW,
			.family = RECORD_FAMILY_IPV4,
			.protocol = 6,
			.nsid = NAT_NSID_ROOT,
			.id = number + 1,
			.original = {.source_port = 1, .destination_port = 80},
			.reply = {.source_port = 80, .destination_port = 2},
		};

		memcpy(event.original.source_ip, &number, sizeof(number));
		memcpy(event.reply.destination_ip, &number, sizeof(number));
		event.original.source_ip[3] = 10;
		event.original.destination_ip[0] = 9;
		event.reply.source_ip[0] = 9;
		event.reply.destination_ip[3] = 11;
		engine_nat(engine, &event);
	}
}

Test(memory_bound, is_what_an_engine_takes_in_which_everything_is_full)
{
	static const struct identity identity = {.host = "h", .instance = "0011223344556677"};
	static struct metrics metrics;
	struct engine *engine = NULL;
	const struct engine_sink sink = {.ctx = &engine,
					 .settle = settle,
					 .send = send_nowhere,
					 .ask_cgroups = fill_cgroups};
	struct engine_settings settings;
	struct clients_settings clients;
	struct config config;
	uint64_t before, taken, bound;

	config_default(&config);
	config.state_max_connections = 8192;
	config.state_max_closed_buffered = 8192;
	config.state_max_clients = 16;
	config.nat_max_entries = 16384;
	settings = engine_settings_of(&config);
	before = resident_bytes();
	engine = calloc(1, sizeof(*engine));
	cr_assert_eq(engine_init(engine, &settings, &sink, &identity, &metrics), 0);
	clients = engine->clients.settings;
	engine_tick(engine, 1, (struct clock_offsets){0}, true);
	fill_translations(engine, 2 * config.nat_max_entries);
	/* Twice: what has room is told while it lives, closes, and others take its place. */
	tell_clients(engine, config.state_max_clients);
	for (uint64_t turn = 0; turn < 3; turn++) {
		engine_pass_begin(engine, 1 + turn, 0);
		for (uint64_t number = 0; number < 2 * config.state_max_connections; number++) {
			const struct conn_record record =
				full_record(turn << 32 | (number + 1), RECORD_KIND_SNAPSHOT);

			engine_seen(engine, &record);
		}
		engine_pass_end(engine, 1 + turn);
		tell_clients(engine, config.state_max_clients);
		for (uint64_t number = 0; turn < 2 && number < 2 * config.state_max_connections;
		     number++) {
			const struct conn_record record =
				full_record(turn << 32 | (number + 1), RECORD_KIND_CLOSE);

			engine_close(engine, &record);
		}
	}
	taken = resident_bytes() - before;
	bound = conn_table_bytes(config.state_max_connections) + clients_bytes(&clients) +
		nat_table_bytes(config.nat_max_entries) + sizeof(*engine);
	cr_expect_eq(engine->state.table.used, config.state_max_connections);
	cr_expect_eq(engine->clients.log.next - engine->clients.log.first,
		     config.state_max_closed_buffered);
	cr_expect_eq(engine->nat.used, config.nat_max_entries);
	cr_expect_gt(engine->clients.folded, 0);
	cr_expect_leq(taken, bound + RESIDENT_SLACK_BYTES, "%lu KiB taken, %lu KiB said",
		      (unsigned long)(taken >> 10), (unsigned long)(bound >> 10));
	cr_expect_gt(taken, bound / 10 * 8, "%lu KiB taken, %lu KiB said",
		     (unsigned long)(taken >> 10), (unsigned long)(bound >> 10));
	engine_fini(engine);
	free(engine);
}
