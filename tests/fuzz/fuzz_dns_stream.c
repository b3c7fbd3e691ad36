/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments of a few TCP flows, eight bytes a step. Each connection sends the same messages, so that it is
 * known what must come out: a message is given whole or, if it is said to be cut, as far as it
 * goes; in order, and none twice; and none is missing where all bytes came in order. Steps may
 * also send other bytes than the stream has there: from then on only the bounds are checked. Built with
 * PLANTED_BUG a message that waited for one before it is given as another.
 */
#include "proto/record.h"
#include "tests/fuzz/invariant.h"
#include "worker/dns/stream.h"

#include <netinet/in.h>
#include <string.h>

#define STEP_BYTES 8
#define FLOWS 4
#define MESSAGES 40
#define STREAM_BYTES_MAX 65536
/* Three blocks, or two, the fewest that there may be: what waits gives way to what waits since. */
#define BUDGET_BYTES 57000
#define BUDGET_BYTES_MIN 40000
#define HEADER_BYTES 12
/* The one that is longer than what is kept of any. */
#define LONG_MESSAGE 20

/* A step's flags. */
#define STEP_FLOW 3U
#define STEP_SYN 4U /* of another connection; with STEP_NEXT: the same again */
#define STEP_FIN 8U
#define STEP_RST 16U
#define STEP_FOREIGN 32U /* other bytes */
#define STEP_TICK 64U
#define STEP_NEXT 128U /* from where the last one of this flow ended */

/* What a flow is known to have sent and given. */
struct model {
	uint32_t base;	  /* the number of the stream's first byte */
	uint32_t end;	  /* where the last segment ended */
	uint32_t read;	  /* all bytes up to here were sent without a hole, from a SYN on */
	unsigned next;	  /* the first message that may come */
	bool is_complete; /* no message may be missing */
	bool is_foreign;
};

static uint8_t bytes[STREAM_BYTES_MAX];
static uint32_t stream_bytes;
static uint32_t message_at[MESSAGES + 1];
static struct dns_stream stream;
static struct model models[FLOWS];
static uint32_t bases; /* of connections so far: far from each other */

static void put(unsigned value)
{
	bytes[stream_bytes++] = (uint8_t)value;
}

/* Messages that begin like queries, and in which nothing else can be taken for one. */
static void make_stream(void)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		const uint32_t length = i == LONG_MESSAGE ? 20000 : 17 + i * i % 700;

		message_at[i] = stream_bytes;
		put(length >> 8);
		put(length & 0xff);
		put(i);
		put(i ^ 0x5a);
		put(1);
		put(0);
		put(0);
		put(1);
		for (unsigned k = 0; k < 6; k++)
			put(0);
		put(1);
		while (stream_bytes < message_at[i] + 2 + length)
			put(0x80 | (stream_bytes * 7 & 0x7f));
	}
	message_at[MESSAGES] = stream_bytes;
}

static void take_message(void *ctx, const struct dns_stream_message *message)
{
	struct model *model = &models[message->ends->source_port % FLOWS];
	const unsigned index = message->length > 0 ? message->bytes[0] : 0;

	(void)ctx;
	INVARIANT(message->length >= HEADER_BYTES && message->length <= UINT16_MAX);
	if (model->is_foreign)
		return;
#ifdef PLANTED_BUG
	if (stream.counts.out_of_order > 3 && stream.counts.holes == 0 && index > 5)
		model->next += message->length == 17 + 36;
#endif
	INVARIANT(index < MESSAGES && index >= model->next);
	INVARIANT(memcmp(message->bytes, bytes + message_at[index] + 2, message->length) == 0);
	INVARIANT(message->cut ==
		  (message->length < message_at[index + 1] - message_at[index] - 2));
	if (model->is_complete)
		INVARIANT(index == model->next);
	model->next = index + 1;
}

/* Notes what a segment sends of the stream. */
static void note(struct model *model, uint32_t from, uint32_t to, bool is_foreign)
{
	model->is_foreign |= is_foreign;
	if (from > model->read)
		model->is_complete = false;
	else if (to > model->read)
		model->read = to;
	model->end = to;
}

/* All messages that came without a hole were given. */
static void check_complete(const struct model *model)
{
	unsigned whole = 0;

	if (!model->is_complete || model->is_foreign)
		return;
	while (whole < MESSAGES && message_at[whole + 1] <= model->read)
		whole++;
	/* The long one is given before its end, cut. */
	INVARIANT(model->next == whole || (model->next == whole + 1 && whole == LONG_MESSAGE));
}

/* Every flow and block is in one list or free. */
static uint32_t list_length(const struct index_list *list, const struct index_link *links)
{
	uint32_t count = 0, before = INDEX_NONE;

	for (uint32_t at = list->oldest; at != INDEX_NONE; at = links[at].newer) {
		INVARIANT(links[at].older == before && count < 10000);
		before = at;
		count++;
	}
	INVARIANT(list->newest == before);
	return count;
}

