/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/frame_feed.h"

#include "common/clock.h"

#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#define CLOCK_TRIES 3
/* Nothing waits for packets longer than this: ten times as long as the kernel keeps them. */
#define UNCOVERED_MAX_NS (100 * NS_PER_MS)
/* A block's number where there is none. */
#define NO_BLOCK UINT64_MAX

int frame_feed_init(struct frame_feed *feed, const struct handoff_socket *socket)
{
	memset(feed, 0, sizeof(*feed));
	feed->fd = socket->fd;
	feed->unseen_block = NO_BLOCK;
	if (feed->fd < 0)
		return 0;
	return frame_ring_init(&feed->ring, socket->memory, socket->block_bytes,
			       socket->block_count);
}

bool frame_feed_can_wait(const struct frame_feed *feed)
{
	return feed->fd < 0 || frame_ring_can_wait(&feed->ring);
}

void frame_feed_begin(struct frame_feed *feed, uint32_t frames)
{
	uint64_t now_ns = 0, offset_ns = 0, best_ns = UINT64_MAX;

	feed->budget = feed->fd < 0 ? 0 : frames;
	/* Of several tries the one in which the two clocks were read closest to each other. */
	for (unsigned i = 0; feed->fd >= 0 && i < CLOCK_TRIES; i++) {
		const uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
		const uint64_t wall_ns = clock_ns(CLOCK_REALTIME);

		now_ns = clock_ns(CLOCK_MONOTONIC);
		if (now_ns - before_ns >= best_ns)
			continue;
		best_ns = now_ns - before_ns;
		offset_ns = wall_ns - before_ns - best_ns / 2;
	}
	frame_ring_begin(&feed->ring, now_ns, offset_ns);
}

/* All that was handed over was given: what was captured before now_ns and is not there is in the next block. */
static void note_covered(struct frame_feed *feed)
{
	const uint64_t now_ns = feed->ring.now_ns, block = feed->ring.given_back;

	if (!frame_ring_has_unseen(&feed->ring)) {
		feed->covered_ns = now_ns;
		feed->unseen_block = NO_BLOCK;
	} else if (feed->unseen_block != block) {
		if (feed->unseen_block != NO_BLOCK)
			feed->covered_ns = feed->unseen_ns;
		feed->unseen_block = block;
		feed->unseen_ns = now_ns;
	}
	if (now_ns - feed->covered_ns > UNCOVERED_MAX_NS)
		feed->covered_ns = now_ns - UNCOVERED_MAX_NS;
}

const struct packet *frame_feed_next(struct frame_feed *feed)
{
	struct ring_frame frame;

	while (feed->budget > 0) {
		if (!frame_ring_next(&feed->ring, &frame)) {
			note_covered(feed);
			break;
		}
		feed->budget--;
		switch (dns_raw_read(&frame, &feed->packet)) {
		case DNS_RAW_PACKET:
			feed->packets++;
			return &feed->packet;
		case DNS_RAW_SILENT:
			break;
		case DNS_RAW_FRAGMENT:
			feed->fragments++;
			break;
		case DNS_RAW_MALFORMED:
			feed->malformed++;
			break;
		}
	}
	return NULL;
}

uint64_t frame_feed_covered_ns(const struct frame_feed *feed)
{
	return feed->fd < 0 ? UINT64_MAX : feed->covered_ns;
}

bool frame_feed_has_more(const struct frame_feed *feed)
{
	return feed->fd >= 0 && feed->budget == 0;
}

void frame_feed_measure(struct frame_feed *feed, struct metrics *metrics)
{
	struct tpacket_stats_v3 since = {0}; /* the last time that somebody asked */
	socklen_t size = sizeof(since);

	if (feed->fd < 0)
		return;
	if (getsockopt(feed->fd, SOL_PACKET, PACKET_STATISTICS, &since, &size) == 0)
		feed->lost += since.tp_drops;
	metrics->value[METRIC_DNS_CAPTURED] += feed->packets + feed->lost;
	metrics->value[METRIC_DNS_CAPTURE_LOST] += feed->lost;
	metrics->value[METRIC_DNS_FRAGMENTS] += feed->fragments;
	metrics->value[METRIC_DNS_BAD_PACKETS] += feed->malformed;
	metrics->value[METRIC_INTAKE_MALFORMED] += feed->ring.malformed;
}
