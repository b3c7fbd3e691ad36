/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds up what the worker tells, in one of the ways in which it can be asked:
 *
 *   tally subscribe URL                  deltas of conn.v1
 *   tally poll URL NAME INTERVAL_MS FILE  acknowledged deltas of the client NAME, a batch every so many ms
 *
 * A client keeps its sums in FILE: a batch is added there once it is whole, and only then acknowledged, with
 * the next request. Whoever is killed in between and starts again with the same file acknowledges
 * the same batch again or is given the torn one anew; either way each delta counts once. SIGUSR1 makes
 * it stand still, for ever, behind the first piece of a batch that has more, and say "holding".
 *
 * Each says "ready" (subscribed, or one batch fetched), goes on until its standard input ends, reads what
 * is still to be had, and prints:
 *
 *   closed overflow sent_bytes recv_bytes sent_packets recv_packets batches pieces missing
 *
 * closed includes overflow, the connections of overflow rows; missing are messages, by their seq.
 */
#include "helper.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>

#define QUIET_MS 1500 /* of a subscriber: then everything has come */
#define TOKEN_BYTES 128
#define TAIL_BYTES 256 /* where "more" stands */
#define HEAD_BYTES 512 /* where "seq" and "batch" stand */
#define COUNTERS 4

struct sums {
	uint64_t batch; /* the last one that is in here */
	uint64_t closed;
	uint64_t overflow;
	uint64_t counted[COUNTERS];
	uint64_t batches;
	uint64_t pieces;
	uint64_t missing;
};

/* One slot is always whole: current says which one. */
struct book {
	uint64_t current;
	struct sums slots[2];
};

static volatile sig_atomic_t must_hold;

static void check(int result, const char *what)
{
	if (result != 0) {
		fprintf(stderr, "%s: %s\n", what, nng_strerror(result));
		exit(1);
	}
}

/* Just behind a text, or NULL. */
static const char *behind(const char *at, const char *end, const char *text)
{
	const char *found = memmem(at, (size_t)(end - at), text, strlen(text));

	return found ? found + strlen(text) : NULL;
}

/* The number at a place, in quotes or not; 0 for null. */
static uint64_t number(const char *at, const char *end)
{
	uint64_t value = 0;

	if (at < end && *at == '"')
		at++;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

/* Adds all deltas between two places. No string can look like a key: its quotes are escaped. */
static void add_deltas(struct sums *sums, const char *at, const char *end)
{
	static const char *const keys[COUNTERS] = {
		"\"sent_bytes\":", "\"recv_bytes\":", "\"sent_packets\":", "\"recv_packets\":"};

	while ((at = behind(at, end, "\"delta\":{")) != NULL) {
		for (size_t i = 0; i < COUNTERS; i++) {
			at = behind(at, end, keys[i]);
			if (!at) {
				fprintf(stderr, "a delta without %s\n", keys[i]);
				exit(1);
			}
			sums->counted[i] += number(at, end);
		}
	}
}

static void add_closed(struct sums *sums, const char *at, const char *end)
{
	while ((at = behind(at, end, "\"state\":\"closed\"")) != NULL)
		sums->closed++;
}

/* The rows of an overflow, which begin at a place. Returns where they end. */
static const char *add_overflow(struct sums *sums, const char *at, const char *end)
{
	const char *const rows_end = behind(at, end, "]");
	const char *row = at;

	if (!rows_end)
		return end;
	add_deltas(sums, at, rows_end);
	while ((row = behind(row, rows_end, "\"connections\":")) != NULL) {
		sums->overflow += number(row, rows_end);
		sums->closed += number(row, rows_end);
	}
	return rows_end;
}

/* A message of conn.v1 or an answer: overflow stands first, where there is one. */
static void add_all(struct sums *sums, const char *text, size_t length)
{
	const char *const end = text + length;
	const char *const head_end = length < HEAD_BYTES ? end : text + HEAD_BYTES;
	const char *at = behind(text, head_end, "\"overflow\":[");

	at = at ? add_overflow(sums, at, end) : text;
	add_deltas(sums, at, end);
	add_closed(sums, at, end);
	sums->pieces++;
}

static void print(const struct sums *sums)
{
	printf("%llu %llu", (unsigned long long)sums->closed, (unsigned long long)sums->overflow);
	for (size_t i = 0; i < COUNTERS; i++)
		printf(" %llu", (unsigned long long)sums->counted[i]);
	printf(" %llu %llu %llu\n", (unsigned long long)sums->batches,
	       (unsigned long long)sums->pieces, (unsigned long long)sums->missing);
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

/* Whether standard input has ended, waiting so long at most. */
static bool is_over(int timeout_ms)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	const int result = poll(&input, 1, timeout_ms);

	return result > 0;
}

static void subscribe(const char *url)
{
	static const char topic[] = "conn.v1 ";
	struct sums sums = {0};
	uint64_t last = 0;
	nng_socket socket;

	check(nng_sub0_open(&socket), "open");
	check(nng_socket_set_int(socket, NNG_OPT_RECVBUF, 8192), "queue");
	check(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, QUIET_MS), "time-out");
	check(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, topic, sizeof(topic) - 1), "subscribe");
	check(nng_dial(socket, url, NULL, 0), "dial");
	say("ready");
	for (;;) {
		nng_msg *message;
		const int result = nng_recvmsg(socket, &message, 0);
		const char *text, *end, *seq;

		if (result == NNG_ETIMEDOUT) {
			if (is_over(0))
				break;
			continue;
		}
		check(result, "receive");
		text = nng_msg_body(message);
		end = text + nng_msg_len(message);
		seq = behind(text, end, "\"seq\":");
		if (seq) {
			const uint64_t value = number(seq, end);

			if (last != 0 && value > last + 1)
				sums.missing += value - last - 1;
			last = value;
		}
		sums.batches++;
		add_all(&sums, text, nng_msg_len(message));
		nng_msg_free(message);
	}
	print(&sums);
}

