/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/metrics.h"

#include <criterion/criterion.h>

#include <string.h>

/* The group of a name, or NULL. */
static const struct metric_group *group_of(const char *name)
{
	const size_t length = strcspn(name, ".");

	for (const struct metric_group *group = metric_groups; group->name; group++) {
		if (strlen(group->name) == length && strncmp(group->name, name, length) == 0)
			return group;
	}
	return NULL;
}

Test(metrics, have_each_name_once)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		for (unsigned j = i + 1; j < METRIC_COUNT; j++)
			cr_expect_str_neq(metric_name((enum metric)i), metric_name((enum metric)j));
	}
}

Test(metrics, are_named_group_point_name_in_small_letters)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		const char *name = metric_name((enum metric)i);
		const char *point = strchr(name, '.');

		cr_assert_not_null(point, "%s", name);
		cr_expect_not_null(group_of(name), "the group of %s is not in METRIC_GROUPS", name);
		cr_expect_gt(strlen(point + 1), 0, "%s", name);
		cr_expect_eq(strspn(point + 1, letters), strlen(point + 1), "%s", name);
	}
}

Test(metrics, of_a_group_stand_together_and_no_group_is_empty_or_there_twice)
{
	for (unsigned kind = METRIC_KIND_COUNTER; kind <= METRIC_KIND_GAUGE; kind++) {
		const struct metric_group *last = NULL;
		unsigned runs[64] = {0};

		for (unsigned i = 0; i < METRIC_COUNT; i++) {
			const struct metric_group *group = group_of(metric_name((enum metric)i));

			if (metric_kind((enum metric)i) != kind)
				continue;
			if (group != last)
				runs[group - metric_groups]++;
			last = group;
			cr_expect_leq(runs[group - metric_groups], 1, "%s",
				      metric_name((enum metric)i));
		}
	}
	for (const struct metric_group *group = metric_groups; group->name; group++) {
		unsigned members = 0;

		for (unsigned i = 0; i < METRIC_COUNT; i++)
			members += group_of(metric_name((enum metric)i)) == group;
		cr_expect_gt(members, 0, "%s", group->name);
	}
}
