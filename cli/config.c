/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: judges a configuration with the worker's own parser and tells what the worker would take
 * of memory with it; prints the defaults, or what the worker runs with. Only show needs a worker.
 */
#include "cli/client.h"
#include "cli/message.h"
#include "cli/usage.h"
#include "common/config/keys.h"
#include "common/config/write.h"
#include "worker/memory_bound.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define RING_PAGES_DEFAULT 512 /* sockwarden-privd --ring-pages */
#define MIB (1024.0 * 1024)

struct config_options {
	struct usage_common common;
	bool json;
	struct option_number cpus;
	struct option_number ring_pages;
};

#define AT(field) .offset = offsetof(struct config_options, field)

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, AT(json), .help = "one line of JSON"},
	{"cpus", 0, OPTION_NUMBER, AT(cpus), .min = 1, .max = 8192, .value = "N",
	 .help = "check: memory on a machine with N CPUs (this one's)"},
	{"ring-pages", 0, OPTION_NUMBER, AT(ring_pages), .min = 8, .max = 65536, .value = "N",
	 .help = "check: memory with sockwarden-privd --ring-pages N (512)"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

static const char details[] =
	"config check [FILE]  FILE (" CONFIG_FILE_DEFAULT ") and the conf.d/*.json beside it;\n"
	"                     exit code 3 and the first error's line and column if it is invalid\n"
	"config default       every key with its default\n"
	"config show          what the worker runs with\n";

/* Prints a configuration's text as it is, or so that it can be read and edited. */
static void print_config(struct slice text, bool json)
{
	if (json)
		slice_write(text, stdout);
	else
		slice_write_indented(text, stdout);
	putchar('\n');
}

static enum exit_code print_default(const struct config_options *asked)
{
	static char text[CONFIG_JSON_BYTES_MAX];
	struct config config;
	struct json json;

	config_default(&config);
	json_init(&json, text, sizeof(text));
	config_write(&json, &config);
	print_config((struct slice){text, json_length(&json)}, asked->json);
	return EXIT_OK;
}

static enum exit_code show(const struct config_options *asked)
{
	static struct client client = CLIENT_INIT;
	struct client_message answer = {0};
	enum exit_code code = client_open_queries(&client, asked->common.runtime_dir);
	struct slice config;

	if (code == EXIT_OK)
		code = client_ask(&client, "{\"op\":\"config\"}", &answer);
	if (code != EXIT_OK)
		return code;
	if (slice_member(answer.json, "config", &config)) {
		print_config(config, asked->json);
	} else {
		message("the worker's answer is not understood: are both of one version?");
		code = EXIT_FAILED;
	}
	client_message_fini(&answer);
	return code;
}

static struct memory_host host_of(const struct config_options *asked)
{
	const long cpus = sysconf(_SC_NPROCESSORS_CONF);

	return (struct memory_host){
		.cpus = asked->cpus.given ? (uint32_t)asked->cpus.value : (uint32_t)cpus,
		.ring_pages = (uint32_t)asked->ring_pages.value,
		.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE),
	};
}

static void print_memory(const struct memory_row *rows, size_t count, uint64_t total)
{
	puts("the worker's memory at most:");
	for (size_t i = 0; i < count; i++)
		printf("%10.1f MiB  %s%s%s%s\n", (double)rows[i].bytes / MIB, rows[i].what,
		       rows[i].key[0] ? " (" : "", rows[i].key, rows[i].key[0] ? ")" : "");
	printf("%10.1f MiB  in all\n", (double)total / MIB);
}

static void print_memory_json(const struct memory_row *rows, size_t count, uint64_t total)
{
	printf("{\"valid\":true,\"memory_bytes\":%" PRIu64 ",\"memory\":[", total);
	for (size_t i = 0; i < count; i++)
		printf("%s{\"what\":\"%s\",\"key\":\"%s\",\"bytes\":%" PRIu64 "}", i > 0 ? "," : "",
		       rows[i].what, rows[i].key, rows[i].bytes);
	puts("]}");
}

static enum exit_code code_of(int result)
{
	switch (result) {
	case -EACCES:
	case -EPERM:
		return EXIT_PRIVILEGE;
	case -EINVAL:
	case -EFBIG:
	case -E2BIG:
	case -EISDIR:
		return EXIT_CONFIG;
	default:
		return EXIT_FAILED;
	}
}

static enum exit_code check(const struct config_options *asked, const char *file)
{
	const struct memory_host host = host_of(asked);
	struct memory_row rows[MEMORY_ROWS_MAX];
	const char *name = file ? file : CONFIG_FILE_DEFAULT;
	char error[CONFIG_ERROR_BYTES];
	struct config config;
	uint64_t total = 0;
	size_t count;
	int result;

	result = config_load(&config, name, file != NULL, error, sizeof(error));
	if (result < 0) {
		message("%s", error);
		return code_of(result);
	}
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (config_key_is_idle(key, &config))
			message("%s.%s is set and does nothing: this version has no %s",
				key->section, key->name, key->pending);
	}
	count = memory_bound(rows, &config, &host);
	for (size_t i = 0; i < count; i++)
		total += rows[i].bytes;
	if (asked->json) {
		print_memory_json(rows, count, total);
	} else {
		printf("%s: valid%s\n", name, access(name, F_OK) < 0 ? ", being missing" : "");
		print_memory(rows, count, total);
	}
	return EXIT_OK;
}

static enum exit_code config_run(const struct invocation *call)
{
	struct config_options asked = {.ring_pages = {.value = RING_PAGES_DEFAULT}};
	const char *operands[2] = {NULL, NULL};
	enum exit_code code;
	int count;

	count = usage_parse_operands(&verb_config, call, &asked, operands, 2, &code);
	if (count < 0)
		return code;
	if (count > 0 && strcmp(operands[0], "check") == 0)
		return check(&asked, operands[1]);
	if (count == 1 && strcmp(operands[0], "default") == 0)
		return print_default(&asked);
	if (count == 1 && strcmp(operands[0], "show") == 0)
		return show(&asked);
	message("config: check [FILE], default or show? (see: sockwarden help config)");
	return EXIT_USAGE;
}

const struct verb verb_config = {
	.name = "config",
	.operands = "check [FILE] | default | show",
	.choices = "check default show",
	.summary = "judge a configuration and its memory; print the defaults, or the worker's",
	.details = details,
	.options = options,
	.run = config_run,
};
