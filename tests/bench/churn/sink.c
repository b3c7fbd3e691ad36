/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink PATH TOPIC: a subscriber that reads everything and looks at nothing but each message's "seq",
 * over a plain socket, so that what is measured beside it is not a library's receiving threads.
 * When its standard input ends, it prints messages, bytes and messages that were missing by their seq.
 *
 * The transport of nng's ipc: both sides say 00 'S' 'P' 00, their protocol's number and 00 00; then each
 * message is 01, its length in eight bytes, big-endian, and its bytes.
 */
#include <endian.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SEARCHED_BYTES 256 /* seq is among the first keys */
#define PREFIX_BYTES 9
#define PROTOCOL_SUB 0x21

static char buffer[1 << 20];
static size_t filled;
static uint64_t messages;
static uint64_t bytes;
static uint64_t missing;
static uint64_t last;

static void take(const char *text, size_t length, const char *topic)
{
	static const char key[] = "\"seq\":";
	const char *found;
	char digits[21] = "";
	uint64_t seq;

	if (length < strlen(topic) || memcmp(text, topic, strlen(topic)) != 0)
		return;
	found = memmem(text, length < SEARCHED_BYTES ? length : SEARCHED_BYTES, key,
		       sizeof(key) - 1);
	messages++;
	bytes += length;
	if (!found)
		return;
	found += sizeof(key) - 1;
	memcpy(digits, found, strspn(found, "0123456789") % sizeof(digits));
	seq = strtoull(digits, NULL, 10);
	if (last != 0 && seq > last + 1)
		missing += seq - last - 1;
	last = seq;
}

/* What the buffer holds of whole messages; the rest moves to its front. False: no such transport. */
static int take_all(const char *topic)
{
	size_t at = 0;

	while (filled - at >= PREFIX_BYTES) {
		uint64_t length;

		memcpy(&length, buffer + at + 1, sizeof(length));
		length = be64toh(length);
		if (buffer[at] != 1 || length > sizeof(buffer) - PREFIX_BYTES)
			return 0;
		if (filled - at - PREFIX_BYTES < length)
			break;
		take(buffer + at + PREFIX_BYTES, length, topic);
		at += PREFIX_BYTES + length;
	}
	memmove(buffer, buffer + at, filled - at);
	filled -= at;
	return 1;
}

static int greet(const char *path)
{
	static const unsigned char greeting[8] = {0, 'S', 'P', 0, 0, PROTOCOL_SUB, 0, 0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	unsigned char theirs[sizeof(greeting)];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    write(fd, greeting, sizeof(greeting)) != sizeof(greeting) ||
	    recv(fd, theirs, sizeof(theirs), MSG_WAITALL) != sizeof(theirs) || theirs[1] != 'S') {
		fprintf(stderr, "sink: nobody publishes at %s\n", path);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct pollfd waiting[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};

	if (argc != 3) {
		fprintf(stderr, "usage: sink PATH TOPIC\n");
		return 2;
	}
	waiting[1].fd = greet(argv[1]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t got;

		if (poll(waiting, 2, -1) < 0)
			return 1;
		if (!waiting[1].revents)
			break; /* told to end, and nothing waits */
		got = read(waiting[1].fd, buffer + filled, sizeof(buffer) - filled);
		if (got <= 0 || (filled += (size_t)got, !take_all(argv[2])))
			return 1;
	}
	printf("%llu %llu %llu\n", (unsigned long long)messages, (unsigned long long)bytes,
	       (unsigned long long)missing);
	return 0;
}
