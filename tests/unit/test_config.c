/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/keys.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/sockwarden-config-XXXXXX";
static char path[64];
static char error[CONFIG_ERROR_BYTES];

static void make_folder(void)
{
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/main.json", folder);
}

static void remove_folder(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

static void write_file(const char *name, const char *text)
{
	char file_path[128];
	FILE *file;

	snprintf(file_path, sizeof(file_path), "%s/%s", folder, name);
	file = fopen(file_path, "we");
	cr_assert_not_null(file);
	fputs(text, file);
	cr_assert_eq(fclose(file), 0);
}

static void make_drop_in_folder(void)
{
	char drop_ins[64];

	snprintf(drop_ins, sizeof(drop_ins), "%s/conf.d", folder);
	cr_assert_eq(mkdir(drop_ins, 0700), 0);
}

static int apply(struct config *config, const char *text)
{
	config_default(config);
	return config_apply(config, "F", text, strlen(text), error, sizeof(error));
}

Test(config, has_the_documented_defaults)
{
	struct config config;

	config_default(&config);
	cr_expect_eq(config.publish_interval_s, 30);
	cr_expect_eq(config.publish_closed_delay_ms, 1000);
	cr_expect_eq(config.publish_queue, 1024);
	cr_expect_eq(config.state_max_connections, 65536);
	cr_expect(config.tcp_enabled);
	cr_expect(config.ipv6_enabled);
	cr_expect_eq(config.log_level, LOG_LEVEL_INFO);
	cr_expect_eq(config.dns_ports.count, 1);
	cr_expect_eq(config.dns_ports.port[0], 53);
	cr_expect_eq(config.dns_types.count, 2);
	cr_expect_str_eq(config_dns_type_name(config.dns_types.code[0]), "A");
	cr_expect_str_eq(config_dns_type_name(config.dns_types.code[1]), "AAAA");
	cr_expect_eq(config.exclude_source.count, 0);
	cr_expect_eq(config.exclude_destination.count, 0);
}

Test(config, sets_keys_of_several_sections_and_allows_comments)
{
	struct config config;

	cr_assert_eq(apply(&config,
			   "// all\n{\"publish\": {\"interval_s\": 5, /* ms */ "
			   "\"closed_delay_ms\": 250, \"queue\": 64},\n"
			   "\"state\": {\"max_connections\": 1e5},\n"
			   "\"tcp\": {\"enabled\": false}, \"ipv6\": {\"enabled\": false},\n"
			   "\"log\": {\"level\": \"debug\"}} // end"),
		     0, "%s", error);
	cr_expect_eq(config.publish_interval_s, 5);
	cr_expect_eq(config.publish_closed_delay_ms, 250);
	cr_expect_eq(config.publish_queue, 64);
	cr_expect_eq(config.state_max_connections, 100000);
	cr_expect_not(config.tcp_enabled);
	cr_expect_not(config.ipv6_enabled);
	cr_expect_eq(config.log_level, LOG_LEVEL_DEBUG);
}

Test(config, names_line_and_column_of_what_is_wrong)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"", "F:1:1: the text ends too early"},
		{"[]", "F:1:1: must be a JSON object"},
		{"// c\n 3", "F:2:2: must be a JSON object"},
		{"{}\n{}", "F:2:1: more text behind the end"},
		{"{} /* x", "F:1:4: the comment does not end"},
		{"{\"tcp\": {\"enabled\": true,}}", "F:1:26: a key in quotes is expected here"},
		{"{\n  \"tcq\": {}\n}", "F:2:3: unknown key \"tcq\""},
		{"{\"publish.queue\": 3}", "F:1:2: unknown key \"publish.queue\"; sections are "
					   "objects: {\"publish\": {\"queue\": ...}}"},
		{"{\"tcp\": {\n\t\"enable\": true}}", "F:2:2: unknown key \"tcp.enable\""},
		{"{\"tcp\": {\"interval_s\": 3}}", "F:1:10: unknown key \"tcp.interval_s\""},
		{"{\"tcp\": true}", "F:1:9: \"tcp\" must be an object"},
		{"{\"tcp\": {\"enabled\": 1}}", "F:1:21: tcp.enabled must be true or false"},
		{"{\"tcp\": {\"enabled\": null}}", "F:1:21: tcp.enabled must be true or false"},
		{"{\"tcp\": {\"enabled\": true, \"enabled\": true}}",
		 "F:1:27: \"tcp.enabled\" is here twice"},
		{"{\"tcp\": {}, /* \xe2\x82\xac */ \"tcp\": {}}", "F:1:21: \"tcp\" is here twice"},
		{"{\"publish\": {\"queue\": 0}}",
		 "F:1:23: publish.queue must be a whole number from 1 to 8192"},
		{"{\"publish\": {\"queue\": 8193}}",
		 "F:1:23: publish.queue must be a whole number from 1 to 8192"},
		{"{\"publish\": {\"queue\": 1.5}}",
		 "F:1:23: publish.queue must be a whole number from 1 to 8192"},
		{"{\"publish\": {\"queue\": -1}}",
		 "F:1:23: publish.queue must be a whole number from 1 to 8192"},
		{"{\"publish\": {\"queue\": 1e999}}",
		 "F:1:23: publish.queue must be a whole number from 1 to 8192"},
		{"{\"publish\": {\"queue\": \"9\"}}",
		 "F:1:23: publish.queue must be a whole number from 1 to 8192"},
		{"{\"publish\": {\"interval_s\": 3601}}",
		 "F:1:28: publish.interval_s must be a whole number from 1 to 3600"},
		{"{\"log\": {\"level\":\n \"loud\"}}",
		 "F:2:2: log.level must be \"error\", \"warning\", \"info\" or \"debug\""},
		{"{\"log\": {\"level\": 7}}",
		 "F:1:19: log.level must be \"error\", \"warning\", \"info\" or \"debug\""},
		/* The second member's position, behind a value with brackets and commas in texts. */
		{"{\"log\": {\"level\": \"info\"}, \"x\": [1, \"}\", {\"y\": 2}]}",
		 "F:1:28: unknown key \"x\""},
		{"{\"tcp\": {\"a\\u0000\": 1}}", "F:1:18: \\u0000 is not allowed"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config;

		cr_expect_eq(apply(&config, cases[i].text), -EINVAL, "%s", cases[i].text);
		cr_expect_str_eq(error, cases[i].error);
	}
}

