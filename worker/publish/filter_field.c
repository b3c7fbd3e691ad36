/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/filter_field.h"

#include "worker/publish/conn_terms.h"

#include <string.h>

/* X(symbol, name, type, values) */
#define FIELDS(X)                                              \
	X(ID, "id", ID, 1)                                     \
	X(STATE, "state", TEXT, 1)                             \
	X(PROTOCOL, "protocol", TEXT, 1)                       \
	X(FAMILY, "family", TEXT, 1)                           \
	X(DIRECTION, "direction", TEXT, 1)                     \
	X(IP, "ip", ADDRESS, 2)                                \
	X(PORT, "port", NUMBER, 2)                             \
	X(LOCAL_IP, "local.ip", ADDRESS, 1)                    \
	X(LOCAL_PORT, "local.port", NUMBER, 1)                 \
	X(REMOTE_IP, "remote.ip", ADDRESS, 1)                  \
	X(REMOTE_PORT, "remote.port", NUMBER, 1)               \
	X(PID, "pid", NUMBER, 1)                               \
	X(COMM, "comm", TEXT, 1)                               \
	X(UID, "uid", NUMBER, 1)                               \
	X(PID_SOURCE, "pid_source", TEXT, 1)                   \
	X(NETNS, "netns", NUMBER, 1)                           \
	X(CGROUP, "cgroup", TEXT, 1)                           \
	X(CONTAINER, "container", TEXT, 1)                     \
	X(DURATION_NS, "duration_ns", NUMBER, 1)               \
	X(HANDSHAKE_US, "handshake_us", NUMBER, 1)             \
	X(TOTAL_SENT_BYTES, "total.sent_bytes", NUMBER, 1)     \
	X(TOTAL_RECV_BYTES, "total.recv_bytes", NUMBER, 1)     \
	X(TOTAL_SENT_PACKETS, "total.sent_packets", NUMBER, 1) \
	X(TOTAL_RECV_PACKETS, "total.recv_packets", NUMBER, 1) \
	X(TOTAL_RETRANSMITS, "total.retransmits", NUMBER, 1)   \
	X(DELTA_SENT_BYTES, "delta.sent_bytes", NUMBER, 1)     \
	X(DELTA_RECV_BYTES, "delta.recv_bytes", NUMBER, 1)     \
	X(DELTA_SENT_PACKETS, "delta.sent_packets", NUMBER, 1) \
	X(DELTA_RECV_PACKETS, "delta.recv_packets", NUMBER, 1) \
	X(DELTA_RETRANSMITS, "delta.retransmits", NUMBER, 1)   \
	X(RTT_US, "rtt_us", NUMBER, 1)                         \
	X(RTT_VAR_US, "rtt_var_us", NUMBER, 1)                 \
	X(FAILURE, "failure", TEXT, 1)                         \
	X(CLOSE_REASON, "close_reason", TEXT, 1)               \
	X(INFERRED, "inferred", BOOL, 1)                       \
	X(INTRA_HOST, "intra_host", BOOL, 1)                   \
	X(NAT_LOCAL_IP, "nat.local.ip", ADDRESS, 1)            \
	X(NAT_LOCAL_PORT, "nat.local.port", NUMBER, 1)         \
	X(NAT_REMOTE_IP, "nat.remote.ip", ADDRESS, 1)          \
	X(NAT_REMOTE_PORT, "nat.remote.port", NUMBER, 1)

enum field {
#define FIELD_SYMBOL(symbol, name, type, values) FIELD_##symbol,
	FIELDS(FIELD_SYMBOL)
#undef FIELD_SYMBOL
	FIELD_COUNT
};

static const struct {
	const char *name;
	enum filter_type type;
	unsigned values;
} fields[FIELD_COUNT] = {
#define FIELD_ROW(symbol, name, type, values) {name, FILTER_TYPE_##type, values},
	FIELDS(FIELD_ROW)
#undef FIELD_ROW
};

int filter_field_find(const char *name, size_t length)
{
	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		if (strlen(fields[i].name) == length && memcmp(fields[i].name, name, length) == 0)
			return (int)i;
	}
	return -1;
}

enum filter_type filter_field_type(unsigned field)
{
	return fields[field].type;
}

unsigned filter_field_values(unsigned field)
{
	return fields[field].values;
}

static void take_number(struct filter_value *value, uint64_t number, bool known)
{
	value->number = number;
	value->known = known;
}

static void take_text(struct filter_value *value, const char *text)
{
	value->known = text != NULL;
	value->text = text;
	value->length = text ? strlen(text) : 0;
}

static void take_address(struct filter_value *value, const struct conn_record *record,
			 const uint8_t *ip)
{
	value->known = true;
	value->text = (const char *)ip;
	value->length = record->family == RECORD_FAMILY_IPV6 ? 16 : 4;
}

/* The facts of the process; false if the field is none of them. */
static bool take_process(struct filter_value *value, enum field field, const struct conn_view *view)
{
	const struct conn_record *record = view->record;
	bool known = conn_pid_source(record) != NULL;

	if (field == FIELD_PID) {
		take_number(value, record->pid, known);
	} else if (field == FIELD_UID) {
		take_number(value, record->uid, known);
	} else if (field == FIELD_PID_SOURCE) {
		take_text(value, conn_pid_source(record));
	} else if (field == FIELD_COMM) {
		value->known = known;
		value->text = record->comm;
		value->length = conn_comm_length(record);
	} else if (field == FIELD_CGROUP) {
		take_text(value, known ? view->cgroup : NULL);
	} else if (field == FIELD_CONTAINER) {
		take_text(value, known ? view->container : NULL);
	} else {
		return false;
	}
	return true;
}

