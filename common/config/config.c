/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/config.h"

#include "common/cleanup.h"
#include "common/config/files.h"
#include "common/json_scan.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum key_type {
	KEY_INTEGER, /* uint32_t */
	KEY_BOOL,
	KEY_LEVEL, /* enum log_level */
};

struct key {
	const char *section;
	const char *name;
	size_t offset; /* in struct config */
	enum key_type type;
	uint32_t minimum;
	uint32_t maximum;
	uint32_t initial;
};

#define KEY(section, name, type, minimum, maximum, initial)                                \
	{                                                                                  \
#section, #name, offsetof(struct config, section##_##name), type, minimum, \
			maximum, initial                                                   \
	}

/* Keys of a section stand together. */
static const struct key keys[] = {
	KEY(publish, interval_s, KEY_INTEGER, 1, 3600, 30),
	KEY(publish, closed_delay_ms, KEY_INTEGER, 50, 60000, 1000),
	KEY(publish, queue, KEY_INTEGER, 1, 8192, 1024), /* nng takes no more than 8192 */
	KEY(state, max_connections, KEY_INTEGER, 64, 4194304, 65536),
	KEY(tcp, enabled, KEY_BOOL, 0, 1, 1),
	KEY(ipv6, enabled, KEY_BOOL, 0, 1, 1),
	KEY(log, level, KEY_LEVEL, LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG, LOG_LEVEL_INFO),
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

_Static_assert(KEY_COUNT <= 32, "what was seen is a set of bits");

/* One text on its way into a configuration. */
struct parse {
	struct config *config;
	const char *name;
	const char *original; /* as it was given: columns are counted in it */
	const char *text;     /* the same with comments blanked */
	size_t length;
	char *error;
	size_t error_bytes;
	uint32_t seen;	       /* keys that this text set */
	uint32_t seen_section; /* by the number of their first key */
};

static __attribute__((format(printf, 3, 4))) int fail(const struct parse *parse, size_t offset,
						      const char *format, ...)
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

static void set_number(struct config *config, const struct key *key, uint32_t number)
{
	char *place = (char *)config + key->offset;

	switch (key->type) {
	case KEY_INTEGER:
		memcpy(place, &number, sizeof(number));
		break;
	case KEY_BOOL:
		memcpy(place, &(bool){number != 0}, sizeof(bool));
		break;
	case KEY_LEVEL:
		memcpy(place, &(enum log_level){number}, sizeof(enum log_level));
		break;
	}
}

static int set_integer(struct parse *parse, const struct key *key, const cJSON *value,
		       size_t offset)
{
	double number = value->valuedouble;

	if (!cJSON_IsNumber(value) || number < key->minimum || number > key->maximum ||
	    number != (double)(uint32_t)number)
		return fail(parse, offset, "%s.%s must be a whole number from %u to %u",
			    key->section, key->name, key->minimum, key->maximum);
	set_number(parse->config, key, (uint32_t)number);
	return 0;
}

static int set_level(struct parse *parse, const struct key *key, const cJSON *value, size_t offset)
{
	enum log_level level;

	if (!cJSON_IsString(value) || log_level_parse(value->valuestring, &level) < 0)
		return fail(parse, offset,
			    "%s.%s must be \"error\", \"warning\", \"info\" or \"debug\"",
			    key->section, key->name);
	set_number(parse->config, key, level);
	return 0;
}

static int set_value(struct parse *parse, const struct key *key, const cJSON *value, size_t offset)
{
	switch (key->type) {
	case KEY_INTEGER:
		return set_integer(parse, key, value, offset);
	case KEY_LEVEL:
		return set_level(parse, key, value, offset);
	case KEY_BOOL:
		break;
	}
	if (!cJSON_IsBool(value))
		return fail(parse, offset, "%s.%s must be true or false", key->section, key->name);
	set_number(parse->config, key, cJSON_IsTrue(value) ? 1 : 0);
	return 0;
}

static const struct key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (strcmp(keys[i].section, section) == 0 &&
		    (!name || strcmp(keys[i].name, name) == 0))
			return &keys[i];
	}
	return NULL;
}

/* The members of the section's object at offset object. */
static int apply_section(struct parse *parse, const char *section, const cJSON *object,
			 size_t offset)
{
	struct json_scan_members members;
	size_t key_at;
	size_t value_at;

	json_scan_members_init(&members, parse->text, parse->length, offset);
	for (const cJSON *value = object->child; value; value = value->next) {
		const struct key *key = find_key(section, value->string);
		uint32_t bit;
		int result;

		if (!json_scan_members_next(&members, &key_at, &value_at))
			return fail(parse, offset, "a member cannot be found again");
		if (!key)
			return fail(parse, key_at, "unknown key \"%s.%s\"", section, value->string);
		bit = 1U << (key - keys);
		if (parse->seen & bit)
			return fail(parse, key_at, "\"%s.%s\" is here twice", section, key->name);
		parse->seen |= bit;
		result = set_value(parse, key, value, value_at);
		if (result < 0)
			return result;
	}
	return 0;
}

