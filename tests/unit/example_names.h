/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and names as text, for tests of reverse names.
 */
#ifndef SOCKWARDEN_TESTS_UNIT_EXAMPLE_NAMES_H
#define SOCKWARDEN_TESTS_UNIT_EXAMPLE_NAMES_H

#include "tests/unit/example_dns_query.h"
#include "worker/dns/names.h"

#include <stdio.h>

/* Address number i: IPv4 if it is even. */
static inline uint8_t example_address(uint32_t i, uint8_t ip[static 16])
{
	memset(ip, 0, 16);
	memcpy(ip, &i, sizeof(i));
	if (i % 2 == 0)
		return RECORD_FAMILY_IPV4;
	ip[15] = 1;
	return RECORD_FAMILY_IPV6;
}

static inline enum names_added example_names_add(struct names *names, uint32_t address,
						 const char *text, uint32_t ttl_s, uint64_t now_ns)
{
	struct dns_query query;
	uint8_t ip[16];
	const uint8_t family = example_address(address, ip);

	example_set_name(&query, text);
	return names_add(names, family, ip, query.name, query.name_length, ttl_s, now_ns);
}

/* A name of 255 bytes. */
static inline enum names_added example_names_add_long(struct names *names, uint32_t address,
						      uint8_t number, uint64_t now_ns)
{
	uint8_t name[255], ip[16];
	const uint8_t family = example_address(address, ip);

	memset(name, '-', sizeof(name));
	name[200] = number & 15;
	name[201] = number >> 4;
	return names_add(names, family, ip, name, sizeof(name), 300, now_ns);
}

/* All names of an address that were alive at a time, with blanks between; the first used are marked as such. */
static inline const char *example_names_text(struct names *names, uint32_t address, uint64_t at_ns,
					     uint32_t used)
{
	static char text[8192];
	struct names_cursor cursor;
	size_t written = 0;
	const uint8_t *name;
	uint8_t ip[16], length;

	text[0] = '\0';
	if (!names_find(names, example_address(address, ip), ip, at_ns, &cursor))
		return text;
	while ((name = names_next(names, &cursor, &length))) {
		if (written > 0)
			text[written++] = ' ';
		for (unsigned i = 1; i + 1 < length; i++)
			text[written++] = name[i] < ' ' ? '.' : (char)name[i];
		text[written] = '\0';
		if (used > 0) {
			names_use(names, &cursor);
			used--;
		}
	}
	return text;
}

/* How many names there are, each counted for each address that has it. */
static inline uint64_t example_names_count(const struct names *names)
{
	return names->entry_pool.used + (uint64_t)names->other_pool.used;
}

#endif
