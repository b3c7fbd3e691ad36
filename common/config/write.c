/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/write.h"

#include "common/config/keys.h"

#include <string.h>

static void write_text(struct json *json, const char *text)
{
	json_string(json, text, strlen(text));
}

static void write_comma(struct json *json, uint32_t index)
{
	if (index > 0)
		JSON_TEXT(json, ",");
}

static void write_level(struct json *json, enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		json_word(json, "error");
		break;
	case LOG_LEVEL_WARNING:
		json_word(json, "warning");
		break;
	case LOG_LEVEL_INFO:
		json_word(json, "info");
		break;
	case LOG_LEVEL_DEBUG:
		json_word(json, "debug");
		break;
	}
}

static void write_ports(struct json *json, const struct config_ports *ports)
{
	JSON_TEXT(json, "[");
	for (uint32_t i = 0; i < ports->count; i++) {
		write_comma(json, i);
		json_u64(json, ports->port[i]);
	}
	JSON_TEXT(json, "]");
}

static void write_dns_types(struct json *json, const struct config_dns_types *types)
{
	JSON_TEXT(json, "[");
	for (uint32_t i = 0; i < types->count; i++) {
		write_comma(json, i);
		json_word(json, config_dns_type_name(types->code[i]));
	}
	JSON_TEXT(json, "]");
}

/* What stands for one address follows one another, and is one list. */
static void write_excludes(struct json *json, const struct config_excludes *excludes)
{
	const struct exclude_prefix *before = NULL;

	JSON_TEXT(json, "{");
	for (uint32_t i = 0; i < excludes->count; i++) {
		const struct exclude_item *item = &excludes->item[i];
		char address[EXCLUDE_ADDRESS_BYTES];
		char ports[EXCLUDE_PORTS_BYTES];

		if (before && exclude_prefix_equal(before, &item->prefix)) {
			JSON_TEXT(json, ",");
		} else {
			if (before)
				JSON_TEXT(json, "],");
			exclude_prefix_format(address, &item->prefix);
			json_word(json, address);
			JSON_TEXT(json, ":[");
		}
		exclude_ports_format(ports, &item->ports);
		json_word(json, ports);
		before = &item->prefix;
	}
	if (before)
		JSON_TEXT(json, "]");
	JSON_TEXT(json, "}");
}

static void write_replace(struct json *json, const struct config_replace *replace)
{
	JSON_TEXT(json, "[");
	for (uint32_t i = 0; i < replace->count; i++) {
		write_comma(json, i);
		JSON_TEXT(json, "{\"pattern\":");
		write_text(json, replace->rule[i].pattern);
		JSON_TEXT(json, ",\"repl\":");
		write_text(json, replace->rule[i].repl);
		JSON_TEXT(json, "}");
	}
	JSON_TEXT(json, "]");
}

static void write_value(struct json *json, const struct config_key *key,
			const struct config *config)
{
	const void *value = config_key_value_of(key, config);

	switch (key->type) {
	case CONFIG_INTEGER:
		json_u64(json, *(const uint32_t *)value);
		break;
	case CONFIG_BOOL:
		json_bool(json, *(const bool *)value);
		break;
	case CONFIG_LEVEL:
		write_level(json, *(const enum log_level *)value);
		break;
	case CONFIG_PORTS:
		write_ports(json, value);
		break;
	case CONFIG_DNS_TYPES:
		write_dns_types(json, value);
		break;
	case CONFIG_EXCLUDES:
		write_excludes(json, value);
		break;
	case CONFIG_REPLACE:
		write_replace(json, value);
		break;
	}
}

void config_write(struct json *json, const struct config *config)
{
	const char *section = "";

	JSON_TEXT(json, "{");
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (strcmp(section, key->section) == 0) {
			JSON_TEXT(json, ",");
		} else {
			if (i > 0)
				JSON_TEXT(json, "},");
			json_word(json, key->section);
			JSON_TEXT(json, ":{");
			section = key->section;
		}
		json_word(json, key->name);
		JSON_TEXT(json, ":");
		write_value(json, key, config);
	}
	JSON_TEXT(json, "}}");
}
