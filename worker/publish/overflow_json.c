/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/overflow_json.h"

#include "worker/publish/conn_terms.h"

#include <netinet/in.h>

static void write_delta(struct json *json, const struct conn_sums *sums)
{
	JSON_TEXT(json, ",\"delta\":{\"sent_bytes\":");
	json_number(json, sums->sent_bytes);
	JSON_TEXT(json, ",\"recv_bytes\":");
	json_number(json, sums->recv_bytes);
	JSON_TEXT(json, ",\"sent_packets\":");
	json_number(json, sums->sent_packets);
	JSON_TEXT(json, ",\"recv_packets\":");
	json_number(json, sums->recv_packets);
	JSON_TEXT(json, ",\"retransmits\":");
	json_number(json, sums->retransmits);
	JSON_TEXT(json, "}}");
}

void overflow_json_write_row(struct json *json, const struct overflow_row *row)
{
	JSON_TEXT(json, "{\"direction\":");
	json_word(json, conn_direction_word(row->direction));
	if (row->protocol == IPPROTO_UDP)
		JSON_TEXT(json, ",\"protocol\":\"udp\",\"remote_port\":");
	else
		JSON_TEXT(json, ",\"protocol\":\"tcp\",\"remote_port\":");
	if (row->remote_port != 0)
		json_u64(json, row->remote_port);
	else
		JSON_TEXT(json, "null");
	JSON_TEXT(json, ",\"connections\":");
	json_number(json, row->owed.connections);
	write_delta(json, &row->owed);
}

void overflow_json_write_unattributed(struct json *json, const struct conn_sums *sums)
{
	JSON_TEXT(json, "{\"direction\":null,\"protocol\":\"udp\",\"remote_port\":null,"
			"\"connections\":null");
	write_delta(json, sums);
}
