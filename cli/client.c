/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "cli/message.h"
#include "cli/text.h"
#include "common/clock.h"

#include <cjson/cJSON.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* Messages that wait in this process while it is busy; nng's largest queue. */
#define QUEUE_MESSAGES 8192
/* The worker's messages are 64 KiB at most. What is longer is not from a worker. */
#define MESSAGE_BYTES_MAX (1 << 20)
/* A worker that restarts is found again after at most this. */
#define RECONNECT_MS 500

/* Says why the socket at path cannot be reached. */
static enum exit_code dial_failed(const char *path, int error)
{
	switch (error) {
	case NNG_EPERM:
		message("no permission for %s: run as root, or as a member of group sockwarden",
			path);
		return EXIT_PRIVILEGE;
	case NNG_ENOENT:
	case NNG_ECONNREFUSED:
		message("no worker listens at %s: start it with 'systemctl start sockwarden-worker' or "
			"name its --runtime-dir",
			path);
		return EXIT_UNREACHABLE;
	case NNG_ETIMEDOUT:
	case NNG_EPROTO:
	case NNG_ECONNSHUT:
	case NNG_ECLOSED:
		message("what listens at %s does not answer as a worker: see 'systemctl status "
			"sockwarden-worker'",
			path);
		return EXIT_UNREACHABLE;
	default:
		message("cannot connect to %s: %s; is sockwarden-worker running?", path,
			nng_strerror(error));
		return EXIT_UNREACHABLE;
	}
}

/* Called by nng's threads when a connection came or went. */
static void note_pipe(nng_pipe pipe, nng_pipe_ev event, void *context)
{
	struct client *client = context;

	(void)pipe;
	atomic_store(&client->lost, event == NNG_PIPE_EV_REM_POST);
}

static enum exit_code dial(struct client *client, const char *runtime_dir, const char *name)
{
	char url[sizeof("ipc://") + PATH_MAX];
	const char *const path = url + strlen("ipc://");
	const int length = snprintf(url, sizeof(url), "ipc://%s/%s", runtime_dir, name);
	int error;

	if (length < 0 || strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		message("--runtime-dir is too long for a socket's address: use a shorter path");
		return EXIT_USAGE;
	}
	error = nng_socket_set_size(client->socket, NNG_OPT_RECVMAXSZ, MESSAGE_BYTES_MAX);
	if (error == 0)
		error = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMINT, RECONNECT_MS);
	if (error == 0)
		error = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMAXT, RECONNECT_MS);
	if (error == 0)
		error = nng_pipe_notify(client->socket, NNG_PIPE_EV_ADD_POST, note_pipe, client);
	if (error == 0)
		error = nng_pipe_notify(client->socket, NNG_PIPE_EV_REM_POST, note_pipe, client);
	if (error == 0)
		error = nng_socket_get_int(client->socket, NNG_OPT_RECVFD, &client->fd);
	if (error != 0) {
		message("cannot set up a socket: %s", nng_strerror(error));
		return EXIT_FAILED;
	}
	error = nng_dial(client->socket, url, NULL, 0);
	return error == 0 ? EXIT_OK : dial_failed(path, error);
}

static enum exit_code checked(int error)
{
	if (error == 0)
		return EXIT_OK;
	message("cannot open a socket: %s", nng_strerror(error));
	return EXIT_FAILED;
}

enum exit_code client_open_queries(struct client *client, const char *runtime_dir)
{
	enum exit_code code = checked(nng_req0_open(&client->socket));

	return code == EXIT_OK ? dial(client, runtime_dir, "query.sock") : code;
}

enum exit_code client_open_events(struct client *client, const char *runtime_dir, const char *topic)
{
	enum exit_code code = checked(nng_sub0_open(&client->socket));
	char prefix[64];
	const int length = snprintf(prefix, sizeof(prefix), "%s ", topic);

	if (code == EXIT_OK)
		code = checked(nng_socket_set_int(client->socket, NNG_OPT_RECVBUF, QUEUE_MESSAGES));
	/* Before the dial: the worker greets a new subscriber with a message. */
	if (code == EXIT_OK)
		code = checked(nng_socket_set(client->socket, NNG_OPT_SUB_SUBSCRIBE, prefix,
					      (size_t)length));
	return code == EXIT_OK ? dial(client, runtime_dir, "events.sock") : code;
}

bool client_is_lost(struct client *client)
{
	return atomic_load(&client->lost);
}

