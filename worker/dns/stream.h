/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over TCP (RFC 1035 4.2.2, RFC 7766): each message behind its length of two bytes, several in a
 * segment or one over several segments. Segments go in as they were captured, messages come out.
 *
 * What was captured is not what TCP delivers: segments are sent again, come in another order, are
 * longer than the bytes that were kept of them, and some are never seen. Bytes that were read before
 * are passed over. A segment that comes too early is held until those before it have come, or for
 * DNS_STREAM_HOLE_NS; then there is a hole. A message with a hole, or of which the end was not kept, is
 * given as far as it goes and marked as cut. Where the next message begins is known from its length,
 * or, if that is in the hole too, found again at the next segment that begins with what can only
 * be a message.
 *
 * The memory is fixed; a flow or block that finds no room takes the place of the oldest one, which is
 * counted.
 */
#ifndef SOCKWARDEN_WORKER_DNS_STREAM_H
#define SOCKWARDEN_WORKER_DNS_STREAM_H

#include "worker/dns/flows.h"
#include "worker/dns/frame.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_STREAM_HELD_MAX 4 /* segments of one flow */
#define DNS_STREAM_HOLE_NS 2000000000ULL
/* Without a segment a flow is forgotten; what comes later is searched for a message's beginning. */
#define DNS_STREAM_IDLE_NS 60000000000ULL
/* A segment this far from where it was expected is of another connection. */
#define DNS_STREAM_WINDOW_BYTES (1 << 20)

struct dns_stream_message {
	const struct dns_ends *ends; /* who sent it to whom; like bytes valid during the call */
	const uint8_t *bytes;	     /* without the length before it */
	uint32_t length;	     /* of what is here */
	bool cut;		     /* its end is not here */
	uint64_t at_ns;		     /* when the segment came that made it whole, or ended it */
};

/* Who takes the messages; must not call back. */
struct dns_stream_sink {
	void (*message)(void *ctx, const struct dns_stream_message *message);
	void *ctx;
};

struct dns_stream_counts {
	uint64_t segments;	 /* with payload */
	uint64_t messages;	 /* given, those that are cut included */
	uint64_t cut;		 /* messages of which the end was not captured, or is in a hole */
	uint64_t unfinished;	 /* messages whose flow ended, was idle or was evicted before */
	uint64_t retransmitted;	 /* segments with bytes that were read before */
	uint64_t out_of_order;	 /* segments that came too early */
	uint64_t holes;		 /* given up: what is missing will not come any more */
	uint64_t searched;	 /* segments in which no message begins, while one was looked for */
	uint64_t found;		 /* messages found so */
	uint64_t malformed;	 /* lengths below a header's: what follows is searched again */
	uint64_t restarted;	 /* flows that went on at another place: another connection */
	uint64_t flows_evicted;	 /* living ones, for want of room */
	uint64_t blocks_evicted; /* what waited longest for its rest, for want of room */
};

struct dns_stream {
	struct dns_flows flows;
	struct dns_stream_counts counts;
};

/* Within budget_bytes, at least about 40 KiB; secret as for dns_flows_init(). 0, -EINVAL, -ENOMEM. */
int dns_stream_init(struct dns_stream *stream, uint64_t budget_bytes, const char *secret);
void dns_stream_fini(struct dns_stream *stream);

/*
 * Takes a segment: frame is of IPPROTO_TCP and valid, now_ns is when it was captured. Gives what
 * messages it completes. Segments without payload matter if they open or end a flow.
 */
void dns_stream_take(struct dns_stream *stream, const struct dns_frame *frame, uint64_t now_ns,
		     const struct dns_stream_sink *sink);

/* Gives up holes and flows that are too old; about once a second. now_ns as above. */
void dns_stream_tick(struct dns_stream *stream, uint64_t now_ns,
		     const struct dns_stream_sink *sink);

#endif
