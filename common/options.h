/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as a table: each row names an option, says what its value may be and where it goes. The
 * same rows make the help, so that what is accepted and what is printed cannot drift apart.
 *
 * Accepted are --name VALUE, --name=VALUE, -x VALUE and, for options without value, --name and -x;
 * "--" ends the options. Nothing is abbreviated: a new option can never change what an old
 * command line means.
 */
#ifndef SOCKWARDEN_COMMON_OPTIONS_H
#define SOCKWARDEN_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_ERROR_BYTES 160

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *, points into argv */
	OPTION_NUMBER, /* struct option_number: decimal, min..max */
	OPTION_SECONDS, /* struct option_number in ms: decimal seconds, up to three places; min..max in ms */
	OPTION_NAME, /* an enum or int: the value's place in names */
};

struct option_number {
	bool given;
	uint64_t value;
};

struct option_spec {
	const char *name; /* without dashes; NULL for one that has a letter only */
	char letter;	  /* 0: none */
	enum option_kind kind;
	const char *const *names; /* OPTION_NAME: ends with NULL */
	size_t offset;		  /* of the value in the caller's structure */
	uint64_t min;
	uint64_t max;
	const char *value; /* the value's name in the help */
	const char *help;
	const char *choices; /* words that the value may be, for a shell to complete; or NULL */
};

#define OPTIONS_END                       \
	{                                 \
		.name = NULL, .letter = 0 \
	}

/*
 * Parses argv[0..argc) into the structure at into, whose fields already hold the defaults.
 * Returns the number of arguments that are not options, moved (in order) to operands, which has
 * room for operands_max; or -1 with a text for people in error.
 */
int options_parse(const struct option_spec *specs, int argc, char *const *argv, void *into,
		  const char **operands, int operands_max, char error[OPTIONS_ERROR_BYTES]);

/* The first member of a daemon's structure of options, and its rows. */
struct options_daemon {
	bool help;
	bool version;
};

/* clang-format off */
#define OPTIONS_DAEMON                                                                           \
	{"version", 0, OPTION_FLAG, .offset = offsetof(struct options_daemon, version),          \
	 .help = "its version"},                                                                 \
	{"help", 'h', OPTION_FLAG, .offset = offsetof(struct options_daemon, help),              \
	 .help = "this text"}
/* clang-format on */

/*
 * A daemon's whole command line: what is wrong with it is logged; help (the text about, then the
 * rows) and the version are printed. Returns -1 to go on, or an exit code.
 */
int options_daemon(const struct option_spec *specs, const char *about, const char *version,
		   int argc, char *const *argv, void *into);

/* Prints the rows as help lines. */
void options_print(const struct option_spec *specs, FILE *to);

/* Reads a whole decimal number in min..max; false for anything else. */
bool options_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Reads decimal seconds with up to three places, in ms, within min..max ms. */
bool options_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *value);

#endif
