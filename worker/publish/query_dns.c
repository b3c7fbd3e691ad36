/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/query_dns.h"

#include "proto/record.h"
#include "worker/publish/dns_json.h"
#include "worker/publish/names_json.h"

/* {"ip":"an address",}, */
#define AROUND_NAMES_BYTES 80
/* ],"more":"TOKEN"} */
#define TAIL_BYTES (QUERY_PAGE_BYTES + 16)

_Static_assert(QUERY_NAMES_BYTES_EACH - AROUND_NAMES_BYTES > NAMES_JSON_NAME_BYTES_MAX + 2,
	       "one name of any length");

static void write_names_of(struct json *json, const struct query_address *address, struct dns *dns,
			   uint64_t now_ns)
{
	const uint8_t family = address->ipv6 ? RECORD_FAMILY_IPV6 : RECORD_FAMILY_IPV4;
	struct names_cursor found;
	const bool has = dns->settings.enabled &&
			 names_find(&dns->names, family, address->ip, now_ns, &found);

	JSON_TEXT(json, "{\"ip\":");
	json_address(json, address->ipv6, address->ip);
	JSON_TEXT(json, ",\"names\":");
	names_json_write(json, has ? &dns->names : NULL, &found,
			 QUERY_NAMES_BYTES_EACH - AROUND_NAMES_BYTES);
	JSON_TEXT(json, "}");
}

void query_names_answer(struct json *json, const struct query_request *request, struct dns *dns,
			uint64_t now_ns)
{
	JSON_TEXT(json, "{\"ok\":true,\"names\":[");
	for (uint32_t i = 0; i < request->address_count; i++) {
		if (i > 0)
			JSON_TEXT(json, ",");
		write_names_of(json, &request->addresses[i], dns, now_ns);
	}
	JSON_TEXT(json, "]}");
}

/* As many rows as fit; returns where the next page begins, DNS_STATS_NONE at the end. */
static uint32_t write_rows(struct json *json, uint32_t row, const struct dns_stats *stats)
{
	const char *start = json->at;
	struct dns_stats_numbers sum;
	struct dns_stats_view view;

	while ((row = dns_stats_next(stats, row, &sum, &view)) != DNS_STATS_NONE) {
		if ((size_t)(json->end - json->at) < DNS_JSON_ROW_BYTES_MAX + TAIL_BYTES)
			return row;
		if (json->at != start)
			JSON_TEXT(json, ",");
		dns_json_write(json, &view);
		row++;
	}
	return DNS_STATS_NONE;
}

void query_dns_answer(struct json *json, const struct query_request *request, const struct dns *dns)
{
	char token[QUERY_PAGE_BYTES + 1];
	uint32_t next = DNS_STATS_NONE;

	JSON_TEXT(json, "{\"ok\":true,\"dns\":[");
	if (dns->settings.enabled && request->slot < DNS_STATS_NONE)
		next = write_rows(json, (uint32_t)request->slot, &dns->stats);
	JSON_TEXT(json, "]");
	if (next != DNS_STATS_NONE) {
		query_page_format(token, next, 0);
		JSON_TEXT(json, ",\"more\":");
		json_word(json, token);
	}
	JSON_TEXT(json, "}");
}
