/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/query_request.h"

#include "common/json_scan.h"
#include "worker/publish/query.h"

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum key {
	KEY_OP,
	KEY_FILTER,
	KEY_PAGE,
	KEY_COUNT,
};

static const char *const key_names[KEY_COUNT] = {"op", "filter", "page"};

static const struct {
	const char *name;
	enum query_op op;
	unsigned keys; /* bits of 1 << enum key that it takes */
} ops[] = {
	{"snapshot", QUERY_OP_SNAPSHOT, 1U << KEY_OP | 1U << KEY_FILTER | 1U << KEY_PAGE},
	{"status", QUERY_OP_STATUS, 1U << KEY_OP},
	{"record", QUERY_OP_RECORD, 1U << KEY_OP | 1U << KEY_PAGE},
	{"record_end", QUERY_OP_RECORD_END, 1U << KEY_OP | 1U << KEY_PAGE},
	{"config", QUERY_OP_CONFIG, 1U << KEY_OP},
};

const char *query_error_name(enum query_error error)
{
	static const char *const names[] = {
		[QUERY_ERROR_BAD_REQUEST] = "bad_request",
		[QUERY_ERROR_UNKNOWN_OP] = "unknown_op",
		[QUERY_ERROR_TOO_LARGE] = "too_large",
		[QUERY_ERROR_BUSY] = "busy",
	};

	return names[error];
}

static __attribute__((format(printf, 3, 4))) enum query_error
refuse(char *message, enum query_error error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, QUERY_MESSAGE_BYTES, format, arguments);
	va_end(arguments);
	return error;
}

static enum query_error bad(char *message, const char *text)
{
	return refuse(message, QUERY_ERROR_BAD_REQUEST, "%s", text);
}

static uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619U;
	return hash;
}

void query_page_format(char token[static QUERY_PAGE_BYTES + 1], size_t slot, uint32_t of)
{
	snprintf(token, QUERY_PAGE_BYTES + 1, "%016zx%08" PRIx32, slot, of);
}

/* Sets *slot and *of; false for what query_page_format() does not write. */
static bool parse_page(const char *token, size_t *slot, uint32_t *of)
{
	char digits[QUERY_PAGE_SLOT_BYTES + 1] = {0};
	char again[QUERY_PAGE_BYTES + 1];

	if (strlen(token) != QUERY_PAGE_BYTES)
		return false;
	memcpy(digits, token, QUERY_PAGE_SLOT_BYTES);
	*slot = strtoul(digits, NULL, 16);
	*of = (uint32_t)strtoul(token + QUERY_PAGE_SLOT_BYTES, NULL, 16);
	/* strtoul() is lenient about signs and ends: only what we would write is a token. */
	query_page_format(again, *slot, *of);
	return strcmp(token, again) == 0;
}

static enum query_error parse_snapshot(struct query_request *request, const char *filter,
				       const char *page, char *message)
{
	uint32_t of;

	if (!filter)
		filter = "";
	request->filter_hash = hash_text(filter);
	if (filter_compile(&request->filter, filter, strlen(filter), message, QUERY_MESSAGE_BYTES) <
	    0)
		return QUERY_ERROR_BAD_REQUEST;
	request->first_page = !page;
	request->slot = 0;
	if (page && (!parse_page(page, &request->slot, &of) || of != request->filter_hash))
		return bad(message, "the page is not one that was given for this filter");
	return QUERY_ERROR_NONE;
}

static enum query_error parse_record(struct query_request *request, const char *page, char *message)
{
	request->first_page = !page;
	request->slot = 0;
	request->recording = 0;
	if (!page && request->op == QUERY_OP_RECORD_END)
		return bad(message, "\"page\" is missing");
	if (page && !parse_page(page, &request->slot, &request->recording))
		return bad(message, "the page is not one that was given");
	return QUERY_ERROR_NONE;
}

/* Finds the known keys of a request; *others is one that is not known, or NULL. */
static enum query_error find_keys(const cJSON *root, const cJSON *found[static KEY_COUNT],
				  const char **other, char *message)
{
	*other = NULL;
	for (const cJSON *member = root->child; member; member = member->next) {
		unsigned key = 0;

		while (key < KEY_COUNT && strcmp(member->string, key_names[key]) != 0)
			key++;
		if (key == KEY_COUNT) {
			*other = member->string;
			continue;
		}
		if (found[key])
			return refuse(message, QUERY_ERROR_BAD_REQUEST, "\"%s\" is there twice",
				      key_names[key]);
		if (!cJSON_IsString(member))
			return refuse(message, QUERY_ERROR_BAD_REQUEST, "\"%s\" must be a string",
				      key_names[key]);
		found[key] = member;
	}
	return QUERY_ERROR_NONE;
}

static enum query_error parse_tree(struct query_request *request, const cJSON *root, char *message)
{
	const cJSON *found[KEY_COUNT] = {NULL};
	const char *texts[KEY_COUNT] = {NULL};
	const char *other;
	enum query_error error;
	size_t op = 0;

	if (!cJSON_IsObject(root))
		return bad(message, "a request is a JSON object");
	error = find_keys(root, found, &other, message);
	if (error != QUERY_ERROR_NONE)
		return error;
	for (unsigned key = 0; key < KEY_COUNT; key++)
		texts[key] = found[key] ? found[key]->valuestring : NULL;
	if (!texts[KEY_OP])
		return bad(message, "\"op\" is missing");
	while (op < sizeof(ops) / sizeof(ops[0]) && strcmp(ops[op].name, texts[KEY_OP]) != 0)
		op++;
	if (op == sizeof(ops) / sizeof(ops[0]))
		return refuse(message, QUERY_ERROR_UNKNOWN_OP, "unknown op \"%.64s\"",
			      texts[KEY_OP]);
	for (unsigned key = 0; key < KEY_COUNT; key++) {
		if (found[key] && !(ops[op].keys & 1U << key))
			other = key_names[key];
	}
	if (other)
		return refuse(message, QUERY_ERROR_BAD_REQUEST, "\"%s\" has no key \"%.64s\"",
			      ops[op].name, other);
	request->op = ops[op].op;
	if (request->op == QUERY_OP_SNAPSHOT)
		return parse_snapshot(request, texts[KEY_FILTER], texts[KEY_PAGE], message);
	if (request->op == QUERY_OP_RECORD || request->op == QUERY_OP_RECORD_END)
		return parse_record(request, texts[KEY_PAGE], message);
	return QUERY_ERROR_NONE;
}

enum query_error query_request_parse(struct query_request *request, const char *text, size_t length,
				     char message[static QUERY_MESSAGE_BYTES])
{
	struct json_scan_error wrong;
	enum query_error error;
	cJSON *root;

	if (length > QUERY_REQUEST_BYTES_MAX)
		return refuse(message, QUERY_ERROR_TOO_LARGE, "a request has at most %d bytes",
			      QUERY_REQUEST_BYTES_MAX);
	if (json_scan_check(text, length, &wrong) < 0)
		return refuse(message, QUERY_ERROR_BAD_REQUEST, "byte %zu: %s", wrong.offset + 1,
			      wrong.message);
	root = cJSON_ParseWithLength(text, length);
	if (!root)
		return refuse(message, QUERY_ERROR_BUSY, "not enough memory");
	error = parse_tree(request, root, message);
	cJSON_Delete(root);
	return error;
}
