/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/snapshot.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

static void expect_filter(struct snapshot_choice choice, const char *expected)
{
	char *filter = snapshot_filter(&choice);

	cr_expect_str_eq(filter, expected);
	free(filter);
}

Test(cli_snapshot, options_become_one_expression)
{
	expect_filter((struct snapshot_choice){0}, "");
	expect_filter((struct snapshot_choice){.filter = "a == 1 or b == 2"}, "a == 1 or b == 2");
	expect_filter((struct snapshot_choice){.ipv4 = true}, "family == \"ipv4\"");
	expect_filter((struct snapshot_choice){.ipv6 = true}, "family == \"ipv6\"");
	expect_filter((struct snapshot_choice){.ipv4 = true, .ipv6 = true}, "");
	expect_filter((struct snapshot_choice){.pid = {true, 0}}, "pid == 0");
	expect_filter((struct snapshot_choice){.filter = "a == 1 or b == 2",
					       .comm = "curl",
					       .port = {true, 443},
					       .netns = {true, 4026531840},
					       .container = "abc"},
		      "comm == \"curl\" and port == 443 and netns == 4026531840 and "
		      "container ~ \"abc\" and (a == 1 or b == 2)");
}

Test(cli_snapshot, a_text_cannot_leave_its_quotes)
{
	expect_filter((struct snapshot_choice){.comm = "a\" or pid == 1 or comm == \"\\"},
		      "comm == \"a\\\" or pid == 1 or comm == \\\"\\\\\"");
}

Test(cli_snapshot, a_request_names_filter_and_page_only_where_there_are_any)
{
	char *request = snapshot_request("", "");

	cr_expect_str_eq(request, "{\"op\":\"snapshot\"}");
	free(request);
	request = snapshot_request("comm == \"x\"", "T2");
	cr_expect_str_eq(request,
			 "{\"op\":\"snapshot\",\"filter\":\"comm == \\\"x\\\"\",\"page\":\"T2\"}");
	free(request);
}

static bool open_page(const char *text, struct snapshot_page *page)
{
	return snapshot_open((struct slice){.text = text, .length = strlen(text)}, page);
}

Test(cli_snapshot, a_page_says_whether_there_is_more)
{
	struct snapshot_page page;
	char text[256] = "{\"connections\":[],\"more\":\"";

	cr_assert(open_page("{\"ok\":true,\"connections\":[{}]}", &page));
	cr_expect_str_eq(page.more, "");
	cr_expect_eq(page.connections.length, 4);
	cr_assert(open_page("{\"ok\":true,\"connections\":[],\"more\":\"12.ab\"}", &page));
	cr_expect_str_eq(page.more, "12.ab");
	cr_expect_not(open_page("{\"ok\":true}", &page));
	cr_expect_not(open_page("{\"connections\":[],\"more\":7}", &page));
	cr_expect_not(open_page("{\"connections\":[],\"more\":\"a\\\"b\"}", &page));
	memset(text + strlen(text), 'x', SNAPSHOT_TOKEN_BYTES);
	strcat(text, "\"}");
	cr_expect_not(open_page(text, &page), "a token that has no room is not cut");
}
