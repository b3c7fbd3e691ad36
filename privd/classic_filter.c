/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/classic_filter.h"

#include "bpf/packets_classic.h"

#include <string.h>

#define ROWS(part) (sizeof(part) / sizeof((part)[0]))
_Static_assert(ROWS(link_layer) + ROWS(ipv4) + ROWS(ipv6) + IPV6_EXTENSIONS_MAX * ROWS(extension) +
			       ROWS(transport) + 2UL * (1 + HANDOFF_DNS_PORTS_MAX) + ROWS(ends) <=
		       CLASSIC_FILTER_MAX,
	       "all jumps are near enough");

struct rows {
	struct row row[CLASSIC_FILTER_MAX];
	uint16_t count;
};

static void put(struct rows *rows, const struct row *part, size_t count)
{
	memcpy(&rows->row[rows->count], part, count * sizeof(*part));
	rows->count = (uint16_t)(rows->count + count);
}

static void put_port(struct rows *rows, const struct row *load,
		     const uint16_t ports[HANDOFF_DNS_PORTS_MAX])
{
	put(rows, load, 1);
	for (unsigned i = 0; i < HANDOFF_DNS_PORTS_MAX && ports[i]; i++)
		put(rows, &(struct row){NEXT, IF_IS(ports[i], TAKE, NEXT)}, 1);
}

/* How many instructions lie between a jump and the next place of that name. */
static uint8_t distance(const struct rows *rows, unsigned from, enum place to)
{
	unsigned at = from + 1;

	while (to != NEXT && rows->row[at].name != to)
		at++;
	return (uint8_t)(at - from - 1);
}

uint16_t classic_filter_make(const uint16_t ports[HANDOFF_DNS_PORTS_MAX],
			     struct sock_filter program[CLASSIC_FILTER_MAX])
{
	struct rows rows = {.count = 0};

	put(&rows, link_layer, ROWS(link_layer));
	put(&rows, ipv4, ROWS(ipv4));
	put(&rows, ipv6, ROWS(ipv6));
	for (unsigned i = 0; i < IPV6_EXTENSIONS_MAX; i++)
		put(&rows, extension, ROWS(extension));
	put(&rows, transport, ROWS(transport));
	put_port(&rows, &source_port, ports);
	put_port(&rows, &destination_port, ports);
	put(&rows, ends, ROWS(ends));
	for (unsigned i = 0; i < rows.count; i++) {
		const struct row *row = &rows.row[i];

		program[i] = (struct sock_filter){
			.code = row->code,
			.jt = distance(&rows, i, row->yes),
			.jf = distance(&rows, i, row->no),
			.k = row->operand,
		};
	}
	return rows.count;
}
