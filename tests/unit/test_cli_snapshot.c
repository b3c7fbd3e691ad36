/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/snapshot.h"

#include <criterion/criterion.h>

#include <stdlib.h>

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
