/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/direction.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

struct port_range port_range_read(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	char line[64] = "", *rest;
	unsigned long first, last;

	if (!file)
		return PORT_RANGE_DEFAULT;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	first = strtoul(line, &rest, 10);
	last = strtoul(rest, NULL, 10);
	if (first == 0 || first > last || last > UINT16_MAX)
		return PORT_RANGE_DEFAULT;
	return (struct port_range){(uint16_t)first, (uint16_t)last};
}

static bool is_ephemeral(struct port_range range, uint16_t port)
{
	return port >= range.first && port <= range.last;
}

uint8_t conn_direction_fix(const struct conn_record *record, bool intra_host,
			   struct port_range ephemeral)
{
	bool local, remote;

	/* A port of 0 stands for several. */
	if (record->protocol != IPPROTO_UDP || record->local_port == 0 || record->remote_port == 0)
		return 0;
	local = is_ephemeral(ephemeral, record->local_port);
	remote = is_ephemeral(ephemeral, record->remote_port);
	/* Another host has a range of its own: only its privileged ports are servers' for sure. */
	if (record->direction == RECORD_DIRECTION_INCOMING && local &&
	    (intra_host ? !remote : record->remote_port < IPPORT_RESERVED))
		return RECORD_DIRECTION_OUTGOING;
	if (record->direction == RECORD_DIRECTION_OUTGOING && intra_host && !local && remote)
		return RECORD_DIRECTION_INCOMING;
	return 0;
}
