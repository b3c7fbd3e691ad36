/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/seq.h"

#include <criterion/criterion.h>

static uint64_t lost;

Test(cli_seq, messages_in_order_are_no_news)
{
	struct seq seq = {.last = 0};

	cr_expect_eq(seq_note(&seq, "aa", 17, &lost), SEQ_FIRST);
	cr_expect_eq(lost, 0, "what was before this subscriber is not its loss");
	cr_expect_eq(seq_note(&seq, "aa", 18, &lost), SEQ_NEXT);
	cr_expect_eq(lost, 0);
}

Test(cli_seq, a_hole_is_counted_and_then_forgotten)
{
	struct seq seq = {.last = 0};

	seq_note(&seq, "aa", 1, &lost);
	cr_expect_eq(seq_note(&seq, "aa", 5, &lost), SEQ_HOLE);
	cr_expect_eq(lost, 3);
	cr_expect_eq(seq_note(&seq, "aa", 6, &lost), SEQ_NEXT);
	cr_expect_eq(lost, 0);
}

Test(cli_seq, another_instance_starts_anew_and_its_early_messages_are_missed)
{
	struct seq seq = {.last = 0};

	seq_note(&seq, "aa", 100, &lost);
	cr_expect_eq(seq_note(&seq, "bb", 1, &lost), SEQ_RESTART);
	cr_expect_eq(lost, 0);
	cr_expect_str_eq(seq.instance, "bb");
	cr_expect_eq(seq_note(&seq, "cc", 4, &lost), SEQ_RESTART);
	cr_expect_eq(lost, 3);
	cr_expect_eq(seq_note(&seq, "cc", 5, &lost), SEQ_NEXT);
}

Test(cli_seq, a_number_that_comes_again_is_told_and_changes_nothing)
{
	struct seq seq = {.last = 0};

	seq_note(&seq, "aa", 10, &lost);
	cr_expect_eq(seq_note(&seq, "aa", 10, &lost), SEQ_REPEAT);
	cr_expect_eq(seq_note(&seq, "aa", 3, &lost), SEQ_REPEAT);
	cr_expect_eq(lost, 0);
	cr_expect_eq(seq_note(&seq, "aa", 11, &lost), SEQ_NEXT);
}

Test(cli_seq, an_overlong_instance_is_cut_and_still_known_again)
{
	static const char *const name =
		"0123456789012345678901234567890123456789012345678901234567";
	struct seq seq = {.last = 0};

	cr_expect_eq(seq_note(&seq, name, 1, &lost), SEQ_FIRST);
	cr_expect_eq(seq_note(&seq, name, 2, &lost), SEQ_NEXT);
}