Test(config, takes_the_defaults_where_no_file_need_exist, .init = make_folder,
     .fini = remove_folder)
{
	struct config config;

	cr_expect_eq(config_load(&config, path, false, error, sizeof(error)), 0, "%s", error);
	cr_expect_eq(config.publish_queue, 1024);
	cr_expect_eq(config_load(&config, path, true, error, sizeof(error)), -ENOENT);
	cr_expect_not_null(strstr(error, path));
	cr_expect_not_null(strstr(error, "No such file"));
}

Test(config, merges_drop_ins_in_the_order_of_their_names, .init = make_folder,
     .fini = remove_folder)
{
	struct config config;

	write_file("main.json", "{\"publish\": {\"queue\": 1, \"interval_s\": 11}}");
	make_drop_in_folder();
	write_file("conf.d/10-a.json",
		   "{\"publish\": {\"queue\": 10}, \"tcp\": {\"enabled\": false}}");
	write_file("conf.d/9-b.json", "{\"publish\": {\"queue\": 9}}");
	write_file("conf.d/99.json~", "{\"publish\": {\"queue\": 99}}");
	write_file("conf.d/.hidden.json", "nonsense");
	cr_assert_eq(config_load(&config, path, true, error, sizeof(error)), 0, "%s", error);
	/* By bytes "10-a" comes before "9-b". */
	cr_expect_eq(config.publish_queue, 9);
	cr_expect_eq(config.publish_interval_s, 11);
	cr_expect_not(config.tcp_enabled);
}

Test(config, leaves_everything_alone_if_one_drop_in_is_wrong, .init = make_folder,
     .fini = remove_folder)
{
	struct config config = {.publish_queue = 77};

	write_file("main.json", "{\"publish\": {\"queue\": 1}}");
	make_drop_in_folder();
	write_file("conf.d/a.json", "{\"publish\": {\"queue\": 2}}");
	write_file("conf.d/b.json", "{\"publish\":\n {\"quue\": 2}}");
	cr_expect_eq(config_load(&config, path, true, error, sizeof(error)), -EINVAL);
	cr_expect_not_null(strstr(error, "/conf.d/b.json:2:3: unknown key \"publish.quue\""), "%s",
			   error);
	cr_expect_eq(config.publish_queue, 77);
}

Test(config, refuses_files_that_are_too_large_or_no_files, .init = make_folder,
     .fini = remove_folder)
{
	struct config config;
	char *large = calloc(1, CONFIG_FILE_BYTES_MAX + 2);

	cr_assert_not_null(large);
	memset(large, ' ', CONFIG_FILE_BYTES_MAX + 1);
	memcpy(large, "{}", 2);
	write_file("main.json", large);
	cr_expect_eq(config_load(&config, path, true, error, sizeof(error)), -EFBIG);
	large[CONFIG_FILE_BYTES_MAX] = '\0';
	write_file("main.json", large);
	cr_expect_eq(config_load(&config, path, true, error, sizeof(error)), 0, "%s", error);
	free(large);
	cr_expect_eq(config_load(&config, folder, true, error, sizeof(error)), -EISDIR);
	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(config_load(&config, path, true, error, sizeof(error)), -EINVAL);
	cr_expect_not_null(strstr(error, "not a regular file"));
}

Test(config, names_a_key_that_is_set_and_whose_feature_is_not_there)
{
	struct config config;
	unsigned idle = 0;

	config_default(&config);
	for (size_t i = 0; i < config_key_count; i++)
		cr_expect_not(config_key_is_idle(&config_keys[i], &config));
	cr_assert_eq(apply(&config, "{\"http\": {\"enabled\": true}, \"kafka\": {\"enabled\": "
				    "false}, \"tcp\": {\"enabled\": false}}"),
		     0, "%s", error);
	for (size_t i = 0; i < config_key_count; i++) {
		if (!config_key_is_idle(&config_keys[i], &config))
			continue;
		cr_expect_str_eq(config_keys[i].section, "http");
		cr_expect_str_eq(config_keys[i].name, "enabled");
		cr_expect_str_eq(config_keys[i].pending, "HTTP");
		idle++;
	}
	cr_expect_eq(idle, 1);
}
