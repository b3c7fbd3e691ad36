/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/frame_ring.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>

/* A frame's header is followed by where it came from. */
#define ADDRESS_AT sizeof(struct tpacket3_hdr)
_Static_assert(ADDRESS_AT % TPACKET_ALIGNMENT == 0, "TPACKET_ALIGN() of it, without its signs");
#define HEADERS_BYTES (ADDRESS_AT + sizeof(struct sockaddr_ll))
#define BLOCK_HEADER_BYTES sizeof(struct tpacket_block_desc)

static uint8_t *block_of(const struct frame_ring *ring, uint32_t block)
{
	return ring->memory + ring->block_bytes * block;
}

static uint32_t *status_of(const struct frame_ring *ring, uint32_t block)
{
	/* Blocks are whole pages. */
	return (void *)(block_of(ring, block) +
			offsetof(struct tpacket_block_desc, hdr.bh1.block_status));
}

static bool is_handed_over(const struct frame_ring *ring, uint32_t block)
{
	/* Pairs with the kernel's barrier between the frames and the status. */
	return __atomic_load_n(status_of(ring, block), __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

/* Counts the blocks that the kernel has begun. */
static uint64_t number_of(const struct frame_ring *ring, uint32_t block)
{
	struct tpacket_block_desc header;

	memcpy(&header, block_of(ring, block), sizeof(header));
	return header.hdr.bh1.seq_num;
}

/*
 * The oldest that was handed over. Where there is none, the one that is being filled, which was begun
 * last; it is looked for first, so that it is found if it is handed over in between.
 */
static uint32_t find_first(const struct frame_ring *ring)
{
	uint32_t filling = 0, oldest = 0;
	bool is_found = false;

	for (uint32_t i = 1; i < ring->block_count; i++) {
		if (number_of(ring, i) > number_of(ring, filling))
			filling = i;
	}
	for (uint32_t i = 0; i < ring->block_count; i++) {
		if (!is_handed_over(ring, i) ||
		    (is_found && number_of(ring, i) > number_of(ring, oldest)))
			continue;
		is_found = true;
		oldest = i;
	}
	return is_found ? oldest : filling;
}

int frame_ring_init(struct frame_ring *ring, void *memory, size_t block_bytes, uint32_t block_count)
{
	if (!memory || block_bytes < BLOCK_HEADER_BYTES + HEADERS_BYTES ||
	    block_bytes % TPACKET_ALIGNMENT != 0 || block_count == 0)
		return -EINVAL;
	*ring = (struct frame_ring){
		.memory = memory,
		.block_bytes = block_bytes,
		.block_count = block_count,
	};
	ring->block = find_first(ring);
	return 0;
}

bool frame_ring_can_wait(const struct frame_ring *ring)
{
	return !is_handed_over(ring, (ring->block + ring->block_count / 2) % ring->block_count);
}

bool frame_ring_has_unseen(const struct frame_ring *ring)
{
	const uint32_t *count = (void *)(block_of(ring, ring->block) +
					 offsetof(struct tpacket_block_desc, hdr.bh1.num_pkts));

	return is_handed_over(ring, ring->block) || __atomic_load_n(count, __ATOMIC_ACQUIRE) > 0;
}

void frame_ring_begin(struct frame_ring *ring, uint64_t now_ns, uint64_t wall_offset_ns)
{
	ring->now_ns = now_ns;
	ring->wall_offset_ns = wall_offset_ns;
}

static void give_back(struct frame_ring *ring)
{
	/* Our reads come before the kernel writes there again. */
	__atomic_store_n(status_of(ring, ring->block), TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	ring->is_open = false;
	ring->given_back++;
	ring->left = 0;
	ring->block = (ring->block + 1) % ring->block_count;
}

static bool open_block(struct frame_ring *ring)
{
	struct tpacket_block_desc header;

	if (!is_handed_over(ring, ring->block))
		return false;
	memcpy(&header, block_of(ring, ring->block), sizeof(header));
	ring->is_open = true;
	ring->left = header.hdr.bh1.num_pkts;
	ring->at = header.hdr.bh1.offset_to_first_pkt;
	return true;
}

static uint64_t time_of(struct frame_ring *ring, const struct tpacket3_hdr *header)
{
	uint64_t at_ns = header->tp_sec * NS_PER_S + header->tp_nsec - ring->wall_offset_ns;

	if (at_ns > ring->now_ns)
		at_ns = ring->now_ns;
	if (at_ns < ring->last_ns)
		at_ns = ring->last_ns;
	ring->last_ns = at_ns;
	return at_ns;
}

/* Reads the next frame of the open block; false if it cannot be one. */
static bool take_frame(struct frame_ring *ring, struct ring_frame *frame)
{
	const uint8_t *block = block_of(ring, ring->block);
	struct tpacket3_hdr header;
	struct sockaddr_ll from;
	size_t room;

	if (ring->at < BLOCK_HEADER_BYTES || ring->at > ring->block_bytes - HEADERS_BYTES)
		return false;
	room = ring->block_bytes - ring->at;
	memcpy(&header, block + ring->at, sizeof(header));
	memcpy(&from, block + ring->at + ADDRESS_AT, sizeof(from));
	if (header.tp_net < HEADERS_BYTES || header.tp_net > room ||
	    header.tp_snaplen > room - header.tp_net || header.tp_snaplen > header.tp_len)
		return false;
	*frame = (struct ring_frame){
		.bytes = block + ring->at + header.tp_net,
		.captured = header.tp_snaplen,
		.wire = header.tp_len,
		.at_ns = time_of(ring, &header),
		.interface = (uint32_t)from.sll_ifindex,
		.protocol = ntohs(from.sll_protocol),
		.is_outgoing = from.sll_pkttype == PACKET_OUTGOING,
	};
	ring->left--;
	/* Forward only: a block has an end. */
	ring->at += header.tp_next_offset >= HEADERS_BYTES && header.tp_next_offset < room
			    ? header.tp_next_offset
			    : room;
	return true;
}

bool frame_ring_next(struct frame_ring *ring, struct ring_frame *frame)
{
	for (;;) {
		if (ring->is_open && ring->left > 0) {
			if (take_frame(ring, frame))
				return true;
			ring->malformed++;
		}
		/* Not before the next call, since the last frame's bytes are in it. */
		if (ring->is_open)
			give_back(ring);
		if (!open_block(ring))
			return false;
	}
}
