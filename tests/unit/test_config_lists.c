/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys whose values are lists or objects: what is taken, where an error stands, and how a later
 * file's value meets an earlier one's.
 */
#include "common/config/keys.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char error[CONFIG_ERROR_BYTES];

static int apply(struct config *config, const char *text)
{
	return config_apply(config, "F", text, strlen(text), error, sizeof(error));
}

/* "10.0.0.0/8 tcp 80, * 443, " for the tests to compare. */
static const char *as_text(const struct config_excludes *excludes)
{
	static char text[4096];
	size_t length = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < excludes->count; i++) {
		char address[EXCLUDE_ADDRESS_BYTES];
		char ports[EXCLUDE_PORTS_BYTES];

		exclude_prefix_format(address, &excludes->item[i].prefix);
		exclude_ports_format(ports, &excludes->item[i].ports);
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %s",
					   i > 0 ? ", " : "", address, ports);
		cr_assert_lt(length, sizeof(text));
	}
	return text;
}

Test(config_lists, takes_ports_types_and_rules)
{
	struct config config;

	config_default(&config);
	cr_assert_eq(apply(&config, "{\"dns\": {\"ports\": [5353, 53, 65535], \"types\": "
				    "[\"TXT\", \"HTTPS\"]}, \"http\": {\"ports_excluded\": [1], "
				    "\"replace\": [{\"pattern\": \"a+\\\"\", \"repl\": \"\"}, "
				    "{\"repl\": \"x\", \"pattern\": \"\\u00e9\"}]}}"),
		     0, "%s", error);
	cr_expect_eq(config.dns_ports.count, 3);
	cr_expect_eq(config.dns_ports.port[0], 5353);
	cr_expect_eq(config.dns_ports.port[2], 65535);
	cr_expect_eq(config.dns_types.count, 2);
	cr_expect_eq(config.dns_types.code[0], 16);
	cr_expect_eq(config.dns_types.code[1], 65);
	cr_expect_eq(config.http_ports_excluded.count, 1);
	cr_expect_eq(config.http_replace.count, 2);
	cr_expect_str_eq(config.http_replace.rule[0].pattern, "a+\"");
	cr_expect_str_eq(config.http_replace.rule[0].repl, "");
	cr_expect_str_eq(config.http_replace.rule[1].pattern, "\xc3\xa9");
}

Test(config_lists, replaces_a_list_as_a_whole_and_leaves_nothing_of_it)
{
	struct config config;
	struct config fresh;

	config_default(&config);
	config_default(&fresh);
	cr_assert_eq(apply(&config, "{\"dns\": {\"ports\": [1, 2, 3], \"types\": [\"MX\", "
				    "\"NS\", \"SOA\"]}}"),
		     0);
	cr_assert_eq(apply(&config, "{\"dns\": {\"ports\": [53], \"types\": [\"A\", \"AAAA\"]}}"),
		     0);
	cr_expect_arr_eq((const char *)&config, (const char *)&fresh, sizeof(config));
}

