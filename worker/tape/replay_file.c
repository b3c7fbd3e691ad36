/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tape/replay_file.h"

#include "common/exit_code.h"
#include "common/log.h"
#include "worker/confine.h"
#include "worker/tape/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_BYTES (256 * 1024)

struct output {
	size_t length;
	char bytes[OUTPUT_BYTES];
};

static int write_all(const char *bytes, size_t length)
{
	while (length > 0) {
		const ssize_t written = write(STDOUT_FILENO, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static int flush(struct output *output)
{
	const int result = write_all(output->bytes, output->length);

	output->length = 0;
	return result;
}

/* A message is at most 64 KiB, so that it and its newline fit into an empty buffer. */
static int send_line(void *ctx, const char *bytes, size_t length)
{
	struct output *output = ctx;

	if (sizeof(output->bytes) - output->length <= length) {
		int result = flush(output);

		if (result < 0)
			return result;
	}
	if (length >= sizeof(output->bytes))
		return -EMSGSIZE;
	memcpy(output->bytes + output->length, bytes, length);
	output->bytes[output->length + length] = '\n';
	output->length += length + 1;
	return 0;
}

static ssize_t fill(void *ctx, void *buffer, size_t capacity)
{
	const ssize_t got = read(STDIN_FILENO, buffer, capacity);

	(void)ctx;
	return got < 0 ? -errno : got;
}

/* The file becomes standard input: all other descriptors are closed in what follows. */
static int open_input(const char *file)
{
	const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0) {
		log_error("%s: %s", file, strerror(errno));
		return EXIT_CODE_FAILURE;
	}
	return 0;
}

int replay_file(const char *file, const char *user)
{
	static struct output output;
	const struct replay_ends ends = {.ctx = &output, .fill = fill, .send = send_line};
	char error[REPLAY_ERROR_BYTES];
	struct metrics metrics;
	uint32_t landlock_abi;
	int written;
	int result;

	if (open_input(file) != 0)
		return EXIT_CODE_FAILURE;
	if (confine_identity(user) < 0)
		return EXIT_CODE_PRIVILEGE;
	if (confine_files(NULL, &landlock_abi) < 0)
		return EXIT_CODE_FAILURE;
	if (confine_calls() < 0)
		return EXIT_CODE_UNSUPPORTED;
	result = replay_run(&ends, &metrics, error);
	written = flush(&output);
	if (result == 0 && written < 0) {
		log_error("standard output: %s", strerror(-written));
		return EXIT_CODE_FAILURE;
	}
	if (result < 0) {
		log_error("%s: %s", file, error);
		return EXIT_CODE_FAILURE;
	}
	return EXIT_CODE_OK;
}
