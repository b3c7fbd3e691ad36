/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/conn_terms.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

const char *conn_direction_word(uint8_t direction)
{
	switch (direction) {
	case RECORD_DIRECTION_OUTGOING:
		return "outgoing";
	case RECORD_DIRECTION_INCOMING:
		return "incoming";
	default:
		return "unknown";
	}
}

const char *conn_direction(const struct conn_view *view)
{
	return conn_direction_word(view->direction ? view->direction : view->record->direction);
}

const char *conn_protocol(const struct conn_record *record)
{
	return record->protocol == IPPROTO_UDP ? "udp" : "tcp";
}

const char *conn_pid_source(const struct conn_record *record)
{
	static const char *const names[] = {
		[RECORD_PID_CONNECT] = "connect",   [RECORD_PID_ACCEPT] = "accept",
		[RECORD_PID_LISTENER] = "listener", [RECORD_PID_CLOSE] = "close",
		[RECORD_PID_SEED] = "seed",	    [RECORD_PID_TRAFFIC] = "traffic",
	};

	if (record->pid_source >= sizeof(names) / sizeof(names[0]))
		return NULL;
	return names[record->pid_source];
}

/* Whether both directions were, or were being, closed by FIN (RFC 9293, 3.6). */
static bool ended_by_fin(const struct conn_record *record)
{
	switch (record->tcp_state) {
	case TCP_FIN_WAIT1:
		return record->flags & RECORD_FIN_ACKED;
	case TCP_FIN_WAIT2:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
	case TCP_TIME_WAIT:
		return true;
	default:
		return false;
	}
}

const char *conn_close_reason(const struct conn_view *view)
{
	const struct conn_record *record = view->record;

	if (!view->closed)
		return NULL;
	if (record->protocol == IPPROTO_UDP)
		return record->end == RECORD_END_RELEASED ? "released" : "idle";
	if (!(record->flags & RECORD_ESTABLISHED))
		return "failed";
	if (record->error == ETIMEDOUT)
		return "timeout";
	if (record->error != 0)
		return "rst";
	if (ended_by_fin(record))
		return "fin";
	/* The last snapshot does not show how it ended afterwards. */
	return view->inferred ? NULL : "rst";
}

const char *conn_failure(const struct conn_view *view)
{
	const struct conn_record *record = view->record;

	if (record->error != 0) {
		const char *name = strerrorname_np(record->error);

		/* The kernel has a few numbers of its own that no application sees. */
		return name ? name : "EIO";
	}
	if (!view->closed || view->inferred || (record->flags & RECORD_ESTABLISHED) ||
	    record->protocol == IPPROTO_UDP)
		return NULL;
	if (record->direction == RECORD_DIRECTION_OUTGOING && record->local_port == 0)
		return "EADDRNOTAVAIL";
	if (record->flags & RECORD_CLOSED_LOCALLY)
		return "ECANCELED";
	return record->direction == RECORD_DIRECTION_INCOMING ? "ECONNABORTED" : NULL;
}

bool conn_duration_ns(const struct conn_record *record, uint64_t *duration_ns)
{
	if (record->opened_ns == 0 || record->at_ns < record->opened_ns)
		return false;
	*duration_ns = record->at_ns - record->opened_ns;
	return true;
}

bool conn_is_intra_host(const struct conn_view *view)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	const struct conn_record *record = view->record;
	/* Who it really is that one talks to. */
	const uint8_t *remote_ip = view->nat ? view->nat->remote_ip : record->remote_ip;

	if (view->intra_host)
		return true;
	if (record->family == RECORD_FAMILY_IPV4) {
		/* 127.0.0.0/8: RFC 1122, 3.2.1.3. */
		return remote_ip[0] == 127 || memcmp(remote_ip, record->local_ip, 4) == 0;
	}
	return memcmp(remote_ip, loopback6, sizeof(loopback6)) == 0 ||
	       memcmp(remote_ip, record->local_ip, 16) == 0;
}

void conn_delta(const struct conn_view *view, struct conn_totals *delta)
{
	const struct conn_totals total = conn_totals_of(view->record);

	*delta = view->previous ? conn_totals_since(&total, view->previous) : total;
}

size_t conn_comm_length(const struct conn_record *record)
{
	return strnlen(record->comm, sizeof(record->comm));
}