int client_send(struct client *client, const char *request)
{
	nng_msg *out;
	int error = nng_msg_alloc(&out, 0);

	if (error != 0)
		return -ENOMEM;
	error = nng_msg_append(out, request, strlen(request));
	if (error == 0)
		error = nng_sendmsg(client->socket, out, NNG_FLAG_NONBLOCK);
	if (error == 0)
		return 0;
	nng_msg_free(out);
	return error == NNG_ENOMEM ? -ENOMEM : -EAGAIN;
}

/* Sets the slices of a message; an event's topic ends at its first space. */
static void open_message(struct client_message *message)
{
	const char *const body = nng_msg_body(message->owner);
	const size_t length = nng_msg_len(message->owner);
	const char *const space = length ? memchr(body, ' ', length) : NULL;

	message->json = (struct slice){.text = body, .length = length};
	message->topic = (struct slice){.text = body, .length = 0};
	if (space && body[0] != '{') {
		message->topic.length = (size_t)(space - body);
		message->json.text = space + 1;
		message->json.length = length - message->topic.length - 1;
	}
}

int client_receive(struct client *client, struct client_message *message, int timeout_ms)
{
	struct pollfd in = {.fd = client->fd, .events = POLLIN};
	int error;
	int ready;

	error = nng_recvmsg(client->socket, &message->owner, NNG_FLAG_NONBLOCK);
	if (error == NNG_EAGAIN && timeout_ms != 0) {
		ready = poll(&in, 1, timeout_ms);
		if (ready < 0)
			return -errno;
		if (ready == 0)
			return 0;
		error = nng_recvmsg(client->socket, &message->owner, NNG_FLAG_NONBLOCK);
	}
	if (error == NNG_EAGAIN)
		return 0;
	if (error != 0)
		return error == NNG_ENOMEM ? -ENOMEM : -EIO;
	open_message(message);
	return 1;
}

void client_message_fini(struct client_message *message)
{
	if (message->owner)
		nng_msg_free(message->owner);
	*message = (struct client_message){0};
}

/* The printable text of a string member of an answer; "" if there is none. */
static void member_text(struct slice object, const char *name, char *out, size_t capacity)
{
	struct slice value;
	cJSON *string;
	const char *text;

	out[0] = '\0';
	if (!slice_member(object, name, &value))
		return;
	string = cJSON_ParseWithLength(value.text, value.length);
	text = cJSON_GetStringValue(string);
	if (text)
		text_escape(out, capacity, text, strlen(text));
	cJSON_Delete(string);
}

enum exit_code client_verdict(struct slice answer, char *text, size_t capacity)
{
	static const struct {
		const char *error;
		enum exit_code code;
	} codes[] = {{"bad_request", EXIT_USAGE}, {"unknown_op", EXIT_UNSUPPORTED}};
	char error[64];
	char why[256];
	struct slice ok;

	if (slice_member(answer, "ok", &ok) && ok.length == 4 && memcmp(ok.text, "true", 4) == 0)
		return EXIT_OK;
	member_text(answer, "error", error, sizeof(error));
	member_text(answer, "message", why, sizeof(why));
	if (error[0] == '\0') {
		snprintf(text, capacity,
			 "the worker's answer is not understood: are both of one version?");
		return EXIT_FAILED;
	}
	snprintf(text, capacity, "%s (%s)", why[0] ? why : "the worker refused", error);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(error, codes[i].error) == 0)
			return codes[i].code;
	}
	return EXIT_FAILED;
}

enum exit_code client_ask(struct client *client, const char *request, struct client_message *answer)
{
	const uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + CLIENT_ANSWER_MS * NS_PER_MS;
	enum exit_code code;
	char why[384];
	int got = 0;

	/* Right after a worker's restart the connection may not be there yet. */
	while (client_send(client, request) != 0) {
		if (clock_ns(CLOCK_MONOTONIC) > deadline)
			break;
		nng_msleep(20);
	}
	do {
		const uint64_t now = clock_ns(CLOCK_MONOTONIC);
		const int left = now < deadline ? (int)((deadline - now) / NS_PER_MS) : 0;

		got = client_receive(client, answer, left);
		if (got == 0 && left == 0)
			break;
	} while (got == 0 || got == -EINTR);
	if (got != 1) {
		message("the worker gave no answer within %d s: see 'systemctl status sockwarden-worker'",
			CLIENT_ANSWER_MS / 1000);
		return EXIT_UNREACHABLE;
	}
	code = client_verdict(answer->json, why, sizeof(why));
	if (code != EXIT_OK) {
		message("%s", why);
		client_message_fini(answer);
	}
	return code;
}
