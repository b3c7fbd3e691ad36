/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb of the command shares: the exit codes, how a verb presents itself, and how it
 * is called. A verb is one file that exports one struct verb; main.c lists them. A verb's run
 * function returns an exit code and has said on stderr, in one line, why it is not EXIT_OK.
 */
#ifndef SOCKWARDEN_CLI_CLI_H
#define SOCKWARDEN_CLI_CLI_H

#include "common/options.h"

#define CLI_RUNTIME_DIR "/run/sockwarden"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_CONFIG = 3,
	EXIT_UNSUPPORTED = 4, /* this kernel, or this worker, cannot do it */
	EXIT_PRIVILEGE = 5,
	EXIT_UNREACHABLE = 6, /* no worker answers */
	EXIT_LOSS = 7,	      /* the loss budget is exceeded */
};

struct verb;

/* One call of a verb. Everything is owned by main and outlives the call. */
struct invocation {
	const char *runtime_dir;	 /* --runtime-dir given before the verb, else the default */
	const struct verb *const *verbs; /* all verbs, NULL at the end */
	int argc;			 /* what follows the verb's name */
	char *const *argv;
};

struct verb {
	const char *name;
	const char *operands;		   /* as in a usage line; "" for none */
	const char *choices;		   /* words that the operand may be, or NULL */
	const char *summary;		   /* one line for the list of verbs */
	const char *details;		   /* further lines of its own help, or NULL */
	bool has_fields;		   /* its help lists the fields of a connection */
	const struct option_spec *options; /* name NULL at the end */
	enum exit_code (*run)(const struct invocation *call);
};

extern const struct verb verb_conns;
extern const struct verb verb_watch;
extern const struct verb verb_top;
extern const struct verb verb_dns;
extern const struct verb verb_names;
extern const struct verb verb_status;
extern const struct verb verb_record;
extern const struct verb verb_probe;
extern const struct verb verb_config;
extern const struct verb verb_completion;
extern const struct verb verb_version;
extern const struct verb verb_help;

#endif
