/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion: a script for a shell, made of the rows that also make the help: what is completed is what is
 * accepted.
 */
#include "cli/fields.h"
#include "cli/message.h"
#include "cli/usage.h"

#include <stdio.h>
#include <string.h>

static const struct option_spec options[] = {USAGE_HELP, OPTIONS_END};

static bool ends(const struct option_spec *spec)
{
	return !spec->name && !spec->letter;
}

/* Text within single quotes of a shell; in brackets of zsh a bracket is escaped. */
static void put_text(const char *text, bool brackets)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (brackets && strchr("[]\\:", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

/* Whether an option's value is one or more of a connection's fields. */
static bool is_of_fields(const struct verb *verb, const struct option_spec *spec)
{
	return verb->has_fields && spec->value &&
	       (strcmp(spec->value, "FIELD") == 0 || strcmp(spec->value, "A,B") == 0);
}

/* The words that an option's value may be, if they can be told. */
static void print_values(const struct verb *verb, const struct option_spec *spec)
{
	if (is_of_fields(verb, spec))
		fields_print_names();
	else if (spec->choices)
		fputs(spec->choices, stdout);
}

static void print_verbs(const struct verb *const *verbs)
{
	for (; *verbs; verbs++)
		printf("%s ", (*verbs)->name);
}

/* The words that may stand behind a verb, besides options. */
static void print_operands(const struct verb *verb, const struct verb *const *verbs)
{
	if (strcmp(verb->operands, "[VERB]") == 0)
		print_verbs(verbs);
	else if (verb->choices)
		fputs(verb->choices, stdout);
}

static bool is_folder(const struct option_spec *spec)
{
	return spec->value && strcmp(spec->value, "DIR") == 0;
}

static void print_bash_verb(const struct verb *verb, const struct verb *const *verbs)
{
	const struct option_spec *spec;

	for (spec = verb->options; !ends(spec); spec++) {
		if (spec->kind == OPTION_FLAG || is_folder(spec))
			continue;
		printf("\t%s:--%s) words='", verb->name, spec->name);
		print_values(verb, spec);
		puts("' ;;");
	}
	printf("\t%s:*) words='", verb->name);
	print_operands(verb, verbs);
	for (spec = verb->options; !ends(spec); spec++) {
		if (spec->letter)
			printf(" -%c", spec->letter);
		if (spec->name)
			printf(" --%s", spec->name);
	}
	puts("' ;;");
}

static void print_bash(const struct verb *const *verbs)
{
	puts("# source <(sockwarden completion bash)\n"
	     "_sockwarden()\n"
	     "{\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
	     "\tlocal verb='' words='' i\n"
	     "\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in\n"
	     "\t\t--runtime-dir) ((i++)) ;;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*)\n"
	     "\t\t\tverb=${COMP_WORDS[i]}\n"
	     "\t\t\tbreak\n"
	     "\t\t\t;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tCOMPREPLY=()\n"
	     "\tcase $verb:$before in\n"
	     "\t*:--runtime-dir)\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
	     "\t\treturn\n"
	     "\t\t;;");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		print_bash_verb(*verb, verbs);
	fputs("\t:*) words='", stdout);
	print_verbs(verbs);
	puts("--help --runtime-dir --version' ;;\n"
	     "\tesac\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	     "}\n"
	     "complete -o default -F _sockwarden sockwarden");
}

/* One of an option's spellings, as _arguments takes it. */
static void print_zsh_option(const struct verb *verb, const struct option_spec *spec,
			     const char *dashes, const char *name)
{
	printf(" \\\n\t\t\t'%s%s[", dashes, name);
	put_text(spec->help, true);
	putchar(']');
	if (spec->kind != OPTION_FLAG) {
		putchar(':');
		put_text(spec->value, true);
		putchar(':');
		if (is_folder(spec)) {
			fputs("_files -/", stdout);
		} else if (spec->choices || is_of_fields(verb, spec)) {
			putchar('(');
			print_values(verb, spec);
			putchar(')');
		}
	}
	putchar('\'');
}

static void print_zsh_verb(const struct verb *verb, const struct verb *const *verbs)
{
	printf("\t\t%s)\n\t\t\t_arguments", verb->name);
	for (const struct option_spec *spec = verb->options; !ends(spec); spec++) {
		const char letter[2] = {spec->letter, '\0'};

		if (spec->letter)
			print_zsh_option(verb, spec, "-", letter);
		if (spec->name)
			print_zsh_option(verb, spec, "--", spec->name);
	}
	if (verb->choices || strcmp(verb->operands, "[VERB]") == 0) {
		fputs(" \\\n\t\t\t'1:what:(", stdout);
		print_operands(verb, verbs);
		fputs(")'", stdout);
	}
	puts(verb->operands[0] ? " \\\n\t\t\t'*:file:_files'\n\t\t\t;;" : "\n\t\t\t;;");
}

static void print_zsh(const struct verb *const *verbs)
{
	puts("#compdef sockwarden\n"
	     "# source <(sockwarden completion zsh), or a file _sockwarden in fpath\n"
	     "_sockwarden()\n"
	     "{\n"
	     "\tlocal curcontext=\"$curcontext\" state line\n"
	     "\tlocal -a verbs\n"
	     "\n"
	     "\tverbs=(");
	for (const struct verb *const *verb = verbs; *verb; verb++) {
		printf("\t\t'%s:", (*verb)->name);
		put_text((*verb)->summary, false);
		puts("'");
	}
	puts("\t)\n"
	     "\t_arguments -C '--runtime-dir[sockets]:DIR:_files -/' '--help[the verbs]' \\\n"
	     "\t\t'--version[the version]' '1:verb:->verb' '*::argument:->rest'\n"
	     "\tcase $state in\n"
	     "\tverb)\n"
	     "\t\t_describe verb verbs\n"
	     "\t\t;;\n"
	     "\trest)\n"
	     "\t\tcase $words[1] in");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		print_zsh_verb(*verb, verbs);
	puts("\t\tesac\n"
	     "\t\t;;\n"
	     "\tesac\n"
	     "}\n"
	     "if [ \"$funcstack[1]\" = _sockwarden ]; then\n"
	     "\t_sockwarden \"$@\"\n"
	     "else\n"
	     "\tcompdef _sockwarden sockwarden\n"
	     "fi");
}

static void print_fish_verb(const struct verb *verb, const struct verb *const *verbs)
{
	printf("complete -c sockwarden -n __fish_use_subcommand -a %s -d '", verb->name);
	put_text(verb->summary, false);
	puts("'");
	for (const struct option_spec *spec = verb->options; !ends(spec); spec++) {
		printf("complete -c sockwarden -n '__fish_seen_subcommand_from %s'", verb->name);
		if (spec->letter)
			printf(" -s %c", spec->letter);
		if (spec->name)
			printf(" -l %s", spec->name);
		if (is_folder(spec)) {
			fputs(" -x -a '(__fish_complete_directories)'", stdout);
		} else if (spec->kind != OPTION_FLAG) {
			fputs(" -x -a '", stdout);
			print_values(verb, spec);
			putchar('\'');
		}
		fputs(" -d '", stdout);
		put_text(spec->help, false);
		puts("'");
	}
	if (!verb->operands[0])
		return;
	printf("complete -c sockwarden -n '__fish_seen_subcommand_from %s' -F -a '", verb->name);
	print_operands(verb, verbs);
	puts("'");
}

static void print_fish(const struct verb *const *verbs)
{
	puts("# sockwarden completion fish | source\n"
	     "complete -c sockwarden -f");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		print_fish_verb(*verb, verbs);
}

static const struct {
	const char *name;
	void (*print)(const struct verb *const *verbs);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

static enum exit_code completion_run(const struct invocation *call)
{
	struct usage_common asked = {.help = false};
	const char *shell;
	enum exit_code code;

	if (!usage_parse_operand(&verb_completion, call, &asked, &code, &shell))
		return code;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(shells[i].name, shell) == 0) {
			shells[i].print(call->verbs);
			return EXIT_OK;
		}
	}
	message("completion: there are bash, zsh and fish (see: sockwarden help completion)");
	return EXIT_USAGE;
}

const struct verb verb_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.choices = "bash zsh fish",
	.summary = "a script that completes this command's words in a shell",
	.details = "For example, in ~/.bashrc: source <(sockwarden completion bash)\n",
	.options = options,
	.run = completion_run,
};
