/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/keys.h"

#include <string.h>

#define KEY(section_, name_, type_, minimum_, maximum_, initial_, ...)                         \
	{                                                                                      \
		.section = #section_, .name = #name_,                                          \
		.offset = offsetof(struct config, section_##_##name_), .type = CONFIG_##type_, \
		.minimum = minimum_, .maximum = maximum_, .initial = initial_, __VA_ARGS__     \
	}
#define SWITCH(section_, name_, initial_, ...) \
	KEY(section_, name_, BOOL, 0, 1, initial_, __VA_ARGS__)
#define WITH(feature) .pending = feature

const struct config_key config_keys[] = {
	KEY(publish, interval_s, INTEGER, 1, 3600, 30),
	KEY(publish, closed_delay_ms, INTEGER, 50, 60000, 1000),
	KEY(publish, queue, INTEGER, 1, 8192, 1024), /* nng takes no more than 8192 */
	KEY(state, max_connections, INTEGER, 64, 4194304, 65536),
	KEY(state, max_closed_buffered, INTEGER, 64, 4194304, 65536),
	KEY(state, client_expiry_s, INTEGER, 1, 86400, 120),
	KEY(state, max_clients, INTEGER, 1, 64, 16),
	SWITCH(state, rollup, false),
	SWITCH(tcp, enabled, true),
	SWITCH(udp, enabled, true),
	KEY(udp, timeout_s, INTEGER, 1, 3600, 30),
	KEY(udp, stream_timeout_s, INTEGER, 1, 3600, 120),
	SWITCH(ipv6, enabled, true),
	KEY(exclude, source, EXCLUDES, 0, CONFIG_EXCLUDES_MAX, 0),
	KEY(exclude, destination, EXCLUDES, 0, CONFIG_EXCLUDES_MAX, 0),
	SWITCH(dns, enabled, true),
	KEY(dns, ports, PORTS, 1, CONFIG_PORTS_MAX, 0),
	KEY(dns, timeout_s, INTEGER, 1, 300, 15),
	KEY(dns, types, DNS_TYPES, 1, CONFIG_DNS_TYPES_MAX, 0),
	SWITCH(dns, domains, true),
	SWITCH(dns, local, false),
	KEY(dns, max_stats, INTEGER, 64, 1048576, 20000),
	KEY(dns, max_in_flight, INTEGER, 64, 1048576, 10000),
	KEY(dns, max_names, INTEGER, 64, 4194304, 100000),
	KEY(dns, max_names_per_ip, INTEGER, 1, 65536, 1000),
	SWITCH(nat, enabled, true),
	KEY(nat, max_entries, INTEGER, 64, 4194304, 131072),
	SWITCH(http, enabled, false, WITH("HTTP")),
	KEY(http, max_request_fragment, INTEGER, 64, 512, 512, WITH("HTTP")),
	KEY(http, max_tracked, INTEGER, 64, 1048576, 65536, WITH("HTTP")),
	KEY(http, max_stats, INTEGER, 64, 1048576, 100000, WITH("HTTP")),
	SWITCH(http, quantize, true, WITH("HTTP")),
	KEY(http, replace, REPLACE, 0, CONFIG_REPLACE_MAX, 0, WITH("HTTP")),
	KEY(http, ports_excluded, PORTS, 0, CONFIG_PORTS_MAX, 0, WITH("HTTP")),
	SWITCH(kafka, enabled, false, WITH("Kafka")),
	KEY(kafka, max_stats, INTEGER, 64, 1048576, 100000, WITH("Kafka")),
	SWITCH(tls, enabled, false, WITH("TLS")),
	SWITCH(tls, handshakes, true, WITH("TLS")),
	KEY(loss, window_s, INTEGER, 0, 604800, 3600),
	KEY(loss, bpf_ppm, INTEGER, 0, 1000000, 0),
	KEY(loss, ring_ppm, INTEGER, 0, 1000000, 0),
	KEY(loss, batch_ppm, INTEGER, 0, 1000000, 0),
	KEY(loss, packets_ppm, INTEGER, 0, 1000000, 0),
	KEY(loss, table_ppm, INTEGER, 0, 1000000, 1000000),
	KEY(loss, publish_ppm, INTEGER, 0, 1000000, 1000000),
	KEY(log, level, LEVEL, LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG, LOG_LEVEL_INFO),
};
const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
	       "what was seen is a set of bits");

