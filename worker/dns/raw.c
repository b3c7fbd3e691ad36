/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/raw.h"

#include "common/reader.h"
#include "worker/dns/frame.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#define ETHERTYPE_QINQ 0x88a8
#define TAG_BYTES 4
#define TAGS_MAX 2
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_SAYS_SOMETHING (DNS_FRAME_FIN | DNS_FRAME_SYN | DNS_FRAME_RST)

static bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ;
}

/* Whether IP of that type could begin here. */
static bool has_version(const struct ring_frame *frame, uint32_t at, uint16_t type)
{
	return at < frame->captured && frame->bytes[at] >> 4 == (type == ETHERTYPE_IPV6 ? 6 : 4);
}

/* RFC 1071: the sum over a header, with its checksum, is all ones. */
static bool has_sum(const struct ring_frame *frame)
{
	struct reader reader = reader_of(frame->bytes, frame->captured);
	const unsigned words = (frame->bytes[0] & 15U) * 2;
	uint32_t sum = 0;

	for (unsigned i = 0; i < words; i++)
		sum += reader_u16_be(&reader);
	for (unsigned i = 0; i < 2; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return !reader_has_failed(&reader) && words >= IPV4_BYTES / 2 && sum == 0xffff;
}

static bool has_length(const struct ring_frame *frame)
{
	struct reader reader = reader_of(frame->bytes, frame->captured);

	reader_take(&reader, 4);
	return IPV6_BYTES + (uint32_t)reader_u16_be(&reader) <= frame->wire;
}

/* Where what stands behind up to two tags begins, and *type becomes its. */
static uint32_t skip_tags(const struct ring_frame *frame, uint16_t *type)
{
	struct reader reader = reader_of(frame->bytes, frame->captured);
	uint32_t at = 0;

	*type = ETHERTYPE_VLAN;
	for (unsigned tags = 0; tags < TAGS_MAX && is_tag(*type); tags++) {
		reader_u16_be(&reader); /* which network */
		*type = reader_u16_be(&reader);
		at += TAG_BYTES;
	}
	return reader_has_failed(&reader) ? frame->captured : at;
}

/*
 * Where IP begins. Only what was received can have tags in front, and of that kernels tell the tag's type
 * or, newer ones, that of what is behind it (6.10, and stable ones since). Where the type is IP's, tags
 * are told from a header by what they lead to, and if both could be, by the header's sum or length.
 */
static uint32_t network_at(const struct ring_frame *frame)
{
	uint16_t type;
	uint32_t behind;
	bool could_be_tags;

	if (frame->is_outgoing)
		return 0;
	behind = skip_tags(frame, &type);
	if (is_tag(frame->protocol))
		return behind;
	could_be_tags = type == frame->protocol && has_version(frame, behind, type);
	if (!could_be_tags)
		return 0;
	if (!has_version(frame, 0, type))
		return behind;
	return (type == ETHERTYPE_IPV6 ? has_length(frame) : has_sum(frame)) ? 0 : behind;
}

static void describe(const struct ring_frame *frame, const struct dns_frame *parsed,
		     struct packet *packet)
{
	const uint32_t length = parsed->payload_bytes < PACKET_PAYLOAD_MAX ? parsed->payload_bytes
									   : PACKET_PAYLOAD_MAX;

	*packet = (struct packet){
		.record =
			{
				.kind = RECORD_KIND_PACKET,
				.version = RECORD_VERSION,
				.family = parsed->family,
				.protocol = parsed->protocol,
				.flags = (__u8)((frame->is_outgoing ? PACKET_OUTGOING_FLAG : 0) |
						(parsed->fragment ? PACKET_FRAGMENT_FLAG : 0)),
				.tcp_flags = parsed->tcp_flags,
				.at_ns = frame->at_ns,
				.length = length,
				.payload_bytes = parsed->whole_bytes,
				.sequence = parsed->tcp_seq,
				.interface = frame->interface,
				.source_port = parsed->source_port,
				.destination_port = parsed->destination_port,
			},
		.payload = parsed->payload,
		.length = length,
	};
	memcpy(packet->record.source_ip, parsed->source_ip, sizeof(parsed->source_ip));
	memcpy(packet->record.destination_ip, parsed->destination_ip,
	       sizeof(parsed->destination_ip));
}

enum dns_raw dns_raw_read(const struct ring_frame *frame, struct packet *packet)
{
	const uint32_t at = network_at(frame);
	struct dns_frame parsed;
	const enum dns_frame_reject reject = dns_frame_parse(DNS_FRAME_LINK_IP, frame->bytes + at,
							     frame->captured - at, frame->wire - at,
							     &parsed);

	if (reject == DNS_FRAME_REJECT_FRAGMENT)
		return DNS_RAW_FRAGMENT;
	if (reject != DNS_FRAME_REJECT_NONE)
		return DNS_RAW_MALFORMED;
	if (parsed.payload - frame->bytes > PACKET_HEADERS_MAX)
		return DNS_RAW_MALFORMED;
	if (parsed.protocol == IPPROTO_TCP && parsed.whole_bytes == 0 &&
	    !(parsed.tcp_flags & TCP_SAYS_SOMETHING))
		return DNS_RAW_SILENT;
	describe(frame, &parsed, packet);
	return DNS_RAW_PACKET;
}
