/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink URL TOPIC: receives everything and looks at nothing but each message's "seq". When its
 * standard input ends, it prints messages, bytes and messages that were missing by their seq.
 */
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEARCHED_BYTES 256 /* seq is among the first keys */

static uint64_t messages;
static uint64_t bytes;
static uint64_t missing;
static uint64_t last;

static void take(const char *text, size_t length)
{
	static const char key[] = "\"seq\":";
	const char *found = memmem(text, length < SEARCHED_BYTES ? length : SEARCHED_BYTES, key,
				   sizeof(key) - 1);
	char digits[21] = "";
	uint64_t seq;

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

static void receive_all(nng_socket socket)
{
	nng_msg *message;

	while (nng_recvmsg(socket, &message, NNG_FLAG_NONBLOCK) == 0) {
		take(nng_msg_body(message), nng_msg_len(message));
		nng_msg_free(message);
	}
}

int main(int argc, char **argv)
{
	nng_socket socket;
	struct pollfd waiting[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};

	if (argc != 3 || nng_sub0_open(&socket) != 0 ||
	    nng_socket_set_int(socket, NNG_OPT_RECVBUF, 8192) != 0 ||
	    nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, argv[2], strlen(argv[2])) != 0 ||
	    nng_socket_get_int(socket, NNG_OPT_RECVFD, &waiting[1].fd) != 0 ||
	    nng_dial(socket, argv[1], NULL, 0) != 0) {
		fprintf(stderr, "usage: sink URL TOPIC, and somebody must publish at URL\n");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (!waiting[0].revents) {
		if (poll(waiting, 2, -1) < 0)
			return 1;
		receive_all(socket);
	}
	receive_all(socket);
	printf("%llu %llu %llu\n", (unsigned long long)messages, (unsigned long long)bytes,
	       (unsigned long long)missing);
	return 0;
}
