/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of all keys: what is accepted, shown, documented and changed by a reload follows from
 * it. A key whose feature this version does not have is checked and kept like the others, and
 * names that feature, so that nobody is left to believe that it does something.
 */
#ifndef SOCKWARDEN_COMMON_CONFIG_KEYS_H
#define SOCKWARDEN_COMMON_CONFIG_KEYS_H

#include "common/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_INTEGER, /* uint32_t */
	CONFIG_BOOL,
	CONFIG_LEVEL,	  /* enum log_level */
	CONFIG_PORTS,	  /* struct config_ports; minimum..maximum entries */
	CONFIG_DNS_TYPES, /* struct config_dns_types; the same */
	CONFIG_EXCLUDES,  /* struct config_excludes */
	CONFIG_REPLACE,	  /* struct config_replace */
};

struct config_key {
	const char *section;
	const char *name;
	size_t offset; /* in struct config */
	enum config_type type;
	uint32_t minimum;
	uint32_t maximum;
	uint32_t initial;    /* of numbers */
	const char *pending; /* the feature without which it does nothing yet, or NULL */
};

#define CONFIG_KEYS_MAX 64

/* Keys of a section stand together. */
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* The key; the first of its section where name is NULL; or NULL. */
const struct config_key *config_key_find(const char *section, const char *name);

/* Where a key's value is. */
void *config_key_value(const struct config_key *key, struct config *config);
const void *config_key_value_of(const struct config_key *key, const struct config *config);

/* Sets a key's value to its default, or to what it is in another configuration. */
void config_key_reset(const struct config_key *key, struct config *config);
void config_key_copy(const struct config_key *key, struct config *to, const struct config *from);

bool config_key_equal(const struct config_key *key, const struct config *left,
		      const struct config *right);

/* Whether the key was set to something, and its feature is not there. */
bool config_key_is_idle(const struct config_key *key, const struct config *config);

/* The number of a DNS type's name as in RFC 1035 and IANA's registry, or 0. */
uint16_t config_dns_type_code(const char *name);

/* The name of such a number, or NULL. */
const char *config_dns_type_name(uint16_t code);

#endif
