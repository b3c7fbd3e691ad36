/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_conn.h"
#include "worker/publish/conn_terms.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/tcp.h>

#define ESTABLISHED RECORD_ESTABLISHED
#define OUT RECORD_DIRECTION_OUTGOING
#define IN RECORD_DIRECTION_INCOMING

static bool same(const char *left, const char *right)
{
	return left == right || (left && right && strcmp(left, right) == 0);
}

Test(conn_terms, says_why_a_connection_ended)
{
	static const struct {
		uint8_t tcp_state;
		uint8_t flags;
		uint16_t error;
		uint8_t direction;
		uint16_t local_port;
		bool inferred;
		const char *reason;
		const char *failure;
	} cases[] = {
		/* Orderly ends, by who closed first. */
		{TCP_FIN_WAIT2, ESTABLISHED, 0, OUT, 1, false, "fin", NULL},
		{TCP_LAST_ACK, ESTABLISHED, 0, OUT, 1, false, "fin", NULL},
		{TCP_CLOSING, ESTABLISHED, 0, IN, 1, false, "fin", NULL},
		{TCP_TIME_WAIT, ESTABLISHED, 0, IN, 1, false, "fin", NULL},
		{TCP_FIN_WAIT1, ESTABLISHED | RECORD_FIN_ACKED, 0, OUT, 1, false, "fin", NULL},
		/* Our FIN was never acknowledged. */
		{TCP_FIN_WAIT1, ESTABLISHED, 0, OUT, 1, false, "rst", NULL},
		/* Aborted by us (SO_LINGER 0, unread data). */
		{TCP_ESTABLISHED, ESTABLISHED, 0, OUT, 1, false, "rst", NULL},
		{TCP_CLOSE_WAIT, ESTABLISHED, 0, OUT, 1, false, "rst", NULL},
		{TCP_ESTABLISHED, ESTABLISHED, ECONNRESET, OUT, 1, false, "rst", "ECONNRESET"},
		{TCP_FIN_WAIT2, ESTABLISHED, EPIPE, OUT, 1, false, "rst", "EPIPE"},
		{TCP_ESTABLISHED, ESTABLISHED, ETIMEDOUT, OUT, 1, false, "timeout", "ETIMEDOUT"},
		/* Never established. */
		{TCP_SYN_SENT, 0, ECONNREFUSED, OUT, 1, false, "failed", "ECONNREFUSED"},
		{TCP_SYN_SENT, 0, ETIMEDOUT, OUT, 1, false, "failed", "ETIMEDOUT"},
		{TCP_SYN_SENT, 0, ENETUNREACH, OUT, 1, false, "failed", "ENETUNREACH"},
		{TCP_SYN_SENT, RECORD_CLOSED_LOCALLY, 0, OUT, 1, false, "failed", "ECANCELED"},
		{TCP_SYN_SENT, RECORD_CLOSED_LOCALLY, 0, OUT, 0, false, "failed", "EADDRNOTAVAIL"},
		{TCP_SYN_RECV, 0, 0, IN, 1, false, "failed", "ECONNABORTED"},
		{TCP_SYN_SENT, 0, 0, OUT, 1, false, "failed", NULL},
		/* An errno that only the kernel knows. */
		{TCP_SYN_SENT, 0, 524, OUT, 1, false, "failed", "EIO"},
		/* Closed by inference: the last snapshot does not show the end. */
		{TCP_ESTABLISHED, ESTABLISHED, 0, OUT, 1, true, NULL, NULL},
		{TCP_FIN_WAIT2, ESTABLISHED, 0, OUT, 1, true, "fin", NULL},
		{TCP_SYN_SENT, 0, 0, OUT, 1, true, "failed", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conn_record record = example_record();
		struct conn_view view = example_view(&record);

		record.tcp_state = cases[i].tcp_state;
		record.flags = cases[i].flags;
		record.error = cases[i].error;
		record.direction = cases[i].direction;
		record.local_port = cases[i].local_port;
		view.inferred = cases[i].inferred;
		cr_expect(same(conn_close_reason(&view), cases[i].reason), "case %zu: %s", i,
			  conn_close_reason(&view));
		cr_expect(same(conn_failure(&view), cases[i].failure), "case %zu: %s", i,
			  conn_failure(&view));
	}
}

Test(conn_terms, gives_no_reason_while_a_connection_lives)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);

	view.closed = false;
	record.flags = 0;
	record.tcp_state = TCP_SYN_SENT;
	cr_expect_null(conn_close_reason(&view));
	cr_expect_null(conn_failure(&view));
}

