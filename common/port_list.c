/* SPDX-License-Identifier: Apache-2.0 */
#include "common/port_list.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int port_list_parse(const char *text, uint16_t *ports, size_t max)
{
	int count = 0;

	if (strcmp(text, "none") == 0)
		return 0;
	for (;;) {
		char *end;
		const unsigned long port = strtoul(text, &end, 10);

		if (!isdigit((unsigned char)*text) || port == 0 || port > UINT16_MAX ||
		    (size_t)count == max)
			return -EINVAL;
		ports[count++] = (uint16_t)port;
		if (*end == '\0')
			return count;
		if (*end != ',')
			return -EINVAL;
		text = end + 1;
	}
}
