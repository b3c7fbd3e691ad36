/* SPDX-License-Identifier: Apache-2.0 */
#include "common/address_text.h"

#include <string.h>

#define GROUPS 8

/* The digits of 0..255 with their number, so that an address is written without a branch. */
struct octet {
	char digits[3];
	uint8_t length;
};

#define DIGIT(n) ((char)('0' + (n) % 10))
#define OCTET(n)                                                     \
	{                                                            \
		{(n) >= 100  ? DIGIT((n) / 100)                      \
		 : (n) >= 10 ? DIGIT((n) / 10)                       \
			     : DIGIT(n),                             \
		 (n) >= 100 ? DIGIT((n) / 10) : DIGIT(n), DIGIT(n)}, \
			(n) >= 100  ? 3                              \
			: (n) >= 10 ? 2                              \
				    : 1                              \
	}
#define OCTETS_4(n) OCTET(n), OCTET((n) + 1), OCTET((n) + 2), OCTET((n) + 3)
#define OCTETS_16(n) OCTETS_4(n), OCTETS_4((n) + 4), OCTETS_4((n) + 8), OCTETS_4((n) + 12)
#define OCTETS_64(n) OCTETS_16(n), OCTETS_16((n) + 16), OCTETS_16((n) + 32), OCTETS_16((n) + 48)

static const struct octet octets[256] = {OCTETS_64(0), OCTETS_64(64), OCTETS_64(128),
					 OCTETS_64(192)};

/* Always writes three bytes; the next character goes over those that are too many. */
static char *write_octet(char *at, uint8_t value)
{
	memcpy(at, octets[value].digits, sizeof(octets[value].digits));
	return at + octets[value].length;
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
	static const char mapped_text[] = {':', ':', 'f', 'f', 'f', 'f', ':'};
	unsigned groups[GROUPS];
	unsigned zeros;
	unsigned zeros_at;

	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		memcpy(at, mapped_text, sizeof(mapped_text));
		return write_ipv4(at + sizeof(mapped_text), ip + sizeof(mapped));
	}
	for (size_t i = 0; i < GROUPS; i++)
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
