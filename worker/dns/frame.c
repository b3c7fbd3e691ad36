/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/frame.h"

#include "common/reader.h"
#include "proto/record.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#define ETHERNET_BYTES 14
#define ETHERNET_ADDRESSES_BYTES 12
#define TAG_BYTES 4
#define TAGS_MAX 2
/* 802.1ad, and what switches used before it had a number. */
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_QINQ_OLD 0x9100

#define IPV4_BYTES 20
#define IPV4_FRAGMENT_OFFSET 0x1fffU
#define IPV4_MORE_FRAGMENTS 0x2000U
#define IPV6_BYTES 40
#define IPV6_MORE_FRAGMENTS 1U
#define IPV6_FRAGMENT_FLAGS 7U
/* Extension headers come in units, of which the first is not counted (RFC 8200 4.3). */
#define EXTENSION_UNIT_BYTES 8
#define UDP_BYTES 8
#define TCP_BYTES 20

/* What is left of a packet: the bytes that are here, and how many there were; never fewer. */
struct packet {
	struct reader reader;
	size_t whole;
	bool more_fragments;
};

/* A reader of the next header; fails, as the packet's own, if it is not all here. */
static struct reader take(struct packet *packet, size_t length)
{
	const uint8_t *header = reader_take(&packet->reader, length);

	if (!header)
		return packet->reader;
	packet->whole -= length;
	return reader_of(header, length);
}

/* Nothing counts behind the next whole bytes. False: there are not so many. */
static bool trim(struct packet *packet, size_t whole)
{
	if (whole > packet->whole)
		return false;
	packet->whole = whole;
	if (packet->reader.left > whole)
		packet->reader.left = whole;
	return true;
}

static enum dns_frame_reject read_udp(struct packet *packet, struct dns_frame *frame)
{
	struct reader header = take(packet, UDP_BYTES);
	size_t length;

	frame->source_port = reader_u16_be(&header);
	frame->destination_port = reader_u16_be(&header);
	length = reader_u16_be(&header);
	if (reader_has_failed(&header))
		return DNS_FRAME_REJECT_TRANSPORT;
	/* RFC 2675 4: longer than 16 bits can tell. */
	if (length == 0)
		length = packet->whole + UDP_BYTES;
	if (length < UDP_BYTES)
		return DNS_FRAME_REJECT_TRANSPORT;
	length -= UDP_BYTES;
	/* A first fragment has less of it than the datagram's length says. */
	if (!trim(packet, length) && !packet->more_fragments)
		return DNS_FRAME_REJECT_TRANSPORT;
	frame->whole_bytes = (uint32_t)length;
	frame->tcp_flags = 0;
	frame->tcp_seq = 0;
	frame->cut = packet->reader.left < length;
	return DNS_FRAME_REJECT_NONE;
}

static enum dns_frame_reject read_tcp(struct packet *packet, struct dns_frame *frame)
{
	struct reader header = take(packet, TCP_BYTES), options;
	size_t length;

	frame->source_port = reader_u16_be(&header);
	frame->destination_port = reader_u16_be(&header);
	frame->tcp_seq = reader_u32_be(&header);
	reader_take(&header, 4); /* acknowledgement */
	length = 4 * (size_t)(reader_u8(&header) >> 4);
	frame->tcp_flags = reader_u8(&header);
	if (reader_has_failed(&header) || length < TCP_BYTES)
		return DNS_FRAME_REJECT_TRANSPORT;
	options = take(packet, length - TCP_BYTES);
	if (reader_has_failed(&options))
		return DNS_FRAME_REJECT_TRANSPORT;
	frame->whole_bytes = (uint32_t)packet->whole;
	/* How much is in other fragments is not known here: a later segment's number tells. */
	frame->cut = packet->reader.left < packet->whole || packet->more_fragments;
	return DNS_FRAME_REJECT_NONE;
}

static enum dns_frame_reject read_transport(struct packet *packet, uint8_t protocol,
					    struct dns_frame *frame)
{
	enum dns_frame_reject reject = DNS_FRAME_REJECT_PROTOCOL;

	frame->protocol = protocol;
	frame->fragment = packet->more_fragments;
	if (protocol == IPPROTO_UDP)
		reject = read_udp(packet, frame);
	else if (protocol == IPPROTO_TCP)
		reject = read_tcp(packet, frame);
	frame->payload = packet->reader.at;
	frame->payload_bytes = (uint32_t)packet->reader.left;
	return reject;
}

static enum dns_frame_reject read_ipv4(struct packet *packet, struct dns_frame *frame)
{
	struct reader header = take(packet, IPV4_BYTES), options;
	const uint8_t first = reader_u8(&header);
	const size_t length = 4 * (size_t)(first & 15U);
	uint16_t fragment;
	uint8_t protocol;
	size_t total;

	reader_u8(&header); /* type of service */
	total = reader_u16_be(&header);
	reader_u16_be(&header); /* identification */
	fragment = reader_u16_be(&header);
	reader_u8(&header); /* time to live */
	protocol = reader_u8(&header);
	reader_u16_be(&header); /* checksum */
	memset(frame->source_ip, 0, sizeof(frame->source_ip));
	memset(frame->destination_ip, 0, sizeof(frame->destination_ip));
	reader_copy(&header, frame->source_ip, 4);
	reader_copy(&header, frame->destination_ip, 4);
	if (reader_has_failed(&header) || first >> 4 != 4 || length < IPV4_BYTES)
		return DNS_FRAME_REJECT_IP;
	if (total == 0)
		total = IPV4_BYTES + packet->whole;
	if (total < length || !trim(packet, total - IPV4_BYTES))
		return DNS_FRAME_REJECT_IP;
	options = take(packet, length - IPV4_BYTES);
	if (reader_has_failed(&options))
		return DNS_FRAME_REJECT_IP;
	if ((fragment & IPV4_FRAGMENT_OFFSET) != 0)
		return DNS_FRAME_REJECT_FRAGMENT;
	frame->family = RECORD_FAMILY_IPV4;
	packet->more_fragments = fragment & IPV4_MORE_FRAGMENTS;
	return read_transport(packet, protocol, frame);
}

