/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/page.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

Test(cli_page, a_request_names_filter_and_page_only_where_there_are_any)
{
	const struct page_query all = {.op = "snapshot", .filter = "", .list = "connections"};
	const struct page_query some = {
		.op = "snapshot", .filter = "comm == \"x\"", .list = "connections"};
	char *request = page_request(&all, "");

	cr_expect_str_eq(request, "{\"op\":\"snapshot\"}");
	free(request);
	request = page_request(&some, "T2");
	cr_expect_str_eq(request,
			 "{\"op\":\"snapshot\",\"filter\":\"comm == \\\"x\\\"\",\"page\":\"T2\"}");
	free(request);
}

static bool open_page(const char *text, struct page *page)
{
	return page_open((struct slice){.text = text, .length = strlen(text)}, "connections", page);
}

Test(cli_page, a_page_says_whether_there_is_more)
{
	struct page page;
	char text[256] = "{\"connections\":[],\"more\":\"";

	cr_assert(open_page("{\"ok\":true,\"connections\":[{}]}", &page));
	cr_expect_str_eq(page.more, "");
	cr_expect_eq(page.list.length, 4);
	cr_assert(open_page("{\"ok\":true,\"connections\":[],\"more\":\"12.ab\"}", &page));
	cr_expect_str_eq(page.more, "12.ab");
	cr_expect_not(open_page("{\"ok\":true}", &page));
	cr_expect_not(open_page("{\"connections\":[],\"more\":7}", &page));
	cr_expect_not(open_page("{\"connections\":[],\"more\":\"a\\\"b\"}", &page));
	memset(text + strlen(text), 'x', PAGE_TOKEN_BYTES);
	strcat(text, "\"}");
	cr_expect_not(open_page(text, &page), "a token that has no room is not cut");
}
