/* SPDX-License-Identifier: Apache-2.0 */
/* Names of connections, from the answer on the wire to the message that tells of the connection. */
#include "common/clock.h"
#include "tests/unit/example_conn.h"
#include "tests/unit/example_dns.h"
#include "worker/engine.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#define START_NS (1000 * NS_PER_S)
#define HOST 7

static struct engine *engine;
static struct metrics metrics;
static struct config config;
static struct conn_record record;
static uint64_t now_ns;
static char told[65536]; /* the last message of conn.v1 */

static void settle(void *ctx)
{
	(void)ctx;
}

static int keep(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	if (length < 8 || memcmp(bytes, "conn.v1 ", 8) != 0)
		return 0;
	cr_assert_lt(length, sizeof(told));
	memcpy(told, bytes, length);
	told[length] = '\0';
	return 0;
}

static void open_engine(void)
{
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};
	const struct engine_sink sink = {.settle = settle, .send = keep, .ask_cgroups = settle};
	struct engine_settings settings;

	config_default(&config);
	settings = engine_settings_of(&config);
	now_ns = START_NS;
	engine = calloc(1, sizeof(*engine));
	cr_assert_eq(engine_init(engine, &settings, &sink, &identity, &metrics), 0);
	engine_tick(engine, now_ns, (struct clock_offsets){0}, true);
	record = example_record();
	record.kind = RECORD_KIND_SNAPSHOT;
	record.tcp_state = 1; /* ESTABLISHED */
	record.flags = RECORD_ESTABLISHED;
	record.cgroup_id = 0;
	record.remote_ip[3] = HOST;
}

static void close_engine(void)
{
	engine_fini(engine);
	free(engine);
}

TestSuite(engine_names, .init = open_engine, .fini = close_engine);

static void capture(const struct example_dns *message, bool is_query)
{
	struct packet packet = {
		.record =
			{
				.kind = RECORD_KIND_PACKET,
				.version = RECORD_VERSION,
				.family = RECORD_FAMILY_IPV4,
				.protocol = IPPROTO_UDP,
				.at_ns = now_ns,
				.payload_bytes = (__u32)message->length,
				.interface = 2,
				.source_port = is_query ? 40000 : 53,
				.destination_port = is_query ? 53 : 40000,
			},
		.payload = message->bytes,
		.length = message->length,
	};

	packet.record.source_ip[3] = is_query ? 5 : 1;
	packet.record.destination_ip[3] = is_query ? 1 : 5;
	engine_packet(engine, &packet);
}

/* HOST is what the name leads to, for ttl_s. */
static void resolve(const char *name, uint32_t ttl_s)
{
	static struct example_dns message;

	example_dns_begin(&message, 1, EXAMPLE_DNS_QUERY, 0, 0, 0);
	example_dns_question(&message, name, DNS_TYPE_A);
	capture(&message, true);
	example_dns_begin(&message, 1, EXAMPLE_DNS_RESPONSE, 1, 0, 0);
	example_dns_question(&message, name, DNS_TYPE_A);
	example_dns_pointer(&message, EXAMPLE_DNS_QUESTION_AT);
	example_dns_a(&message, ttl_s, HOST);
	capture(&message, false);
}

static void open_connection(void)
{
	record.opened_ns = now_ns;
}

/* A publishing interval: a snapshot at its end, in which nothing has changed, and ticks in between. */
static void live_an_interval(void)
{
	const uint64_t end_ns = now_ns + config.publish_interval_s * NS_PER_S;

	for (; now_ns < end_ns; now_ns += NS_PER_S)
		engine_tick(engine, now_ns, (struct clock_offsets){0}, true);
	engine_pass_begin(engine, now_ns, 1);
	record.at_ns = now_ns;
	engine_seen(engine, &record);
	engine_pass_end(engine, now_ns);
	engine_active_begin(engine);
	while (engine_active_step(engine))
		;
	engine_flush(engine, now_ns, true);
}

