/* SPDX-License-Identifier: Apache-2.0 */
#include "common/options.h"

#include "common/exit_code.h"
#include "common/log.h"
#include "common/name.h"

#include <string.h>

#define HELP_COLUMN 26

bool options_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t number = 0;

	if (*text == '\0')
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return false;
	}
	if (number < min || number > max)
		return false;
	*value = number;
	return true;
}

bool options_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *point = strchr(text, '.');
	const size_t whole_length = point ? (size_t)(point - text) : strlen(text);
	char whole[12];
	char part[4] = "000";
	uint64_t seconds;
	uint64_t ms;

	if (whole_length == 0 || whole_length >= sizeof(whole))
		return false;
	memcpy(whole, text, whole_length);
	whole[whole_length] = '\0';
	if (point) {
		const size_t places = strlen(point + 1);

		if (places == 0 || places > 3)
			return false;
		memcpy(part, point + 1, places);
	}
	if (!options_number(whole, 0, UINT32_MAX, &seconds) || !options_number(part, 0, 999, &ms))
		return false;
	ms += seconds * 1000;
	if (ms < min || ms > max)
		return false;
	*value = ms;
	return true;
}

static bool ends(const struct option_spec *spec)
{
	return !spec->name && !spec->letter;
}

/* length is that of the name in a --name argument, before any '='. */
static const struct option_spec *find_name(const struct option_spec *specs, const char *name,
					   size_t length)
{
	for (; !ends(specs); specs++) {
		if (specs->name && strlen(specs->name) == length &&
		    memcmp(specs->name, name, length) == 0)
			return specs;
	}
	return NULL;
}

static const struct option_spec *find_letter(const struct option_spec *specs, const char *argument)
{
	if (argument[1] == '\0' || argument[2] != '\0')
		return NULL;
	for (; !ends(specs); specs++) {
		if (specs->letter && specs->letter == argument[1])
			return specs;
	}
	return NULL;
}

/* Stores a value; false with a text in error when it is not one. */
static bool store(const struct option_spec *spec, const char *shown, const char *value, void *into,
		  char error[OPTIONS_ERROR_BYTES])
{
	char *const field = (char *)into + spec->offset;
	struct option_number number = {.given = true};
	int place;

	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)(void *)field = true;
		return true;
	case OPTION_TEXT:
		memcpy(field, &value, sizeof(value));
		return true;
	case OPTION_NUMBER:
		if (options_number(value, spec->min, spec->max, &number.value))
			break;
		snprintf(error, OPTIONS_ERROR_BYTES,
			 "%s needs a number from %llu to %llu, not '%.40s'", shown,
			 (unsigned long long)spec->min, (unsigned long long)spec->max, value);
		return false;
	case OPTION_SECONDS:
		if (options_seconds(value, spec->min, spec->max, &number.value))
			break;
		snprintf(error, OPTIONS_ERROR_BYTES, "%s needs seconds from %g to %g, not '%.40s'",
			 shown, (double)spec->min / 1000, (double)spec->max / 1000, value);
		return false;
	case OPTION_NAME:
		place = name_find(spec->names, value);
		if (place < 0) {
			snprintf(error, OPTIONS_ERROR_BYTES, "%s does not know '%.40s'", shown,
				 value);
			return false;
		}
		memcpy(field, &place, sizeof(place));
		return true;
	}
	memcpy(field, &number, sizeof(number));
	return true;
}

int options_parse(const struct option_spec *specs, int argc, char *const *argv, void *into,
		  const char **operands, int operands_max, char error[OPTIONS_ERROR_BYTES])
{
	bool options = true;
	int count = 0;

	for (int i = 0; i < argc; i++) {
		const char *argument = argv[i];
		const struct option_spec *spec;
		const char *equals = NULL;
		const char *value = NULL;
		char shown[40];

		if (!options || argument[0] != '-' || argument[1] == '\0') {
			if (count == operands_max) {
				snprintf(error, OPTIONS_ERROR_BYTES, "unexpected argument '%.60s'",
					 argument);
				return -1;
			}
			operands[count++] = argument;
			continue;
		}
		if (strcmp(argument, "--") == 0) {
			options = false;
			continue;
		}
		if (argument[1] == '-') {
			size_t length = strlen(argument + 2);

			equals = strchr(argument, '=');
			if (equals)
				length = (size_t)(equals - argument - 2);
			spec = find_name(specs, argument + 2, length);
			snprintf(shown, sizeof(shown), "--%.*s", (int)(length < 36 ? length : 36),
				 argument + 2);
		} else {
			spec = find_letter(specs, argument);
			snprintf(shown, sizeof(shown), "%.38s", argument);
		}
		if (!spec) {
			snprintf(error, OPTIONS_ERROR_BYTES, "unknown option '%s'", shown);
			return -1;
		}
		if (spec->kind == OPTION_FLAG) {
			if (equals) {
				snprintf(error, OPTIONS_ERROR_BYTES, "%s takes no value", shown);
				return -1;
			}
		} else if (equals) {
			value = equals + 1;
		} else if (i + 1 < argc) {
			value = argv[++i];
		} else {
			snprintf(error, OPTIONS_ERROR_BYTES, "%s needs a value: %s", shown,
				 spec->value);
			return -1;
		}
		if (!store(spec, shown, value, into, error))
			return -1;
	}
	return count;
}

void options_print(const struct option_spec *specs, FILE *to)
{
	for (; !ends(specs); specs++) {
		char left[64];
		char letter[4] = "";

		if (specs->letter)
			snprintf(letter, sizeof(letter), "-%c", specs->letter);
		snprintf(left, sizeof(left), "%s%s%s%s%s%s", letter,
			 specs->letter && specs->name ? ", " : "", specs->name ? "--" : "",
			 specs->name ? specs->name : "", specs->value ? " " : "",
			 specs->value ? specs->value : "");
		fprintf(to, "  %-*s %s\n", HELP_COLUMN - 3, left, specs->help);
	}
}

int options_daemon(const struct option_spec *specs, const char *about, const char *version,
		   int argc, char *const *argv, void *into)
{
	const struct options_daemon *given = into;
	char error[OPTIONS_ERROR_BYTES];

	if (options_parse(specs, argc - 1, argv + 1, into, NULL, 0, error) < 0) {
		log_error("%s; try --help", error);
		return EXIT_CODE_USAGE;
	}
	if (given->version) {
		puts(version);
		return EXIT_CODE_OK;
	}
	if (!given->help)
		return -1;
	fputs(about, stdout);
	options_print(specs, stdout);
	return EXIT_CODE_OK;
}
