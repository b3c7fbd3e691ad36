/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a captured packet: a byte that says where it begins, two of how much longer it was on the
 * wire, then the packet. What is accepted must lie within it; with fewer bytes captured the same facts
 * must come, or a rejection; and so must they without the link layer. Built with PLANTED_BUG a
 * segment behind options is longer than it is.
 */
#include "proto/record.h"
#include "tests/fuzz/invariant.h"
#include "worker/dns/frame.h"

#include <netinet/in.h>
#include <string.h>

#define HEAD_BYTES 3
#define ETHERNET_BYTES 14
#define TAG_BYTES 4

/* A packet in a copy of its exact size: a look beyond its end is seen. */
struct copy {
	uint8_t *bytes;
	uint32_t length;
};

static struct copy copy_of(const uint8_t *bytes, uint32_t length)
{
	const struct copy copy = {malloc(length), length};

	memcpy(copy.bytes, bytes, length);
	return copy;
}

static enum dns_frame_reject parse(enum dns_frame_link link, const struct copy *copy, uint32_t wire,
				   struct dns_frame *frame)
{
	const enum dns_frame_reject reject =
		dns_frame_parse(link, copy->bytes, copy->length, wire, frame);

#ifdef PLANTED_BUG
	if (reject == DNS_FRAME_REJECT_NONE && frame->protocol == IPPROTO_TCP &&
	    frame->family == RECORD_FAMILY_IPV6 && frame->payload_bytes > 8)
		frame->whole_bytes -= frame->tcp_seq % 256 == 0x77 ? 9 : 0;
#endif
	return reject;
}

static void check_frame(const struct copy *copy, uint32_t wire, const struct dns_frame *frame)
{
	const uint32_t whole = wire > copy->length ? wire : copy->length;
	static const uint8_t zeros[12];

	INVARIANT(frame->protocol == IPPROTO_UDP || frame->protocol == IPPROTO_TCP);
	INVARIANT(frame->family == RECORD_FAMILY_IPV4 || frame->family == RECORD_FAMILY_IPV6);
	if (frame->family == RECORD_FAMILY_IPV4) {
		INVARIANT(memcmp(frame->source_ip + 4, zeros, sizeof(zeros)) == 0);
		INVARIANT(memcmp(frame->destination_ip + 4, zeros, sizeof(zeros)) == 0);
	}
	INVARIANT(frame->payload >= copy->bytes + 28);
	INVARIANT(frame->payload + frame->payload_bytes <= copy->bytes + copy->length);
	INVARIANT(frame->payload_bytes <= frame->whole_bytes);
	INVARIANT(frame->payload_bytes == frame->whole_bytes || frame->cut);
	if (frame->protocol == IPPROTO_UDP) {
		INVARIANT(frame->tcp_seq == 0 && frame->tcp_flags == 0);
		INVARIANT(frame->cut == (frame->payload_bytes < frame->whole_bytes));
	} else {
		INVARIANT(frame->whole_bytes + 40 <= whole);
	}
}

/* All but how much of the payload is here. */
static void check_same(const struct dns_frame *left, const struct dns_frame *right)
{
	INVARIANT(memcmp(left->source_ip, right->source_ip, 16) == 0);
	INVARIANT(memcmp(left->destination_ip, right->destination_ip, 16) == 0);
	INVARIANT(left->source_port == right->source_port);
	INVARIANT(left->destination_port == right->destination_port);
	INVARIANT(left->family == right->family && left->protocol == right->protocol);
	INVARIANT(left->tcp_flags == right->tcp_flags && left->tcp_seq == right->tcp_seq);
	INVARIANT(left->whole_bytes == right->whole_bytes);
}

/* The same packet, of which less was captured. */
static void check_shorter(enum dns_frame_link link, const struct copy *copy, uint32_t wire,
			  const struct dns_frame *frame)
{
	const uint32_t whole = wire > copy->length ? wire : copy->length;
	const uint32_t payload_at = (uint32_t)(frame->payload - copy->bytes);
	const struct copy shorter = copy_of(copy->bytes, copy->length - 1);
	const enum dns_frame_reject reject =
		dns_frame_parse(link, shorter.bytes, shorter.length, whole, &(struct dns_frame){0});
	struct dns_frame again;

	INVARIANT((reject == DNS_FRAME_REJECT_NONE) == (payload_at <= shorter.length));
	if (parse(link, &shorter, whole, &again) == DNS_FRAME_REJECT_NONE) {
		check_frame(&shorter, whole, &again);
		check_same(frame, &again);
		INVARIANT(again.payload_bytes <= frame->payload_bytes);
		INVARIANT(frame->payload_bytes - again.payload_bytes <= 1);
	}
	free(shorter.bytes);
}

/* The same packet, without its link layer. */
static void check_inner(const struct copy *copy, uint32_t wire, const struct dns_frame *frame)
{
	const uint32_t whole = wire > copy->length ? wire : copy->length;
	uint32_t at = ETHERNET_BYTES;
	struct dns_frame again;
	struct copy inner;

	/* Behind its tags. */
	while (copy->bytes[at - 2] != 0x08 && copy->bytes[at - 2] != 0x86)
		at += TAG_BYTES;
	if (copy->bytes[at - 2] == 0x08 && copy->bytes[at - 1] != 0)
		at += TAG_BYTES;
	inner = copy_of(copy->bytes + at, copy->length - at);
	INVARIANT(parse(DNS_FRAME_LINK_IP, &inner, whole - at, &again) == DNS_FRAME_REJECT_NONE);
	check_same(frame, &again);
	INVARIANT(again.payload_bytes == frame->payload_bytes && again.cut == frame->cut);
	free(inner.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum dns_frame_link link;
	enum dns_frame_reject reject;
	struct dns_frame frame;
	struct copy copy;
	uint32_t wire;

	if (size < HEAD_BYTES || size > UINT16_MAX)
		return 0;
	link = data[0] & 1 ? DNS_FRAME_LINK_IP : DNS_FRAME_LINK_ETHERNET;
	copy = copy_of(data + HEAD_BYTES, (uint32_t)(size - HEAD_BYTES));
	wire = copy.length + ((uint32_t)data[1] << 8 | data[2]);
	reject = parse(link, &copy, wire, &frame);
	if (reject == DNS_FRAME_REJECT_NONE) {
		check_frame(&copy, wire, &frame);
		check_shorter(link, &copy, wire, &frame);
		if (link == DNS_FRAME_LINK_ETHERNET)
			check_inner(&copy, wire, &frame);
	} else {
		INVARIANT(reject < DNS_FRAME_REJECT_COUNT && dns_frame_reject_name(reject));
	}
	free(copy.bytes);
	return 0;
}