static void end_connection(void)
{
	told[0] = '\0';
	record.kind = RECORD_KIND_CLOSE;
	record.tcp_state = 5;
	record.flags |= RECORD_FIN_ACKED;
	record.at_ns = now_ns;
	engine_close(engine, &record);
	engine_flush(engine, now_ns, true);
	cr_assert_not_null(strstr(told, "\"state\":\"closed\""), "%s", told);
}

static bool is_told_as(const char *names)
{
	return strstr(told, names);
}

Test(engine_names, a_connection_has_the_name_that_led_to_it)
{
	resolve("www.example.org", 60);
	open_connection();
	live_an_interval();
	cr_expect(is_told_as("\"names\":[\"www.example.org\"]"), "%s", told);
	end_connection();
	cr_expect(is_told_as("\"names\":[\"www.example.org\"]"), "%s", told);
}

/* Long beyond the TTL and what is kept beyond it. */
Test(engine_names, a_connection_that_is_silent_for_hours_still_has_its_name_when_it_ends)
{
	resolve("www.example.org", 60);
	open_connection();
	for (unsigned i = 0; i < 500; i++)
		live_an_interval();
	end_connection();
	cr_expect(is_told_as("\"names\":[\"www.example.org\"]"), "%s", told);
	/* Then nothing holds it any more. */
	record.kind = RECORD_KIND_SNAPSHOT;
	record.remote_ip[3] = HOST + 1;
	record.id++;
	for (unsigned i = 0; i < 10; i++)
		live_an_interval();
	cr_expect_eq(engine->dns.names.entry_pool.used, 0);
	cr_expect_eq(engine->dns.names.counts.expired, 1);
}

static bool has_name_when_asked_for(const struct conn_record *closed)
{
	struct conn_view view = {.record = closed, .closed = true};

	engine_complete(engine, &view);
	return view.names;
}

Test(engine_names, whoever_asks_as_late_as_he_may_is_told_the_name_of_what_has_closed)
{
	const uint64_t expiry_ns = config.state_client_expiry_s * NS_PER_S;
	struct conn_record closed;
	uint64_t closed_ns;

	resolve("www.example.org", 60);
	open_connection();
	for (unsigned i = 0; i < 20; i++)
		live_an_interval();
	end_connection();
	closed = record;
	closed_ns = now_ns;
	record.kind = RECORD_KIND_SNAPSHOT;
	record.remote_ip[3] = HOST + 1;
	record.id++;
	while (now_ns - closed_ns <= expiry_ns) {
		cr_expect(has_name_when_asked_for(&closed));
		live_an_interval();
	}
	for (unsigned i = 0; i < 6; i++)
		live_an_interval();
	cr_expect_not(has_name_when_asked_for(&closed), "not for ever");
}

Test(engine_names, a_connection_that_is_opened_when_the_name_is_no_longer_alive_has_none)
{
	resolve("www.example.org", 60);
	now_ns += 61 * NS_PER_S;
	open_connection();
	end_connection();
	cr_expect(is_told_as("\"names\":[]"), "%s", told);
}

Test(engine_names, what_was_resolved_since_is_told_first_and_what_led_here_too)
{
	resolve("old.example.org", 60);
	open_connection();
	live_an_interval();
	resolve("new.example.org", 60);
	for (unsigned i = 0; i < 20; i++)
		live_an_interval();
	end_connection();
	cr_expect(is_told_as("\"names\":[\"new.example.org\",\"old.example.org\"]"), "%s", told);
}

/* It is not told, so nothing is kept for it. */
Test(engine_names, an_excluded_connection_keeps_no_name)
{
	engine->settings.tcp_enabled = false;
	resolve("www.example.org", 60);
	open_connection();
	for (unsigned i = 0; i < 6; i++)
		live_an_interval();
	cr_expect_eq(engine->dns.names.entry_pool.used, 0);
}
