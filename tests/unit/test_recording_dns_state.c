/* SPDX-License-Identifier: Apache-2.0 */
/* What is saved of DNS at a recording's beginning is put back as it was, and fits. */
#include "tests/unit/recording_dns_rig.h"

TestSuite(recording_dns_state, .init = make_small_world, .fini = free_world);

/* What a text id stands for: nothing depends on its number. */
static uint32_t texts[65536];

static void note_text(const uint8_t *payload, size_t length)
{
	uint32_t id;

	memcpy(&id, payload, sizeof(id));
	cr_assert_lt(id, 65536);
	texts[id] = (uint32_t)tape_digest((const char *)payload + sizeof(id), length - sizeof(id));
}

/* The state of an engine as bytes that are the same for the same state. */
static void canonical(const struct engine *of, struct example_bytes *bytes)
{
	struct example_tape tape;
	struct tape_entry_head head;

	example_tape_begin(&tape, "{}");
	tape_state_save(&tape.writer, of);
	for (size_t at = sizeof(struct tape_header); at < tape.bytes.length;
	     at += sizeof(head) + head.length) {
		uint8_t *payload = (uint8_t *)tape.bytes.text + at + sizeof(head);
		uint32_t *text = NULL;

		memcpy(&head, tape.bytes.text + at, sizeof(head));
		if (head.type == TAPE_STATE_DNS_TEXT) {
			note_text(payload, head.length);
			continue;
		}
		if (head.type == TAPE_STATE_DNS_ADDRESS)
			text = (void *)(payload + offsetof(struct names_saved_address, text));
		if (head.type == TAPE_STATE_DNS_OTHER)
			text = (void *)(payload + offsetof(struct names_saved_other, text));
		if (text) {
			uint32_t id;

			memcpy(&id, text, sizeof(id));
			memcpy(text, &texts[id], sizeof(id));
		}
		example_bytes_add(bytes, &head, sizeof(head));
		example_bytes_add(bytes, payload, head.length);
	}
	example_tape_free(&tape);
}

/* What was saved of an engine, into a new one. */
static struct engine *engine_from(const struct engine *saved)
{
	static const struct identity identity = {.host = "host", .instance = "00112233aabbccdd"};
	const struct engine_sink sink = {.settle = settle, .send = keep, .ask_cgroups = no_cgroups};
	const struct engine_settings settings = engine_settings_of(&config);
	struct engine *made = calloc(1, sizeof(*made));
	static struct tape_reader reader;
	struct tape_state_loader loader;
	struct example_tape tape;
	struct example_ends ends = {.in = &tape.bytes};
	struct tape_entry entry;

	cr_assert_eq(engine_init(made, &settings, &sink, &identity, &metrics), 0);
	example_tape_begin(&tape, "{}");
	tape_state_save(&tape.writer, saved);
	tape_end(&tape.writer);
	cr_assert_eq(tape_reader_init(&reader, example_fill, &ends), 0);
	tape_state_loader_init(&loader, made);
	while (tape_reader_next(&reader, &entry) > 0) {
		const char *wrong =
			tape_type_is_state(entry.type) ? tape_state_load(&loader, &entry) : NULL;

		cr_assert_null(wrong, "%s", wrong);
	}
	cr_assert_null(tape_state_loaded(&loader));
	example_tape_free(&tape);
	return made;
}

Test(recording_dns_state, what_is_put_back_is_all_that_was_saved)
{
	for (unsigned round = 0; round < 20; round++) {
		struct example_bytes before = {.text = NULL}, after = {.text = NULL};
		struct engine *made;

		live_until_busy(30);
		made = engine_from(engine);
		canonical(engine, &before);
		canonical(made, &after);
		cr_expect_eq(before.length, after.length);
		cr_expect_eq(memcmp(before.text, after.text, before.length), 0);
		/* The same memory is in use, so that the same will make room. */
		cr_expect_eq(made->dns.names.pool.pool.used, engine->dns.names.pool.pool.used);
		cr_expect_eq(made->dns.names.pool.names, engine->dns.names.pool.names);
		cr_expect_eq(made->dns.stream.flows.block_pool.used,
			     engine->dns.stream.flows.block_pool.used);
		cr_expect_eq(made->dns.stream.flows.flow_pool.used,
			     engine->dns.stream.flows.flow_pool.used);
		engine_fini(made);
		free(made);
		free(before.text);
		free(after.text);
	}
}

Test(recording_dns_state, what_a_packet_brought_too_late_for_the_last_tick_is_due_on_both_sides)
{
	struct example_tape tape = {.writer = {.put = NULL}};
	struct example_output output;
	size_t before;
	uint32_t id;

	engine_tick(engine, world.now_ns, (struct clock_offsets){5, 6}, true);
	example_dns_message(&world, 1, false);
	world.now_ns -= 20 * NS_PER_S;
	example_capture(&world, 1, false, IPPROTO_UDP, world.message.bytes, world.message.length,
			world.message.length, 0, 0);
	world.now_ns += 20 * NS_PER_S;
	cr_assert_eq(recording_begin(&recording, world.now_ns, &id), 0);
	before = published.length;
	engine_active_begin(engine);
	engine_active_step(engine);
	cr_assert_eq(recording_end(&recording, id), 0);
	cr_assert(fetch(&tape, id));
	cr_assert_eq(example_tape_replay(&tape, &output), 0, "%s", output.error);
	cr_expect_str_eq(output.text, published.text + before);
	cr_expect_not_null(strstr(output.text, "\"timeouts\":1"));
	example_output_free(&output);
	example_tape_free(&tape);
}

/* Another one for each number, of as many bytes as a name may have. */
static void longest_name(struct dns_name *name, uint32_t number)
{
	memset(name->wire, 'x', sizeof(name->wire));
	for (unsigned label = 0; label < 3; label++)
		name->wire[label * 64] = 63;
	name->wire[192] = 61;
	name->wire[254] = 0;
	name->length = 255;
	for (unsigned digit = 0; digit < 8; digit++)
		name->wire[1 + digit] = (uint8_t)('a' + (number >> (4 * digit)) % 16);
}

Test(recording_dns_state, the_largest_state_fits)
{
	const uint64_t bound = tape_state_dns_bytes_max(&engine->settings.dns);
	struct example_tape tape;

	for (uint32_t number = 0; number < 2 * DNS_NEWS_CAPACITY; number++) {
		struct dns_address address = {.family = RECORD_FAMILY_IPV4};
		struct dns_query query = {.family = RECORD_FAMILY_IPV4, .protocol = IPPROTO_UDP};
		struct dns_name name;

		longest_name(&name, number);
		memcpy(address.ip, &number, sizeof(number));
		query.name_length = name.length;
		memcpy(query.name, name.wire, name.length);
		dns_in_flight_query(&engine->dns.in_flight, &query, world.now_ns);
		dns_stats_query(&engine->dns.stats, &query);
		query.client_port = (uint16_t)number;
		dns_conversations_query(&engine->dns.conversations, &query, world.now_ns);
		dns_news_put(&engine->dns.news, &address, &name);
		names_add(&engine->dns.names, address.family, address.ip, name.wire, name.length,
			  60, world.now_ns);
		engine->dns.duplicates.places[number % DUPLICATES_PLACES].hash = 1;
	}
	example_tape_begin(&tape, "{}");
	tape_state_dns_save(&tape.writer, engine);
	cr_expect_leq(tape.bytes.length, bound);
	/* Streams are bounded by what they take in memory. */
	cr_expect_geq(tape.bytes.length, (bound - DNS_STREAM_BYTES) * 9 / 10);
	example_tape_free(&tape);
}
