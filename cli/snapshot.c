/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

/* Writes "and" between terms. */
static void term(FILE *to, const char *name)
{
	fprintf(to, "%s%s", ftell(to) > 0 ? " and " : "", name);
}

static void put_text(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

static void put_number(FILE *to, const char *name, const struct option_number *number)
{
	if (!number->given)
		return;
	term(to, name);
	fprintf(to, " == %llu", (unsigned long long)number->value);
}

char *snapshot_filter(const struct snapshot_choice *choice)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	if (!to)
		return NULL;
	if (choice->ipv4 != choice->ipv6) {
		term(to, "family == ");
		put_text(to, choice->ipv4 ? "ipv4" : "ipv6");
	}
	put_number(to, "pid", &choice->pid);
	if (choice->comm) {
		term(to, "comm == ");
		put_text(to, choice->comm);
	}
	put_number(to, "port", &choice->port);
	put_number(to, "netns", &choice->netns);
	if (choice->container) {
		term(to, "container ~ ");
		put_text(to, choice->container);
	}
	/* Alone it goes as it is, so that a place in it that the worker complains of is right. */
	if (choice->filter && choice->filter[0])
		fprintf(to, ftell(to) > 0 ? " and (%s)" : "%s", choice->filter);
	if (fclose(to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
