/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/bus.h"

#include "common/log.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/reqrep0/rep.h>

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define SOCKET_MODE 0660
/* A subscriber has nothing to say; 0 would mean that any length is read. */
#define EVENTS_RECEIVE_BYTES_MAX 1
/* Ids are positive. */
#define NO_PIPE 0
/*
 * An answer waits so long for the one before it to leave. nng calls a connection busy until one of its
 * threads has taken note that all was written, which may be after the client has read it and asked
 * again.
 */
#define REPLY_WAIT_MS 20
#define BEFORE_START UINT64_MAX
#define DRAIN_PAUSE_NS 10000000L
#define DRAIN_PAUSES_MAX 100

/* What nng keeps beside a message's bytes: its structure, and malloc's own. */
#define MESSAGE_OVERHEAD_BYTES 512
/* What nng keeps for a connection, and for a place in its queue (it takes a power of two of them). */
#define PIPE_BYTES 16384
#define QUEUE_PLACE_BYTES 16
/* Messages differ in length, so malloc leaves holes: at most a quarter, as measured. */
#define WITH_HOLES(bytes) ((bytes) + (bytes) / 4)

/* The connections of a socket; written by nng's threads. */
struct pipes {
	atomic_int ids[BUS_CONNECTIONS_MAX]; /* or NO_PIPE */
	/* Messages that had been sent when each was let in; BEFORE_START until then. */
	atomic_ullong since[BUS_CONNECTIONS_MAX];
	atomic_ullong sent; /* messages so far */
	atomic_uint count;  /* places in use */
	atomic_bool joined;
	atomic_ullong rejected;
};

/* A subscriber's messages, as they were counted last; its place is that of its id. */
struct account {
	int id; /* of the pipe that this is about, or NO_PIPE */
	uint64_t queued;
	uint64_t dropped;
};

struct bus {
	nng_socket events;
	nng_socket query;
	int query_fd;
	nng_msg *request;   /* taken last */
	nng_pipe requester; /* where it came from */
	nng_msg *answer;    /* being made */
	struct pipes subscribers;
	struct pipes clients;
	unsigned queue; /* messages that a subscriber's queue holds */
	struct account accounts[BUS_CONNECTIONS_MAX];
	struct bus_counts counts;
	uint64_t waiting; /* messages that had not left at the last count, at most */
};

static int to_errno(int result)
{
	if (result & NNG_ESYSERR)
		return -(result & ~NNG_ESYSERR);
	switch (result) {
	case 0:
		return 0;
	case NNG_EAGAIN:
	case NNG_ETIMEDOUT:
		return -EAGAIN;
	case NNG_ENOMEM:
		return -ENOMEM;
	case NNG_EADDRINUSE:
		return -EADDRINUSE;
	case NNG_EADDRINVAL:
		return -EADDRNOTAVAIL;
	case NNG_EPERM:
		return -EPERM;
	case NNG_ENOENT:
		return -ENOENT;
	case NNG_EINVAL:
		return -EINVAL;
	default:
		return -EIO;
	}
}

uint64_t bus_events_bytes(unsigned queue, size_t message_bytes)
{
	const uint64_t kept = (uint64_t)queue + BUS_CONNECTIONS_MAX;
	const uint64_t places = (uint64_t)queue * QUEUE_PLACE_BYTES * BUS_CONNECTIONS_MAX;

	return WITH_HOLES(kept * (message_bytes + MESSAGE_OVERHEAD_BYTES)) + places +
	       (uint64_t)PIPE_BYTES * BUS_CONNECTIONS_MAX;
}

uint64_t bus_queries_bytes(size_t answer_bytes)
{
	const uint64_t exchange =
		BUS_REQUEST_BYTES_MAX + answer_bytes + 2ULL * MESSAGE_OVERHEAD_BYTES;

	return (WITH_HOLES(exchange) + PIPE_BYTES) * BUS_CONNECTIONS_MAX;
}

/* Puts a pipe in a free place, or takes it out of its own; false if there is none. */
static bool swap_pipe(struct pipes *pipes, int from, int to)
{
	for (unsigned i = 0; i < BUS_CONNECTIONS_MAX; i++) {
		int expected = from;

		/* A free place has no beginning, so that its next owner does not find one. */
		if (to == NO_PIPE && atomic_load(&pipes->ids[i]) == from)
			atomic_store(&pipes->since[i], BEFORE_START);
		if (atomic_compare_exchange_strong(&pipes->ids[i], &expected, to))
			return true;
	}
	return false;
}

/* From now on it gets every message. */
static void start_pipe(struct pipes *pipes, int id)
{
	for (unsigned i = 0; i < BUS_CONNECTIONS_MAX; i++) {
		if (atomic_load(&pipes->ids[i]) == id)
			atomic_store(&pipes->since[i], atomic_load(&pipes->sent));
	}
	atomic_store(&pipes->joined, true);
}

