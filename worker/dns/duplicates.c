/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/duplicates.h"

#include <string.h>

/* Of the payload: a DNS header, and most names. */
#define HASHED_BYTES 128

/* What two copies of one packet have in common, in one piece. */
struct fingerprint {
	uint8_t source_ip[16];
	uint8_t destination_ip[16];
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t tcp_seq;
	uint32_t whole_bytes;
	uint8_t protocol;
	uint8_t tcp_flags;
	uint8_t bytes[HASHED_BYTES];
};

void duplicates_init(struct duplicates *duplicates, const char *secret)
{
	duplicates->key = hash_key_of(secret);
}

static uint64_t hash_of(const struct duplicates *duplicates, const struct dns_frame *frame)
{
	const size_t bytes = frame->payload_bytes < HASHED_BYTES ? frame->payload_bytes
								 : HASHED_BYTES;
	struct fingerprint print = {
		.source_port = frame->source_port,
		.destination_port = frame->destination_port,
		.tcp_seq = frame->tcp_seq,
		.whole_bytes = frame->whole_bytes,
		.protocol = frame->protocol,
		.tcp_flags = frame->tcp_flags,
	};

	memcpy(print.source_ip, frame->source_ip, sizeof(print.source_ip));
	memcpy(print.destination_ip, frame->destination_ip, sizeof(print.destination_ip));
	if (bytes > 0)
		memcpy(print.bytes, frame->payload, bytes);
	return hash_bytes(&duplicates->key, &print, offsetof(struct fingerprint, bytes) + bytes);
}

static struct duplicates_place *set_of(struct duplicates *duplicates, uint64_t hash)
{
	return &duplicates->places[hash % DUPLICATES_SETS * DUPLICATES_WAYS];
}

/* Where this packet is, or the place that it is to have. */
static struct duplicates_place *place_of(struct duplicates *duplicates, uint64_t hash)
{
	struct duplicates_place *set = set_of(duplicates, hash), *oldest = set;

	for (unsigned way = 0; way < DUPLICATES_WAYS; way++) {
		if (set[way].hash == hash)
			return &set[way];
		if (set[way].at_ns < oldest->at_ns)
			oldest = &set[way];
	}
	return oldest;
}

bool duplicates_find(struct duplicates *duplicates, const struct dns_frame *frame,
		     uint32_t interface, uint64_t at_ns)
{
	const uint64_t hash = hash_of(duplicates, frame);
	struct duplicates_place *place = place_of(duplicates, hash);
	const bool is_same = place->hash == hash && place->interface != interface &&
			     at_ns - place->at_ns <= DUPLICATES_NS;

	/* The first sight stays: further ones, on a third interface, are compared with that. */
	if (!is_same)
		*place = (struct duplicates_place){hash, at_ns, interface};
	return is_same;
}

bool duplicates_put(struct duplicates *duplicates, const struct duplicates_place *place)
{
	struct duplicates_place *set = set_of(duplicates, place->hash);

	if (place->hash == 0)
		return false;
	for (unsigned way = 0; way < DUPLICATES_WAYS; way++) {
		if (set[way].hash == place->hash)
			return false;
		if (set[way].hash == 0) {
			set[way] = *place;
			return true;
		}
	}
	return false;
}
