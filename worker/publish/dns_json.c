/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/dns_json.h"

#include "common/config/keys.h"
#include "proto/record.h"
#include "worker/dns/name.h"

#include <netinet/in.h>
#include <stdio.h>

/* IANA, "DNS RCODEs" (RFC 6895 2.3). */
static const char *const rcode_names[DNS_STATS_RCODES] = {
	"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",   "REFUSED",
	"YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE",  "DSOTYPENI",
	"RCODE12",  "RCODE13", "RCODE14",  "RCODE15",  "BADVERS",  "BADKEY",
	"BADTIME",  "BADMODE", "BADNAME",  "BADALG",   "BADTRUNC", "BADCOOKIE",
};

static void write_address(struct json *json, const struct dns_stats_key *key, const uint8_t ip[16])
{
	json_address(json, key->family == RECORD_FAMILY_IPV6, ip);
}

static void write_domain(struct json *json, const struct dns_stats_key *key)
{
	struct dns_name name = {.length = key->name_length};
	char text[DNS_NAME_TEXT_BYTES];

	if (key->name_length == 0) {
		JSON_TEXT(json, "null");
		return;
	}
	memcpy(name.wire, key->name, key->name_length);
	json_string(json, text, dns_name_text(&name, text));
}

/* A type without a name as RFC 3597 5 writes it. */
static void write_type(struct json *json, uint16_t qtype)
{
	const char *known = config_dns_type_name(qtype);
	char text[sizeof("TYPE65535")];

	if (!known)
		snprintf(text, sizeof(text), "TYPE%u", qtype);
	json_word(json, known ? known : text);
}

static void write_key(struct json *json, const struct dns_stats_key *key)
{
	if (!key) {
		JSON_TEXT(json, "\"client\":null,\"server\":null,\"server_port\":null,"
				"\"protocol\":null,\"domain\":null,\"type\":null");
		return;
	}
	JSON_TEXT(json, "\"client\":");
	write_address(json, key, key->client_ip);
	JSON_TEXT(json, ",\"server\":");
	write_address(json, key, key->server_ip);
	JSON_TEXT(json, ",\"server_port\":");
	json_u64(json, key->server_port);
	JSON_TEXT(json, ",\"protocol\":");
	json_word(json, key->protocol == IPPROTO_TCP ? "tcp" : "udp");
	JSON_TEXT(json, ",\"domain\":");
	write_domain(json, key);
	JSON_TEXT(json, ",\"type\":");
	write_type(json, key->qtype);
}

static void write_rcode(struct json *json, const char *name, uint64_t count, bool *first)
{
	if (count == 0)
		return;
	if (!*first)
		JSON_TEXT(json, ",");
	*first = false;
	json_word(json, name);
	JSON_TEXT(json, ":");
	json_number(json, count);
}

static void write_rcodes(struct json *json, const struct dns_stats_numbers *numbers)
{
	bool first = true;

	JSON_TEXT(json, ",\"rcodes\":{");
	for (unsigned i = 0; i < DNS_STATS_RCODES; i++)
		write_rcode(json, rcode_names[i], numbers->rcode[i], &first);
	write_rcode(json, "OTHER", numbers->rcode_other, &first);
	JSON_TEXT(json, "}");
}

static void write_histogram(struct json *json, const struct histogram *histogram)
{
	JSON_TEXT(json, "{\"count\":");
	json_number(json, histogram->count);
	JSON_TEXT(json, ",\"sum\":");
	json_number(json, histogram->sum);
	JSON_TEXT(json, ",\"min\":");
	json_number(json, histogram->min);
	JSON_TEXT(json, ",\"max\":");
	json_number(json, histogram->max);
	JSON_TEXT(json, ",\"zeroes\":");
	json_u64(json, histogram->zeroes);
	JSON_TEXT(json, ",\"scale\":");
	json_i64(json, histogram->scale);
	JSON_TEXT(json, ",\"offset\":");
	json_i64(json, histogram->offset);
	JSON_TEXT(json, ",\"buckets\":[");
	for (unsigned i = 0; i < histogram->used; i++) {
		if (i > 0)
			JSON_TEXT(json, ",");
		json_u64(json, histogram->bucket[i]);
	}
	JSON_TEXT(json, "]}");
}

void dns_json_write(struct json *json, const struct dns_stats_view *view)
{
	const struct dns_stats_numbers *numbers = view->numbers;

	JSON_TEXT(json, "{");
	write_key(json, view->key);
	JSON_TEXT(json, ",\"queries\":");
	json_number(json, numbers->queries);
	JSON_TEXT(json, ",\"retries\":");
	json_number(json, numbers->retries);
	JSON_TEXT(json, ",\"answers\":");
	json_number(json, numbers->answers);
	JSON_TEXT(json, ",\"timeouts\":");
	json_number(json, numbers->timeouts);
	write_rcodes(json, numbers);
	JSON_TEXT(json, ",\"latency_us\":");
	write_histogram(json, &numbers->latency_us);
	JSON_TEXT(json, ",\"failure_latency_us\":");
	write_histogram(json, &numbers->failure_latency_us);
	JSON_TEXT(json, "}");
}

static void write_sum(struct json *json, uint64_t count, uint64_t sum)
{
	JSON_TEXT(json, "{\"count\":");
	json_number(json, count);
	JSON_TEXT(json, ",\"sum\":");
	json_number(json, sum);
	JSON_TEXT(json, "}");
}

void dns_json_write_conversation(struct json *json, const struct dns_conversation_numbers *numbers)
{
	uint64_t answers;
	bool first = true;

	if (!numbers) {
		JSON_TEXT(json, "null");
		return;
	}
	answers = dns_conversation_answers(numbers);
	JSON_TEXT(json, "{\"queries\":");
	json_u64(json, numbers->queries);
	JSON_TEXT(json, ",\"retries\":");
	json_u64(json, numbers->retries);
	JSON_TEXT(json, ",\"answers\":");
	json_u64(json, answers);
	JSON_TEXT(json, ",\"timeouts\":");
	json_u64(json, numbers->timeouts);
	JSON_TEXT(json, ",\"rcodes\":{");
	for (unsigned i = 0; i < DNS_CONVERSATION_RCODES; i++)
		write_rcode(json, rcode_names[i], numbers->rcode[i], &first);
	write_rcode(json, "OTHER", numbers->rcode_other, &first);
	JSON_TEXT(json, "},\"latency_us\":");
	write_sum(json, numbers->rcode[0], numbers->latency_us);
	JSON_TEXT(json, ",\"failure_latency_us\":");
	write_sum(json, answers - numbers->rcode[0], numbers->failure_latency_us);
	JSON_TEXT(json, "}");
}
