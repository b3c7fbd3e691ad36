/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/address_text.h"

#include <string.h>

#define GROUPS 8

static char *write_octet(char *at, unsigned value)
{
	if (value >= 100) {
		*at++ = (char)('0' + value / 100);
		value %= 100;
		*at++ = (char)('0' + value / 10);
	} else if (value >= 10) {
		*at++ = (char)('0' + value / 10);
	}
	*at++ = (char)('0' + value % 10);
	return at;
}

static char *write_ipv4(char *at, const uint8_t *ip)
{
	at = write_octet(at, ip[0]);
	*at++ = '.';
	at = write_octet(at, ip[1]);
	*at++ = '.';
	at = write_octet(at, ip[2]);
	*at++ = '.';
	return write_octet(at, ip[3]);
}

static char *write_group(char *at, unsigned group)
{
	static const char digits[] = "0123456789abcdef";

	if (group >= 0x1000)
		*at++ = digits[group >> 12];
	if (group >= 0x100)
		*at++ = digits[group >> 8 & 0xf];
	if (group >= 0x10)
		*at++ = digits[group >> 4 & 0xf];
	*at++ = digits[group & 0xf];
	return at;
}

/* The longest run of zero groups; *length is below 2 if there is none worth a "::". */
static unsigned longest_zeros(const unsigned *groups, unsigned *length)
{
	unsigned best = 0;
	unsigned run = 0;

	*length = 0;
	for (unsigned i = 0; i < GROUPS; i++) {
		run = groups[i] == 0 ? run + 1 : 0;
		if (run > *length) {
			*length = run;
			best = i + 1 - run;
		}
	}
	return best;
}

static char *write_ipv6(char *at, const uint8_t *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned groups[GROUPS];
	unsigned zeros;
	unsigned zeros_at;

	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		memcpy(at, "::ffff:", 7);
		return write_ipv4(at + 7, ip + 12);
	}
	for (unsigned i = 0; i < GROUPS; i++)
		groups[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
	zeros_at = longest_zeros(groups, &zeros);
	for (unsigned i = 0; i < GROUPS;) {
		if (zeros >= 2 && i == zeros_at) {
			*at++ = ':';
			*at++ = ':';
			i += zeros;
			continue;
		}
		if (i > 0 && at[-1] != ':')
			*at++ = ':';
		at = write_group(at, groups[i]);
		i++;
	}
	return at;
}

size_t address_text(char out[static ADDRESS_TEXT_BYTES_MAX], bool ipv6, const uint8_t *ip)
{
	char *end = ipv6 ? write_ipv6(out, ip) : write_ipv4(out, ip);

	return (size_t)(end - out);
}
