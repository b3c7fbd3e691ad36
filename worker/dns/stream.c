/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/stream.h"

#include <string.h>

#define LENGTH_BYTES 2
#define HEADER_BYTES 12
/* A question of the root: a name of one byte, type and class. */
#define QUERY_BYTES_MIN (HEADER_BYTES + 5)
#define RECORD_BYTES_MIN 11
#define LABEL_BYTES_MAX 63

/* One flow, while something of it is read. */
struct run {
	struct dns_stream *stream;
	struct dns_flow *flow;
	uint32_t index;
	uint64_t at_ns;
	const struct dns_stream_sink *sink;
};

/* Bytes of a flow, from next_seq on or later; of whole, the last ones may not be here. */
struct piece {
	const uint8_t *bytes;
	uint32_t have;
	uint32_t whole;
};

int dns_stream_init(struct dns_stream *stream, uint64_t budget_bytes, const char *secret)
{
	memset(stream, 0, sizeof(*stream));
	return dns_flows_init(&stream->flows, budget_bytes, secret);
}

void dns_stream_fini(struct dns_stream *stream)
{
	dns_flows_fini(&stream->flows);
}

static struct run run_of(struct dns_stream *stream, uint32_t index, uint64_t at_ns,
			 const struct dns_stream_sink *sink)
{
	return (struct run){
		.stream = stream,
		.flow = &stream->flows.flow[index],
		.index = index,
		.at_ns = at_ns,
		.sink = sink,
	};
}

static uint32_t min_u32(uint32_t left, uint32_t right)
{
	return left < right ? left : right;
}

static uint32_t u16_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

/* How far a sequence number is behind another; negative: before it. */
static int32_t distance(uint32_t from, uint32_t to)
{
	return (int32_t)(to - from);
}

static struct dns_block *block_of(const struct run *run)
{
	return &run->stream->flows.block[run->flow->block];
}

static void give(struct run *run, const uint8_t *bytes, uint32_t length, bool cut)
{
	const struct dns_stream_message message = {
		.ends = &run->flow->ends,
		.bytes = bytes,
		.length = length,
		.cut = cut,
		.at_ns = run->at_ns,
	};

	run->stream->counts.messages++;
	run->stream->counts.cut += cut;
	run->sink->message(run->sink->ctx, &message);
}

static void lose_place(struct run *run)
{
	run->flow->state = DNS_FLOW_SEARCHING;
	run->flow->skip = 0;
}

/* The rest of the message that is being read will not be kept: what is here of it is all. */
static void cut_message(struct run *run)
{
	const struct dns_block *block = block_of(run);

	if (block->have < LENGTH_BYTES)
		lose_place(run);
	else
		run->flow->skip = LENGTH_BYTES + u16_at(block->bytes) - block->have;
	if (block->have >= LENGTH_BYTES + HEADER_BYTES)
		give(run, block->bytes + LENGTH_BYTES, block->have - LENGTH_BYTES, true);
	else
		run->stream->counts.unfinished++;
	dns_blocks_end(&run->stream->flows, run->index);
}

/* The next count bytes are not to be had. */
static void miss(struct run *run, uint32_t count)
{
	struct dns_flow *flow = run->flow;

	if (flow->block != INDEX_NONE)
		cut_message(run);
	if (count > flow->skip)
		lose_place(run);
	else
		flow->skip -= count;
}

/* Makes sure that a block is free. It may be one of this flow's own. */
static void make_room(struct run *run)
{
	struct dns_flows *flows = &run->stream->flows;
	const uint32_t surplus = dns_blocks_surplus(flows);
	struct run other;

	if (surplus == INDEX_NONE)
		return;
	run->stream->counts.blocks_evicted++;
	other = run_of(run->stream, flows->block[surplus].flow, run->at_ns, run->sink);
	if (other.flow->block == surplus) {
		cut_message(&other);
	} else {
		dns_blocks_unhold(flows, surplus);
		dns_blocks_release(flows, surplus);
	}
}

/* How many bytes the message in a block has as far as it is known, and as is kept of it. */
static uint32_t block_wants(const struct dns_block *block)
{
	if (block->have < LENGTH_BYTES)
		return LENGTH_BYTES;
	return LENGTH_BYTES + min_u32(u16_at(block->bytes), DNS_BLOCK_MESSAGE_BYTES);
}

