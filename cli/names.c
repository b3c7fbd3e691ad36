/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names: what names led to an address, as DNS answers on this host told. What one request may not hold
 * is asked for with several.
 */
#include "cli/address.h"
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/page.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "proto/query.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

struct names_options {
	struct usage_common common;
	bool json;
	bool no_header;
};

#define AT(field) .offset = offsetof(struct names_options, field)

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, AT(json), .help = "JSON Lines, one address per line"},
	{"no-header", 0, OPTION_FLAG, AT(no_header), .help = "no column titles"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

/* The request for so many addresses. Heap text, NULL if out of memory. */
static char *make_request(const char *const *addresses, size_t count)
{
	cJSON *request = cJSON_CreateObject();
	cJSON *list;
	char *text = NULL;

	if (cJSON_AddStringToObject(request, "op", "names") &&
	    (list = cJSON_CreateStringArray(addresses, (int)count))) {
		cJSON_AddItemToObject(request, "ips", list);
		text = cJSON_PrintUnformatted(request);
	}
	cJSON_Delete(request);
	return text;
}

/* Adds an address and all its names, the newest first, as a row of two cells. 0 or -ENOMEM. */
static int add_row(struct table *table, const cJSON *address)
{
	char ip[FIELD_TEXT_BYTES];
	struct table_key none = {0};
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);
	int error = -1;

	if (!to)
		return -1;
	field_string(address, "ip", ip, sizeof(ip));
	fwrite(ip, 1, strlen(ip) + 1, to);
	field_write_names(cJSON_GetObjectItemCaseSensitive(address, "names"), to);
	fputc('\0', to);
	if (fclose(to) == 0)
		error = table_add_row(table, text, length, &none);
	free(text);
	return error;
}

static enum exit_code take(const struct names_options *asked, struct table *table,
			   struct slice list)
{
	struct slice element;

	while (slice_next(&list, &element)) {
		cJSON *address;
		int error;

		if (asked->json) {
			slice_write(element, stdout);
			putchar('\n');
			continue;
		}
		address = cJSON_ParseWithLength(element.text, element.length);
		if (!address)
			return page_not_understood();
		error = add_row(table, address);
		cJSON_Delete(address);
		if (error != 0) {
			message("out of memory");
			return EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

static enum exit_code ask(struct client *client, const struct names_options *asked,
			  const char *const *addresses, size_t count, struct table *table)
{
	struct client_message answer = {0};
	char *request = make_request(addresses, count);
	enum exit_code code;
	struct slice list;

	if (!request) {
		message("out of memory");
		return EXIT_FAILED;
	}
	code = client_ask(client, request, &answer);
	cJSON_free(request);
	if (code != EXIT_OK)
		return code;
	code = slice_member(answer.json, "names", &list) ? take(asked, table, list)
							 : page_not_understood();
	client_message_fini(&answer);
	return code;
}

static bool are_addresses(const char *const *texts, size_t count)
{
	char address[ADDRESS_BYTES];

	for (size_t i = 0; i < count; i++) {
		if (!address_normalise(texts[i], address)) {
			message("names: '%.60s' is no address (see: sockwarden help names)",
				texts[i]);
			return false;
		}
	}
	return true;
}

static enum exit_code look_up(const struct names_options *asked, const char *const *addresses,
			      size_t count)
{
	static struct client client = CLIENT_INIT;
	struct table table;
	enum exit_code code = client_open_queries(&client, asked->common.runtime_dir);

	table_init(&table);
	table_add_column(&table, "ADDRESS", false);
	table_add_column(&table, "NAMES", false);
	for (size_t i = 0; i < count && code == EXIT_OK && !output_is_broken();
	     i += QUERY_ADDRESSES_MAX) {
		const size_t left = count - i;

		code = ask(&client, asked, addresses + i,
			   left < QUERY_ADDRESSES_MAX ? left : QUERY_ADDRESSES_MAX, &table);
	}
	if (code == EXIT_OK && !asked->json)
		table_print(&table, stdout, SIZE_MAX, !asked->no_header, output_has_colour());
	table_fini(&table);
	return code;
}

static enum exit_code names_run(const struct invocation *call)
{
	struct names_options asked = {.json = false};
	const char **addresses = calloc((size_t)call->argc + 1, sizeof(addresses[0]));
	enum exit_code code;
	int count;

	if (!addresses) {
		message("out of memory");
		return EXIT_FAILED;
	}
	count = usage_parse_operands(&verb_names, call, &asked, addresses, call->argc, &code);
	if (count == 0) {
		message("names: which addresses? (see: sockwarden help names)");
		code = EXIT_USAGE;
	} else if (count > 0) {
		code = are_addresses(addresses, (size_t)count)
			       ? look_up(&asked, addresses, (size_t)count)
			       : EXIT_USAGE;
	}
	free(addresses);
	return code;
}

const struct verb verb_names = {
	.name = "names",
	.operands = "IP...",
	.summary = "the names of addresses, as DNS answers told them",
	.details = "The name that was told last comes first.\n",
	.options = options,
	.run = names_run,
};
