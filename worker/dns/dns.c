/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/dns.h"

#include "common/clock.h"
#include "proto/record.h"

#include <netinet/in.h>
#include <string.h>

/* Where a message came from, turned so that the client is who asks. */
struct side {
	const uint8_t *client_ip;
	const uint8_t *server_ip;
	uint16_t client_port;
	uint16_t server_port;
};

struct dns_settings dns_settings_of(const struct config *config)
{
	return (struct dns_settings){
		.enabled = config->dns_enabled,
		.local = config->dns_local,
		.ports = config->dns_ports,
		.types = config->dns_types,
		.timeout_ns = config->dns_timeout_s * NS_PER_S,
		.max_in_flight = config->dns_max_in_flight,
		.max_conversations = config->state_max_connections,
		.stats = {.max_rows = config->dns_max_stats, .domains = config->dns_domains},
		.names =
			{
				.max_addresses = config->dns_max_names,
				.max_per_address = config->dns_max_names_per_ip,
				.keep_s = 2 * config->publish_interval_s,
				.late_intervals = (config->state_client_expiry_s +
						   config->publish_interval_s - 1) /
						  config->publish_interval_s,
			},
	};
}

int dns_init(struct dns *dns, const struct dns_settings *settings, const char *secret)
{
	int result;

	dns->settings = *settings;
	if (!settings->enabled)
		return 0;
	duplicates_init(&dns->duplicates, secret);
	result = dns_stream_init(&dns->stream, DNS_STREAM_BYTES, secret);
	if (result == 0)
		result = dns_in_flight_init(&dns->in_flight, settings->max_in_flight,
					    settings->timeout_ns, secret);
	if (result == 0)
		result = dns_stats_init(&dns->stats, &settings->stats, secret);
	if (result == 0)
		result = dns_conversations_init(&dns->conversations, settings->max_conversations,
						secret);
	if (result == 0)
		result = names_init(&dns->names, &settings->names, secret);
	return result;
}

void dns_fini(struct dns *dns)
{
	dns_stream_fini(&dns->stream);
	dns_in_flight_fini(&dns->in_flight);
	dns_stats_fini(&dns->stats);
	dns_conversations_fini(&dns->conversations);
	names_fini(&dns->names);
}

uint64_t dns_bytes(const struct dns_settings *settings)
{
	if (!settings->enabled)
		return 0;
	return DNS_STREAM_BYTES + dns_in_flight_bytes(settings->max_in_flight) +
	       dns_stats_bytes(settings->stats.max_rows) +
	       dns_conversations_bytes(settings->max_conversations) +
	       names_bytes(settings->names.max_addresses);
}

bool dns_is_port(const struct dns *dns, uint16_t port)
{
	for (uint32_t i = 0; i < dns->settings.ports.count; i++) {
		if (dns->settings.ports.port[i] == port)
			return true;
	}
	return false;
}

static bool is_looked_at(const struct dns *dns, uint16_t qtype)
{
	for (uint32_t i = 0; i < dns->settings.types.count; i++) {
		if (dns->settings.types.code[i] == qtype)
			return true;
	}
	return false;
}

/* 127.0.0.0/8 and ::1 (RFC 1122 3.2.1.3, RFC 4291 2.5.3). */
static bool is_loopback(uint8_t family, const uint8_t ip[16])
{
	static const uint8_t own[16] = {[15] = 1};

	return family == RECORD_FAMILY_IPV4 ? ip[0] == 127 : memcmp(ip, own, sizeof(own)) == 0;
}

static bool has_statistics(const struct dns *dns, const struct dns_query *query)
{
	return dns->settings.local || !is_loopback(query->family, query->server_ip);
}

static struct side side_of(const struct dns_ends *ends, bool is_response)
{
	if (is_response)
		return (struct side){ends->destination_ip, ends->source_ip, ends->destination_port,
				     ends->source_port};
	return (struct side){ends->source_ip, ends->destination_ip, ends->source_port,
			     ends->destination_port};
}

static void make_query(struct dns_query *query, const struct side *side, uint8_t family,
		       uint8_t protocol, const struct dns_message *message)
{
	memcpy(query->client_ip, side->client_ip, sizeof(query->client_ip));
	memcpy(query->server_ip, side->server_ip, sizeof(query->server_ip));
	query->client_port = side->client_port;
	query->server_port = side->server_port;
	query->id = message->id;
	query->qtype = message->qtype;
	query->family = family;
	query->protocol = protocol;
	query->name_length = message->question.length;
	memcpy(query->name, message->question.wire, message->question.length);
}

static void count_timeout(struct dns *dns, const struct dns_query *query, uint64_t asked_ns)
{
	dns_stats_timeout(&dns->stats, query);
	dns_conversations_timeout(&dns->conversations, query, asked_ns);
}

static void take_query(struct dns *dns, const struct dns_query *query, uint64_t at_ns)
{
	const enum dns_in_flight_query kind = dns_in_flight_query(&dns->in_flight, query, at_ns);

	if (!has_statistics(dns, query))
		return;
	if (kind == DNS_QUERY_RETRY) {
		dns_stats_retry(&dns->stats, query);
		dns_conversations_retry(&dns->conversations, query, at_ns);
		return;
	}
	if (kind == DNS_QUERY_AFTER_TIMEOUT)
		count_timeout(dns, query, at_ns - dns->settings.timeout_ns);
	dns_stats_query(&dns->stats, query);
	dns_conversations_query(&dns->conversations, query, at_ns);
}

