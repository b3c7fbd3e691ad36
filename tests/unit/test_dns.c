/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way from a packet to statistics and names. */
#include "common/clock.h"
#include "tests/unit/example_dns.h"
#include "worker/dns/dns.h"

#include <criterion/criterion.h>

#include <netinet/in.h>
#include <string.h>

#define START_NS (1000 * NS_PER_S)
#define CLIENT 5
#define RESOLVER 1

static struct dns dns;
static struct dns_settings settings;
static struct example_dns message;
static uint64_t now_ns;

static void open_dns(void)
{
	struct config config;

	config_default(&config);
	settings = dns_settings_of(&config);
	now_ns = START_NS;
	memset(&dns, 0, sizeof(dns));
	cr_assert_eq(dns_init(&dns, &settings, "secret"), 0);
	dns_tick(&dns, now_ns);
}

static void close_dns(void)
{
	dns_fini(&dns);
}

TestSuite(dns, .init = open_dns, .fini = close_dns);

/* From the client to the resolver, or back: what stands in message. */
static struct dns_frame frame_of(bool is_query, uint8_t protocol)
{
	const uint8_t client[16] = {10, 0, 0, CLIENT}, resolver[16] = {10, 0, 0, RESOLVER};
	struct dns_frame frame = {
		.source_port = is_query ? 40000 : 53,
		.destination_port = is_query ? 53 : 40000,
		.family = RECORD_FAMILY_IPV4,
		.protocol = protocol,
		.payload = message.bytes,
		.payload_bytes = (uint32_t)message.length,
		.whole_bytes = (uint32_t)message.length,
	};

	memcpy(frame.source_ip, is_query ? client : resolver, sizeof(client));
	memcpy(frame.destination_ip, is_query ? resolver : client, sizeof(client));
	return frame;
}

static void make_query(unsigned id, const char *name, unsigned type)
{
	example_dns_begin(&message, id, EXAMPLE_DNS_QUERY, 0, 0, 0);
	example_dns_question(&message, name, type);
}

/* One address, 10.0.0.HOST. */
static void make_answer(unsigned id, const char *name, unsigned host)
{
	example_dns_begin(&message, id, EXAMPLE_DNS_RESPONSE, 1, 0, 0);
	example_dns_question(&message, name, DNS_TYPE_A);
	example_dns_pointer(&message, EXAMPLE_DNS_QUESTION_AT);
	example_dns_a(&message, 300, host);
}

static void take_on(uint32_t interface, bool is_query)
{
	const struct dns_frame frame = frame_of(is_query, IPPROTO_UDP);

	dns_take(&dns, &frame, interface, now_ns);
}

static void ask(unsigned id, const char *name)
{
	make_query(id, name, DNS_TYPE_A);
	take_on(2, true);
}

static void answer(unsigned id, const char *name, unsigned host)
{
	now_ns += NS_PER_MS;
	make_answer(id, name, host);
	take_on(2, false);
}

static bool has_name(unsigned host)
{
	const uint8_t ip[16] = {10, 0, 0, (uint8_t)host};
	struct names_cursor cursor;

	return names_find(&dns.names, RECORD_FAMILY_IPV4, ip, now_ns, &cursor);
}

static struct dns_stats_numbers row_at(uint32_t row)
{
	struct dns_stats_numbers numbers;
	struct dns_stats_view view;

	cr_assert_neq(dns_stats_next(&dns.stats, row, &numbers, &view), DNS_STATS_NONE);
	return numbers;
}

Test(dns, an_answer_names_its_addresses_and_is_counted_with_its_time)
{
	ask(1, "www.example.org");
	answer(1, "www.example.org", 7);
	cr_expect(has_name(7));
	cr_expect_eq(row_at(0).queries, 1);
	cr_expect_eq(row_at(0).rcode[0], 1);
	cr_expect_eq(row_at(0).latency_us.sum, 1000);
	cr_expect_eq(dns_news_take(&dns.news)->address.ip[3], 7);
	cr_expect_null(dns_news_take(&dns.news));
}

Test(dns, what_was_not_asked_for_names_nothing)
{
	ask(1, "www.example.org");
	answer(2, "www.example.org", 7);
	answer(1, "other.example.org", 8);
	cr_expect_not(has_name(7));
	cr_expect_not(has_name(8));
	cr_expect_eq(dns.in_flight.counts.unmatched, 2);
	answer(1, "www.example.org", 9);
	answer(1, "www.example.org", 10);
	cr_expect(has_name(9));
	cr_expect_not(has_name(10), "it was answered already");
	cr_expect_eq(dns.in_flight.counts.unmatched, 3);
}

Test(dns, one_packet_on_two_interfaces_is_one)
{
	make_query(1, "www.example.org", DNS_TYPE_A);
	take_on(2, true);
	now_ns += 20000;
	take_on(3, true);
	now_ns += 20000;
	take_on(4, true);
	make_answer(1, "www.example.org", 7);
	take_on(4, false);
	now_ns += 20000;
	take_on(3, false);
	cr_expect_eq(dns.counts.duplicates, 3);
	cr_expect_eq(dns.in_flight.counts.queries, 1);
	cr_expect_eq(dns.in_flight.counts.retries, 0);
	cr_expect_eq(dns.in_flight.counts.answers, 1);
	cr_expect_eq(dns.in_flight.counts.unmatched, 0);
}

