/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/page.h"

#include "cli/message.h"

#include <cjson/cJSON.h>

#include <string.h>

/* More pages than any worker's table can fill: a worker that goes on has gone astray. */
#define PAGES_MAX (1u << 20)

char *page_request(const struct page_query *query, const char *token)
{
	cJSON *request = cJSON_CreateObject();
	char *text = NULL;

	if (cJSON_AddStringToObject(request, "op", query->op) &&
	    (!*query->filter || cJSON_AddStringToObject(request, "filter", query->filter)) &&
	    (!*token || cJSON_AddStringToObject(request, "page", token)))
		text = cJSON_PrintUnformatted(request);
	cJSON_Delete(request);
	return text;
}

bool page_open(struct slice answer, const char *list, struct page *page)
{
	struct slice more;

	page->more[0] = '\0';
	if (!slice_member(answer, list, &page->list))
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

enum exit_code page_not_understood(void)
{
	message("the worker's answer is not understood: are both of one version?");
	return EXIT_FAILED;
}

enum exit_code page_take_all(struct client *client, const struct page_query *query,
			     enum exit_code (*take)(void *context, struct slice list, bool *enough),
			     void *context)
{
	struct page page = {.more = ""};
	bool enough = false;

	for (unsigned i = 0; i < PAGES_MAX; i++) {
		struct client_message answer = {0};
		char *request = page_request(query, page.more);
		enum exit_code code;

		if (!request) {
			message("out of memory");
			return EXIT_FAILED;
		}
		code = client_ask(client, request, &answer);
		cJSON_free(request);
		if (code != EXIT_OK)
			return code;
		code = page_open(answer.json, query->list, &page)
			       ? take(context, page.list, &enough)
			       : page_not_understood();
		client_message_fini(&answer);
		if (code != EXIT_OK || enough || page.more[0] == '\0' || output_is_broken())
			return code;
	}
	message("the worker's answer does not end: see 'systemctl status sockwarden-worker'");
	return EXIT_FAILED;
}