static void check_memory(void)
{
	const struct dns_flows *flows = &stream.flows;
	uint32_t blocks = 0;

	INVARIANT(list_length(&flows->live, flows->flow_links) +
			  list_length(&flows->ended, flows->flow_links) ==
		  flows->flow_pool.used);
	INVARIANT(list_length(&flows->filling, flows->block_links) +
			  list_length(&flows->held, flows->block_links) ==
		  flows->block_pool.used);
	INVARIANT(flows->block_pool.used <= flows->block_pool.capacity);
	for (uint32_t i = 0; i < flows->flow_pool.high; i++) {
		const struct dns_flow *flow = &flows->flow[i];

		if (dns_flows_find(flows, &flow->ends) != i)
			continue;
		INVARIANT(flow->held_count <= DNS_STREAM_HELD_MAX);
		INVARIANT(flow->block == INDEX_NONE || flow->skip == 0);
		blocks += flow->held_count + (flow->block != INDEX_NONE ? 1U : 0U);
	}
	INVARIANT(blocks == flows->block_pool.used);
}

static struct dns_ends ends_of(unsigned index)
{
	return (struct dns_ends){
		.source_ip = {10, 0, 0, 5},
		.destination_ip = {10, 0, 0, 1},
		.source_port = (uint16_t)(index + 40 * FLOWS),
		.destination_port = 53,
		.family = RECORD_FAMILY_IPV4,
	};
}

static void arrive(unsigned index, const uint8_t *step, uint64_t now_ns,
		   const struct dns_stream_sink *sink)
{
	struct model *model = &models[index];
	const uint8_t flags = step[0];
	uint32_t from = ((uint32_t)step[1] << 8 | step[2]) % stream_bytes;
	uint32_t length = (uint32_t)step[3] << 4 | step[4] >> 4, captured;
	struct dns_frame frame = {
		.source_ip = {10, 0, 0, 5},
		.destination_ip = {10, 0, 0, 1},
		.source_port = (uint16_t)(index + 40 * FLOWS),
		.destination_port = 53,
		.family = RECORD_FAMILY_IPV4,
		.protocol = IPPROTO_TCP,
	};
	uint8_t *exact;

	if (flags & STEP_SYN) {
		from = 0;
		frame.tcp_flags |= DNS_FRAME_SYN;
		if (flags & STEP_NEXT)
			model->next = 0, model->is_complete = false;
		else
			*model = (struct model){.base = bases++ << 24 | 0xfff000,
						.is_complete = true};
	} else if (flags & STEP_NEXT) {
		from = model->end;
	}
	if (length > stream_bytes - from)
		length = stream_bytes - from;
	captured = step[4] & 1 ? length * (step[4] & 15U) / 16 : length;
	if (flags & (STEP_FIN | STEP_RST)) {
		frame.tcp_flags |= flags & STEP_FIN ? DNS_FRAME_FIN : DNS_FRAME_RST;
		model->is_complete = false;
	}
	if (captured < length)
		model->is_complete = false;
	note(model, from, from + length, flags & STEP_FOREIGN);
	exact = malloc(captured);
	memcpy(exact, bytes + from, captured);
	for (uint32_t i = 0; flags & STEP_FOREIGN && i < captured; i++)
		exact[i] ^= step[1 + i % 4];
	frame.payload = exact;
	frame.payload_bytes = captured;
	frame.whole_bytes = length;
	frame.tcp_seq = model->base + from - (flags & STEP_SYN ? 1 : 0);
	dns_stream_take(&stream, &frame, now_ns, sink);
	free(exact);
}

/* A flow that was forgotten may be read again. */
static void note_forgotten(void)
{
	for (unsigned i = 0; i < FLOWS; i++) {
		const struct dns_ends ends = ends_of(i);

		if (dns_flows_find(&stream.flows, &ends) == INDEX_NONE)
			models[i].next = 0, models[i].is_complete = false;
	}
}

static void run_step(const uint8_t *step, uint64_t *now_ns)
{
	const struct dns_stream_sink sink = {.message = take_message};
	const uint64_t evicted = stream.counts.blocks_evicted;

	/* Up to 1.3 s; with a tick up to 42 s. */
	*now_ns += (uint64_t)step[7] * (step[0] & STEP_TICK ? 163000000 : 5000000);
	if (step[0] & STEP_TICK) {
		dns_stream_tick(&stream, *now_ns, &sink);
		note_forgotten();
	}
	arrive(step[0] & STEP_FLOW, step, *now_ns, &sink);
	for (unsigned i = 0; i < FLOWS; i++) {
		/* It is not known here whose it was. */
		if (stream.counts.blocks_evicted != evicted)
			models[i].is_complete = false;
		check_complete(&models[i]);
	}
	check_memory();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t now_ns = 1;

	if (stream_bytes == 0)
		make_stream();
	memset(models, 0, sizeof(models));
	bases = 1;
	/* A byte behind the steps says which. */
	if (dns_stream_init(&stream, size % STEP_BYTES ? BUDGET_BYTES_MIN : BUDGET_BYTES, "fuzz") <
	    0)
		abort();
	for (; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES)
		run_step(data, &now_ns);
	dns_stream_fini(&stream);
	return 0;
}
