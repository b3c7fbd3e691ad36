/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manual pages against the code: every counter and gauge is listed, by its name and in the
 * code's order, and no other; every configuration key that is described is one, with the range
 * and the default that the page tells.
 */
#include "common/config/keys.h"
#include "worker/health.h"
#include "worker/loss.h"
#include "worker/metrics.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 256

struct page {
	FILE *file;
	char line[LINE_BYTES];
};

static void page_open(struct page *page, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", MANUAL_FOLDER, name);
	page->file = fopen(path, "re");
	cr_assert_not_null(page->file, "%s cannot be opened", path);
}

static bool page_next(struct page *page)
{
	if (!fgets(page->line, sizeof(page->line), page->file))
		return false;
	page->line[strcspn(page->line, "\n")] = '\0';
	return true;
}

/* The item's name, if the line is ".It Cm NAME"; else NULL. */
static const char *item_of(const char *line)
{
	static const char item[] = ".It Cm ";

	return strncmp(line, item, sizeof(item) - 1) == 0 ? line + sizeof(item) - 1 : NULL;
}

Test(manual, lists_every_counter_and_gauge_and_no_other)
{
	struct page page;
	unsigned next = 0;
	bool reached = false;

	page_open(&page, "sockwarden-events.7");
	while (page_next(&page)) {
		const char *name = item_of(page.line);

		if (strcmp(page.line, ".Ss Counters and gauges") == 0)
			reached = true;
		if (!reached || !name)
			continue;
		cr_assert_lt(next, METRIC_COUNT, "%s is not counted", name);
		cr_assert_str_eq(name, metric_name((enum metric)next));
		next++;
		cr_assert(page_next(&page));
		cr_assert_eq(strncmp(page.line, "gauge: ", 7) == 0,
			     metric_kind((enum metric)(next - 1)) == METRIC_KIND_GAUGE,
			     "%s: gauge or counter?", metric_name((enum metric)(next - 1)));
	}
	cr_assert_eq(next, METRIC_COUNT, "%s is missing",
		     next < METRIC_COUNT ? metric_name((enum metric)next) : "");
	fclose(page.file);
}

Test(manual, tells_every_group_with_its_meaning_and_no_other)
{
	const struct metric_group *group = metric_groups;
	struct page page;
	bool inside = false;

	page_open(&page, "sockwarden-events.7");
	while (page_next(&page)) {
		const char *name = item_of(page.line);

		if (strncmp(page.line, ".Ss ", 4) == 0)
			inside = strcmp(page.line, ".Ss Groups") == 0;
		if (!inside || !name)
			continue;
		cr_assert_not_null(group->name, "%s is no group", name);
		cr_assert_str_eq(name, group->name);
		cr_assert(page_next(&page));
		cr_assert_str_eq(page.line, group->meaning);
		group++;
	}
	cr_assert_null(group->name, "%s is missing", group->name);
	fclose(page.file);
}

/* The stages of health, and of loss, are named where the page tells of them. */
Test(manual, names_every_stage)
{
	static char text[65536];
	char path[512];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "%s/sockwarden-events.7", MANUAL_FOLDER);
	file = fopen(path, "re");
	cr_assert_not_null(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	cr_assert_lt(length, sizeof(text) - 1);
	for (unsigned stage = 0; stage < HEALTH_STAGE_COUNT; stage++) {
		char item[64];

		snprintf(item, sizeof(item), "\n.It Cm %s\n",
			 health_stage_name((enum health_stage)stage));
		cr_expect_not_null(strstr(text, item), "%s", item);
	}
	for (unsigned stage = 0; stage < LOSS_STAGE_COUNT; stage++)
		cr_expect_not_null(strstr(text, loss_stage_name((enum loss_stage)stage)));
}

/* Applies one key to *config; returns what config_apply() does. */
static int apply(struct config *config, const char *key, const char *value)
{
	const char *dot = strchr(key, '.');
	char text[LINE_BYTES];
	char error[CONFIG_ERROR_BYTES];
	int length;

	cr_assert_not_null(dot, "%s", key);
	length = snprintf(text, sizeof(text), "{\"%.*s\":{\"%s\":%s}}", (int)(dot - key), key,
			  dot + 1, value);
	return config_apply(config, "page", text, (size_t)length, error, sizeof(error));
}

