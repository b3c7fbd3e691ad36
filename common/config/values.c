/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/values.h"

#include "common/json_scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int config_fail(const struct config_parse *parse, size_t offset, const char *format, ...)
{
	char message[256];
	size_t line;
	size_t column;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	json_scan_position(parse->original, offset, &line, &column);
	snprintf(parse->error, parse->error_bytes, "%s:%zu:%zu: %s", parse->name, line, column,
		 message);
	return -EINVAL;
}

/* A list on its way into its key, element by element. */
struct list {
	struct config_parse *parse;
	const struct config_key *key;
	struct json_scan_elements elements;
	size_t offset; /* of the element at hand */
	uint32_t count;
};

/* Takes an element's text; element is one in cJSON's list at the same place. */
typedef int list_element(struct list *list, const cJSON *element);

static int fail_element(const struct list *list, const char *what)
{
	return config_fail(list->parse, list->offset, "%s.%s: %s", list->key->section,
			   list->key->name, what);
}

/* Gives each element of an array to take, in order, with its offset and number in list. */
static int take_list(struct config_parse *parse, const struct config_key *key, const cJSON *value,
		     size_t offset, list_element *take)
{
	struct list list = {.parse = parse, .key = key};

	if (!cJSON_IsArray(value))
		return config_fail(parse, offset, "%s.%s must be a list", key->section, key->name);
	json_scan_elements_init(&list.elements, parse->text, parse->length, offset);
	for (const cJSON *element = value->child; element; element = element->next) {
		int result;

		if (!json_scan_elements_next(&list.elements, &list.offset))
			return config_fail(parse, offset, "an element cannot be found again");
		if (list.count == key->maximum)
			return config_fail(parse, list.offset, "%s.%s has at most %u elements",
					   key->section, key->name, key->maximum);
		result = take(&list, element);
		if (result < 0)
			return result;
		list.count++;
	}
	if (list.count < key->minimum)
		return config_fail(parse, offset, "%s.%s must not be empty", key->section,
				   key->name);
	return 0;
}

static int set_integer(struct config_parse *parse, const struct config_key *key, const cJSON *value,
		       size_t offset)
{
	const double number = value->valuedouble;
	uint32_t *place = config_key_value(key, parse->config);

	if (!cJSON_IsNumber(value) || number < key->minimum || number > key->maximum ||
	    number != (double)(uint32_t)number)
		return config_fail(parse, offset, "%s.%s must be a whole number from %u to %u",
				   key->section, key->name, key->minimum, key->maximum);
	*place = (uint32_t)number;
	return 0;
}

static int set_bool(struct config_parse *parse, const struct config_key *key, const cJSON *value,
		    size_t offset)
{
	bool *place = config_key_value(key, parse->config);

	if (!cJSON_IsBool(value))
		return config_fail(parse, offset, "%s.%s must be true or false", key->section,
				   key->name);
	*place = cJSON_IsTrue(value);
	return 0;
}

static int set_level(struct config_parse *parse, const struct config_key *key, const cJSON *value,
		     size_t offset)
{
	enum log_level *place = config_key_value(key, parse->config);

	if (!cJSON_IsString(value) || log_level_parse(value->valuestring, place) < 0)
		return config_fail(parse, offset,
				   "%s.%s must be \"error\", \"warning\", \"info\" or \"debug\"",
				   key->section, key->name);
	return 0;
}

static int take_port(struct list *list, const cJSON *element)
{
	struct config_ports *ports = config_key_value(list->key, list->parse->config);
	const double number = element->valuedouble;

	if (!cJSON_IsNumber(element) || number < 1 || number > UINT16_MAX ||
	    number != (double)(uint16_t)number)
		return fail_element(list, "a port is a whole number from 1 to 65535");
	for (uint32_t i = 0; i < list->count; i++) {
		if (ports->port[i] == (uint16_t)number)
			return fail_element(list, "this port is here twice");
	}
	ports->port[list->count] = (uint16_t)number;
	ports->count = list->count + 1;
	return 0;
}

