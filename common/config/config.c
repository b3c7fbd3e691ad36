/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/config.h"

#include "common/cleanup.h"
#include "common/config/files.h"
#include "common/config/keys.h"
#include "common/config/values.h"
#include "common/json_scan.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The members of the section's object at offset object. */
static int apply_section(struct config_parse *parse, const char *section, const cJSON *object,
			 size_t offset)
{
	struct json_scan_members members;
	size_t key_at;
	size_t value_at;

	json_scan_members_init(&members, parse->text, parse->length, offset);
	for (const cJSON *value = object->child; value; value = value->next) {
		const struct config_key *key = config_key_find(section, value->string);
		uint64_t bit;
		int result;

		if (!json_scan_members_next(&members, &key_at, &value_at))
			return config_fail(parse, offset, "a member cannot be found again");
		if (!key)
			return config_fail(parse, key_at, "unknown key \"%s.%s\"", section,
					   value->string);
		bit = UINT64_C(1) << (key - config_keys);
		if (parse->seen & bit)
			return config_fail(parse, key_at, "\"%s.%s\" is here twice", section,
					   key->name);
		parse->seen |= bit;
		result = config_value_set(parse, key, value, value_at);
		if (result < 0)
			return result;
	}
	return 0;
}

static int unknown_section(const struct config_parse *parse, const char *name, size_t offset)
{
	const char *dot = strchr(name, '.');

	if (dot)
		return config_fail(
			parse, offset,
			"unknown key \"%s\"; sections are objects: {\"%.*s\": {\"%s\": ...}}", name,
			(int)(dot - name), name, dot + 1);
	return config_fail(parse, offset, "unknown key \"%s\"", name);
}

static int apply_root(struct config_parse *parse, const cJSON *root)
{
	struct json_scan_members members;
	size_t key_at;
	size_t value_at;

	if (!cJSON_IsObject(root))
		return config_fail(parse, strspn(parse->text, " \t\r\n"), "must be a JSON object");
	json_scan_members_init(&members, parse->text, parse->length, 0);
	for (const cJSON *section = root->child; section; section = section->next) {
		const struct config_key *first = config_key_find(section->string, NULL);
		uint64_t bit;
		int result;

		if (!json_scan_members_next(&members, &key_at, &value_at))
			return config_fail(parse, 0, "a member cannot be found again");
		if (!first)
			return unknown_section(parse, section->string, key_at);
		if (!cJSON_IsObject(section))
			return config_fail(parse, value_at, "\"%s\" must be an object",
					   section->string);
		bit = UINT64_C(1) << (first - config_keys);
		if (parse->seen_section & bit)
			return config_fail(parse, key_at, "\"%s\" is here twice", section->string);
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
	struct config_parse parse = {
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
		return config_fail(&parse, wrong.offset, "%s", wrong.message);
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
	for (size_t i = 0; i < config_key_count; i++)
		config_key_reset(&config_keys[i], config);
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
