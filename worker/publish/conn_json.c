/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/conn_json.h"

#include "worker/publish/conn_terms.h"
#include "worker/publish/dns_json.h"
#include "worker/publish/names_json.h"

#include <netinet/in.h>
#include <string.h>

/* A number, or null for 0, which stands for a fact that is not known. */
static void write_known(struct json *json, uint64_t value)
{
	if (value != 0)
		json_u64(json, value);
	else
		JSON_TEXT(json, "null");
}

static void write_end(struct json *json, bool ipv6, const uint8_t *ip, uint16_t port)
{
	JSON_TEXT(json, "{\"ip\":");
	json_address(json, ipv6, ip);
	JSON_TEXT(json, ",\"port\":");
	write_known(json, port);
}

static void write_process(struct json *json, const struct conn_view *view,
			  struct clock_offsets wall)
{
	const struct conn_record *record = view->record;
	const char *source = conn_pid_source(record);

	if (!source) {
		JSON_TEXT(
			json,
			",\"pid\":null,\"comm\":null,\"uid\":null,\"start_ns\":null,\"pid_source\":null,"
			"\"netns\":");
		write_known(json, record->netns);
		JSON_TEXT(json, ",\"cgroup\":null,\"container\":null");
		return;
	}
	JSON_TEXT(json, ",\"pid\":");
	json_u64(json, record->pid);
	JSON_TEXT(json, ",\"comm\":");
	json_string(json, record->comm, conn_comm_length(record));
	JSON_TEXT(json, ",\"uid\":");
	json_u64(json, record->uid);
	JSON_TEXT(json, ",\"start_ns\":");
	json_u64_string(json, record->start_ns + wall.boot_ns);
	JSON_TEXT(json, ",\"pid_source\":");
	json_word(json, source);
	JSON_TEXT(json, ",\"netns\":");
	write_known(json, record->netns);
	if (!view->cgroup) {
		JSON_TEXT(json, ",\"cgroup\":null,\"container\":null");
		return;
	}
	JSON_TEXT(json, ",\"cgroup\":");
	json_string(json, view->cgroup, strnlen(view->cgroup, RECORD_CGROUP_PATH_BYTES));
	JSON_TEXT(json, ",\"container\":");
	if (view->container)
		json_string(json, view->container, strlen(view->container));
	else
		JSON_TEXT(json, "null");
}

static void write_times(struct json *json, const struct conn_record *record,
			struct clock_offsets wall)
{
	uint64_t duration_ns;

	JSON_TEXT(json, ",\"opened_ns\":");
	if (record->opened_ns != 0)
		json_u64_string(json, record->opened_ns + wall.monotonic_ns);
	else
		JSON_TEXT(json, "null");
	JSON_TEXT(json, ",\"duration_ns\":");
	if (conn_duration_ns(record, &duration_ns))
		json_u64_string(json, duration_ns);
	else
		JSON_TEXT(json, "null");
	JSON_TEXT(json, ",\"handshake_us\":");
	write_known(json, record->handshake_us);
}

static void write_totals(struct json *json, const struct conn_totals *totals)
{
	JSON_TEXT(json, "{\"sent_bytes\":");
	json_number(json, totals->sent_bytes);
	JSON_TEXT(json, ",\"recv_bytes\":");
	json_number(json, totals->recv_bytes);
	JSON_TEXT(json, ",\"sent_packets\":");
	json_u64(json, totals->sent_packets);
	JSON_TEXT(json, ",\"recv_packets\":");
	json_u64(json, totals->recv_packets);
	JSON_TEXT(json, ",\"retransmits\":");
	json_u64(json, totals->retransmits);
	JSON_TEXT(json, "}");
}

static void write_counters(struct json *json, const struct conn_view *view)
{
	const struct conn_totals total = conn_totals_of(view->record);
	struct conn_totals delta;
	const char *text;
	size_t length;

	JSON_TEXT(json, ",\"total\":");
	text = json->at;
	write_totals(json, &total);
	length = (size_t)(json->at - text);
	JSON_TEXT(json, ",\"delta\":");
	/* Most connections are told once, when they end: then the delta is the total. */
	if (!view->previous) {
		json_raw(json, text, length);
		return;
	}
	conn_delta(view, &delta);
	write_totals(json, &delta);
}

static void write_nat(struct json *json, const struct conn_view *view)
{
	const struct conn_nat *nat = view->nat;
	const bool ipv6 = view->record->family == RECORD_FAMILY_IPV6;

	if (!nat) {
		JSON_TEXT(json, ",\"nat\":null");
		return;
	}
	JSON_TEXT(json, ",\"nat\":{\"local\":");
	write_end(json, ipv6, nat->local_ip, nat->local_port);
	JSON_TEXT(json, "},\"remote\":");
	write_end(json, ipv6, nat->remote_ip, nat->remote_port);
	JSON_TEXT(json, "}}");
}

static void write_outcome(struct json *json, const struct conn_view *view)
{
	const struct conn_record *record = view->record;

	if (record->srtt_us != 0) {
		JSON_TEXT(json, ",\"rtt_us\":");
		json_u64(json, record->srtt_us);
		JSON_TEXT(json, ",\"rtt_var_us\":");
		json_u64(json, record->rttvar_us);
	} else {
		JSON_TEXT(json, ",\"rtt_us\":null,\"rtt_var_us\":null");
	}
	JSON_TEXT(json, ",\"failure\":");
	json_word(json, conn_failure(view));
	JSON_TEXT(json, ",\"close_reason\":");
	json_word(json, conn_close_reason(view));
	JSON_TEXT(json, ",\"inferred\":");
	json_bool(json, view->inferred);
	JSON_TEXT(json, ",\"intra_host\":");
	json_bool(json, conn_is_intra_host(view));
	write_nat(json, view);
	JSON_TEXT(json, ",\"dns\":");
	dns_json_write_conversation(json, view->dns);
	if (view->rolled_up > 0) {
		JSON_TEXT(json, ",\"rolled_up\":");
		json_u64(json, view->rolled_up);
	}
	JSON_TEXT(json, "}");
}

void conn_json_write(struct json *json, const struct conn_view *view, struct clock_offsets wall)
{
	const struct conn_record *record = view->record;
	bool ipv6 = record->family == RECORD_FAMILY_IPV6;

	JSON_TEXT(json, "{\"id\":");
	json_id(json, record->id);
	if (view->closed)
		JSON_TEXT(json, ",\"state\":\"closed\",\"protocol\":");
	else
		JSON_TEXT(json, ",\"state\":\"active\",\"protocol\":");
	if (record->protocol == IPPROTO_UDP)
		JSON_TEXT(json, "\"udp\",\"family\":");
	else
		JSON_TEXT(json, "\"tcp\",\"family\":");
	if (ipv6)
		JSON_TEXT(json, "\"ipv6\",\"direction\":");
	else
		JSON_TEXT(json, "\"ipv4\",\"direction\":");
	json_word(json, conn_direction(view));
	JSON_TEXT(json, ",\"local\":");
	write_end(json, ipv6, record->local_ip, record->local_port);
	JSON_TEXT(json, "},\"remote\":");
	write_end(json, ipv6, record->remote_ip, record->remote_port);
	JSON_TEXT(json, ",\"names\":");
	names_json_write(json, view->names, view->names_found, CONN_JSON_NAMES_BYTES);
	JSON_TEXT(json, "}");
	write_process(json, view, wall);
	write_times(json, record, wall);
	write_counters(json, view);
	write_outcome(json, view);
}
