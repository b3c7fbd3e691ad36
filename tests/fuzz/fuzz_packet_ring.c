/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a packet socket's ring, in blocks of 512, of which all may have been handed over. Each frame
 * must lie in its block, and blocks are given back in their order, each once; what is accepted of a
 * frame as a packet must lie within that. Built with PLANTED_BUG a packet of some lengths is a byte
 * longer than it is.
 */
#include "proto/record.h"
#include "tests/fuzz/invariant.h"
#include "worker/dns/raw.h"

#include <netinet/in.h>
#include <string.h>

#define BLOCK_BYTES 512
#define BLOCKS_MAX 8
#define FRAME_BYTES_MIN 68 /* both headers of one, which say where it is */
#define NOW_NS 5000000000ULL

/* The ring in memory of its exact size: a look beyond its end is seen. */
static struct frame_ring ring_of(const uint8_t *data, size_t size)
{
	const size_t whole = (size + BLOCK_BYTES - 1) / BLOCK_BYTES;
	const size_t blocks = whole < BLOCKS_MAX ? whole : BLOCKS_MAX;
	uint8_t *memory = calloc(blocks, BLOCK_BYTES);
	struct frame_ring ring;

	memcpy(memory, data, size < blocks * BLOCK_BYTES ? size : blocks * BLOCK_BYTES);
	INVARIANT(frame_ring_init(&ring, memory, BLOCK_BYTES, (uint32_t)blocks) == 0);
	INVARIANT(ring.block < blocks);
	return ring;
}

static void check_frame(const struct frame_ring *ring, const struct ring_frame *frame)
{
	const uint8_t *block = ring->memory + (size_t)ring->block * BLOCK_BYTES;

	INVARIANT(ring->is_open);
	INVARIANT(frame->bytes >= block + FRAME_BYTES_MIN);
	INVARIANT(frame->bytes + frame->captured <= block + BLOCK_BYTES);
	INVARIANT(frame->captured <= frame->wire);
	INVARIANT(frame->at_ns <= NOW_NS);
}

static void check_packet(const struct ring_frame *frame, const struct packet *packet)
{
	const struct packet_record *record = &packet->record;

	INVARIANT(record->family == RECORD_FAMILY_IPV4 || record->family == RECORD_FAMILY_IPV6);
	INVARIANT(record->protocol == IPPROTO_UDP || record->protocol == IPPROTO_TCP);
	INVARIANT(packet->payload >= frame->bytes + 28);
	INVARIANT(packet->payload + packet->length <= frame->bytes + frame->captured);
	INVARIANT(packet->length == record->length && record->length <= record->payload_bytes);
	INVARIANT(packet->length <= PACKET_PAYLOAD_MAX);
	INVARIANT(packet->payload - frame->bytes <= PACKET_HEADERS_MAX);
	INVARIANT(!(record->flags & PACKET_OUTGOING_FLAG) == !frame->is_outgoing);
	INVARIANT(record->at_ns == frame->at_ns && record->interface == frame->interface);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_ring ring;
	struct ring_frame frame;
	struct packet packet;
	uint64_t last_ns = 0, frames = 0;

	if (size == 0)
		return 0;
	ring = ring_of(data, size);
	frame_ring_begin(&ring, NOW_NS, (uint64_t)data[0] << 56);
	while (frame_ring_next(&ring, &frame)) {
		check_frame(&ring, &frame);
		INVARIANT(frame.at_ns >= last_ns);
		last_ns = frame.at_ns;
		frames++;
		if (dns_raw_read(&frame, &packet) != DNS_RAW_PACKET)
			continue;
#ifdef PLANTED_BUG
		packet.length += frame.wire % 8 == 3;
#endif
		check_packet(&frame, &packet);
	}
	INVARIANT(!ring.is_open && ring.given_back <= ring.block_count);
	INVARIANT(ring.malformed <= ring.given_back);
	INVARIANT(frames <= ring.given_back * (BLOCK_BYTES / FRAME_BYTES_MIN));
	free(ring.memory);
	return 0;
}
