/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conns: the live connections, as a table or as JSON Lines. Without --sort, JSON lines leave as
 * their page arrives; a table waits for the last page, because its columns are as wide as needed.
 */
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/page.h"
#include "cli/snapshot.h"
#include "cli/table.h"
#include "cli/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FIELDS                                                                       \
	"protocol,local,direction,remote,pid,comm,total.sent_bytes,total.recv_bytes,rtt_us," \
	"total.retransmits,duration_ns"

struct conns_options {
	struct usage_common common;
	bool json;
	const char *fields;
	const char *sort;
	bool no_header;
	bool no_resolve;
	struct option_number limit;
	struct snapshot_choice choice;
};

#define AT(field) .offset = offsetof(struct conns_options, field)

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, AT(json), .help = "JSON Lines, one connection per line"},
	{"fields", 0, OPTION_TEXT, AT(fields), .value = "A,B",
	 .help = "these fields, in this order"},
	{"filter", 0, OPTION_TEXT, AT(choice.filter), .value = "EXPR",
	 .help = "only connections for which EXPR is true"},
	{"sort", 0, OPTION_TEXT, AT(sort), .value = "FIELD",
	 .help = "largest number or A first; -FIELD: the other way round"},
	{NULL, '4', OPTION_FLAG, AT(choice.ipv4), .help = "only IPv4"},
	{NULL, '6', OPTION_FLAG, AT(choice.ipv6), .help = "only IPv6"},
	{"pid", 0, OPTION_NUMBER, AT(choice.pid), 0, UINT32_MAX, "PID", "only of this process"},
	{"comm", 0, OPTION_TEXT, AT(choice.comm), .value = "NAME",
	 .help = "only of processes of this name"},
	{"port", 0, OPTION_NUMBER, AT(choice.port), 0, UINT16_MAX, "PORT",
	 "only with this port at either end"},
	{"netns", 0, OPTION_NUMBER, AT(choice.netns), 0, UINT32_MAX, "INODE",
	 "only in this network namespace"},
	{"container", 0, OPTION_TEXT, AT(choice.container), .value = "ID",
	 .help = "only of this container (a part of its id)"},
	{"no-resolve", 'n', OPTION_FLAG, AT(no_resolve),
	 .help = "remote addresses, not their names (tables)"},
	{"no-header", 0, OPTION_FLAG, AT(no_header), .help = "no column titles"},
	{"limit", 0, OPTION_NUMBER, AT(limit), 1, UINT32_MAX, "N", "at most N connections"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

/* One run: what was asked for, and the rows that came so far. */
struct run {
	const struct conns_options *asked;
	const struct field *fields[FIELDS_MAX];
	int field_count; /* 0: whole connections, as they came (JSON only) */
	const struct field *sort;
	bool reverse;
	bool names; /* stand for remote addresses */
	uint64_t limit;
	uint64_t written; /* rows printed or kept */
	struct table table;
};

static enum exit_code choose_fields(struct run *run)
{
	const struct conns_options *asked = run->asked;
	const char *list = asked->fields;
	const char *wrong;
	size_t length;

	if (!list && !asked->json)
		list = DEFAULT_FIELDS;
	if (list) {
		run->field_count = fields_parse(list, run->fields, &wrong, &length);
		if (run->field_count < 0) {
			message("conns: '%.*s' is no field (see: sockwarden help conns)",
				(int)(length < 60 ? length : 60), wrong);
			return EXIT_USAGE;
		}
	}
	if (asked->sort) {
		const char *name = asked->sort;

		run->reverse = name[0] == '-';
		name += run->reverse;
		run->sort = field_find(name, strlen(name));
		if (!run->sort) {
			message("conns: '%.60s' is no field to sort by (see: sockwarden help conns)",
				name);
			return EXIT_USAGE;
		}
	}
	for (int i = 0; !asked->json && i < run->field_count; i++)
		table_add_column(&run->table, run->fields[i]->title,
				 field_is_number(run->fields[i]));
	return EXIT_OK;
}

/* Writes the fields that were asked for as one object; names stay dotted, values as they came. */
static void write_fields(const struct run *run, const cJSON *connection, FILE *to)
{
	for (int i = 0; i < run->field_count; i++) {
		char *value = cJSON_PrintUnformatted(field_value(run->fields[i], connection));

		fprintf(to, "%s\"%s\":", i ? "," : "{", run->fields[i]->name);
		if (value)
			slice_write((struct slice){value, strlen(value)}, to);
		else
			fputs("null", to);
		cJSON_free(value);
	}
	fputc('}', to);
}

static void write_json(const struct run *run, struct slice raw, const cJSON *connection, FILE *to)
{
	if (run->field_count == 0)
		slice_write(raw, to);
	else
		write_fields(run, connection, to);
	fputc('\n', to);
}

static void make_key(const struct run *run, const cJSON *connection, struct table_key *key)
{
	const cJSON *value = field_value(run->sort, connection);
	char text[FIELD_TEXT_BYTES];

	*key = (struct table_key){.is_text = !field_is_number(run->sort)};
	if (!value || cJSON_IsNull(value))
		return;
	if (!key->is_text) {
		key->known = field_number(value, &key->number);
		return;
	}
	field_text(run->sort, connection, run->names, text, sizeof(text));
	key->text = strdup(text);
	key->known = key->text != NULL;
}

/* Keeps a connection: its line of JSON, or its cells. Returns 0 or -ENOMEM. */
static int keep(struct run *run, struct slice raw, const cJSON *connection)
{
	struct table_key key = {0};
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);
	int error;

	if (!to)
		return -ENOMEM;
	for (int i = 0; !run->asked->json && i < run->field_count; i++) {
		char cell[FIELD_TEXT_BYTES];

		fwrite(cell, 1,
		       field_text(run->fields[i], connection, run->names, cell, sizeof(cell)) + 1,
		       to);
	}
	if (run->asked->json) {
		write_json(run, raw, connection, to);
		fputc('\0', to);
	}
	if (fclose(to) != 0) {
		free(text);
		return -ENOMEM;
	}
	if (run->sort)
		make_key(run, connection, &key);
	error = table_add_row(&run->table, text, length, &key);
	free(text);
	return error;
}

