/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subscriber URL TOPIC...: writes every message of these topics to its standard output, one a line. It
 * dials until somebody listens and whenever the connection is lost, at once, since what is read while
 * nobody listens is told to nobody; its queue is as long as nng allows, so that what is missing was not
 * lost here.
 */
#include "helper.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>

#define REDIAL_MS 200

static void check(int result, const char *what)
{
	if (result != 0) {
		fprintf(stderr, "%s: %s\n", what, nng_strerror(result));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	static char buffer[1 << 20];
	nng_socket socket;

	if (argc < 3) {
		fprintf(stderr, "usage: subscriber URL TOPIC...\n");
		return 2;
	}
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	check(nng_sub0_open(&socket), "open");
	check(nng_socket_set_int(socket, NNG_OPT_RECVBUF, 8192), "queue");
	for (int i = 2; i < argc; i++)
		check(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, argv[i], strlen(argv[i])),
		      "subscribe");
	check(nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, REDIAL_MS), "redial");
	check(nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, REDIAL_MS), "redial");
	check(nng_dial(socket, argv[1], NULL, NNG_FLAG_NONBLOCK), "dial");
	for (;;) {
		nng_msg *message;
		int result = nng_recvmsg(socket, &message, NNG_FLAG_NONBLOCK);

		if (result == NNG_EAGAIN) {
			/* Nothing waits: now is the time to write. */
			CHECK(fflush(stdout));
			result = nng_recvmsg(socket, &message, 0);
		}
		check(result, "receive");
		fwrite(nng_msg_body(message), nng_msg_len(message), 1, stdout);
		putchar('\n');
		nng_msg_free(message);
	}
}