static bool take_counter(struct filter_value *value, enum field field, const struct conn_view *view)
{
	const struct conn_record *record = view->record;
	struct conn_totals delta;

	if (field < FIELD_TOTAL_SENT_BYTES || field > FIELD_DELTA_RETRANSMITS)
		return false;
	value->known = true;
	if (field >= FIELD_DELTA_SENT_BYTES)
		conn_delta(view, &delta);
	else
		delta = (struct conn_totals){record->sent_bytes, record->recv_bytes,
					     record->sent_packets, record->recv_packets,
					     record->retransmits};
	if (field == FIELD_TOTAL_SENT_BYTES || field == FIELD_DELTA_SENT_BYTES)
		value->number = delta.sent_bytes;
	else if (field == FIELD_TOTAL_RECV_BYTES || field == FIELD_DELTA_RECV_BYTES)
		value->number = delta.recv_bytes;
	else if (field == FIELD_TOTAL_SENT_PACKETS || field == FIELD_DELTA_SENT_PACKETS)
		value->number = delta.sent_packets;
	else if (field == FIELD_TOTAL_RECV_PACKETS || field == FIELD_DELTA_RECV_PACKETS)
		value->number = delta.recv_packets;
	else
		value->number = delta.retransmits;
	return true;
}

/* Both ends: local and remote address and port. */
static bool take_end(struct filter_value *value, enum field field, unsigned number,
		     const struct conn_record *record)
{
	if (field == FIELD_LOCAL_IP || (field == FIELD_IP && number == 0))
		take_address(value, record, record->local_ip);
	else if (field == FIELD_REMOTE_IP || field == FIELD_IP)
		take_address(value, record, record->remote_ip);
	else if (field == FIELD_LOCAL_PORT || (field == FIELD_PORT && number == 0))
		take_number(value, record->local_port, record->local_port != 0);
	else if (field == FIELD_REMOTE_PORT || field == FIELD_PORT)
		take_number(value, record->remote_port, record->remote_port != 0);
	else
		return false;
	return true;
}

/* The ends on the other side of a translation; not known where there is none. */
static bool take_nat(struct filter_value *value, enum field field, const struct conn_view *view)
{
	const struct conn_nat *nat = view->nat;

	if (field < FIELD_NAT_LOCAL_IP || field > FIELD_NAT_REMOTE_PORT)
		return false;
	if (!nat)
		return true;
	if (field == FIELD_NAT_LOCAL_IP)
		take_address(value, view->record, nat->local_ip);
	else if (field == FIELD_NAT_REMOTE_IP)
		take_address(value, view->record, nat->remote_ip);
	else if (field == FIELD_NAT_LOCAL_PORT)
		take_number(value, nat->local_port, true);
	else
		take_number(value, nat->remote_port, true);
	return true;
}

static bool take_word(struct filter_value *value, enum field field, const struct conn_view *view)
{
	const struct conn_record *record = view->record;

	if (field == FIELD_STATE)
		take_text(value, view->closed ? "closed" : "active");
	else if (field == FIELD_PROTOCOL)
		take_text(value, conn_protocol(record));
	else if (field == FIELD_FAMILY)
		take_text(value, record->family == RECORD_FAMILY_IPV6 ? "ipv6" : "ipv4");
	else if (field == FIELD_DIRECTION)
		take_text(value, conn_direction(view));
	else if (field == FIELD_FAILURE)
		take_text(value, conn_failure(view));
	else if (field == FIELD_CLOSE_REASON)
		take_text(value, conn_close_reason(view));
	else
		return false;
	return true;
}

static void take_rest(struct filter_value *value, enum field field, const struct conn_view *view)
{
	const struct conn_record *record = view->record;

	if (field == FIELD_ID)
		take_number(value, record->id, true);
	else if (field == FIELD_NETNS)
		take_number(value, record->netns, record->netns != 0);
	else if (field == FIELD_DURATION_NS)
		value->known = conn_duration_ns(record, &value->number);
	else if (field == FIELD_HANDSHAKE_US)
		take_number(value, record->handshake_us, record->handshake_us != 0);
	else if (field == FIELD_RTT_US)
		take_number(value, record->srtt_us, record->srtt_us != 0);
	else if (field == FIELD_RTT_VAR_US)
		take_number(value, record->rttvar_us, record->srtt_us != 0);
	else if (field == FIELD_INFERRED)
		take_number(value, view->inferred ? 1 : 0, true);
	else if (field == FIELD_INTRA_HOST)
		take_number(value, conn_is_intra_host(view) ? 1 : 0, true);
}

void filter_field_take(struct filter_value *value, unsigned field, unsigned number,
		       const struct conn_view *view)
{
	enum field which = (enum field)field;

	*value = (struct filter_value){0};
	if (take_end(value, which, number, view->record) || take_process(value, which, view) ||
	    take_word(value, which, view) || take_counter(value, which, view) ||
	    take_nat(value, which, view))
		return;
	take_rest(value, which, view);
}
