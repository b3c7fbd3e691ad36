/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/local_addresses.h"

#include "proto/record.h"

#include <string.h>

static uint64_t half(const uint8_t *ip)
{
	uint64_t value;

	memcpy(&value, ip, sizeof(value));
	return value;
}

static uint32_t set_of(uint8_t family, const uint8_t *ip)
{
	uint64_t hash = (half(ip) + family) * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ hash >> 32 ^ half(ip + 8)) * 0xbf58476d1ce4e5b9ULL;
	return (uint32_t)(hash >> 32) % LOCAL_ADDRESS_SETS;
}

/* RFC 1122 3.2.1.3, RFC 5771: 0.0.0.0, 224.0.0.0/4, 255.255.255.255; RFC 4291: ::, ff00::/8. */
static bool is_a_hosts(uint8_t family, const uint8_t *ip)
{
	static const uint8_t none[16];

	if (family == RECORD_FAMILY_IPV4)
		return ip[0] != 0 && ip[0] < 224;
	return ip[0] != 0xff && memcmp(ip, none, sizeof(none)) != 0;
}

/* The way of a set that has it, or LOCAL_ADDRESS_WAYS. */
static unsigned find(const struct local_address *ways, uint8_t family, const uint8_t *ip)
{
	unsigned way = 0;

	while (way < LOCAL_ADDRESS_WAYS &&
	       (ways[way].family != family || memcmp(ways[way].ip, ip, 16) != 0))
		way++;
	return way;
}

void local_addresses_note(struct local_addresses *addresses, uint8_t family, const uint8_t *ip,
			  uint64_t now_ns)
{
	struct local_address *ways = addresses->ways[set_of(family, ip)];
	unsigned place = find(ways, family, ip);

	if (place == LOCAL_ADDRESS_WAYS) {
		if (!is_a_hosts(family, ip))
			return;
		place = 0;
		for (unsigned way = 1; way < LOCAL_ADDRESS_WAYS; way++) {
			if (ways[way].seen_ns < ways[place].seen_ns)
				place = way;
		}
		memcpy(ways[place].ip, ip, sizeof(ways[place].ip));
		ways[place].family = family;
	}
	ways[place].seen_ns = now_ns;
}

bool local_addresses_has(const struct local_addresses *addresses, uint8_t family, const uint8_t *ip,
			 uint64_t now_ns)
{
	const struct local_address *ways = addresses->ways[set_of(family, ip)];
	const unsigned way = find(ways, family, ip);

	if (way == LOCAL_ADDRESS_WAYS)
		return false;
	return now_ns < ways[way].seen_ns || now_ns - ways[way].seen_ns < LOCAL_ADDRESS_AGE_NS;
}