/* Goes on with the message in the flow's block; returns how many bytes were used. */
static uint32_t read_more(struct run *run, const uint8_t *bytes, uint32_t have)
{
	struct dns_block *block = block_of(run);
	const uint32_t used = min_u32(block_wants(block) - block->have, have);

	memcpy(block->bytes + block->have, bytes, used);
	block->have += used;
	if (block->have < LENGTH_BYTES)
		return used;
	if (u16_at(block->bytes) < HEADER_BYTES) {
		run->stream->counts.malformed++;
		dns_blocks_end(&run->stream->flows, run->index);
		lose_place(run);
	} else if (block->have == block_wants(block)) {
		if (u16_at(block->bytes) > DNS_BLOCK_MESSAGE_BYTES) {
			cut_message(run);
		} else {
			give(run, block->bytes + LENGTH_BYTES, block->have - LENGTH_BYTES, false);
			dns_blocks_end(&run->stream->flows, run->index);
		}
	}
	return used;
}

/* Begins a message: where it stands, if it is all here; returns how many bytes were used. */
static uint32_t read_first(struct run *run, const uint8_t *bytes, uint32_t have)
{
	if (have >= LENGTH_BYTES) {
		const uint32_t length = u16_at(bytes);

		if (length < HEADER_BYTES) {
			run->stream->counts.malformed++;
			lose_place(run);
			return have;
		}
		if (have - LENGTH_BYTES >= length) {
			give(run, bytes + LENGTH_BYTES, length, false);
			return LENGTH_BYTES + length;
		}
	}
	make_room(run);
	dns_blocks_begin(&run->stream->flows, run->index, run->at_ns);
	return read_more(run, bytes, have);
}

/*
 * Whether what a segment begins with can only be a message behind its length: of all that is random
 * one in two million.
 */
static bool begins_message(const uint8_t *bytes, uint32_t have)
{
	uint32_t length, flags, records;

	if (have < LENGTH_BYTES + QUERY_BYTES_MIN)
		return false;
	length = u16_at(bytes);
	flags = u16_at(bytes + 4);
	records = u16_at(bytes + 8) + u16_at(bytes + 10) + u16_at(bytes + 12);
	/* A query or its response, the bit that must be 0, one question, records that can be there. */
	return length >= QUERY_BYTES_MIN && (flags & 0x7840) == 0 && u16_at(bytes + 6) == 1 &&
	       records <= (length - QUERY_BYTES_MIN) / RECORD_BYTES_MIN &&
	       bytes[LENGTH_BYTES + HEADER_BYTES] <= LABEL_BYTES_MAX;
}

/* Reads what begins at next_seq. */
static void read_piece(struct run *run, struct piece piece)
{
	struct dns_flow *flow = run->flow;
	uint32_t done = 0;

	if (flow->state == DNS_FLOW_SEARCHING) {
		if (begins_message(piece.bytes, piece.have)) {
			run->stream->counts.found++;
			flow->state = DNS_FLOW_READING;
		} else {
			run->stream->counts.searched++;
		}
	}
	/* Each round uses a byte or more. */
	while (done < piece.have && flow->state == DNS_FLOW_READING) {
		const uint8_t *bytes = piece.bytes + done;
		const uint32_t have = piece.have - done;

		if (flow->skip > 0) {
			const uint32_t skipped = min_u32(flow->skip, have);

			flow->skip -= skipped;
			done += skipped;
		} else if (flow->block != INDEX_NONE) {
			done += read_more(run, bytes, have);
		} else {
			done += read_first(run, bytes, have);
		}
	}
	flow->next_seq += piece.whole;
	if (piece.have < piece.whole && flow->state == DNS_FLOW_READING)
		miss(run, piece.whole - piece.have);
}

/* Takes away what was read before; false if that is all. */
static bool trim(struct piece *piece, uint32_t before)
{
	const uint32_t here = min_u32(before, piece->have);

	if (before >= piece->whole)
		return false;
	piece->bytes += here;
	piece->have -= here;
	piece->whole -= before;
	return true;
}

/* Reads the held segments whose turn it is. */
static void read_held(struct run *run)
{
	struct dns_flows *flows = &run->stream->flows;
	const uint64_t at_ns = run->at_ns;

	/* Each round lets one go. */
	while (run->flow->held != INDEX_NONE) {
		const uint32_t held = run->flow->held;
		const struct dns_block *block = &flows->block[held];
		struct piece piece = {block->bytes, block->have, block->whole};
		const int32_t before = distance(block->seq, run->flow->next_seq);

		if (before < 0)
			break;
		dns_blocks_unhold(flows, held);
		if (trim(&piece, (uint32_t)before)) {
			/* When it came, unless it completes what came just now. */
			if (run->flow->block == INDEX_NONE)
				run->at_ns = block->at_ns;
			read_piece(run, piece);
			run->at_ns = at_ns;
		}
		dns_blocks_release(flows, held);
	}
}