static struct book *open_book(const char *path)
{
	const int fd = CHECK(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	struct book *book;

	CHECK(ftruncate(fd, sizeof(*book)));
	book = mmap(NULL, sizeof(*book), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (book == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	close(fd);
	return book;
}

static void commit(struct book *book, const struct sums *sums)
{
	const uint64_t next = book->current + 1;

	book->slots[next % 2] = *sums;
	__atomic_store_n(&book->current, next, __ATOMIC_RELEASE);
}

/* Asks; adds what comes. The token of the next piece is left in page, which is empty if there is none. */
static void fetch_piece(nng_socket socket, const char *request, struct sums *sums,
			char page[static TOKEN_BYTES])
{
	const char *text, *end, *at;
	size_t length;
	char *answer;

	check(nng_send(socket, (void *)(uintptr_t)request, strlen(request), 0), "send");
	check(nng_recv(socket, &answer, &length, NNG_FLAG_ALLOC), "receive");
	text = answer;
	end = text + length;
	at = behind(text, length < HEAD_BYTES ? end : text + HEAD_BYTES, "{\"ok\":true,\"batch\":");
	if (!at) {
		fprintf(stderr, "asked: %s\nanswered: %.*s\n", request, (int)(length % 1000), text);
		exit(1);
	}
	sums->batch = number(at, end);
	add_all(sums, text, length);
	page[0] = '\0';
	at = behind(length < TAIL_BYTES ? text : end - TAIL_BYTES, end, "],\"more\":\"");
	if (at) {
		const size_t size = strcspn(at, "\"");

		memcpy(page, at, size % TOKEN_BYTES);
		page[size % TOKEN_BYTES] = '\0';
	}
	nng_free(answer, length);
}

/* Fetches a batch whole and adds it to the book. Returns whether there was anything in it. */
static bool fetch_batch(nng_socket socket, const char *name, struct book *book)
{
	struct sums sums = book->slots[book->current % 2];
	const struct sums before = sums;
	char page[TOKEN_BYTES] = "", request[512];

	snprintf(request, sizeof(request), "{\"op\":\"connections\",\"client\":\"%s\"", name);
	if (sums.batch != 0)
		snprintf(request + strlen(request), sizeof(request) - strlen(request),
			 ",\"ack\":%llu", (unsigned long long)sums.batch);
	strcat(request, "}");
	fetch_piece(socket, request, &sums, page);
	while (page[0] != '\0') {
		if (must_hold) {
			say("holding");
			for (;;)
				pause();
		}
		snprintf(request, sizeof(request),
			 "{\"op\":\"connections\",\"client\":\"%s\",\"page\":\"%s\"}", name, page);
		fetch_piece(socket, request, &sums, page);
	}
	sums.batches++;
	commit(book, &sums);
	return sums.closed != before.closed ||
	       memcmp(sums.counted, before.counted, sizeof(sums.counted)) != 0;
}

static void hold(int signal_number)
{
	must_hold = signal_number;
}

static void poll_batches(const char *url, const char *name, int interval_ms, const char *path)
{
	struct book *book = open_book(path);
	nng_socket socket;
	unsigned empty = 0;

	signal(SIGUSR1, hold);
	check(nng_req0_open(&socket), "open");
	check(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 60000), "time-out");
	check(nng_dial(socket, url, NULL, 0), "dial");
	fetch_batch(socket, name, book);
	say("ready");
	while (!is_over(interval_ms))
		fetch_batch(socket, name, book);
	/* A snapshot is only taken now and then: two empty ones in a row, some time apart. */
	while (empty < 2) {
		empty = fetch_batch(socket, name, book) ? 0 : empty + 1;
		usleep(300000);
	}
	print(&book->slots[book->current % 2]);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "subscribe") == 0) {
		subscribe(argv[2]);
		return 0;
	}
	if (argc == 6 && strcmp(argv[1], "poll") == 0) {
		poll_batches(argv[2], argv[3], (int)number_argument(argv[4], 1, 3600000), argv[5]);
		return 0;
	}
	fprintf(stderr, "usage: tally subscribe URL | tally poll URL NAME INTERVAL_MS FILE\n");
	return 2;
}
