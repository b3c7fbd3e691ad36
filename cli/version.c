/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version: which sockwarden this is.
 */
#include "cli/usage.h"

#include <stdio.h>

static const struct option_spec options[] = {USAGE_HELP, OPTIONS_END};

static enum exit_code version_run(const struct invocation *call)
{
	struct usage_common asked = {.help = false};
	enum exit_code code;

	if (!usage_parse(&verb_version, call, &asked, &code))
		return code;
	printf("sockwarden %s\n", SOCKWARDEN_VERSION);
	return EXIT_OK;
}

const struct verb verb_version = {
	.name = "version",
	.operands = "",
	.summary = "the version of this command",
	.options = options,
	.run = version_run,
};
