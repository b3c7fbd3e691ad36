/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/keys.h"
#include "common/config/write.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

static char error[CONFIG_ERROR_BYTES];
static char text[CONFIG_JSON_BYTES_MAX];

static size_t write_out(const struct config *config)
{
	struct json json;

	json_init(&json, text, sizeof(text));
	config_write(&json, config);
	cr_assert_not(json.overflow);
	return json_length(&json);
}

static void expect_round_trip(const struct config *config)
{
	struct config again;
	const size_t length = write_out(config);

	config_default(&again);
	cr_assert_eq(config_apply(&again, "F", text, length, error, sizeof(error)), 0, "%s", error);
	for (size_t i = 0; i < config_key_count; i++)
		cr_expect(config_key_equal(&config_keys[i], config, &again), "%s.%s",
			  config_keys[i].section, config_keys[i].name);
}

static void apply(struct config *config, const char *json)
{
	config_default(config);
	cr_assert_eq(config_apply(config, "F", json, strlen(json), error, sizeof(error)), 0, "%s",
		     error);
}

Test(config_write, writes_every_key_and_nothing_else)
{
	struct config config;

	config_default(&config);
	text[write_out(&config)] = '\0';
	cr_expect_str_eq(
		text,
		"{\"publish\":{\"interval_s\":30,\"closed_delay_ms\":1000,\"queue\":1024},"
		"\"state\":{\"max_connections\":65536,\"max_closed_buffered\":65536,"
		"\"client_expiry_s\":120,\"max_clients\":16,\"rollup\":false},"
		"\"tcp\":{\"enabled\":true},"
		"\"udp\":{\"enabled\":true,\"timeout_s\":30,\"stream_timeout_s\":120},"
		"\"ipv6\":{\"enabled\":true},"
		"\"exclude\":{\"source\":{},\"destination\":{}},"
		"\"dns\":{\"enabled\":true,\"ports\":[53],\"timeout_s\":15,\"types\":[\"A\",\"AAAA\"],"
		"\"domains\":true,\"local\":false,\"max_stats\":20000,\"max_in_flight\":10000,"
		"\"max_names\":100000,\"max_names_per_ip\":1000},"
		"\"nat\":{\"enabled\":true,\"max_entries\":131072},"
		"\"http\":{\"enabled\":false,\"max_request_fragment\":512,\"max_tracked\":65536,"
		"\"max_stats\":100000,\"quantize\":true,\"replace\":[],\"ports_excluded\":[]},"
		"\"kafka\":{\"enabled\":false,\"max_stats\":100000},"
		"\"tls\":{\"enabled\":false,\"handshakes\":true},"
		"\"loss\":{\"window_s\":3600,\"bpf_ppm\":0,\"ring_ppm\":0,\"batch_ppm\":0,\"packets_ppm\":0,"
		"\"table_ppm\":1000000,\"publish_ppm\":1000000},"
		"\"log\":{\"level\":\"info\"}}");
}

Test(config_write, writes_what_is_read_back_as_the_same)
{
	static const char *const cases[] = {
		"{}",
		"{\"exclude\": {\"source\": {\"*\": [\"*\", \"TCP 1-2\"], \"FD00::1\": [\"udp "
		"5\"], \"10.0.0.0/8\": [\"7\"]}, \"destination\": {\"::/0\": [\"tcp *\"]}}}",
		"{\"dns\": {\"ports\": [5353, 53], \"types\": [\"CAA\", \"A\"], \"enabled\": false}}",
		"{\"http\": {\"replace\": [{\"pattern\": \"a\\\\d\\\"\\u00e9\", \"repl\": \"\"}, "
		"{\"pattern\": \"b\", \"repl\": \"/\"}], \"ports_excluded\": [1, 2]}}",
		"{\"log\": {\"level\": \"error\"}}",
		"{\"log\": {\"level\": \"warning\"}}",
		"{\"log\": {\"level\": \"debug\"}, \"state\": {\"rollup\": true}}",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config;

		apply(&config, cases[i]);
		expect_round_trip(&config);
	}
}

/* The longest texts that the lists take, as many as there is room for. */
static void fill_lists(struct config *config)
{
	struct config_excludes *excludes = &config->exclude_source;

	for (uint32_t i = 0; i < CONFIG_EXCLUDES_MAX; i++) {
		struct exclude_item *item = &excludes->item[i];

		item->prefix = (struct exclude_prefix){.family = EXCLUDE_IPV6, .bits = 127};
		memset(item->prefix.ip, 0xee, sizeof(item->prefix.ip));
		item->prefix.ip[0] = (uint8_t)(0x10 + i / 16);
		item->prefix.ip[2] = (uint8_t)(0x10 + i % 16);
		item->ports = (struct exclude_ports){10000, 20000, EXCLUDE_TCP, 0};
	}
	excludes->count = CONFIG_EXCLUDES_MAX;
	config->exclude_destination = *excludes;
	for (uint32_t i = 0; i < CONFIG_REPLACE_MAX; i++) {
		memset(config->http_replace.rule[i].pattern, '"', CONFIG_PATTERN_BYTES - 1);
		memset(config->http_replace.rule[i].repl, '\\', CONFIG_REPL_BYTES - 1);
	}
	config->http_replace.count = CONFIG_REPLACE_MAX;
	for (uint32_t i = 0; i < CONFIG_PORTS_MAX; i++)
		config->dns_ports.port[i] = (uint16_t)(60000 + i);
	config->dns_ports.count = CONFIG_PORTS_MAX;
	config->http_ports_excluded = config->dns_ports;
}

Test(config_write, has_room_for_the_largest_configuration)
{
	static struct config config;
	size_t length;

	config_default(&config);
	fill_lists(&config);
	length = write_out(&config);
	cr_expect_gt(length, CONFIG_JSON_BYTES_MAX / 2);
	/* A file of it can be read again, too. */
	cr_expect_lt(length, CONFIG_FILE_BYTES_MAX);
	expect_round_trip(&config);
}
