/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage.h"

#include "cli/fields.h"
#include "cli/message.h"

#include <stdio.h>

int usage_parse_operands(const struct verb *verb, const struct invocation *call, void *into,
			 const char **operands, int operands_max, enum exit_code *code)
{
	struct usage_common *const common = into;
	char error[OPTIONS_ERROR_BYTES];
	int count;

	common->runtime_dir = call->runtime_dir;
	count = options_parse(verb->options, call->argc, call->argv, into, operands, operands_max,
			      error);
	if (count < 0) {
		message("%s: %s (see: sockwarden help %s)", verb->name, error, verb->name);
		*code = EXIT_USAGE;
		return -1;
	}
	if (common->help) {
		usage_print(verb);
		*code = EXIT_OK;
		return -1;
	}
	return count;
}

bool usage_parse(const struct verb *verb, const struct invocation *call, void *into,
		 enum exit_code *code)
{
	return usage_parse_operands(verb, call, into, NULL, 0, code) == 0;
}

bool usage_parse_operand(const struct verb *verb, const struct invocation *call, void *into,
			 enum exit_code *code, const char **operand)
{
	const int count = usage_parse_operands(verb, call, into, operand, 1, code);

	if (count == 0) {
		message("%s: %s is missing (see: sockwarden help %s)", verb->name, verb->operands,
			verb->name);
		*code = EXIT_USAGE;
	}
	return count > 0;
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
