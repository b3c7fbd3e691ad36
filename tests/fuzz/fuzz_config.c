/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a configuration file. What is accepted must be within the documented ranges and give
 * the same a second time; what is refused must be refused with its place. The general parser
 * behind json_scan_check() must never refuse what that let through. Built with PLANTED_BUG one
 * value gets out of its range in one corner.
 */
#include "common/config/keys.h"
#include "common/config/write.h"
#include "tests/fuzz/invariant.h"

#include <errno.h>
#include <string.h>

static int apply(struct config *config, const char *text, size_t length, char *error)
{
	int result;

	config_default(config);
	result = config_apply(config, "F", text, length, error, CONFIG_ERROR_BYTES);
#ifdef PLANTED_BUG
	if (result == 0 && config->publish_queue == 1 && !config->tcp_enabled)
		config->publish_queue = 0;
#endif
	return result;
}

static void check_error(const char *error)
{
	unsigned line;
	unsigned column;

	INVARIANT(memchr(error, '\0', CONFIG_ERROR_BYTES) != NULL);
	INVARIANT(sscanf(error, "F:%u:%u:", &line, &column) == 2);
	INVARIANT(line >= 1 && column >= 1);
}

static void check_excludes(const struct config_excludes *excludes)
{
	INVARIANT(excludes->count <= CONFIG_EXCLUDES_MAX);
	for (uint32_t i = 0; i < excludes->count; i++) {
		const struct exclude_item *item = &excludes->item[i];
		char text[EXCLUDE_ADDRESS_BYTES];
		struct exclude_prefix prefix;
		struct exclude_ports ports;
		const char *why;

		exclude_prefix_format(text, &item->prefix);
		INVARIANT(exclude_prefix_parse(&prefix, text, &why) == 0);
		INVARIANT(exclude_prefix_equal(&prefix, &item->prefix));
		exclude_ports_format(text, &item->ports);
		INVARIANT(exclude_ports_parse(&ports, text, &why) == 0);
		INVARIANT(memcmp(&ports, &item->ports, sizeof(ports)) == 0);
	}
}

static void check_value(const struct config_key *key, const struct config *config)
{
	const uint32_t *number = config_key_value_of(key, config);
	const struct config_dns_types *types = config_key_value_of(key, config);
	const struct config_replace *replace = config_key_value_of(key, config);

	switch (key->type) {
	case CONFIG_INTEGER:
	case CONFIG_LEVEL:
	case CONFIG_PORTS: /* a list begins with the number of its elements */
		INVARIANT(*number >= key->minimum && *number <= key->maximum);
		break;
	case CONFIG_DNS_TYPES:
		INVARIANT(types->count >= key->minimum && types->count <= key->maximum);
		for (uint32_t i = 0; i < types->count; i++)
			INVARIANT(config_dns_type_name(types->code[i]) != NULL);
		break;
	case CONFIG_EXCLUDES:
		check_excludes(config_key_value_of(key, config));
		break;
	case CONFIG_REPLACE:
		INVARIANT(replace->count <= key->maximum);
		for (uint32_t i = 0; i < replace->count; i++)
			INVARIANT(replace->rule[i].pattern[0] != '\0');
		break;
	case CONFIG_BOOL:
		break;
	}
}

/* What was taken is written as a text that is taken as the same. */
static void check_written(const struct config *config)
{
	static char text[CONFIG_JSON_BYTES_MAX];
	char error[CONFIG_ERROR_BYTES];
	struct config again;
	struct json json;

	json_init(&json, text, sizeof(text));
	config_write(&json, config);
	INVARIANT(!json.overflow);
	config_default(&again);
	INVARIANT(config_apply(&again, "F", text, json_length(&json), error, sizeof(error)) == 0);
	for (size_t i = 0; i < config_key_count; i++)
		INVARIANT(config_key_equal(&config_keys[i], config, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR_BYTES];
	struct config config;
	struct config again;
	/* A block of exactly that length, so that the sanitizer sees a read beyond it. */
	char *text = malloc(size ? size : 1);
	int result;

	if (!text)
		return 0;
	memcpy(text, data, size);
	result = apply(&config, text, size, error);
	INVARIANT(result == 0 || result == -EINVAL);
	if (result < 0)
		check_error(error);
	/* What was refused is thrown away, and may be half of a value. */
	for (size_t i = 0; result == 0 && i < config_key_count; i++)
		check_value(&config_keys[i], &config);
	if (result == 0)
		check_written(&config);
	INVARIANT(apply(&again, text, size, error) == result);
	INVARIANT(memcmp(&config, &again, sizeof(config)) == 0);
	free(text);
	return 0;
}