Test(config_lists, merges_excludes_by_address)
{
	static const struct {
		const char *later;
		const char *merged;
	} cases[] = {
		{"{}", "10.0.0.0/8 tcp 80, 10.0.0.0/8 udp 53, ::1 *"},
		{"{\"*\": [\"1\"]}", "10.0.0.0/8 tcp 80, 10.0.0.0/8 udp 53, ::1 *, * 1"},
		{"{\"10.0.0.0/8\": [\"9\"]}", "::1 *, 10.0.0.0/8 9"},
		{"{\"10.0.0.0/9\": [\"9\"]}",
		 "10.0.0.0/8 tcp 80, 10.0.0.0/8 udp 53, ::1 *, 10.0.0.0/9 9"},
		/* Another spelling of the same address. */
		{"{\"0:0:0:0:0:0:0:1/128\": []}", "10.0.0.0/8 tcp 80, 10.0.0.0/8 udp 53"},
		{"{\"10.0.0.0/8\": [], \"::1\": []}", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config;
		char text[256];

		config_default(&config);
		cr_assert_eq(apply(&config, "{\"exclude\": {\"source\": {\"10.0.0.0/8\": [\"tcp "
					    "80\", \"udp 53\"], \"::1\": [\"*\"]}}}"),
			     0, "%s", error);
		snprintf(text, sizeof(text), "{\"exclude\": {\"source\": %s}}", cases[i].later);
		cr_assert_eq(apply(&config, text), 0, "%s", error);
		cr_expect_str_eq(as_text(&config.exclude_source), cases[i].merged);
		cr_expect_eq(config.exclude_destination.count, 0);
	}
}

Test(config_lists, names_line_and_column_of_the_element_that_is_wrong)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"{\"dns\": {\"ports\": 53}}", "F:1:19: dns.ports must be a list"},
		{"{\"dns\": {\"ports\": []}}", "F:1:19: dns.ports must not be empty"},
		{"{\"dns\": {\"ports\": [53,\n 0]}}",
		 "F:2:2: dns.ports: a port is a whole number from 1 to 65535"},
		{"{\"dns\": {\"ports\": [65536]}}",
		 "F:1:20: dns.ports: a port is a whole number from 1 to 65535"},
		{"{\"dns\": {\"ports\": [\"53\"]}}",
		 "F:1:20: dns.ports: a port is a whole number from 1 to 65535"},
		{"{\"dns\": {\"ports\": [1, 2, 1]}}", "F:1:26: dns.ports: this port is here twice"},
		{"{\"dns\": {\"types\": [\"A\", \"a\"]}}",
		 "F:1:25: dns.types: not a DNS type such as \"A\" or \"AAAA\""},
		{"{\"dns\": {\"types\": [\"A\", \"A\"]}}",
		 "F:1:25: dns.types: this type is here twice"},
		{"{\"http\": {\"replace\": [{\"pattern\": \"x\"}]}}",
		 "F:1:23: http.replace: a rule has a \"pattern\", not empty, and a \"repl\""},
		{"{\"http\": {\"replace\": [{\"pattern\": \"\", \"repl\": \"\"}]}}",
		 "F:1:23: http.replace: a rule has a \"pattern\", not empty, and a \"repl\""},
		{"{\"http\": {\"replace\": [{\"pattern\": \"x\", \"replace\": \"\"}]}}",
		 "F:1:40: http.replace: a rule has one \"pattern\" and one \"repl\""},
		{"{\"http\": {\"replace\": [{\"repl\": \"x\", \"repl\": \"\"}]}}",
		 "F:1:37: http.replace: a rule has one \"pattern\" and one \"repl\""},
		{"{\"http\": {\"replace\": [{\"pattern\": \"a\\nb\", \"repl\": \"\"}]}}",
		 "F:1:35: http.replace: control character in pattern"},
		{"{\"http\": {\"replace\": [7]}}",
		 "F:1:23: http.replace: a rule is {\"pattern\": ..., \"repl\": ...}"},
		{"{\"exclude\": {\"source\": []}}",
		 "F:1:24: exclude.source must be an object: an address with a list of ports"},
		{"{\"exclude\": {\"source\": {\"10.0.0.0/8\": \"80\"}}}",
		 "F:1:39: exclude.source: an address has a list of ports"},
		{"{\"exclude\": {\"source\": {\"10.0.0.0/8\": [80]}}}",
		 "F:1:40: exclude.source: ports are texts such as \"tcp 80\""},
		{"{\"exclude\": {\"source\": {\"10.0.0.1/8\": []}}}",
		 "F:1:25: exclude.source: \"10.0.0.1/8\" has bits set behind its prefix"},
		/* The first wrong one counts, whatever follows it. */
		{"{\"exclude\": {\"destination\": {\"*\": [\"80\",\n  \"90-80\", \"443\"]}}}",
		 "F:2:3: exclude.destination: the range ends before it begins"},
		{"{\"exclude\": {\"source\": {\"::1\": [\"1\"],\n\"0::1/128\": [\"2\"]}}}",
		 "F:2:1: exclude.source: \"0::1/128\" is here twice"},
		{"{\"exclude\": {\"source\": {}, \"source\": {}}}",
		 "F:1:28: \"exclude.source\" is here twice"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config;

		config_default(&config);
		cr_expect_eq(apply(&config, cases[i].text), -EINVAL, "%s", cases[i].text);
		cr_expect_str_eq(error, cases[i].error);
	}
}

/* {"exclude": {"source": {"10.0.0.0": ["1"], ...}}} with so many addresses. */
static char *many_addresses(unsigned count, const char *ports)
{
	char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	cr_assert_not_null(file);
	fputs("{\"exclude\": {\"source\": {", file);
	for (unsigned i = 0; i < count; i++)
		fprintf(file, "%s\"10.0.%u.%u\": [%s]", i > 0 ? ",\n" : "", i / 256, i % 256,
			ports);
	fputs("}}}", file);
	cr_assert_eq(fclose(file), 0);
	return text;
}

Test(config_lists, takes_as_many_excludes_as_there_is_room_for_and_no_more)
{
	static const struct {
		unsigned addresses;
		const char *ports;
		const char *error; /* NULL: taken */
	} cases[] = {
		{1024, "\"1\"", NULL},
		{512, "\"1\",\"2\"", NULL},
		{1025, "\"1\"", "F:1025:1: exclude.source has at most 1024 addresses"},
		{513, "\"1\",\"2\"", "F:513:14: exclude.source has at most 1024 items in all"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = many_addresses(cases[i].addresses, cases[i].ports);
		struct config config;
		int result;

		config_default(&config);
		result = apply(&config, text);
		if (cases[i].error) {
			cr_expect_eq(result, -EINVAL);
			cr_expect_str_eq(error, cases[i].error);
		} else {
			cr_expect_eq(result, 0, "%s", error);
			cr_expect_eq(config.exclude_source.count, 1024);
		}
		free(text);
	}
}
