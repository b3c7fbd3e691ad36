/* SPDX-License-Identifier: Apache-2.0 */
/* How translated connections are rolled up. */
#include "tests/unit/example_conn.h"
#include "worker/publish/rollup.h"

#include <criterion/criterion.h>

static struct rollup rollup;

/* One of some short connections, from a port of its own; nat is as on the other side of a gateway. */
static void add(uint16_t port, bool outgoing, const struct conn_nat *nat)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	record.id = port;
	record.direction = outgoing ? RECORD_DIRECTION_OUTGOING : RECORD_DIRECTION_INCOMING;
	*(outgoing ? &record.local_port : &record.remote_port) = port;
	*(outgoing ? &record.remote_port : &record.local_port) = 443;
	view.nat = nat;
	cr_assert(rollup_add(&rollup, &view));
}

static struct conn_nat masqueraded(uint16_t port)
{
	return (struct conn_nat){{192, 0, 2, 1}, {10, 0, 0, 9}, port, 443};
}

Test(rollup_nat, the_translated_ephemeral_port_goes_with_the_other_one)
{
	const struct conn_nat first = masqueraded(7000), second = masqueraded(7001);
	struct conn_view view;

	rollup_init(&rollup, 10);
	add(1000, true, &first);
	add(1001, true, &second);
	cr_assert_eq(rollup.used, 1);
	view = rollup_view(&rollup, 0);
	cr_assert_not_null(view.nat);
	cr_expect_eq(view.rolled_up, 2);
	cr_expect_eq(view.record->local_port, 0);
	cr_expect_eq(view.nat->local_port, 0);
	cr_expect_eq(view.nat->remote_port, 443);
	cr_expect_eq(view.nat->local_ip[0], 192);
}

Test(rollup_nat, a_row_of_one_keeps_both_ports)
{
	const struct conn_nat nat = masqueraded(7000);
	struct conn_view view;

	rollup_init(&rollup, 10);
	add(1000, true, &nat);
	view = rollup_view(&rollup, 0);
	cr_assert_not_null(view.nat);
	cr_expect_eq(view.nat->local_port, 7000);
}

Test(rollup_nat, of_incoming_ones_the_clients_port_is_the_one_that_differs)
{
	const struct conn_nat first = {{192, 0, 2, 1}, {10, 0, 0, 9}, 80, 1000};
	const struct conn_nat second = {{192, 0, 2, 1}, {10, 0, 0, 9}, 80, 1001};
	const struct conn_nat other = {{192, 0, 2, 1}, {10, 0, 0, 9}, 81, 1002};
	struct conn_view view;

	rollup_init(&rollup, 10);
	add(1000, false, &first);
	add(1001, false, &second);
	add(1002, false, &other);
	cr_assert_eq(rollup.used, 2);
	view = rollup_view(&rollup, 0);
	cr_expect_eq(view.rolled_up, 2);
	cr_expect_eq(view.nat->local_port, 80);
	cr_expect_eq(view.nat->remote_port, 0);
}

Test(rollup_nat, what_is_translated_to_something_else_or_not_at_all_is_not_mixed)
{
	const struct conn_nat first = masqueraded(7000);
	struct conn_nat server = masqueraded(7001), gateway = masqueraded(7002),
			port = masqueraded(7003);

	server.remote_ip[3]++;
	gateway.local_ip[3]++;
	port.remote_port++;
	rollup_init(&rollup, 10);
	add(1000, true, &first);
	add(1001, true, &server);
	add(1002, true, &gateway);
	add(1003, true, &port);
	add(1004, true, NULL);
	add(1005, true, NULL);
	cr_expect_eq(rollup.used, 5);
	cr_expect_null(rollup_view(&rollup, 4).nat);
	cr_expect_eq(rollup_view(&rollup, 4).rolled_up, 2);
}
