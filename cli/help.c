/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help: the list of verbs, or the help of one.
 */
#include "cli/message.h"
#include "cli/usage.h"

#include <stdio.h>
#include <string.h>

static const struct option_spec options[] = {USAGE_HELP, OPTIONS_END};

static void print_all(const struct verb *const *verbs)
{
	printf("usage: sockwarden VERB [options]\n\n"
	       "Shows the connections, flows and DNS of this host as the tracer's worker knows them.\n\n");
	for (; *verbs; verbs++)
		printf("  %-9s %s\n", (*verbs)->name, (*verbs)->summary);
	printf("\n'sockwarden help VERB' tells the options of one.\n"
	       "Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration invalid, 4 kernel or feature\n"
	       "unsupported, 5 privilege missing, 6 daemon not reachable, 7 loss budget exceeded.\n");
}

static enum exit_code help_run(const struct invocation *call)
{
	struct usage_common asked = {.help = false};
	char error[OPTIONS_ERROR_BYTES];
	const char *name = NULL;

	if (options_parse(options, call->argc, call->argv, &asked, &name, 1, error) < 0) {
		message("help: %s (see: sockwarden help)", error);
		return EXIT_USAGE;
	}
	if (asked.help) {
		usage_print(&verb_help);
		return EXIT_OK;
	}
	if (!name) {
		print_all(call->verbs);
		return EXIT_OK;
	}
	for (const struct verb *const *verb = call->verbs; *verb; verb++) {
		if (strcmp((*verb)->name, name) == 0) {
			usage_print(*verb);
			return EXIT_OK;
		}
	}
	message("help: there is no verb '%.60s' (see: sockwarden help)", name);
	return EXIT_USAGE;
}

const struct verb verb_help = {
	.name = "help",
	.operands = "[VERB]",
	.summary = "this list, or the options of a verb",
	.options = options,
	.run = help_run,
};
