/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the worker that come in pages: a list of objects, and a token with which the next page
 * is asked for.
 */
#ifndef SOCKWARDEN_CLI_PAGE_H
#define SOCKWARDEN_CLI_PAGE_H

#include "cli/client.h"
#include "cli/slice.h"

#include <stdbool.h>

#define PAGE_TOKEN_BYTES 128

struct page {
	struct slice list;	     /* an array: see slice_next() */
	char more[PAGE_TOKEN_BYTES]; /* the next page's token; "" on the last page */
};

/* What is asked for, page by page. */
struct page_query {
	const char *op;
	const char *filter; /* "" for none */
	const char *list;   /* the key of the answer's list */
};

/* Makes the request for a page; token "" is the first. Heap text, NULL if out of memory. */
char *page_request(const struct page_query *query, const char *token);

/* Opens an answer that client_verdict() found good; false if it has no such list. */
bool page_open(struct slice answer, const char *list, struct page *page);

/*
 * Asks for one page after the other, until there are no more, enough came or nobody reads the output.
 * take is given each page's list; it returns EXIT_OK, or the exit code with a message said, and sets
 * *enough if no further page is wanted. Returns the same.
 */
enum exit_code page_take_all(struct client *client, const struct page_query *query,
			     enum exit_code (*take)(void *context, struct slice list, bool *enough),
			     void *context);

/* Says that an answer is not understood. Returns EXIT_FAILED. */
enum exit_code page_not_understood(void);

#endif
