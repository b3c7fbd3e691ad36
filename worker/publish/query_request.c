/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/query_request.h"

#include "common/json_scan.h"
#include "worker/publish/query.h"

#include <cjson/cJSON.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum key {
	KEY_OP,
	KEY_FILTER,
	KEY_PAGE,
	KEY_CLIENT,
	KEY_ACK,
	KEY_IPS,
	KEY_COUNT,
};

static const struct {
	const char *name;
	cJSON_bool (*is_type)(const cJSON *item);
	const char *type;
} keys[KEY_COUNT] = {
	[KEY_OP] = {"op", cJSON_IsString, "a string"},
	[KEY_FILTER] = {"filter", cJSON_IsString, "a string"},
	[KEY_PAGE] = {"page", cJSON_IsString, "a string"},
	[KEY_CLIENT] = {"client", cJSON_IsString, "a string"},
	[KEY_ACK] = {"ack", cJSON_IsNumber, "a number"},
	[KEY_IPS] = {"ips", cJSON_IsArray, "a list"},
};

#define KEYS1(a) (1U << KEY_OP | 1U << KEY_##a)
#define KEYS2(a, b) (KEYS1(a) | 1U << KEY_##b)
#define KEYS3(a, b, c) (KEYS2(a, b) | 1U << KEY_##c)

struct request_keys {
	const cJSON *item[KEY_COUNT]; /* NULL: not there */
};

static enum query_error parse_snapshot(struct query_request *request,
				       const struct request_keys *found, char *message);
static enum query_error parse_record(struct query_request *request,
				     const struct request_keys *found, char *message);
static enum query_error parse_client(struct query_request *request,
				     const struct request_keys *found, char *message);
static enum query_error parse_names(struct query_request *request, const struct request_keys *found,
				    char *message);
static enum query_error parse_dns(struct query_request *request, const struct request_keys *found,
				  char *message);

static const struct {
	const char *name;
	enum query_op op;
	unsigned keys; /* bits of 1 << enum key that it takes */
	enum query_error (*parse)(struct query_request *request, const struct request_keys *found,
				  char *message); /* NULL: there is nothing more */
} ops[] = {
	{"snapshot", QUERY_OP_SNAPSHOT, KEYS2(FILTER, PAGE), parse_snapshot},
	{"connections", QUERY_OP_CONNECTIONS, KEYS3(CLIENT, ACK, PAGE), parse_client},
	{"unregister", QUERY_OP_UNREGISTER, KEYS1(CLIENT), parse_client},
	{"names", QUERY_OP_NAMES, KEYS1(IPS), parse_names},
	{"dns", QUERY_OP_DNS, KEYS1(PAGE), parse_dns},
	{"status", QUERY_OP_STATUS, KEYS1(OP), NULL},
	{"audit", QUERY_OP_AUDIT, KEYS1(OP), NULL},
	{"config", QUERY_OP_CONFIG, KEYS1(OP), NULL},
	{"record", QUERY_OP_RECORD, KEYS1(PAGE), parse_record},
	{"record_end", QUERY_OP_RECORD_END, KEYS1(PAGE), parse_record},
};

const char *query_error_name(enum query_error error)
{
	static const char *const names[] = {
		[QUERY_ERROR_BAD_REQUEST] = "bad_request",
		[QUERY_ERROR_UNKNOWN_OP] = "unknown_op",
		[QUERY_ERROR_TOO_LARGE] = "too_large",
		[QUERY_ERROR_BUSY] = "busy",
		[QUERY_ERROR_TOO_MANY_CLIENTS] = "too_many_clients",
	};

	return names[error];
}

