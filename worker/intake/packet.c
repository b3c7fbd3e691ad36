/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/packet.h"

#include <netinet/in.h>
#include <string.h>

static bool is_known(const struct packet_record *record)
{
	return record->kind == RECORD_KIND_PACKET && record->version == RECORD_VERSION &&
	       (record->family == RECORD_FAMILY_IPV4 || record->family == RECORD_FAMILY_IPV6) &&
	       (record->protocol == IPPROTO_TCP || record->protocol == IPPROTO_UDP) &&
	       record->pad0 == 0;
}

bool packet_read(const struct perf_sample *sample, struct packet *packet)
{
	struct packet_record *record = &packet->record;
	size_t follow;

	if (sample->length < sizeof(*record))
		return false;
	memcpy(record, sample->payload, sizeof(*record));
	follow = sample->length - sizeof(*record);
	/* The kernel pads a sample to eight bytes. */
	if (!is_known(record) || record->length > follow ||
	    record->length > PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX ||
	    record->payload_at > record->length ||
	    record->length - record->payload_at > record->payload_bytes)
		return false;
	packet->payload = sample->payload + sizeof(*record) + record->payload_at;
	packet->length = record->length - record->payload_at;
	return true;
}