/*
 * nng tells ADD_PRE first and REM_POST last of every pipe, also of one that was refused or failed
 * in between, so that only the pipe's id tells whether it was counted.
 */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *context)
{
	struct pipes *pipes = context;

	if (event == NNG_PIPE_EV_ADD_PRE) {
		if (swap_pipe(pipes, NO_PIPE, nng_pipe_id(pipe))) {
			atomic_fetch_add(&pipes->count, 1);
		} else {
			atomic_fetch_add(&pipes->rejected, 1);
			nng_pipe_close(pipe);
		}
	} else if (event == NNG_PIPE_EV_ADD_POST) {
		start_pipe(pipes, nng_pipe_id(pipe));
	} else if (event == NNG_PIPE_EV_REM_POST) {
		if (swap_pipe(pipes, nng_pipe_id(pipe), NO_PIPE))
			atomic_fetch_sub(&pipes->count, 1);
	}
}

static int watch_pipes(nng_socket socket, struct pipes *pipes)
{
	static const nng_pipe_ev events[] = {NNG_PIPE_EV_ADD_PRE, NNG_PIPE_EV_ADD_POST,
					     NNG_PIPE_EV_REM_POST};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		int result = nng_pipe_notify(socket, events[i], on_pipe, pipes);

		if (result != 0)
			return result;
	}
	return 0;
}

static int listen_at(nng_socket socket, const char *url, size_t receive_bytes_max)
{
	nng_listener listener;
	mode_t mask;
	int result = nng_listener_create(&listener, socket, url);

	if (result == 0)
		result = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, receive_bytes_max);
	if (result == 0)
		result = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, SOCKET_MODE);
	if (result != 0)
		return result;
	/* nng binds and then changes the mode: nobody else may get in between. */
	mask = umask(0777 & ~SOCKET_MODE);
	result = nng_listener_start(listener, 0);
	umask(mask);
	return result;
}

static int open_one(nng_socket socket, const char *runtime_dir, const char *name,
		    size_t receive_bytes_max)
{
	char url[sizeof("ipc://") + sizeof(((struct sockaddr_un *)0)->sun_path)];
	int length = snprintf(url, sizeof(url), "ipc://%s/%s", runtime_dir, name);
	int result;

	if (length < 0 || (size_t)length >= sizeof(url)) {
		log_error("%s/%s: too long for a socket's path", runtime_dir, name);
		return -ENAMETOOLONG;
	}
	result = listen_at(socket, url, receive_bytes_max);
	if (result == NNG_EADDRINUSE)
		log_error("%s: another worker is listening there; stop it first", url);
	else if (result != 0)
		log_error("%s: %s", url, nng_strerror(result));
	return to_errno(result);
}

static int open_sockets(struct bus *bus, const char *runtime_dir, unsigned queue)
{
	int result = nng_pub0_open(&bus->events);

	if (result == 0)
		result = nng_rep0_open(&bus->query);
	if (result == 0)
		result = nng_socket_set_int(bus->events, NNG_OPT_SENDBUF, (int)queue);
	if (result == 0)
		result = nng_socket_set_ms(bus->query, NNG_OPT_SENDTIMEO, REPLY_WAIT_MS);
	if (result == 0)
		result = watch_pipes(bus->events, &bus->subscribers);
	if (result == 0)
		result = watch_pipes(bus->query, &bus->clients);
	if (result == 0)
		result = nng_socket_get_int(bus->query, NNG_OPT_RECVFD, &bus->query_fd);
	if (result != 0) {
		log_error("nng: %s", nng_strerror(result));
		return to_errno(result);
	}
	result = open_one(bus->events, runtime_dir, BUS_EVENTS_SOCKET, EVENTS_RECEIVE_BYTES_MAX);
	if (result < 0)
		return result;
	return open_one(bus->query, runtime_dir, BUS_QUERY_SOCKET, BUS_REQUEST_BYTES_MAX);
}

/*
 * A message is made by this thread and freed by one of nng's. Left to itself malloc gives each one
 * back to the kernel and asks for it again, which is most of a message's price.
 */
static void keep_freed_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
}

int bus_open(struct bus **bus, const char *runtime_dir, unsigned queue)
{
	static const nng_socket none = NNG_SOCKET_INITIALIZER;
	struct bus *opened = calloc(1, sizeof(*opened));
	int result;

	if (!opened)
		return -ENOMEM;
	keep_freed_memory();
	for (unsigned i = 0; i < BUS_CONNECTIONS_MAX; i++) {
		atomic_store(&opened->subscribers.since[i], BEFORE_START);
		atomic_store(&opened->clients.since[i], BEFORE_START);
	}
	opened->queue = queue;
	opened->events = none;
	opened->query = none;
	result = open_sockets(opened, runtime_dir, queue);
	if (result < 0) {
		bus_close(opened);
		return result;
	}
	*bus = opened;
	return 0;
}

unsigned bus_subscribers(const struct bus *bus)
{
	return atomic_load(&bus->subscribers.count);
}

bool bus_take_joined(struct bus *bus)
{
	return atomic_exchange(&bus->subscribers.joined, false);
}

uint64_t bus_rejected(const struct bus *bus)
{
	return atomic_load(&bus->subscribers.rejected) + atomic_load(&bus->clients.rejected);
}

