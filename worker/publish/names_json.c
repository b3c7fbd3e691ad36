/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/names_json.h"

#include "worker/dns/name.h"

static void write_name(struct json *json, const uint8_t *wire, uint8_t length)
{
	struct dns_name name = {.length = length};
	char text[DNS_NAME_TEXT_BYTES];

	memcpy(name.wire, wire, length);
	json_string(json, text, dns_name_text(&name, text));
}

void names_json_write(struct json *json, const struct names *names,
		      const struct names_cursor *found, size_t bytes_max)
{
	const char *start = json->at;
	const uint8_t *wire;
	uint8_t length;

	JSON_TEXT(json, "[");
	if (names) {
		struct names_cursor cursor = *found;

		while ((size_t)(json->at - start) + NAMES_JSON_NAME_BYTES_MAX < bytes_max &&
		       (wire = names_next(names, &cursor, &length))) {
			if (json->at[-1] != '[')
				JSON_TEXT(json, ",");
			write_name(json, wire, length);
			if (json->overflow)
				return;
		}
	}
	JSON_TEXT(json, "]");
}