static enum dns_frame_reject read_fragment(struct packet *packet, uint8_t *next)
{
	struct reader header = take(packet, EXTENSION_UNIT_BYTES);
	uint16_t fragment;

	*next = reader_u8(&header);
	reader_u8(&header); /* reserved */
	fragment = reader_u16_be(&header);
	if (reader_has_failed(&header))
		return DNS_FRAME_REJECT_EXTENSION;
	packet->more_fragments = fragment & IPV6_MORE_FRAGMENTS;
	return (fragment & ~IPV6_FRAGMENT_FLAGS) != 0 ? DNS_FRAME_REJECT_FRAGMENT
						      : DNS_FRAME_REJECT_NONE;
}

static enum dns_frame_reject read_options(struct packet *packet, uint8_t *next)
{
	struct reader header = take(packet, EXTENSION_UNIT_BYTES), rest;
	size_t more_units;

	*next = reader_u8(&header);
	more_units = reader_u8(&header);
	if (reader_has_failed(&header))
		return DNS_FRAME_REJECT_EXTENSION;
	rest = take(packet, more_units * EXTENSION_UNIT_BYTES);
	return reader_has_failed(&rest) ? DNS_FRAME_REJECT_EXTENSION : DNS_FRAME_REJECT_NONE;
}

/* Passes over extension headers; then *next is the protocol. */
static enum dns_frame_reject read_extensions(struct packet *packet, uint8_t *next)
{
	for (unsigned count = 0; count <= DNS_FRAME_EXTENSIONS_MAX; count++) {
		enum dns_frame_reject reject;

		switch (*next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			reject = read_options(packet, next);
			break;
		case IPPROTO_FRAGMENT:
			reject = read_fragment(packet, next);
			break;
		default:
			return DNS_FRAME_REJECT_NONE;
		}
		if (reject != DNS_FRAME_REJECT_NONE)
			return reject;
	}
	return DNS_FRAME_REJECT_EXTENSION;
}

static enum dns_frame_reject read_ipv6(struct packet *packet, struct dns_frame *frame)
{
	struct reader header = take(packet, IPV6_BYTES);
	const uint32_t first = reader_u32_be(&header);
	enum dns_frame_reject reject;
	size_t length = reader_u16_be(&header);
	uint8_t next = reader_u8(&header);

	reader_u8(&header); /* hop limit */
	reader_copy(&header, frame->source_ip, sizeof(frame->source_ip));
	reader_copy(&header, frame->destination_ip, sizeof(frame->destination_ip));
	if (reader_has_failed(&header) || first >> 28 != 6)
		return DNS_FRAME_REJECT_IP;
	/* Also a jumbogram, of which an option tells the length (RFC 2675). */
	if (length == 0)
		length = packet->whole;
	if (!trim(packet, length))
		return DNS_FRAME_REJECT_IP;
	frame->family = RECORD_FAMILY_IPV6;
	reject = read_extensions(packet, &next);
	return reject == DNS_FRAME_REJECT_NONE ? read_transport(packet, next, frame) : reject;
}

static bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD;
}

/* What kind of packet is in the frame; false: the header is cut. */
static bool read_ethernet(struct packet *packet, uint16_t *type)
{
	struct reader header = take(packet, ETHERNET_BYTES);

	reader_take(&header, ETHERNET_ADDRESSES_BYTES);
	*type = reader_u16_be(&header);
	for (unsigned tags = 0; tags < TAGS_MAX && is_tag(*type); tags++) {
		header = take(packet, TAG_BYTES);
		reader_u16_be(&header); /* which network */
		*type = reader_u16_be(&header);
	}
	return !reader_has_failed(&header);
}

/* The same of a packet that begins with IP's own header. */
static bool read_version(const struct packet *packet, uint16_t *type)
{
	struct reader reader = packet->reader;
	const unsigned version = reader_u8(&reader) >> 4;

	*type = version == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP;
	return !reader_has_failed(&reader);
}

enum dns_frame_reject dns_frame_parse(enum dns_frame_link link, const uint8_t *bytes,
				      uint32_t captured, uint32_t wire, struct dns_frame *frame)
{
	struct packet packet = {
		.reader = reader_of(bytes, captured),
		.whole = wire > captured ? wire : captured,
	};
	uint16_t type;

	if (!(link == DNS_FRAME_LINK_ETHERNET ? read_ethernet(&packet, &type)
					      : read_version(&packet, &type)))
		return DNS_FRAME_REJECT_LINK;
	switch (type) {
	case ETHERTYPE_IP:
		return read_ipv4(&packet, frame);
	case ETHERTYPE_IPV6:
		return read_ipv6(&packet, frame);
	default:
		return DNS_FRAME_REJECT_ETHERTYPE;
	}
}

const char *dns_frame_reject_name(enum dns_frame_reject reject)
{
	static const char *const names[DNS_FRAME_REJECT_COUNT] = {
#define NAME_ROW(symbol, name, meaning) [DNS_FRAME_REJECT_##symbol] = (name),
		DNS_FRAME_REJECTS(NAME_ROW)
#undef NAME_ROW
	};

	return names[reject];
}
