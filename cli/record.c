/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: all that the worker takes in from now on, into a file that sockwarden-worker --replay
 * reads. The worker cannot open files; it hands the recording out piece by piece.
 */
#include "cli/client.h"
#include "cli/message.h"
#include "cli/usage.h"
#include "common/base64.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A piece that is longer than this is followed by another one at once. */
#define PIECE_FULL_BYTES 16384
#define PAUSE_MS 100
#define TOKEN_BYTES 64

struct record_options {
	struct usage_common common;
	struct option_number seconds; /* ms */
};

#define AT(field) .offset = offsetof(struct record_options, field)

static const struct option_spec options[] = {
	{"seconds", 0, OPTION_SECONDS, AT(seconds), 1, 1000000000, "S",
	 "end after S seconds (otherwise at Ctrl-C or SIGTERM)"},
	USAGE_RUNTIME_DIR,
	USAGE_HELP,
	OPTIONS_END,
};

struct recording {
	struct client *client;
	const char *file;
	int fd;
	char token[TOKEN_BYTES]; /* of the next piece; "" when there is none */
	uint64_t bytes;
	size_t piece_bytes; /* of the last one */
};

static volatile sig_atomic_t asked_to_end;

static void note_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

static void catch_signals(void)
{
	/* Without SA_RESTART: the pause between two pieces is to end. */
	const struct sigaction action = {.sa_handler = note_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static enum exit_code write_all(struct recording *recording, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		const ssize_t written = write(recording->fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			message("%s: %s", recording->file, strerror(errno));
			return EXIT_FAILED;
		}
		bytes += written;
		length -= (size_t)written;
		recording->bytes += (uint64_t)written;
	}
	return EXIT_OK;
}

/* Cuts a string member without escapes out of an answer; false if there is none. */
static bool plain_member(struct slice answer, const char *name, struct slice *value)
{
	if (!slice_member(answer, name, value) || value->length < 2 || value->text[0] != '"' ||
	    memchr(value->text, '\\', value->length))
		return false;
	value->text++;
	value->length -= 2;
	return true;
}

/* Writes an answer's piece into the file and takes note of its token. */
static enum exit_code take_piece(struct recording *recording, struct slice answer)
{
	static uint8_t bytes[65536];
	struct slice data;
	struct slice more;
	long length = -1;

	if (plain_member(answer, "data", &data) && data.length / 4 * 3 <= sizeof(bytes))
		length = base64_decode(bytes, data.text, data.length);
	if (length < 0 ||
	    (slice_member(answer, "more", &more) &&
	     (!plain_member(answer, "more", &more) || more.length >= sizeof(recording->token)))) {
		message("the worker's answer is not understood: are both of one version?");
		return EXIT_FAILED;
	}
	recording->token[0] = '\0';
	if (plain_member(answer, "more", &more))
		snprintf(recording->token, sizeof(recording->token), "%.*s", (int)more.length,
			 more.text);
	recording->piece_bytes = (size_t)length;
	return write_all(recording, bytes, (size_t)length);
}

/* Asks for the next piece; op is "record", or "record_end" for the end of it. */
static enum exit_code fetch(struct recording *recording, const char *op)
{
	struct client_message answer = {0};
	char request[128];
	enum exit_code code;

	if (recording->token[0])
		snprintf(request, sizeof(request), "{\"op\":\"%s\",\"page\":\"%s\"}", op,
			 recording->token);
	else
		snprintf(request, sizeof(request), "{\"op\":\"%s\"}", op);
	code = client_ask(recording->client, request, &answer);
	if (code == EXIT_OK)
		code = take_piece(recording, answer.json);
	client_message_fini(&answer);
	return code;
}

static enum exit_code fetch_all(struct recording *recording, const struct record_options *asked)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * (long)NS_PER_MS};
	const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	enum exit_code code = fetch(recording, "record");

	while (code == EXIT_OK && !asked_to_end) {
		const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

		if (asked->seconds.given && now_ns - start_ns >= asked->seconds.value * NS_PER_MS)
			break;
		if (recording->piece_bytes < PIECE_FULL_BYTES)
			nanosleep(&pause, NULL);
		code = fetch(recording, "record");
	}
	if (code == EXIT_OK)
		code = fetch(recording, "record_end");
	while (code == EXIT_OK && recording->token[0])
		code = fetch(recording, "record");
	return code;
}

/* Only its owner may read what it holds, whoever could before. */
static enum exit_code open_file(struct recording *recording)
{
	recording->fd = open(recording->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY,
			     S_IRUSR | S_IWUSR);
	if (recording->fd < 0) {
		message("%s: %s", recording->file, strerror(errno));
		return EXIT_FAILED;
	}
	fchmod(recording->fd, S_IRUSR | S_IWUSR);
	return EXIT_OK;
}

static enum exit_code record_run(const struct invocation *call)
{
	struct record_options asked = {.seconds = {.given = false}};
	static struct client client = CLIENT_INIT;
	struct recording recording = {.client = &client};
	enum exit_code code;

	if (!usage_parse_operand(&verb_record, call, &asked, &code, &recording.file))
		return code;
	catch_signals();
	code = client_open_queries(&client, asked.common.runtime_dir);
	if (code == EXIT_OK)
		code = open_file(&recording);
	if (code != EXIT_OK)
		return code;
	code = fetch_all(&recording, &asked);
	if (close(recording.fd) < 0 && code == EXIT_OK) {
		message("%s: %s", recording.file, strerror(errno));
		code = EXIT_FAILED;
	}
	if (code == EXIT_OK)
		message("%s: %" PRIu64 " bytes", recording.file, recording.bytes);
	else
		message("%s is not complete", recording.file);
	return code;
}

const struct verb verb_record = {
	.name = "record",
	.operands = "FILE",
	.summary = "record what the worker takes in, for sockwarden-worker --replay",
	.options = options,
	.run = record_run,
};
