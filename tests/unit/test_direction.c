/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "worker/conn/direction.h"

#include <criterion/criterion.h>

#include <stdio.h>

#define OUT RECORD_DIRECTION_OUTGOING
#define IN RECORD_DIRECTION_INCOMING
#define UNKNOWN RECORD_DIRECTION_UNKNOWN

struct example {
	const char *what;
	uint8_t direction;
	uint16_t local;
	uint16_t remote;
	bool intra_host;
	uint8_t fixed; /* of UDP; 0: it stays */
};

static const struct example examples[] = {
	{"a resolver's answer came first", IN, 40000, 53, false, OUT},
	{"the same on this host", IN, 40000, 53, true, OUT},
	{"a remote port that servers may have, and clients of other hosts too", IN, 40000, 5353,
	 false, 0},
	{"on this host it is a server's", IN, 40000, 5353, true, OUT},
	{"the last privileged port", IN, 40000, 1023, false, OUT},
	{"the first that is not", IN, 40000, 1024, false, 0},
	{"a server here was asked", IN, 53, 40000, false, 0},
	{"a server here was asked by this host", IN, 53, 40000, true, 0},
	{"two servers", IN, 53, 53, true, 0},
	{"two clients", IN, 40000, 40001, true, 0},
	{"a client asks", OUT, 40000, 53, false, 0},
	{"a client asks this host", OUT, 40000, 53, true, 0},
	{"a server's answer came first", OUT, 53, 40000, true, IN},
	{"to another host: its ports tell nothing", OUT, 53, 40000, false, 0},
	{"both ephemeral", OUT, 40000, 40001, true, 0},
	{"neither ephemeral", OUT, 5000, 6000, true, 0},
	{"the range's first", IN, 32768, 53, false, OUT},
	{"below the range", IN, 32767, 53, false, 0},
	{"the range's last", IN, 60999, 53, false, OUT},
	{"above the range", IN, 61000, 53, false, 0},
	{"an unknown local port", IN, 0, 53, true, 0},
	{"an unknown remote port", OUT, 53, 0, true, 0},
	{"several remote ports", IN, 40000, 0, true, 0},
	{"an unknown direction", UNKNOWN, 40000, 53, true, 0},
};

static struct conn_record record_of(const struct example *example, uint8_t protocol)
{
	struct conn_record record = example_record();

	record.protocol = protocol;
	record.direction = example->direction;
	record.local_port = example->local;
	record.remote_port = example->remote;
	return record;
}

Test(direction, ports_tell_who_began_a_flow)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];
		const struct conn_record record = record_of(example, IPPROTO_UDP);

		cr_expect_eq(conn_direction_fix(&record, example->intra_host, PORT_RANGE_DEFAULT),
			     example->fixed, "%s", example->what);
	}
}

Test(direction, tcp_s_is_known_and_stays)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct conn_record record = record_of(&examples[i], IPPROTO_TCP);

		cr_expect_eq(conn_direction_fix(&record, examples[i].intra_host,
						PORT_RANGE_DEFAULT),
			     0, "%s", examples[i].what);
	}
}

Test(direction, what_was_fixed_is_not_fixed_again)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct conn_record record = record_of(&examples[i], IPPROTO_UDP);

		if (examples[i].fixed == 0)
			continue;
		record.direction = examples[i].fixed;
		cr_expect_eq(conn_direction_fix(&record, examples[i].intra_host,
						PORT_RANGE_DEFAULT),
			     0, "%s", examples[i].what);
	}
}

Test(direction, another_range_makes_other_ports_ephemeral)
{
	const struct port_range range = {1024, 2000};
	const struct example example = {"", IN, 1500, 53, false, OUT};
	const struct conn_record record = record_of(&example, IPPROTO_UDP);

	cr_expect_eq(conn_direction_fix(&record, false, range), OUT);
	cr_expect_eq(conn_direction_fix(&record, false, PORT_RANGE_DEFAULT), 0);
}

Test(direction, the_range_is_the_one_that_the_kernel_has)
{
	const struct port_range range = port_range_read();
	unsigned first, last;
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	cr_assert_not_null(file, "ip_local_port_range");
	cr_assert_eq(fscanf(file, "%u %u", &first, &last), 2);
	fclose(file);
	cr_expect_eq(range.first, first);
	cr_expect_eq(range.last, last);
}