Test(dns, a_packet_is_known_again_although_many_others_came_in_between)
{
	static const uint32_t interfaces[] = {2, 3};

	for (unsigned i = 0; i < 2; i++) {
		for (unsigned id = 0; id < 200; id++) {
			now_ns += 100000;
			make_query(id, "www.example.org", DNS_TYPE_A);
			take_on(interfaces[i], true);
		}
	}
	cr_expect_eq(dns.counts.duplicates, 200);
	cr_expect_eq(dns.in_flight.counts.retries, 0);
}

Test(dns, who_asks_again_asks_again)
{
	ask(1, "www.example.org");
	now_ns += NS_PER_MS;
	ask(1, "www.example.org");
	now_ns += 2 * DUPLICATES_NS;
	make_query(1, "www.example.org", DNS_TYPE_A);
	take_on(3, true);
	cr_expect_eq(dns.counts.duplicates, 0);
	cr_expect_eq(dns.in_flight.counts.retries, 2);
}

Test(dns, silence_is_a_timeout_and_a_late_answer_still_names)
{
	ask(1, "www.example.org");
	ask(2, "none.example.org");
	now_ns += settings.timeout_ns + NS_PER_MS;
	answer(1, "www.example.org", 7);
	dns_tick(&dns, now_ns);
	cr_expect(has_name(7));
	cr_expect_eq(dns.in_flight.counts.timeouts, 2);
	cr_expect_eq(row_at(0).timeouts + row_at(1).timeouts, 2);
	cr_expect_eq(row_at(0).answers + row_at(1).answers, 0);
}

Test(dns, other_ports_and_types_are_not_looked_at)
{
	struct dns_frame frame;

	make_query(1, "www.example.org", 16);
	take_on(2, true);
	cr_expect_eq(dns.counts.other_types, 1);
	make_query(1, "www.example.org", DNS_TYPE_A);
	frame = frame_of(true, IPPROTO_UDP);
	frame.destination_port = 5353;
	dns_take(&dns, &frame, 2, now_ns);
	cr_expect_eq(dns.counts.other_ports, 1);
	/* From the port, and no answer: the port is the client's. */
	frame.source_port = 53;
	dns_take(&dns, &frame, 2, now_ns);
	cr_expect_eq(dns.counts.other_ports, 2);
	cr_expect_eq(dns.in_flight.counts.queries, 0);
}

Test(dns, a_resolver_on_loopback_gives_names_and_no_statistics)
{
	const uint8_t own[16] = {127, 0, 0, 53};
	struct dns_stats_numbers numbers;
	struct dns_stats_view view;
	struct dns_frame frame;

	make_query(1, "www.example.org", DNS_TYPE_A);
	frame = frame_of(true, IPPROTO_UDP);
	memcpy(frame.destination_ip, own, sizeof(own));
	dns_take(&dns, &frame, 1, now_ns);
	make_answer(1, "www.example.org", 7);
	frame = frame_of(false, IPPROTO_UDP);
	memcpy(frame.source_ip, own, sizeof(own));
	dns_take(&dns, &frame, 1, now_ns);
	cr_expect(has_name(7));
	cr_expect_eq(dns.counts.local, 2);
	cr_expect_eq(dns_stats_next(&dns.stats, 0, &numbers, &view), DNS_STATS_NONE);
}

Test(dns, messages_come_out_of_tcp_segments)
{
	struct dns_frame frame;
	uint8_t bytes[1024];
	size_t length = 0;

	for (unsigned id = 1; id <= 2; id++) {
		make_query(id, "www.example.org", DNS_TYPE_A);
		bytes[length] = (uint8_t)(message.length >> 8);
		bytes[length + 1] = (uint8_t)message.length;
		memcpy(bytes + length + 2, message.bytes, message.length);
		length += 2 + message.length;
	}
	frame = frame_of(true, IPPROTO_TCP);
	frame.payload = bytes;
	frame.payload_bytes = frame.whole_bytes = (uint32_t)length;
	frame.tcp_seq = 1;
	dns_take(&dns, &frame, 2, now_ns);
	cr_expect_eq(dns.in_flight.counts.queries, 2);
	cr_expect_eq(row_at(0).queries, 2);
}

Test(dns, what_is_no_message_is_counted_by_its_reason)
{
	make_query(1, "www.example.org", DNS_TYPE_A);
	message.length = 5;
	take_on(2, true);
	make_query(1, "www.example.org", DNS_TYPE_A);
	message.bytes[5] = 2;
	take_on(2, true);
	cr_expect_eq(dns.counts.rejected[DNS_REJECT_SHORT], 1);
	cr_expect_eq(dns.counts.rejected[DNS_REJECT_QUESTIONS], 1);
	cr_expect_eq(dns.counts.messages, 0);
}

Test(dns, where_it_is_disabled_nothing_is_kept)
{
	static struct dns none;
	struct dns_settings off = settings;

	off.enabled = false;
	cr_assert_eq(dns_init(&none, &off, "secret"), 0);
	cr_expect_eq(dns_bytes(&off), 0);
	dns_tick(&none, now_ns);
	dns_fini(&none);
}