Test(conn_terms, knows_when_both_ends_are_this_host)
{
	static const struct {
		uint8_t family;
		uint8_t local[16];
		uint8_t remote[16];
		bool intra_host;
	} cases[] = {
		{RECORD_FAMILY_IPV4, {10, 0, 0, 5}, {10, 0, 0, 9}, false},
		{RECORD_FAMILY_IPV4, {10, 0, 0, 5}, {10, 0, 0, 5}, true},
		{RECORD_FAMILY_IPV4, {10, 0, 0, 5}, {127, 3, 2, 1}, true},
		{RECORD_FAMILY_IPV6, {0x20, 1}, {0x20, 2}, false},
		{RECORD_FAMILY_IPV6, {0x20, 1}, {0x20, 1}, true},
		{RECORD_FAMILY_IPV6, {0x20, 1}, {[15] = 1}, true},
		{RECORD_FAMILY_IPV6, {0x20, 1}, {127, [15] = 1}, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conn_record record = example_record();
		struct conn_view view = example_view(&record);

		record.family = cases[i].family;
		memcpy(record.local_ip, cases[i].local, 16);
		memcpy(record.remote_ip, cases[i].remote, 16);
		cr_expect_eq(conn_is_intra_host(&view), cases[i].intra_host, "case %zu", i);
		view.intra_host = true;
		cr_expect(conn_is_intra_host(&view), "case %zu", i);
	}
}

Test(conn_terms, of_a_translated_connection_it_counts_who_is_really_there)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);
	struct conn_nat nat = {.local_ip = {10, 0, 0, 5}, .remote_ip = {127, 0, 0, 1}};

	view.nat = &nat;
	cr_expect(conn_is_intra_host(&view), "redirected to this host");
	nat.remote_ip[0] = 10;
	cr_expect_not(conn_is_intra_host(&view));
	/* A client that reaches a server through its own host's address. */
	memcpy(record.remote_ip, record.local_ip, 16);
	cr_expect_not(conn_is_intra_host(&view));
}

Test(conn_terms, takes_a_delta_since_what_was_published_and_never_a_negative_one)
{
	struct conn_record record = example_record();
	struct conn_view view = example_view(&record);
	struct conn_totals previous = {.sent_bytes = 23, .recv_bytes = 5000, .sent_packets = 4};
	struct conn_totals delta;

	conn_delta(&view, &delta);
	cr_expect_eq(delta.sent_bytes, 123);
	cr_expect_eq(delta.retransmits, 1);
	view.previous = &previous;
	conn_delta(&view, &delta);
	cr_expect_eq(delta.sent_bytes, 100);
	cr_expect_eq(delta.recv_bytes, 0);
	cr_expect_eq(delta.sent_packets, 5);
	cr_expect_eq(delta.recv_packets, 8);
}

Test(conn_terms, knows_no_duration_without_an_opening)
{
	struct conn_record record = example_record();
	uint64_t duration = 0;

	cr_expect(conn_duration_ns(&record, &duration));
	cr_expect_eq(duration, 1234567);
	record.opened_ns = 0;
	cr_expect_not(conn_duration_ns(&record, &duration));
	record.opened_ns = record.at_ns + 1;
	cr_expect_not(conn_duration_ns(&record, &duration));
}