/* What is missing before the first held segment will not come. */
static void give_up_hole(struct run *run)
{
	const uint32_t seq = run->stream->flows.block[run->flow->held].seq;

	run->stream->counts.holes++;
	if (run->flow->state == DNS_FLOW_READING)
		miss(run, seq - run->flow->next_seq);
	run->flow->next_seq = seq;
	read_held(run);
}

/* Keeps a segment that came too early; false if no more can be held. */
static bool hold(struct run *run, uint32_t seq, const struct piece *piece)
{
	struct dns_flows *flows = &run->stream->flows;
	struct dns_block *block;

	for (uint32_t at = run->flow->held; at != INDEX_NONE; at = flows->block[at].next) {
		if (flows->block[at].seq == seq && flows->block[at].whole >= piece->whole) {
			run->stream->counts.retransmitted++;
			return true;
		}
	}
	if (run->flow->held_count >= DNS_STREAM_HELD_MAX)
		return false;
	make_room(run);
	block = dns_blocks_hold(flows, run->index, seq, run->at_ns);
	block->have = min_u32(piece->have, DNS_BLOCK_BYTES);
	block->whole = piece->whole;
	memcpy(block->bytes, piece->bytes, block->have);
	return true;
}

/* Lets go of all that a flow keeps. */
static void drop_blocks(struct run *run)
{
	struct dns_flows *flows = &run->stream->flows;

	if (run->flow->block != INDEX_NONE) {
		run->stream->counts.unfinished++;
		dns_blocks_end(flows, run->index);
	}
	while (run->flow->held != INDEX_NONE) {
		const uint32_t held = run->flow->held;

		dns_blocks_unhold(flows, held);
		dns_blocks_release(flows, held);
	}
}

static void restart(struct run *run, uint32_t seq, enum dns_flow_state state)
{
	drop_blocks(run);
	run->flow->next_seq = seq;
	run->flow->skip = 0;
	run->flow->has_fin = false;
	dns_flows_touch(&run->stream->flows, run->index, state, run->at_ns);
}

/* Gives up all holes: no more will come. */
static void end(struct run *run)
{
	while (run->flow->held != INDEX_NONE)
		give_up_hole(run);
	drop_blocks(run);
	dns_flows_touch(&run->stream->flows, run->index, DNS_FLOW_ENDED, run->at_ns);
}

/* A segment that is not where it was expected: false if there is nothing to read now. */
static bool take_early(struct run *run, uint32_t seq, const struct piece *piece)
{
	struct dns_flow *flow = run->flow;

	if (flow->state == DNS_FLOW_READING)
		run->stream->counts.out_of_order++;
	/* Each round lets a held one go, or ends it. */
	while (distance(flow->next_seq, seq) > 0) {
		if (flow->state == DNS_FLOW_READING && hold(run, seq, piece))
			return false;
		if (flow->held == INDEX_NONE) {
			/* Nothing is known that could be lost. */
			flow->next_seq = seq;
			break;
		}
		give_up_hole(run);
	}
	return true;
}

/* A segment is of another connection with the same ends, of which the beginning was not seen. */
static bool is_foreign(const struct dns_flow *flow, int32_t ahead, uint32_t whole)
{
	return ahead > DNS_STREAM_WINDOW_BYTES || ahead < -DNS_STREAM_WINDOW_BYTES ||
	       (flow->state == DNS_FLOW_ENDED && ahead + (int64_t)whole > 0);
}

static void take_payload(struct run *run, uint32_t seq, struct piece piece)
{
	struct dns_flow *flow = run->flow;
	int32_t ahead = distance(flow->next_seq, seq);

	run->stream->counts.segments++;
	if (is_foreign(flow, ahead, piece.whole)) {
		/* If it is none after all, nothing is read twice. */
		const bool overlaps = ahead < 0 && ahead >= -DNS_STREAM_WINDOW_BYTES;

		run->stream->counts.restarted++;
		restart(run, overlaps ? flow->next_seq : seq, DNS_FLOW_SEARCHING);
	} else if (ahead > 0 && !take_early(run, seq, &piece)) {
		return;
	}
	ahead = distance(flow->next_seq, seq);
	if (ahead < 0) {
		run->stream->counts.retransmitted++;
		if (!trim(&piece, (uint32_t)-ahead))
			return;
	}
	read_piece(run, piece);
	read_held(run);
}

