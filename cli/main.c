/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command for people. It finds the verb and calls it; all else is in the verbs' files.
 */
#include "cli/cli.h"
#include "cli/message.h"

#include <locale.h>
#include <string.h>

static const struct verb *const verbs[] = {
	&verb_conns,   &verb_watch,  &verb_top,	  &verb_dns,	&verb_names,
	&verb_status,  &verb_record, &verb_probe, &verb_config, &verb_completion,
	&verb_version, &verb_help,   NULL,
};

struct main_options {
	const char *runtime_dir;
	bool help;
	bool version;
};

#define AT(field) .offset = offsetof(struct main_options, field)

/* What may stand before the verb. */
static const struct option_spec options[] = {
	{"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), .value = "DIR"},
	{"help", 'h', OPTION_FLAG, AT(help)},
	{"version", 'V', OPTION_FLAG, AT(version)},
	OPTIONS_END,
};

/* How many arguments stand before the verb. */
static int count_leading(int argc, char *const *argv)
{
	int i = 0;

	while (i < argc && argv[i][0] == '-')
		i += strcmp(argv[i], "--runtime-dir") == 0 ? 2 : 1;
	return i < argc ? i : argc;
}

static const struct verb *find(const char *name)
{
	for (size_t i = 0; verbs[i]; i++) {
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	}
	return NULL;
}

static enum exit_code run(int argc, char *const *argv)
{
	struct main_options asked = {.runtime_dir = CLI_RUNTIME_DIR};
	const int leading = count_leading(argc, argv);
	struct invocation call = {.verbs = verbs};
	char error[OPTIONS_ERROR_BYTES];
	const struct verb *verb;

	if (options_parse(options, leading, argv, &asked, NULL, 0, error) < 0) {
		message("%s (see: sockwarden help)", error);
		return EXIT_USAGE;
	}
	call.runtime_dir = asked.runtime_dir;
	if (asked.help || asked.version)
		return (asked.help ? verb_help : verb_version).run(&call);
	if (leading == argc) {
		message("which verb? conns, watch, top, dns, names, status, record, probe, config, completion, version "
			"or help");
		return EXIT_USAGE;
	}
	verb = find(argv[leading]);
	if (!verb) {
		message("there is no verb '%.60s' (see: sockwarden help)", argv[leading]);
		return EXIT_USAGE;
	}
	call.argc = argc - leading - 1;
	call.argv = argv + leading + 1;
	return verb->run(&call);
}

int main(int argc, char **argv)
{
	/* Characters are judged printable by the user's locale; numbers stay as they are. */
	setlocale(LC_CTYPE, "");
	output_begin();
	return (int)output_end(run(argc > 0 ? argc - 1 : 0, argv + 1));
}
