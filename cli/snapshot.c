/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/snapshot.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

char *snapshot_request(const char *filter, const char *token)
{
	cJSON *request = cJSON_CreateObject();
	char *text = NULL;

	if (cJSON_AddStringToObject(request, "op", "snapshot") &&
	    (!*filter || cJSON_AddStringToObject(request, "filter", filter)) &&
	    (!*token || cJSON_AddStringToObject(request, "page", token)))
		text = cJSON_PrintUnformatted(request);
	cJSON_Delete(request);
	return text;
}

bool snapshot_open(struct slice answer, struct snapshot_page *page)
{
	struct slice more;

	page->more[0] = '\0';
	if (!slice_member(answer, "connections", &page->connections))
		return false;
	if (!slice_member(answer, "more", &more))
		return true;
	/* A token is our worker's: letters and digits in quotes, nothing that needs decoding. */
	if (more.length < 2 || more.length - 2 >= sizeof(page->more) || more.text[0] != '"' ||
	    memchr(more.text, '\\', more.length))
		return false;
	memcpy(page->more, more.text + 1, more.length - 2);
	page->more[more.length - 2] = '\0';
	return true;
}
