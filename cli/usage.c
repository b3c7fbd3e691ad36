/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage.h"

#include "cli/fields.h"
#include "cli/message.h"

#include <stdio.h>

static bool parse(const struct verb *verb, const struct invocation *call, void *into,
		  enum exit_code *code, const char **operand)
{
	struct usage_common *const common = into;
	char error[OPTIONS_ERROR_BYTES];
	int operands;

	common->runtime_dir = call->runtime_dir;
	operands = options_parse(verb->options, call->argc, call->argv, into, operand,
				 operand ? 1 : 0, error);
	if (operands == 0 && operand && !common->help) {
		snprintf(error, sizeof(error), "%s is missing", verb->operands);
		operands = -1;
	}
	if (operands < 0) {
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

bool usage_parse(const struct verb *verb, const struct invocation *call, void *into,
		 enum exit_code *code)
{
	return parse(verb, call, into, code, NULL);
}

bool usage_parse_operand(const struct verb *verb, const struct invocation *call, void *into,
			 enum exit_code *code, const char **operand)
{
	return parse(verb, call, into, code, operand);
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