static void take_names(struct dns *dns, const struct dns_message *message, uint64_t at_ns)
{
	for (uint16_t i = 0; i < message->address_count; i++) {
		const struct dns_address *address = &message->addresses[i];

		if (names_add(&dns->names, address->family, address->ip, message->question.wire,
			      message->question.length, address->ttl_s, at_ns) == NAMES_NEW)
			dns_news_put(&dns->news, address, &message->question);
	}
}

static void take_answer(struct dns *dns, const struct dns_query *query,
			const struct dns_message *message, uint64_t at_ns)
{
	uint64_t latency_ns;
	const enum dns_in_flight_answer kind =
		dns_in_flight_answer(&dns->in_flight, query, at_ns, &latency_ns);
	const uint64_t latency_us = latency_ns / NS_PER_US;

	if (kind == DNS_ANSWER_UNMATCHED)
		return;
	if (has_statistics(dns, query)) {
		if (kind == DNS_ANSWER_LATE) {
			count_timeout(dns, query, at_ns - latency_ns);
		} else {
			dns_stats_answer(&dns->stats, query, message->rcode, latency_us);
			dns_conversations_answer(&dns->conversations, query, at_ns - latency_ns,
						 message->rcode, latency_us);
		}
	}
	/* Whoever asked may still use what came too late. */
	take_names(dns, message, at_ns);
}

static void take_message(struct dns *dns, uint8_t protocol, const struct dns_stream_message *from)
{
	struct dns_message *message = &dns->message;
	const enum dns_reject reject =
		dns_message_parse(from->bytes, from->length, from->cut, message);
	struct dns_query query;
	struct side side;

	if (reject != DNS_REJECT_NONE) {
		dns->counts.rejected[reject]++;
		return;
	}
	dns->counts.messages++;
	dns->counts.cut += message->incomplete && from->cut;
	dns->counts.truncated += message->truncated;
	side = side_of(from->ends, message->is_response);
	if (!dns_is_port(dns, side.server_port)) {
		dns->counts.other_ports++;
		return;
	}
	if (!is_looked_at(dns, message->qtype)) {
		dns->counts.other_types++;
		return;
	}
	make_query(&query, &side, from->ends->family, protocol, message);
	dns->counts.local += is_loopback(query.family, query.server_ip);
	if (message->is_response)
		take_answer(dns, &query, message, from->at_ns);
	else
		take_query(dns, &query, from->at_ns);
}

static void take_stream_message(void *ctx, const struct dns_stream_message *message)
{
	take_message(ctx, IPPROTO_TCP, message);
}

static struct dns_stream_sink sink_of(struct dns *dns)
{
	return (struct dns_stream_sink){.message = take_stream_message, .ctx = dns};
}

static void take_datagram(struct dns *dns, const struct dns_frame *frame, uint64_t at_ns)
{
	const struct dns_ends ends = dns_ends_of(frame);
	const struct dns_stream_message message = {
		.ends = &ends,
		.bytes = frame->payload,
		.length = frame->payload_bytes,
		.cut = frame->cut,
		.at_ns = at_ns,
	};

	take_message(dns, IPPROTO_UDP, &message);
}

void dns_tick(struct dns *dns, uint64_t now_ns)
{
	const struct dns_stream_sink sink = sink_of(dns);
	const struct dns_in_flight_entry *expired;

	if (!dns->settings.enabled)
		return;
	while ((expired = dns_in_flight_expire(&dns->in_flight, now_ns))) {
		if (has_statistics(dns, &expired->query))
			count_timeout(dns, &expired->query, expired->first_ns);
	}
	dns_conversations_tick(&dns->conversations, now_ns);
	dns_stream_tick(&dns->stream, now_ns, &sink);
	names_tick(&dns->names, now_ns);
}

void dns_frame_of(struct dns_frame *frame, const struct packet *packet)
{
	const struct packet_record *record = &packet->record;

	*frame = (struct dns_frame){
		.source_port = record->source_port,
		.destination_port = record->destination_port,
		.family = record->family,
		.protocol = record->protocol,
		.tcp_flags = record->tcp_flags,
		.cut = packet->length < record->payload_bytes ||
		       (record->flags & PACKET_FRAGMENT_FLAG),
		.fragment = record->flags & PACKET_FRAGMENT_FLAG,
		.tcp_seq = record->sequence,
		.payload = packet->payload,
		.payload_bytes = (uint32_t)packet->length,
		.whole_bytes = record->payload_bytes,
	};
	memcpy(frame->source_ip, record->source_ip, sizeof(frame->source_ip));
	memcpy(frame->destination_ip, record->destination_ip, sizeof(frame->destination_ip));
}

void dns_take(struct dns *dns, const struct dns_frame *frame, uint32_t interface, uint64_t at_ns)
{
	const struct dns_stream_sink sink = sink_of(dns);

	dns->counts.packets++;
	if (!dns_is_port(dns, frame->source_port) && !dns_is_port(dns, frame->destination_port)) {
		dns->counts.other_ports++;
		return;
	}
	if (duplicates_find(&dns->duplicates, frame, interface, at_ns)) {
		dns->counts.duplicates++;
		return;
	}
	if (frame->protocol == IPPROTO_UDP)
		take_datagram(dns, frame, at_ns);
	else
		dns_stream_take(&dns->stream, frame, at_ns, &sink);
}
