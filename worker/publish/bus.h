/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two nng sockets on which the worker speaks: PUB on events.sock, REP on query.sock, both
 * ipc, mode 0660 and of the process' own group. All threads and descriptors that nng will ever
 * need exist when bus_open() returns. Sending never blocks: each subscriber has a queue of its own,
 * and when that is full its oldest message goes (the subscriber sees the hole in seq). The number of
 * connections to each socket is bounded, which bounds the memory and leaves descriptors for what
 * privd sends (nng 1.5 does not recover where it finds none left); one more is refused.
 *
 * What a peer sends is untrusted: a subscriber that says anything is disconnected before its
 * message is read, a request over BUS_REQUEST_BYTES_MAX is disconnected too.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_BUS_H
#define SOCKWARDEN_WORKER_PUBLISH_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_EVENTS_SOCKET "events.sock"
#define BUS_QUERY_SOCKET "query.sock"
#define BUS_CONNECTIONS_MAX 32 /* of each of the two sockets */
#define BUS_REQUEST_BYTES_MAX 65536

struct bus;

/*
 * The most bytes that messages of at most message_bytes each take while subscribers do not read. A
 * message is kept once, however many wait for it, and a full queue lets its oldest go: so the last
 * queue messages are kept, and one more per subscriber that is on its way.
 */
uint64_t bus_events_bytes(unsigned queue, size_t message_bytes);

/* The same for requests and answers: one of each per client, answers of at most answer_bytes. */
uint64_t bus_queries_bytes(size_t answer_bytes);

/*
 * Opens both sockets in the directory; queue is how many messages wait per subscriber, 1..8192.
 * Stale sockets of a dead worker are replaced; -EADDRINUSE if a live one holds them. Returns 0
 * and the caller owns *bus, or -errno (logged).
 */
int bus_open(struct bus **bus, const char *runtime_dir, unsigned queue);

/* Subscribers that are connected now. */
unsigned bus_subscribers(const struct bus *bus);

static inline bool bus_has_subscribers(const struct bus *bus)
{
	return bus_subscribers(bus) != 0;
}

/* Whether a subscriber came since the last call; it should be told meta.v1. */
bool bus_take_joined(struct bus *bus);

/* Connections that were refused so far because there were BUS_CONNECTIONS_MAX already. */
uint64_t bus_rejected(const struct bus *bus);

/* What became of messages to subscribers; counted from the start on. */
struct bus_counts {
	uint64_t queued; /* a message counts once for each subscriber that was there */
	uint64_t dropped; /* of these: their queue was full. At least so many: what waits may be gone */
};

/* Looks after each subscriber and brings the counts up to date; asks nng, which takes a while. */
const struct bus_counts *bus_count(struct bus *bus);

/* Sends a message (which begins with its topic) to all subscribers; bytes are copied. */
int bus_publish(struct bus *bus, const char *bytes, size_t length);

/* Readable (level-triggered) while a request waits; for epoll. It stays the bus' own. */
int bus_query_fd(const struct bus *bus);

/*
 * Takes a waiting request. Returns 0 and sets *bytes, good until the next bus_receive() or
 * bus_reply(); -EAGAIN if none waits; another -errno if the socket is broken.
 */
int bus_receive(struct bus *bus, const char **bytes, size_t *length);

/*
 * Room for the answer to the request that was taken last: capacity bytes, good until bus_reply().
 * NULL if there is no memory.
 */
char *bus_reply_begin(struct bus *bus, size_t capacity);

/*
 * Sends the first length bytes of that room. Waits up to 20 ms for this client's last answer to
 * leave; one that has not read it by then is disconnected (-EAGAIN). Returns 0 or -errno.
 */
int bus_reply(struct bus *bus, size_t length);

/*
 * Waits until the messages that were published have left, one second at most: nng drops what is
 * queued when it closes. Sleeps.
 */
void bus_drain(struct bus *bus);

/* Closes both sockets and removes their files (unlink(2), which a system-call filter must allow). */
void bus_close(struct bus *bus);

#endif
