/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns: statistics of DNS since the worker began, the rows with the most queries first; as they are, or
 * added up by some of their keys.
 */
#include "cli/address.h"
#include "cli/client.h"
#include "cli/dns_field.h"
#include "cli/dns_groups.h"
#include "cli/message.h"
#include "cli/page.h"
#include "cli/table.h"
#include "cli/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct dns_options {
	struct usage_common common;
	bool json;
	const char *by;
	const char *sort;
	const char *domain;
	const char *server;
	const char *client;
	const char *type;
	bool no_header;
	struct option_number limit;
};

#define SORT_FIELDS                                                                           \
	"client server protocol domain type rcode queries retries answers timeouts failures " \
	"rcodes p50 p95 p99 max"

#define AT(field) .offset = offsetof(struct dns_options, field)

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, AT(json), .help = "JSON Lines, one row per line"},
	{"by", 0, OPTION_TEXT, AT(by), .value = "A,B",
	 .help = "add up by client, server, protocol, domain, type, rcode",
	 .choices = "client server protocol domain type rcode"},
	{"sort", 0, OPTION_TEXT, AT(sort), .value = "FIELD",
	 .help = "largest number or A first (queries); -FIELD: the other way round",
	 .choices = SORT_FIELDS},
	{"domain", 0, OPTION_TEXT, AT(domain), .value = "NAME",
	 .help = "only this domain and those below it"},
	{"server", 0, OPTION_TEXT, AT(server), .value = "IP", .help = "only of this server"},
	{"client", 0, OPTION_TEXT, AT(client), .value = "IP", .help = "only of this client"},
	{"type", 0, OPTION_TEXT, AT(type), .value = "T", .help = "only queries of this type"},
	{"no-header", 0, OPTION_FLAG, AT(no_header), .help = "no column titles"},
	{"limit", 0, OPTION_NUMBER, AT(limit), 1, UINT32_MAX, "N", "at most N rows"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

/* One run: what was asked for, and the rows that came so far. */
struct run {
	const struct dns_options *asked;
	char server[ADDRESS_BYTES];
	char client[ADDRESS_BYTES];
	bool is_grouped;
	struct dns_groups groups;
	const struct dns_field *columns[DNS_FIELDS_MAX];
	size_t column_count;
	const struct dns_field *sort;
	bool reverse;
	struct table table;
};

static bool choose_address(const char *option, const char *text, char out[static ADDRESS_BYTES])
{
	if (!text || address_normalise(text, out))
		return true;
	message("dns: --%s %.60s: this is no address (see: sockwarden help dns)", option, text);
	return false;
}

static bool choose(struct run *run)
{
	const struct dns_options *asked = run->asked;
	const char *sort = asked->sort ? asked->sort : "queries";
	bool by[DNS_KEY_COUNT] = {false};

	run->is_grouped = asked->by != NULL;
	if (run->is_grouped && !dns_groups_parse(asked->by, by)) {
		message("dns: --by %.60s: client, server, protocol, domain, type and rcode are meant, "
			"with commas, each once (see: sockwarden help dns)",
			asked->by);
		return false;
	}
	dns_groups_init(&run->groups, by);
	run->reverse = sort[0] == '-';
	run->sort = dns_field_find(sort + run->reverse);
	if (!run->sort) {
		message("dns: '%.60s' is no field to sort by (see: sockwarden help dns)",
			sort + run->reverse);
		return false;
	}
	run->column_count = dns_field_columns(run->is_grouped ? by : NULL, run->columns);
	for (size_t i = 0; i < run->column_count; i++)
		table_add_column(&run->table, dns_field_title(run->columns[i]),
				 dns_field_is_number(run->columns[i]));
	return choose_address("server", asked->server, run->server) &&
	       choose_address("client", asked->client, run->client);
}

static bool is_wanted(const struct run *run, const struct dns_row *row)
{
	const struct dns_options *asked = run->asked;
	char *const *key = row->key;

	return (!asked->domain || dns_row_is_below(row, asked->domain)) &&
	       (!asked->server ||
		(key[DNS_KEY_SERVER] && strcmp(key[DNS_KEY_SERVER], run->server) == 0)) &&
	       (!asked->client ||
		(key[DNS_KEY_CLIENT] && strcmp(key[DNS_KEY_CLIENT], run->client) == 0)) &&
	       (!asked->type ||
		(key[DNS_KEY_TYPE] && strcasecmp(key[DNS_KEY_TYPE], asked->type) == 0));
}

static void write_cells(const struct run *run, const struct dns_row *row, FILE *to)
{
	for (size_t i = 0; i < run->column_count; i++) {
		char cell[DNS_FIELD_TEXT_BYTES];

		fwrite(cell, 1, dns_field_text(run->columns[i], row, cell) + 1, to);
	}
}

/* raw, or without one what the row is by now. */
static void write_json(const struct run *run, const struct dns_row *row, struct slice raw, FILE *to)
{
	char *text = raw.text ? NULL : dns_row_json(row, run->groups.by);

	if (text)
		raw = (struct slice){text, strlen(text)};
	if (raw.text)
		slice_write(raw, to);
	fputs("\n", to);
	fputc('\0', to);
	cJSON_free(text);
}

static void make_key(const struct run *run, const struct dns_row *row, struct table_key *key)
{
	char text[DNS_FIELD_TEXT_BYTES];

	*key = (struct table_key){.is_text = !dns_field_is_number(run->sort)};
	if (!key->is_text) {
		key->known = dns_field_number(run->sort, row, &key->number);
		return;
	}
	dns_field_text(run->sort, row, text);
	key->text = strdup(text);
	key->known = key->text != NULL;
}

/* Keeps a row: its line of JSON, or its cells. Returns 0 or -ENOMEM. */
static int keep(struct run *run, const struct dns_row *row, struct slice raw)
{
	struct table_key key;
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);
	int error = -ENOMEM;

	if (!to)
		return -ENOMEM;
	if (run->asked->json)
		write_json(run, row, raw, to);
	else
		write_cells(run, row, to);
	if (fclose(to) == 0) {
		make_key(run, row, &key);
		error = table_add_row(&run->table, text, length, &key);
	}
	free(text);
	return error;
}