void query_say(char message[static QUERY_MESSAGE_BYTES], const char *text)
{
	snprintf(message, QUERY_MESSAGE_BYTES, "%s", text);
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

static const char *text_of(const cJSON *item)
{
	return item ? item->valuestring : NULL;
}

static enum query_error parse_snapshot(struct query_request *request,
				       const struct request_keys *found, char *message)
{
	const char *filter = text_of(found->item[KEY_FILTER]);
	const char *page = text_of(found->item[KEY_PAGE]);
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

static enum query_error parse_record(struct query_request *request,
				     const struct request_keys *found, char *message)
{
	const char *page = text_of(found->item[KEY_PAGE]);

	request->first_page = !page;
	request->slot = 0;
	request->recording = 0;
	if (!page && request->op == QUERY_OP_RECORD_END)
		return bad(message, "\"page\" is missing");
	if (page && !parse_page(page, &request->slot, &request->recording))
		return bad(message, "the page is not one that was given");
	return QUERY_ERROR_NONE;
}

static enum query_error parse_dns(struct query_request *request, const struct request_keys *found,
				  char *message)
{
	const char *page = text_of(found->item[KEY_PAGE]);
	uint32_t of = 0;

	request->slot = 0;
	if (page && (!parse_page(page, &request->slot, &of) || of != 0))
		return bad(message, "the page is not one that was given");
	return QUERY_ERROR_NONE;
}

/* A name is what can stand in a log and in a command without quotes. */
static bool is_client_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._:@-";
	const size_t length = strlen(name);

	return length > 0 && length < CLIENT_NAME_BYTES && strspn(name, allowed) == length;
}

/* A whole number that a double holds exactly (RFC 8259, 6), from 1. */
static bool parse_ack(const cJSON *item, uint64_t *ack)
{
	const double number = item->valuedouble;

	if (!(number >= 1 && number <= 9007199254740992.0))
		return false;
	*ack = (uint64_t)number;
	return (double)*ack == number;
}

static enum query_error parse_client(struct query_request *request,
				     const struct request_keys *found, char *message)
{
	const char *name = text_of(found->item[KEY_CLIENT]);
	const char *page = text_of(found->item[KEY_PAGE]);

	if (!name)
		return bad(message, "\"client\" is missing");
	if (!is_client_name(name))
		return bad(message, "a client's name is 1 to 64 letters, digits and . _ : @ -");
	memcpy(request->client, name, strlen(name) + 1);
	request->ack = 0;
	request->first_page = !page;
	if (found->item[KEY_ACK] && !parse_ack(found->item[KEY_ACK], &request->ack))
		return bad(message, "\"ack\" is the number of a batch, from 1");
	if (page && found->item[KEY_ACK])
		return bad(message, "\"ack\" comes with the first page");
	if (page && !parse_page(page, &request->slot, &request->of))
		return bad(message, "the page is not one that was given");
	return QUERY_ERROR_NONE;
}

static bool parse_address(const char *text, struct query_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, address->ip) == 1)
		return true;
	if (inet_pton(AF_INET6, text, address->ip) != 1)
		return false;
	address->ipv6 = memcmp(address->ip, mapped, sizeof(mapped)) != 0;
	if (!address->ipv6) {
		memmove(address->ip, address->ip + 12, 4);
		memset(address->ip + 4, 0, 12);
	}
	return true;
}

static enum query_error parse_names(struct query_request *request, const struct request_keys *found,
				    char *message)
{
	const cJSON *ips = found->item[KEY_IPS];

	request->address_count = 0;
	if (!ips)
		return bad(message, "\"ips\" is missing");
	for (const cJSON *item = ips->child; item; item = item->next) {
		if (request->address_count == QUERY_ADDRESSES_MAX)
			return refuse(message, QUERY_ERROR_TOO_LARGE,
				      "a request asks for at most %d addresses",
				      QUERY_ADDRESSES_MAX);
		if (!cJSON_IsString(item) ||
		    !parse_address(item->valuestring, &request->addresses[request->address_count]))
			return bad(message, "\"ips\" is a list of addresses");
		request->address_count++;
	}
	return QUERY_ERROR_NONE;
}

/* Finds the known keys of a request; *other is one that is not known, or NULL. */
static enum query_error find_keys(const cJSON *root, struct request_keys *found, const char **other,
				  char *message)
{
	*other = NULL;
	for (const cJSON *member = root->child; member; member = member->next) {
		unsigned key = 0;

		while (key < KEY_COUNT && strcmp(member->string, keys[key].name) != 0)
			key++;
		if (key == KEY_COUNT) {
			*other = member->string;
			continue;
		}
		if (found->item[key])
			return refuse(message, QUERY_ERROR_BAD_REQUEST, "\"%s\" is there twice",
				      keys[key].name);
		if (!keys[key].is_type(member))
			return refuse(message, QUERY_ERROR_BAD_REQUEST, "\"%s\" must be %s",
				      keys[key].name, keys[key].type);
		found->item[key] = member;
	}
	return QUERY_ERROR_NONE;
}

static enum query_error parse_tree(struct query_request *request, const cJSON *root, char *message)
{
	struct request_keys found = {{NULL}};
	const char *other, *name;
	enum query_error error;
	size_t op = 0;

	if (!cJSON_IsObject(root))
		return bad(message, "a request is a JSON object");
	error = find_keys(root, &found, &other, message);
	if (error != QUERY_ERROR_NONE)
		return error;
	name = text_of(found.item[KEY_OP]);
	if (!name)
		return bad(message, "\"op\" is missing");
	while (op < sizeof(ops) / sizeof(ops[0]) && strcmp(ops[op].name, name) != 0)
		op++;
	if (op == sizeof(ops) / sizeof(ops[0]))
		return refuse(message, QUERY_ERROR_UNKNOWN_OP, "unknown op \"%.64s\"", name);
	for (unsigned key = 0; key < KEY_COUNT; key++) {
		if (found.item[key] && !(ops[op].keys & 1U << key))
			other = keys[key].name;
	}
	if (other)
		return refuse(message, QUERY_ERROR_BAD_REQUEST, "\"%s\" has no key \"%.64s\"",
			      ops[op].name, other);
	request->op = ops[op].op;
	return ops[op].parse ? ops[op].parse(request, &found, message) : QUERY_ERROR_NONE;
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
