/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/address.h"

#include <arpa/inet.h>
#include <string.h>

bool address_normalise(const char *text, char out[static ADDRESS_BYTES])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t ip[16];
	const uint8_t *ipv4 = NULL;

	if (inet_pton(AF_INET, text, ip) == 1)
		ipv4 = ip;
	else if (inet_pton(AF_INET6, text, ip) != 1)
		return false;
	else if (memcmp(ip, mapped, sizeof(mapped)) == 0)
		ipv4 = ip + sizeof(mapped);
	out[address_text(out, !ipv4, ipv4 ? ipv4 : ip)] = '\0';
	return true;
}