static int take_row(struct run *run, struct slice raw)
{
	cJSON *json = cJSON_ParseWithLength(raw.text, raw.length);
	struct dns_row row = {.overflow = false};
	int error = json ? dns_row_read(&row, json) : -EINVAL;

	cJSON_Delete(json);
	if (error == 0 && is_wanted(run, &row))
		error = run->is_grouped ? dns_groups_add(&run->groups, &row) : keep(run, &row, raw);
	dns_row_fini(&row);
	return error;
}

static enum exit_code verdict(int error)
{
	if (error == -EINVAL)
		return page_not_understood();
	if (error != 0) {
		message("out of memory: use --by, --domain or --server");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static enum exit_code take_page(void *context, struct slice rows, bool *enough)
{
	struct run *run = context;
	struct slice raw;
	int error = 0;

	*enough = false;
	while (error == 0 && slice_next(&rows, &raw))
		error = take_row(run, raw);
	return verdict(error);
}

static enum exit_code print(struct run *run)
{
	const uint64_t limit = run->asked->limit.given ? run->asked->limit.value : UINT64_MAX;
	int error = 0;

	for (size_t i = 0; i < run->groups.count && error == 0; i++)
		error = keep(run, run->groups.rows[i], (struct slice){.text = NULL});
	if (error != 0)
		return verdict(error);
	table_sort(&run->table, run->reverse);
	if (!run->asked->json) {
		table_print(&run->table, stdout, limit, !run->asked->no_header,
			    output_has_colour());
		return EXIT_OK;
	}
	for (size_t i = 0; i < run->table.count && i < limit && !output_is_broken(); i++)
		fputs(table_row_text(&run->table, i), stdout);
	return EXIT_OK;
}

static enum exit_code dns_run(const struct invocation *call)
{
	static const struct page_query query = {.op = "dns", .filter = "", .list = "dns"};
	struct dns_options asked = {.json = false};
	struct run run = {.asked = &asked};
	static struct client client = CLIENT_INIT;
	enum exit_code code;

	if (!usage_parse(&verb_dns, call, &asked, &code))
		return code;
	table_init(&run.table);
	code = choose(&run) ? client_open_queries(&client, asked.common.runtime_dir) : EXIT_USAGE;
	if (code == EXIT_OK)
		code = page_take_all(&client, &query, take_page, &run);
	if (code == EXIT_OK)
		code = print(&run);
	dns_groups_fini(&run.groups);
	table_fini(&run.table);
	return code;
}

static const char details[] =
	"Fields to sort by: " SORT_FIELDS ".\n"
	"P50, P95 and P99 are latencies of all answers: so many of a\n"
	"hundred came within that time. (overflow) is the sum of rows that had to make room.\n";

const struct verb verb_dns = {
	.name = "dns",
	.operands = "",
	.summary = "DNS: who asked whom for what, answers, timeouts, latencies",
	.details = details,
	.options = options,
	.run = dns_run,
};