/* A message of exactly these bytes: what waits in queues takes no more than it holds. */
int bus_publish(struct bus *bus, const char *bytes, size_t length)
{
	nng_msg *message;
	int result = nng_msg_alloc(&message, length);

	if (result != 0)
		return to_errno(result);
	memcpy(nng_msg_body(message), bytes, length);
	result = nng_sendmsg(bus->events, message, NNG_FLAG_NONBLOCK);
	if (result != 0)
		nng_msg_free(message);
	else
		atomic_fetch_add(&bus->subscribers.sent, 1);
	return to_errno(result);
}

/* A number among the children of nng's statistics about one thing; 0 if it is not there. */
static uint64_t stat_number(nng_stat *about, const char *name)
{
	nng_stat *found = nng_stat_find(about, name);

	return found ? nng_stat_value(found) : 0;
}

/* Messages that left through a pipe, or UINT64_MAX where nng does not tell. */
static uint64_t messages_left(nng_stat *root, int id)
{
	for (nng_stat *about = nng_stat_child(root); about; about = nng_stat_next(about)) {
		if (strcmp(nng_stat_name(about), "pipe") == 0 &&
		    stat_number(about, "id") == (uint64_t)id)
			return stat_number(about, "tx_msgs");
	}
	return UINT64_MAX;
}

static void count_subscriber(struct bus *bus, unsigned place, nng_stat *root)
{
	struct account *account = &bus->accounts[place];
	const int id = atomic_load(&bus->subscribers.ids[place]);
	const uint64_t since = atomic_load(&bus->subscribers.since[place]);
	/* What waits: a full queue, and the one that is on its way. */
	const uint64_t waiting = (uint64_t)bus->queue + 1;
	const uint64_t left = id == NO_PIPE ? UINT64_MAX : messages_left(root, id);
	uint64_t queued;

	if (id == NO_PIPE || since == BEFORE_START || left == UINT64_MAX)
		return;
	if (account->id != id)
		*account = (struct account){.id = id};
	queued = atomic_load(&bus->subscribers.sent) - since;
	bus->counts.queued += queued - account->queued;
	account->queued = queued;
	if (queued > left + waiting && queued - left - waiting > account->dropped) {
		bus->counts.dropped += queued - left - waiting - account->dropped;
		account->dropped = queued - left - waiting;
	}
	if (queued > left + account->dropped)
		bus->waiting += queued - left - account->dropped;
}

const struct bus_counts *bus_count(struct bus *bus)
{
	nng_stat *root;

	bus->waiting = 0;
	if (bus_has_subscribers(bus) && nng_stats_get(&root) == 0) {
		for (unsigned i = 0; i < BUS_CONNECTIONS_MAX; i++)
			count_subscriber(bus, i, root);
		nng_stats_free(root);
	}
	return &bus->counts;
}

int bus_query_fd(const struct bus *bus)
{
	return bus->query_fd;
}

static void drop_request(struct bus *bus)
{
	if (bus->request)
		nng_msg_free(bus->request);
	bus->request = NULL;
}

int bus_receive(struct bus *bus, const char **bytes, size_t *length)
{
	int result;

	drop_request(bus);
	result = nng_recvmsg(bus->query, &bus->request, NNG_FLAG_NONBLOCK);
	if (result != 0) {
		bus->request = NULL;
		return to_errno(result);
	}
	bus->requester = nng_msg_get_pipe(bus->request);
	*bytes = nng_msg_body(bus->request);
	*length = nng_msg_len(bus->request);
	return 0;
}

static void drop_answer(struct bus *bus)
{
	if (bus->answer)
		nng_msg_free(bus->answer);
	bus->answer = NULL;
}

char *bus_reply_begin(struct bus *bus, size_t capacity)
{
	drop_answer(bus);
	if (nng_msg_alloc(&bus->answer, capacity) != 0) {
		bus->answer = NULL;
		return NULL;
	}
	return nng_msg_body(bus->answer);
}

int bus_reply(struct bus *bus, size_t length)
{
	int result;

	drop_request(bus);
	nng_msg_chop(bus->answer, nng_msg_len(bus->answer) - length);
	result = to_errno(nng_sendmsg(bus->query, bus->answer, 0));
	if (result == 0)
		bus->answer = NULL;
	else
		drop_answer(bus);
	/* Who asks again without having read the last answer is let go. */
	if (result == -EAGAIN)
		nng_pipe_close(bus->requester);
	return result;
}

void bus_drain(struct bus *bus)
{
	static const struct timespec pause = {.tv_nsec = DRAIN_PAUSE_NS};

	/* Once more than needed: the last answer is not counted. */
	for (unsigned i = 0; i < DRAIN_PAUSES_MAX; i++) {
		bus_count(bus);
		nanosleep(&pause, NULL);
		if (bus->waiting == 0)
			break;
	}
}

void bus_close(struct bus *bus)
{
	if (!bus)
		return;
	drop_request(bus);
	drop_answer(bus);
	/* Closing a socket that was never opened is refused, and that is all. */
	nng_close(bus->query);
	nng_close(bus->events);
	free(bus);
}
