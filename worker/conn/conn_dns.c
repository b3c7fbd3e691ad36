/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conn/conn_dns.h"

#include <string.h>

/* False if a connection with these ends is no conversation that is seen from this side. */
static bool make_key(const struct dns *dns, const struct conn_record *record,
		     const struct conn_nat *ends, enum dns_side side,
		     struct dns_conversation_key *key)
{
	const bool is_client = side == DNS_SIDE_CLIENT;

	if (!dns_is_port(dns, is_client ? ends->remote_port : ends->local_port))
		return false;
	*key = (struct dns_conversation_key){
		.client_port = is_client ? ends->local_port : ends->remote_port,
		.server_port = is_client ? ends->remote_port : ends->local_port,
		.family = record->family,
		.protocol = record->protocol,
	};
	memcpy(key->client_ip, is_client ? ends->local_ip : ends->remote_ip,
	       sizeof(key->client_ip));
	memcpy(key->server_ip, is_client ? ends->remote_ip : ends->local_ip,
	       sizeof(key->server_ip));
	return true;
}

static bool find_by(struct dns *dns, const struct conn_view *view, const struct conn_nat *ends,
		    struct dns_conversation_numbers *numbers)
{
	for (unsigned side = 0; side < DNS_SIDES; side++) {
		struct dns_conversation_key key;

		if (!make_key(dns, view->record, ends, side, &key) ||
		    !dns_conversations_find(&dns->conversations, &key, side, numbers))
			continue;
		if (view->closed)
			dns_conversations_end(&dns->conversations, &key, side, view->record->at_ns);
		return true;
	}
	return false;
}

bool conn_dns_find(struct dns *dns, const struct conn_view *view,
		   struct dns_conversation_numbers *numbers)
{
	const struct conn_record *record = view->record;
	struct conn_nat ends = {
		.local_port = record->local_port,
		.remote_port = record->remote_port,
	};

	memcpy(ends.local_ip, record->local_ip, sizeof(ends.local_ip));
	memcpy(ends.remote_ip, record->remote_ip, sizeof(ends.remote_ip));
	return find_by(dns, view, &ends, numbers) ||
	       (view->nat && find_by(dns, view, view->nat, numbers));
}