static enum exit_code take_page(void *context, struct slice connections, bool *enough)
{
	struct run *run = context;
	const bool direct = run->asked->json && !run->sort;
	struct slice raw;

	while (slice_next(&connections, &raw) && (run->sort || run->written < run->limit)) {
		cJSON *connection = NULL;
		int error = 0;

		if (!direct || run->field_count > 0) {
			connection = cJSON_ParseWithLength(raw.text, raw.length);
			if (!connection)
				return page_not_understood();
		}
		if (direct)
			write_json(run, raw, connection, stdout);
		else
			error = keep(run, raw, connection);
		cJSON_Delete(connection);
		if (error != 0) {
			message("out of memory: use --limit or --filter");
			return EXIT_FAILED;
		}
		run->written++;
	}
	*enough = !run->sort && run->written >= run->limit;
	return EXIT_OK;
}

static void print(struct run *run)
{
	const size_t limit = run->limit < run->table.count ? (size_t)run->limit : run->table.count;

	if (run->sort)
		table_sort(&run->table, run->reverse);
	if (!run->asked->json) {
		table_print(&run->table, stdout, limit, !run->asked->no_header,
			    output_has_colour());
		return;
	}
	for (size_t i = 0; i < limit; i++)
		fputs(table_row_text(&run->table, i), stdout);
}

static enum exit_code conns_run(const struct invocation *call)
{
	struct conns_options asked = {.json = false};
	struct run run = {.asked = &asked};
	static struct client client = CLIENT_INIT;
	enum exit_code code;
	char *filter;

	if (!usage_parse(&verb_conns, call, &asked, &code))
		return code;
	run.names = !asked.json && !asked.no_resolve;
	run.limit = asked.limit.given ? asked.limit.value : UINT64_MAX;
	table_init(&run.table);
	code = choose_fields(&run);
	filter = snapshot_filter(&asked.choice);
	if (code == EXIT_OK && !filter) {
		message("out of memory");
		code = EXIT_FAILED;
	}
	if (code == EXIT_OK)
		code = client_open_queries(&client, asked.common.runtime_dir);
	if (code == EXIT_OK)
		code = page_take_all(&client,
				     &(struct page_query){.op = "snapshot",
							  .filter = filter,
							  .list = "connections"},
				     take_page, &run);
	if (code == EXIT_OK)
		print(&run);
	table_fini(&run.table);
	free(filter);
	return code;
}

static const char details[] =
	"EXPR is made of 'FIELD OP VALUE' with and, or, not and parentheses; OP is == != < <= > >= or\n"
	"~ (contains). For example: --filter 'remote.port == 443 and total.sent_bytes > 1000000'\n";

const struct verb verb_conns = {
	.name = "conns",
	.operands = "",
	.has_fields = true,
	.summary = "live connections now",
	.details = details,
	.options = options,
	.run = conns_run,
};
