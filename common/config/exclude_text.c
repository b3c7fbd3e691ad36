/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/exclude_text.h"

#include "common/address_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PORT_MAX 65535U

static int refuse(const char **why, const char *reason)
{
	*why = reason;
	return -EINVAL;
}

/* Digits without a leading 0, and nothing else, from *text; *text stands behind them. */
static bool read_number(const char **text, unsigned maximum, unsigned *number)
{
	const char *at = *text;

	*number = 0;
	if (*at < '0' || *at > '9' || (*at == '0' && at[1] >= '0' && at[1] <= '9'))
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		*number = *number * 10 + (unsigned)(*at - '0');
		if (*number > maximum)
			return false;
	}
	*text = at;
	return true;
}

static bool has_host_bits(const struct exclude_prefix *prefix)
{
	for (unsigned bit = prefix->bits; bit < 8 * sizeof(prefix->ip); bit++) {
		if (prefix->ip[bit / 8] & (0x80U >> bit % 8))
			return true;
	}
	return false;
}

/* ::ffff:a.b.c.d is told as a.b.c.d, so that a rule for the former would never match. */
static bool is_mapped(const struct exclude_prefix *prefix)
{
	static const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};

	return prefix->family == EXCLUDE_IPV6 && prefix->bits >= 8 * sizeof(head) &&
	       memcmp(prefix->ip, head, sizeof(head)) == 0;
}

int exclude_prefix_parse(struct exclude_prefix *prefix, const char *text, const char **why)
{
	const size_t length = strcspn(text, "/");
	const char *behind = text + length;
	char host[EXCLUDE_ADDRESS_BYTES];
	unsigned bits;

	memset(prefix, 0, sizeof(*prefix));
	if (strcmp(text, "*") == 0)
		return 0;
	if (length >= sizeof(host))
		return refuse(why, "too long for an address");
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET, host, prefix->ip) == 1)
		prefix->family = EXCLUDE_IPV4;
	else if (inet_pton(AF_INET6, host, prefix->ip) == 1)
		prefix->family = EXCLUDE_IPV6;
	else
		return refuse(why, "not \"*\", an IPv4 or IPv6 address, or one with /BITS");
	bits = prefix->family == EXCLUDE_IPV4 ? 32 : 128;
	if (*behind == '/') {
		behind++;
		if (!read_number(&behind, bits, &bits) || *behind != '\0')
			return refuse(why, prefix->family == EXCLUDE_IPV4
						   ? "behind '/' stands a number from 0 to 32"
						   : "behind '/' stands a number from 0 to 128");
	}
	prefix->bits = (uint8_t)bits;
	if (has_host_bits(prefix))
		return refuse(why, "has bits set behind its prefix");
	if (is_mapped(prefix))
		return refuse(why, "is an IPv4 address in IPv6 form: write it as IPv4");
	return 0;
}

/* Takes "tcp " or "udp " off *text. */
static void read_protocol(const char **text, uint8_t *protocols)
{
	*protocols = EXCLUDE_ANY_PROTOCOL;
	if (strncasecmp(*text, "tcp ", 4) == 0)
		*protocols = EXCLUDE_TCP;
	else if (strncasecmp(*text, "udp ", 4) == 0)
		*protocols = EXCLUDE_UDP;
	else
		return;
	*text += 4;
	*text += strspn(*text, " ");
}

int exclude_ports_parse(struct exclude_ports *ports, const char *text, const char **why)
{
	unsigned low;
	unsigned high;

	memset(ports, 0, sizeof(*ports));
	read_protocol(&text, &ports->protocols);
	if (strcmp(text, "*") == 0) {
		ports->high = PORT_MAX;
		return 0;
	}
	if (!read_number(&text, PORT_MAX, &low) || low == 0)
		return refuse(why,
			      "not \"*\", a port or LOW-HIGH from 1 to 65535, with \"tcp \" or "
			      "\"udp \" before it or not");
	high = low;
	if (*text == '-') {
		text++;
		if (!read_number(&text, PORT_MAX, &high))
			return refuse(why, "behind '-' stands a port up to 65535");
	}
	if (*text != '\0')
		return refuse(why, "more text behind the port");
	if (high < low)
		return refuse(why, "the range ends before it begins");
	ports->low = (uint16_t)low;
	ports->high = (uint16_t)high;
	return 0;
}

bool exclude_prefix_equal(const struct exclude_prefix *left, const struct exclude_prefix *right)
{
	return left->family == right->family && left->bits == right->bits &&
	       memcmp(left->ip, right->ip, sizeof(left->ip)) == 0;
}

void exclude_prefix_format(char out[static EXCLUDE_ADDRESS_BYTES],
			   const struct exclude_prefix *prefix)
{
	const bool ipv6 = prefix->family == EXCLUDE_IPV6;
	size_t length;

	if (prefix->family == EXCLUDE_ANY_FAMILY) {
		memcpy(out, "*", sizeof("*"));
		return;
	}
	length = address_text(out, ipv6, prefix->ip);
	out[length] = '\0';
	if (prefix->bits != (ipv6 ? 128 : 32))
		snprintf(out + length, EXCLUDE_ADDRESS_BYTES - length, "/%u", prefix->bits);
}

void exclude_ports_format(char out[static EXCLUDE_PORTS_BYTES], const struct exclude_ports *ports)
{
	const char *protocol = ports->protocols == EXCLUDE_TCP	 ? "tcp "
			       : ports->protocols == EXCLUDE_UDP ? "udp "
								 : "";

	if (ports->low == 0)
		snprintf(out, EXCLUDE_PORTS_BYTES, "%s*", protocol);
	else if (ports->low == ports->high)
		snprintf(out, EXCLUDE_PORTS_BYTES, "%s%u", protocol, ports->low);
	else
		snprintf(out, EXCLUDE_PORTS_BYTES, "%s%u-%u", protocol, ports->low, ports->high);
}