/* Another connection begins, unless this is the same SYN again. */
static void take_syn(struct run *run, uint32_t first_seq)
{
	const uint32_t read = run->flow->next_seq - first_seq;

	if (run->flow->state != DNS_FLOW_READING || read > DNS_STREAM_WINDOW_BYTES)
		restart(run, first_seq, DNS_FLOW_READING);
}

static uint32_t find_or_add(struct dns_stream *stream, const struct dns_frame *frame,
			    uint64_t now_ns, const struct dns_stream_sink *sink)
{
	const struct dns_ends ends = dns_ends_of(frame);
	uint32_t index = dns_flows_find(&stream->flows, &ends), surplus;

	/* What says nothing about a flow makes none. */
	if (index != INDEX_NONE ||
	    (frame->whole_bytes == 0 && (frame->tcp_flags & DNS_FRAME_SYN) == 0))
		return index;
	surplus = dns_flows_surplus(&stream->flows);
	if (surplus != INDEX_NONE) {
		struct run run = run_of(stream, surplus, now_ns, sink);

		stream->counts.flows_evicted += run.flow->state != DNS_FLOW_ENDED;
		drop_blocks(&run);
		dns_flows_remove(&stream->flows, surplus);
	}
	index = dns_flows_add(&stream->flows, &ends, now_ns);
	stream->flows.flow[index].next_seq = frame->tcp_seq;
	return index;
}

/* Whether nothing more will come, or nothing that could be used. */
static bool is_over(const struct run *run, uint8_t tcp_flags)
{
	const struct dns_flow *flow = run->flow;

	if (tcp_flags & DNS_FRAME_RST)
		return true;
	return flow->has_fin && (distance(flow->fin_seq, flow->next_seq) >= 0 ||
				 (flow->state == DNS_FLOW_SEARCHING && flow->held == INDEX_NONE));
}

void dns_stream_take(struct dns_stream *stream, const struct dns_frame *frame, uint64_t now_ns,
		     const struct dns_stream_sink *sink)
{
	const uint32_t index = find_or_add(stream, frame, now_ns, sink);
	/* A SYN has a number of its own, before the payload's. */
	const bool is_syn = frame->tcp_flags & DNS_FRAME_SYN;
	const uint32_t seq = frame->tcp_seq + is_syn;
	struct piece piece = {frame->payload, frame->payload_bytes, frame->whole_bytes};
	struct run run;

	if (index == INDEX_NONE)
		return;
	run = run_of(stream, index, now_ns, sink);
	if (is_syn)
		take_syn(&run, seq);
	if (piece.whole > 0)
		take_payload(&run, seq, piece);
	if (run.flow->state == DNS_FLOW_ENDED)
		return;
	if (frame->tcp_flags & DNS_FRAME_FIN) {
		run.flow->has_fin = true;
		run.flow->fin_seq = seq + piece.whole;
	}
	if (is_over(&run, frame->tcp_flags))
		end(&run);
	else
		dns_flows_touch(&stream->flows, index, (enum dns_flow_state)run.flow->state,
				now_ns);
}

static bool is_older(uint64_t at_ns, uint64_t now_ns, uint64_t age_ns)
{
	return now_ns > at_ns && now_ns - at_ns > age_ns;
}

/* Forgets the flows of a list that were not heard of for so long. */
static void forget(struct dns_stream *stream, const struct index_list *list, uint64_t now_ns,
		   const struct dns_stream_sink *sink)
{
	struct dns_flows *flows = &stream->flows;

	while (list->oldest != INDEX_NONE &&
	       is_older(flows->flow[list->oldest].last_ns, now_ns, DNS_STREAM_IDLE_NS)) {
		struct run run = run_of(stream, list->oldest, now_ns, sink);

		drop_blocks(&run);
		dns_flows_remove(flows, run.index);
	}
}

void dns_stream_tick(struct dns_stream *stream, uint64_t now_ns, const struct dns_stream_sink *sink)
{
	struct dns_flows *flows = &stream->flows;

	/* Each round lets a held segment go, and none is added. */
	while (flows->held.oldest != INDEX_NONE &&
	       is_older(flows->block[flows->held.oldest].at_ns, now_ns, DNS_STREAM_HOLE_NS)) {
		struct run run =
			run_of(stream, flows->block[flows->held.oldest].flow, now_ns, sink);

		give_up_hole(&run);
	}
	forget(stream, &flows->live, now_ns, sink);
	forget(stream, &flows->ended, now_ns, sink);
}