static int apply_number(struct config *config, const char *key, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	return apply(config, key, text);
}

/* A range holds if its ends are taken and what lies beside them is not. */
static void expect_range(const char *key, unsigned long min, unsigned long max)
{
	struct config config;

	config_default(&config);
	cr_assert_eq(apply_number(&config, key, min), 0, "%s: %lu", key, min);
	cr_assert_eq(apply_number(&config, key, max), 0, "%s: %lu", key, max);
	cr_assert_neq(apply_number(&config, key, min - 1), 0, "%s: %lu", key, min - 1);
	cr_assert_neq(apply_number(&config, key, max + 1), 0, "%s: %lu", key, max + 1);
}

/* A default holds if setting it changes nothing. */
static void expect_default(const char *key, const char *value)
{
	struct config standard;
	struct config config;

	memset(&standard, 0, sizeof(standard));
	config_default(&standard);
	config = standard;
	cr_assert_eq(apply(&config, key, value), 0, "%s cannot be %s", key, value);
	cr_assert_arr_eq((const char *)&config, (const char *)&standard, sizeof(config),
			 "the default of %s is not %s", key, value);
}

static void expect_feature(const struct config_key *key, const char *text)
{
	char wanted[LINE_BYTES];

	snprintf(wanted, sizeof(wanted), "(takes effect with %s):", key->pending);
	cr_assert_eq(strstr(text, key->pending ? wanted : "(takes effect") != NULL,
		     key->pending != NULL, "%s.%s: %s", key->section, key->name, text);
}

/* "LOW to HIGH PLURAL, default VALUE"; the ends are those of the table. */
static void check_list(const struct config_key *key, const char *name, const char *text)
{
	unsigned long min, max;
	char value[64];

	cr_assert_eq(sscanf(text, "%lu to %lu %*[a-z], default %63[^: ]", &min, &max, value), 3,
		     "%s: %s", name, text);
	cr_assert_eq(min, key->minimum, "%s", name);
	cr_assert_eq(max, key->maximum, "%s", name);
	expect_default(name, value);
}

static void check_key(const struct config_key *key, const char *name, const char *text)
{
	unsigned long min, max, standard;
	char value[32];

	switch (key->type) {
	case CONFIG_INTEGER:
		cr_assert_eq(sscanf(text, "%lu to %lu, default %lu", &min, &max, &standard), 3,
			     "%s: %s", name, text);
		expect_range(name, min, max);
		snprintf(value, sizeof(value), "%lu", standard);
		expect_default(name, value);
		break;
	case CONFIG_BOOL:
		cr_assert_eq(sscanf(text, "true or false, default %31[a-z]", value), 1, "%s: %s",
			     name, text);
		expect_default(name, value);
		break;
	case CONFIG_LEVEL:
		expect_default(name, "\"info\"");
		break;
	case CONFIG_PORTS:
	case CONFIG_DNS_TYPES:
	case CONFIG_EXCLUDES:
	case CONFIG_REPLACE:
		check_list(key, name, text);
		break;
	}
	expect_feature(key, text);
}

Test(manual, tells_every_key_in_the_tables_order_with_range_default_and_feature)
{
	size_t count = 0;
	struct page page;

	page_open(&page, "sockwarden.json.5");
	while (page_next(&page)) {
		const struct config_key *key = &config_keys[count];
		const char *item = item_of(page.line);
		char name[LINE_BYTES];

		if (!item)
			continue;
		cr_assert_lt(count, config_key_count, "%s is no key", item);
		snprintf(name, sizeof(name), "%s.%s", key->section, key->name);
		cr_assert_str_eq(item, name);
		cr_assert(page_next(&page));
		check_key(key, name, page.line);
		count++;
	}
	cr_assert_eq(count, config_key_count, "%zu of %zu keys are there", count, config_key_count);
	fclose(page.file);
}