static const struct {
	uint16_t code;
	const char *name;
} dns_types[] = {
	{1, "A"},      {2, "NS"},     {3, "MD"},     {4, "MF"},	    {5, "CNAME"}, {6, "SOA"},
	{7, "MB"},     {8, "MG"},     {9, "MR"},     {10, "NULL"},  {11, "WKS"},  {12, "PTR"},
	{13, "HINFO"}, {14, "MINFO"}, {15, "MX"},    {16, "TXT"},   {28, "AAAA"}, {33, "SRV"},
	{35, "NAPTR"}, {41, "OPT"},   {43, "DS"},    {46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"},
	{52, "TLSA"},  {64, "SVCB"},  {65, "HTTPS"}, {256, "URI"},  {257, "CAA"},
};
#define DNS_TYPE_COUNT (sizeof(dns_types) / sizeof(dns_types[0]))

_Static_assert(DNS_TYPE_COUNT <= CONFIG_DNS_TYPES_MAX, "a list can name them all");

uint16_t config_dns_type_code(const char *name)
{
	for (size_t i = 0; i < DNS_TYPE_COUNT; i++) {
		if (strcmp(dns_types[i].name, name) == 0)
			return dns_types[i].code;
	}
	return 0;
}

const char *config_dns_type_name(uint16_t code)
{
	for (size_t i = 0; i < DNS_TYPE_COUNT; i++) {
		if (dns_types[i].code == code)
			return dns_types[i].name;
	}
	return NULL;
}

const struct config_key *config_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (strcmp(config_keys[i].section, section) == 0 &&
		    (!name || strcmp(config_keys[i].name, name) == 0))
			return &config_keys[i];
	}
	return NULL;
}

void *config_key_value(const struct config_key *key, struct config *config)
{
	return (char *)config + key->offset;
}

const void *config_key_value_of(const struct config_key *key, const struct config *config)
{
	return (const char *)config + key->offset;
}

static size_t value_bytes(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_INTEGER:
		return sizeof(uint32_t);
	case CONFIG_BOOL:
		return sizeof(bool);
	case CONFIG_LEVEL:
		return sizeof(enum log_level);
	case CONFIG_PORTS:
		return sizeof(struct config_ports);
	case CONFIG_DNS_TYPES:
		return sizeof(struct config_dns_types);
	case CONFIG_EXCLUDES:
		return sizeof(struct config_excludes);
	case CONFIG_REPLACE:
		break;
	}
	return sizeof(struct config_replace);
}

/* What is not a number begins empty, but for the two lists that DNS needs. */
void config_key_reset(const struct config_key *key, struct config *config)
{
	static const struct config_ports dns_ports = {.count = 1, .port = {53}};
	static const struct config_dns_types recorded = {.count = 2, .code = {1, 28}};
	void *place = config_key_value(key, config);

	if (key->type == CONFIG_INTEGER)
		memcpy(place, &key->initial, sizeof(uint32_t));
	else if (key->type == CONFIG_BOOL)
		memcpy(place, &(bool){key->initial != 0}, sizeof(bool));
	else if (key->type == CONFIG_LEVEL)
		memcpy(place, &(enum log_level){key->initial}, sizeof(enum log_level));
	else
		memset(place, 0, value_bytes(key));
	if (key->offset == offsetof(struct config, dns_ports))
		config->dns_ports = dns_ports;
	if (key->offset == offsetof(struct config, dns_types))
		config->dns_types = recorded;
}

void config_key_copy(const struct config_key *key, struct config *to, const struct config *from)
{
	memcpy(config_key_value(key, to), config_key_value_of(key, from), value_bytes(key));
}

bool config_key_equal(const struct config_key *key, const struct config *left,
		      const struct config *right)
{
	return memcmp(config_key_value_of(key, left), config_key_value_of(key, right),
		      value_bytes(key)) == 0;
}

bool config_key_is_idle(const struct config_key *key, const struct config *config)
{
	struct config standard;

	config_key_reset(key, &standard);
	return key->pending && !config_key_equal(key, config, &standard);
}
