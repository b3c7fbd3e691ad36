/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs have in common on the command line: the options that all know, one way to complain,
 * and help that is made from the same rows.
 */
#ifndef SOCKWARDEN_CLI_USAGE_H
#define SOCKWARDEN_CLI_USAGE_H

#include "cli/cli.h"

/* The first member of each verb's structure of options. */
struct usage_common {
	const char *runtime_dir; /* preset by usage_parse() */
	bool help;
};

#define USAGE_RUNTIME_DIR                                                                     \
	{                                                                                     \
		"runtime-dir", 0, OPTION_TEXT,                                                \
			.offset = offsetof(struct usage_common, runtime_dir), .value = "DIR", \
			.help = "where the worker's sockets are (" CLI_RUNTIME_DIR ")"        \
	}
#define USAGE_HELP                                                                       \
	{                                                                                \
		"help", 'h', OPTION_FLAG, .offset = offsetof(struct usage_common, help), \
					  .help = "this text"                            \
	}

/*
 * Parses a verb's options into the structure at into, which begins with struct usage_common and
 * holds the defaults of the rest. Returns false if the verb is over: help was printed or an error
 * said, and *code is the exit code.
 */
bool usage_parse(const struct verb *verb, const struct invocation *call, void *into,
		 enum exit_code *code);

/* The same for a verb with one operand, which must be there, unless help is asked for. */
bool usage_parse_operand(const struct verb *verb, const struct invocation *call, void *into,
			 enum exit_code *code, const char **operand);

/* The same with up to operands_max operands: returns how many there are, or -1 if the verb is over. */
int usage_parse_operands(const struct verb *verb, const struct invocation *call, void *into,
			 const char **operands, int operands_max, enum exit_code *code);

/* Prints a verb's help to stdout. */
void usage_print(const struct verb *verb);

#endif