static int take_dns_type(struct list *list, const cJSON *element)
{
	struct config_dns_types *types = config_key_value(list->key, list->parse->config);
	uint16_t code = cJSON_IsString(element) ? config_dns_type_code(element->valuestring) : 0;

	if (code == 0)
		return fail_element(list, "not a DNS type such as \"A\" or \"AAAA\"");
	for (uint32_t i = 0; i < list->count; i++) {
		if (types->code[i] == code)
			return fail_element(list, "this type is here twice");
	}
	types->code[list->count] = code;
	types->count = list->count + 1;
	return 0;
}

/* One text of a replacement rule. */
static int set_text(struct list *list, const cJSON *member, size_t offset, char *place,
		    size_t capacity)
{
	if (!cJSON_IsString(member) || strlen(member->valuestring) >= capacity)
		return config_fail(list->parse, offset,
				   "%s.%s: %s must be a text of at most %zu "
				   "bytes",
				   list->key->section, list->key->name, member->string,
				   capacity - 1);
	for (const char *at = member->valuestring; *at; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return config_fail(list->parse, offset, "%s.%s: control character in %s",
					   list->key->section, list->key->name, member->string);
	}
	memset(place, 0, capacity);
	memcpy(place, member->valuestring, strlen(member->valuestring));
	return 0;
}

static int take_rule(struct list *list, const cJSON *element)
{
	struct config_replace *replace = config_key_value(list->key, list->parse->config);
	struct json_scan_members members;
	unsigned seen = 0;
	size_t key_at;
	size_t value_at;

	if (!cJSON_IsObject(element))
		return fail_element(list, "a rule is {\"pattern\": ..., \"repl\": ...}");
	json_scan_members_init(&members, list->parse->text, list->parse->length, list->offset);
	for (const cJSON *member = element->child; member; member = member->next) {
		const bool is_pattern = strcmp(member->string, "pattern") == 0;
		const unsigned bit = is_pattern ? 1 : 2;
		int result;

		if (!json_scan_members_next(&members, &key_at, &value_at))
			return fail_element(list, "a member cannot be found again");
		if ((!is_pattern && strcmp(member->string, "repl") != 0) || seen & bit)
			return config_fail(list->parse, key_at,
					   "%s.%s: a rule has one \"pattern\" and one \"repl\"",
					   list->key->section, list->key->name);
		seen |= bit;
		result = is_pattern ? set_text(list, member, value_at,
					       replace->rule[list->count].pattern,
					       CONFIG_PATTERN_BYTES)
				    : set_text(list, member, value_at,
					       replace->rule[list->count].repl, CONFIG_REPL_BYTES);
		if (result < 0)
			return result;
	}
	if (seen != 3 || replace->rule[list->count].pattern[0] == '\0')
		return fail_element(list, "a rule has a \"pattern\", not empty, and a \"repl\"");
	replace->count = list->count + 1;
	return 0;
}

/* Takes out what earlier files said of an address. */
static void forget_address(struct config_excludes *excludes, const struct exclude_prefix *prefix)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < excludes->count; i++) {
		if (!exclude_prefix_equal(&excludes->item[i].prefix, prefix))
			excludes->item[kept++] = excludes->item[i];
	}
	memset(&excludes->item[kept], 0, (excludes->count - kept) * sizeof(excludes->item[0]));
	excludes->count = kept;
}

