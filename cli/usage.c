/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage.h"

#include "cli/fields.h"
#include "cli/message.h"

#include <stdio.h>

bool usage_parse(const struct verb *verb, const struct invocation *call, void *into,
		 enum exit_code *code)
{
	struct usage_common *const common = into;
	char error[OPTIONS_ERROR_BYTES];

	common->runtime_dir = call->runtime_dir;
	if (options_parse(verb->options, call->argc, call->argv, into, NULL, 0, error) < 0) {
		message("%s: %s (see: sockwarden help %s)", verb->name, error, verb->name);
		*code = EXIT_USAGE;
		return false;
	}
	if (common->help) {
		usage_print(verb);
		*code = EXIT_OK;
		return false;
	}
	return true;
}

void usage_print(const struct verb *verb)
{
	printf("usage: sockwarden %s [options]%s%s\n\n%s\n\n", verb->name,
	       verb->operands[0] ? " " : "", verb->operands, verb->summary);
	options_print(verb->options, stdout);
	if (verb->details)
		printf("\n%s", verb->details);
	if (verb->has_fields) {
		printf("\nfields:\n");
		fields_print_names();
	}
}
