/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's end of the worker's two sockets (nng over ipc): a subscriber to events, or a
 * requester of queries. Everything that can go wrong with the other side is said here, once, in
 * one line that also says what to do, and comes back as the exit code of the command.
 */
#ifndef SOCKWARDEN_CLI_CLIENT_H
#define SOCKWARDEN_CLI_CLIENT_H

#include "cli/cli.h"
#include "cli/slice.h"

#include <nng/nng.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* How long a worker may take to answer one request: a first page waits for a whole snapshot. */
#define CLIENT_ANSWER_MS 10000

struct client {
	nng_socket socket;
	int fd;		  /* readable when a message waits */
	atomic_bool lost; /* the worker's end went away and has not come back */
};

/* One message that came in; owns its bytes. */
struct client_message {
	nng_msg *owner;
	struct slice json;  /* the object */
	struct slice topic; /* of an event: without the space behind it */
};

#define CLIENT_INIT      \
	{                \
		.fd = -1 \
	}

/*
 * Connects to the queries' socket, or to the events' as a subscriber to one topic (given without
 * its trailing space). Returns EXIT_OK, or the exit code, with a message said. A lost connection is
 * made anew in the background.
 *
 * The client must live as long as the process, whose end is what closes it: under load nng 1.5's
 * nng_close() of a subscriber now and then waits for ever (4 of 800 times).
 */
enum exit_code client_open_queries(struct client *client, const char *runtime_dir);
enum exit_code client_open_events(struct client *client, const char *runtime_dir,
				  const char *topic);

/* True while the worker's end is gone. */
bool client_is_lost(struct client *client);

/* Sends a request; a request without an answer before it is given up. 0 or -errno. */
int client_send(struct client *client, const char *request);

/*
 * Takes a message if one waits within timeout_ms (0: at once, -1: forever). Returns 1, 0 if none
 * came, -EINTR, or another -errno. The message is the caller's to client_message_fini().
 */
int client_receive(struct client *client, struct client_message *message, int timeout_ms);

void client_message_fini(struct client_message *message);

/*
 * Sends a request and waits for its answer, which is an object with "ok":true when EXIT_OK is
 * returned. Anything else has been said.
 */
enum exit_code client_ask(struct client *client, const char *request,
			  struct client_message *answer);

/*
 * Looks into an answer: EXIT_OK if it has "ok":true; else the exit code, and why in text (at
 * most capacity bytes, printable).
 */
enum exit_code client_verdict(struct slice answer, char *text, size_t capacity);

#endif
