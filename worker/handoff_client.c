/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/handoff_client.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fdpass.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define CONNECT_RETRY_NS (50 * NS_PER_MS)

/* A received packet, long enough to notice an oversized one. */
union packet {
	struct handoff_header header;
	struct handoff_welcome welcome;
	struct handoff_refused refused;
	union handoff_grant_message grant;
	struct handoff_pong pong;
	struct handoff_iterate iterator;
	uint8_t bytes[HANDOFF_MESSAGE_MAX + 8];
};

/* The session is over; why was logged. */
static int broken(struct handoff_client *client, int error)
{
	handoff_client_close(client);
	client->late = 0;
	return error;
}

static int violation(struct handoff_client *client, unsigned type, const char *why)
{
	log_error("privd: %s: %s", handoff_name(type), why);
	return broken(client, -EPROTO);
}

int handoff_client_adopt(struct handoff_client *client, int fd)
{
	const struct timeval timeout = {
		.tv_sec = HANDOFF_ANSWER_TIMEOUT_MS / 1000,
		.tv_usec = HANDOFF_ANSWER_TIMEOUT_MS % 1000 * 1000L,
	};
	_cleanup_close_ int low = fd;
	int high;

	*client = (struct handoff_client){.fd = -1};
	if (setsockopt(low, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(low, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	high = fcntl(low, F_DUPFD_CLOEXEC, HANDOFF_FD_BASE);
	if (high < 0)
		return -errno;
	client->fd = high;
	return 0;
}

static int try_connect(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	return take_fd(&fd);
}

int handoff_client_connect(struct handoff_client *client, const char *runtime_dir, unsigned wait_ms)
{
	const uint64_t until = clock_ns(CLOCK_MONOTONIC) + wait_ms * NS_PER_MS;
	const struct timespec retry = {.tv_nsec = CONNECT_RETRY_NS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, n;

	*client = (struct handoff_client){.fd = -1};
	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", runtime_dir,
		     HANDOFF_SOCKET_NAME);
	if (n < 0 || (size_t)n >= sizeof(address.sun_path)) {
		log_error("%s/%s: longer than a socket's name may be", runtime_dir,
			  HANDOFF_SOCKET_NAME);
		return -ENAMETOOLONG;
	}
	for (;;) {
		fd = try_connect(&address);
		if (fd >= 0)
			break;
		if ((fd != -ENOENT && fd != -ECONNREFUSED) || clock_ns(CLOCK_MONOTONIC) >= until) {
			log_error("%s: %s: is sockwarden-privd running?", address.sun_path,
				  strerror(-fd));
			return fd;
		}
		nanosleep(&retry, NULL);
	}
	fd = handoff_client_adopt(client, fd);
	if (fd < 0)
		log_error("privd's socket: %s", strerror(-fd));
	return fd;
}

static int send_message(struct handoff_client *client, const void *message, size_t length)
{
	const struct handoff_header *header = message;
	ssize_t sent;

	if (client->fd < 0)
		return -EPIPE;
	if (client->late)
		return -ETIMEDOUT;
	/* write(), not sendmsg(): what cannot carry a descriptor needs no rule against it. */
	sent = write(client->fd, message, length);
	if (sent == (ssize_t)length)
		return 0;
	/* Whoever closes before we have said hello has said why: that is read next. */
	if (errno == EPIPE && header->type == HANDOFF_HELLO)
		return 0;
	log_error("privd: sending %s: %s", handoff_name(header->type), strerror(errno));
	return broken(client, errno == EAGAIN ? -ETIMEDOUT : -errno);
}

static int send_empty(struct handoff_client *client, enum handoff_type type)
{
	struct handoff_empty message;

	handoff_header_init(&message.header, type);
	return send_message(client, &message, sizeof(message));
}

/*
 * Receives one packet and has it judged. *fd is its descriptor, the caller's to close, or -1.
 * REFUSED is an answer to any request: its reason is kept and -EACCES returned. -EMFILE: all is
 * well but that no number was free for the descriptor. -ETIMEDOUT while serving: nothing came, and
 * the session goes on.
 */
static int receive(struct handoff_client *client, union packet *packet, int *fd)
{
	const struct handoff_row *row;
	const char *why = NULL;
	unsigned fds = 0, type = 0;
	ssize_t length;
	bool cut;
	int result;

	*fd = -1;
	if (client->fd < 0)
		return -EPIPE;
	memset(packet, 0, sizeof(*packet));
	length = fdpass_receive(client->fd, packet->bytes, sizeof(packet->bytes), fd, &fds);
	/* unix(7): closed before our last message was read; what it said before is still there. */
	if (length == -ECONNRESET)
		length = fdpass_receive(client->fd, packet->bytes, sizeof(packet->bytes), fd, &fds);
	if (length == -EAGAIN && client->session.state == HANDOFF_STATE_SERVING)
		return -ETIMEDOUT;
	if (length <= 0) {
		log_error("privd: %s", length == 0	   ? "it has closed its socket"
				       : length == -EAGAIN ? "no answer in time"
							   : strerror((int)-length));
		return broken(client, length == 0	  ? -EPIPE
				      : length == -EAGAIN ? -ETIMEDOUT
							  : (int)length);
	}
	if ((size_t)length >= sizeof(packet->header))
		type = packet->header.type;
	/* MSG_CTRUNC is also what recvmsg(2) says when this process has no number left. */
	cut = fds > FDPASS_MAX;
	row = handoff_row(type);
	if (cut && row)
		fds = row->fds;
	result = handoff_check(&client->session, packet->bytes, (size_t)length, fds,
			       HANDOFF_TO_WORKER, &row, &why);
	if (result < 0) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return violation(client, type, why);
	}
	if (cut)
		return -EMFILE;
	if (row->type == HANDOFF_REFUSED) {
		memcpy(client->refusal, packet->refused.reason, sizeof(client->refusal));
		client->refusal[sizeof(client->refusal) - 1] = '\0';
		return -EACCES;
	}
	return 0;
}

/* Receives the answer of this type and nothing else. */
static int receive_type(struct handoff_client *client, enum handoff_type type, union packet *packet,
			int *fd)
{
	int result = receive(client, packet, fd);

	if (result == -ETIMEDOUT && client->fd >= 0) {
		log_warning("privd: no %s in time: going on without it", handoff_name(type));
		client->late = (uint16_t)type;
	}
	if (result < 0)
		return result;
	if (packet->header.type != type) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return violation(client, packet->header.type, "came instead of another answer");
	}
	return 0;
}

static bool text_is_terminated(const char *text, size_t bytes)
{
	return memchr(text, '\0', bytes) != NULL;
}

static const char *welcome_fault(const struct handoff_welcome *welcome)
{
	if (welcome->version != HANDOFF_VERSION || welcome->abi != handoff_abi())
		return "it is of another build; install privd and worker together";
	if (welcome->possible_cpus == 0 || welcome->possible_cpus > RECORD_CPUS_MAX)
		return "number of CPUs out of range";
	if (welcome->rings == 0 || welcome->rings > welcome->possible_cpus)
		return "number of rings out of range";
	if (welcome->conntracks > 1)
		return "number of netlink sockets out of range";
	if (welcome->packet_rings > welcome->possible_cpus)
		return "number of packet rings out of range";
	if (welcome->packet_sockets > 1 || (welcome->packet_sockets && welcome->packet_rings))
		return "number of packet sockets out of range";
	if (welcome->hook_count > HANDOFF_HOOKS_MAX)
		return "number of hooks out of range";
	if (!text_is_terminated(welcome->kernel, sizeof(welcome->kernel)))
		return "text without an end";
	for (uint32_t i = 0; i < welcome->hook_count; i++) {
		const struct handoff_hook *hook = &welcome->hooks[i];

		if (!text_is_terminated(hook->feature, sizeof(hook->feature)) ||
		    !text_is_terminated(hook->hook, sizeof(hook->hook)))
			return "text without an end";
	}
	return NULL;
}

int handoff_client_greet(struct handoff_client *client, struct handoff_welcome *welcome)
{
	struct handoff_hello hello = {.version = HANDOFF_VERSION, .abi = handoff_abi()};
	union packet packet;
	const char *fault;
	int fd, result;

	handoff_header_init(&hello.header, HANDOFF_HELLO);
	result = send_message(client, &hello, sizeof(hello));
	if (result < 0)
		return result;
	result = receive_type(client, HANDOFF_WELCOME, &packet, &fd);
	if (result < 0)
		return result;
	fault = welcome_fault(&packet.welcome);
	if (fault)
		return violation(client, HANDOFF_WELCOME, fault);
	client->session.state = HANDOFF_STATE_GREETED;
	*welcome = packet.welcome;
	return 0;
}

/* Receives grants until GRANTS_END. */
static int receive_grants(struct handoff_client *client, const struct handoff_welcome *welcome,
			  struct handoff_grants *grants)
{
	/* Five arrays, the sockets, the rings, and the end. */
	const uint32_t messages = 5 + welcome->conntracks + welcome->packet_sockets +
				  welcome->rings + welcome->packet_rings + 1;
	const char *fault;

	for (uint32_t i = 0; i < messages; i++) {
		_cleanup_close_ int fd = -1;
		union packet packet;
		int result = receive(client, &packet, &fd);

		if (result == -EMFILE)
			log_error("privd: %s: %s", handoff_name(packet.header.type),
				  strerror(EMFILE));
		if (result < 0)
			return result;
		if (packet.header.type == HANDOFF_GRANTS_END)
			break;
		result = handoff_grants_take(grants, welcome, &packet.grant, fd, &fault);
		if (fault)
			return violation(client, packet.header.type, fault);
		if (result < 0) {
			log_error("%s: cannot be taken: %s", handoff_name(packet.header.type),
				  strerror(-result));
			return broken(client, result);
		}
	}
	if (!(client->session.seen & (1U << HANDOFF_GRANTS_END)))
		return violation(client, HANDOFF_GRANTS_END, "did not come");
	if (!handoff_grants_are_complete(grants, welcome))
		return violation(client, HANDOFF_GRANTS_END, "came before all grants");
	return 0;
}

int handoff_client_grants(struct handoff_client *client, const struct handoff_welcome *welcome,
			  struct handoff_grants *grants)
{
	int result;

	result = handoff_grants_init(grants, welcome);
	if (result == 0)
		result = send_empty(client, HANDOFF_GRANTS);
	if (result == 0)
		result = receive_grants(client, welcome, grants);
	if (result < 0) {
		handoff_grants_fini(grants);
		return result;
	}
	client->session.state = HANDOFF_STATE_SERVING;
	return 0;
}

int handoff_client_iterate(struct handoff_client *client, enum handoff_iterator what)
{
	struct handoff_iterate request = {.what = what};
	union packet packet;
	int fd, result;

	handoff_header_init(&request.header, HANDOFF_ITERATE);
	result = send_message(client, &request, sizeof(request));
	if (result < 0)
		return result;
	result = receive_type(client, HANDOFF_ITERATOR, &packet, &fd);
	if (result == -EACCES)
		log_error("privd refuses an iterator: %s", client->refusal);
	if (result < 0)
		return result;
	if (packet.iterator.what != what) {
		close(fd);
		return violation(client, HANDOFF_ITERATOR, "not the one that was asked for");
	}
	return fd;
}

int handoff_client_ping(struct handoff_client *client, uint64_t *missed_runs)
{
	union packet packet;
	uint64_t sum = 0;
	int fd, result;

	result = send_empty(client, HANDOFF_PING);
	if (result < 0)
		return result;
	result = receive_type(client, HANDOFF_PONG, &packet, &fd);
	if (result < 0)
		return result;
	if (packet.pong.program_count > HANDOFF_PROGRAMS_MAX)
		return violation(client, HANDOFF_PONG, "number of programs out of range");
	for (uint32_t i = 0; i < packet.pong.program_count; i++)
		sum += packet.pong.programs[i].missed_runs;
	*missed_runs = sum;
	return 0;
}

int handoff_client_unasked(struct handoff_client *client)
{
	union packet packet;
	int fd, result = receive(client, &packet, &fd);

	if (result < 0 && client->fd < 0)
		return result;
	if (fd >= 0)
		close(fd);
	/* Readable, and then nothing there: no harm done. */
	if (result == -ETIMEDOUT)
		return 0;
	if (client->late && (packet.header.type == client->late || result == -EACCES)) {
		log_info("privd answers again");
		client->late = 0;
		return 0;
	}
	return violation(client, packet.header.type, "nobody asked for it");
}

void handoff_client_close(struct handoff_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}