/* An address' list of ports, at offset. */
static int set_ports_of(struct config_parse *parse, const struct config_key *key,
			const struct exclude_prefix *prefix, const cJSON *value, size_t offset)
{
	struct config_excludes *excludes = config_key_value(key, parse->config);
	struct json_scan_elements elements;
	const char *why;

	if (!cJSON_IsArray(value))
		return config_fail(parse, offset, "%s.%s: an address has a list of ports",
				   key->section, key->name);
	json_scan_elements_init(&elements, parse->text, parse->length, offset);
	for (const cJSON *element = value->child; element; element = element->next) {
		struct exclude_item *item = &excludes->item[excludes->count];

		if (!json_scan_elements_next(&elements, &offset))
			return config_fail(parse, offset, "an element cannot be found again");
		if (excludes->count == CONFIG_EXCLUDES_MAX)
			return config_fail(parse, offset, "%s.%s has at most %u items in all",
					   key->section, key->name, CONFIG_EXCLUDES_MAX);
		if (!cJSON_IsString(element))
			return config_fail(parse, offset,
					   "%s.%s: ports are texts such as \"tcp 80\"",
					   key->section, key->name);
		if (exclude_ports_parse(&item->ports, element->valuestring, &why) < 0)
			return config_fail(parse, offset, "%s.%s: %s", key->section, key->name,
					   why);
		item->prefix = *prefix;
		excludes->count++;
	}
	return 0;
}

static bool is_among(const struct exclude_prefix *prefixes, uint32_t count,
		     const struct exclude_prefix *prefix)
{
	for (uint32_t i = 0; i < count; i++) {
		if (exclude_prefix_equal(&prefixes[i], prefix))
			return true;
	}
	return false;
}

static int set_excludes(struct config_parse *parse, const struct config_key *key,
			const cJSON *value, size_t offset)
{
	struct config_excludes *excludes = config_key_value(key, parse->config);
	struct json_scan_members members;
	struct exclude_prefix prefixes[CONFIG_EXCLUDES_MAX]; /* of this text */
	uint32_t count = 0;
	const char *why;
	size_t key_at;
	size_t value_at;

	if (!cJSON_IsObject(value))
		return config_fail(parse, offset,
				   "%s.%s must be an object: an address with a list of ports",
				   key->section, key->name);
	json_scan_members_init(&members, parse->text, parse->length, offset);
	for (const cJSON *member = value->child; member; member = member->next) {
		int result;

		if (!json_scan_members_next(&members, &key_at, &value_at))
			return config_fail(parse, offset, "a member cannot be found again");
		if (count == CONFIG_EXCLUDES_MAX)
			return config_fail(parse, key_at, "%s.%s has at most %u addresses",
					   key->section, key->name, CONFIG_EXCLUDES_MAX);
		if (exclude_prefix_parse(&prefixes[count], member->string, &why) < 0)
			return config_fail(parse, key_at, "%s.%s: \"%.50s\" %s", key->section,
					   key->name, member->string, why);
		if (is_among(prefixes, count, &prefixes[count]))
			return config_fail(parse, key_at, "%s.%s: \"%.50s\" is here twice",
					   key->section, key->name, member->string);
		forget_address(excludes, &prefixes[count]);
		result = set_ports_of(parse, key, &prefixes[count++], member, value_at);
		if (result < 0)
			return result;
	}
	return 0;
}

/* A list replaces the one before as a whole. */
static int set_list(struct config_parse *parse, const struct config_key *key, const cJSON *value,
		    size_t offset, list_element *take, size_t bytes)
{
	memset(config_key_value(key, parse->config), 0, bytes);
	return take_list(parse, key, value, offset, take);
}

int config_value_set(struct config_parse *parse, const struct config_key *key, const cJSON *value,
		     size_t offset)
{
	switch (key->type) {
	case CONFIG_INTEGER:
		return set_integer(parse, key, value, offset);
	case CONFIG_BOOL:
		return set_bool(parse, key, value, offset);
	case CONFIG_LEVEL:
		return set_level(parse, key, value, offset);
	case CONFIG_PORTS:
		return set_list(parse, key, value, offset, take_port, sizeof(struct config_ports));
	case CONFIG_DNS_TYPES:
		return set_list(parse, key, value, offset, take_dns_type,
				sizeof(struct config_dns_types));
	case CONFIG_REPLACE:
		return set_list(parse, key, value, offset, take_rule,
				sizeof(struct config_replace));
	case CONFIG_EXCLUDES:
		break;
	}
	return set_excludes(parse, key, value, offset);
}