static int unknown_section(const struct parse *parse, const char *name, size_t offset)
{
	const char *dot = strchr(name, '.');

	if (dot)
		return fail(parse, offset,
			    "unknown key \"%s\"; sections are objects: {\"%.*s\": {\"%s\": ...}}",
			    name, (int)(dot - name), name, dot + 1);
	return fail(parse, offset, "unknown key \"%s\"", name);
}

static int apply_root(struct parse *parse, const cJSON *root)
{
	struct json_scan_members members;
	size_t key_at;
	size_t value_at;

	if (!cJSON_IsObject(root))
		return fail(parse, strspn(parse->text, " \t\r\n"), "must be a JSON object");
	json_scan_members_init(&members, parse->text, parse->length, 0);
	for (const cJSON *section = root->child; section; section = section->next) {
		const struct key *first = find_key(section->string, NULL);
		uint32_t bit;
		int result;

		if (!json_scan_members_next(&members, &key_at, &value_at))
			return fail(parse, 0, "a member cannot be found again");
		if (!first)
			return unknown_section(parse, section->string, key_at);
		if (!cJSON_IsObject(section))
			return fail(parse, value_at, "\"%s\" must be an object", section->string);
		bit = 1U << (first - keys);
		if (parse->seen_section & bit)
			return fail(parse, key_at, "\"%s\" is here twice", section->string);
		parse->seen_section |= bit;
		result = apply_section(parse, section->string, section, value_at);
		if (result < 0)
			return result;
	}
	return 0;
}

int config_apply(struct config *config, const char *name, const char *text, size_t length,
		 char *error, size_t error_bytes)
{
	/* A NUL behind the text is what strspn() stops at. */
	_cleanup_free_ char *copy = calloc(1, length + 1);
	struct parse parse = {
		.config = config,
		.name = name,
		.original = text,
		.text = copy,
		.length = length,
		.error = error,
		.error_bytes = error_bytes,
	};
	struct json_scan_error wrong;
	cJSON *root;
	int result;

	if (!copy) {
		snprintf(error, error_bytes, "%s: not enough memory", name);
		return -ENOMEM;
	}
	memcpy(copy, text, length);
	if (json_scan_blank_comments(copy, length, &wrong) < 0 ||
	    json_scan_check(copy, length, &wrong) < 0)
		return fail(&parse, wrong.offset, "%s", wrong.message);
	root = cJSON_ParseWithLength(copy, length);
	/* The text is valid and shallow: only memory is left as a reason. */
	if (!root) {
		snprintf(error, error_bytes, "%s: not enough memory", name);
		return -ENOMEM;
	}
	result = apply_root(&parse, root);
	cJSON_Delete(root);
	return result;
}

void config_default(struct config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < KEY_COUNT; i++)
		set_number(config, &keys[i], keys[i].initial);
}

static int apply_file(struct config *config, const char *path, bool must_exist, char *error,
		      size_t error_bytes)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int result;

	result = config_files_read(path, CONFIG_FILE_BYTES_MAX, &text, &length);
	if (result == -ENOENT && !must_exist)
		return 0;
	if (result == -EFBIG)
		snprintf(error, error_bytes, "%s:1:1: larger than %d bytes", path,
			 CONFIG_FILE_BYTES_MAX);
	else if (result < 0)
		snprintf(error, error_bytes, "%s: %s", path,
			 result == -EINVAL ? "not a regular file" : strerror(-result));
	if (result < 0)
		return result;
	return config_apply(config, path, text, length, error, error_bytes);
}

int config_load(struct config *config, const char *path, bool must_exist, char *error,
		size_t error_bytes)
{
	struct config_drop_ins drop_ins;
	struct config loaded;
	int result;

	config_default(&loaded);
	result = apply_file(&loaded, path, must_exist, error, error_bytes);
	if (result < 0)
		return result;
	result = config_files_drop_ins(path, CONFIG_DROP_INS_MAX, &drop_ins);
	if (result < 0) {
		snprintf(error, error_bytes, "%s beside %s: %s", CONFIG_DROP_IN_FOLDER, path,
			 result == -E2BIG ? "too many drop-ins" : strerror(-result));
		return result;
	}
	for (size_t i = 0; i < drop_ins.count && result == 0; i++)
		result = apply_file(&loaded, drop_ins.paths[i], true, error, error_bytes);
	config_files_free(&drop_ins);
	if (result == 0)
		*config = loaded;
	return result;
}
