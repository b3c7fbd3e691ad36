/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/session.h"

#include "common/cleanup.h"
#include "common/fdpass.h"
#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>

/* How long a worker that does not read may hold up an answer. */
#define SEND_TIMEOUT_S 1

struct session {
	int fd; /* -1: nobody is connected */
	pid_t pid;
	struct handoff_session handoff;
};

/* Room for one byte more than the longest message, so that a longer one is seen to be. */
union message {
	struct handoff_header header;
	struct handoff_hello hello;
	struct handoff_iterate iterate;
	unsigned char bytes[HANDOFF_MESSAGE_MAX + 1];
};

static int answer(struct session *session, void *message, enum handoff_type type, int fd)
{
	struct handoff_header *header = message;
	const struct handoff_row *row;
	const char *why;
	int error;

	handoff_header_init(header, type);
	/* What this side says obeys the same table. */
	error = handoff_check(&session->handoff, message, header->length, fd >= 0,
			      HANDOFF_TO_WORKER, &row, &why);
	if (!error)
		error = fdpass_send(session->fd, message, header->length, fd);
	return error;
}

static int refuse(struct session *session, const char *reason)
{
	struct handoff_refused refused = {0};

	snprintf(refused.reason, sizeof(refused.reason), "%s", reason);
	return answer(session, &refused, HANDOFF_REFUSED, -1);
}

static int on_hello(const struct session_grants *grants, struct session *session,
		    const struct handoff_hello *hello)
{
	struct handoff_welcome welcome = grants->welcome;
	int error;

	if (hello->version != HANDOFF_VERSION || hello->abi != handoff_abi()) {
		refuse(session, "this worker is of another build than privd: install both from one "
				"build and restart both");
		return -EPROTONOSUPPORT;
	}
	error = answer(session, &welcome, HANDOFF_WELCOME, -1);
	if (!error)
		session->handoff.state = HANDOFF_STATE_GREETED;
	return error;
}

static int grant_map(const struct session_grants *grants, struct session *session,
		     enum handoff_type type, int fd, size_t value_bytes, size_t count)
{
	size_t stride = (value_bytes + 7) / 8 * 8; /* as the kernel lays out array values */
	size_t pages = (stride * count + grants->page_bytes - 1) / grants->page_bytes;
	struct handoff_grant grant = {
		.value_bytes = (uint32_t)value_bytes,
		.stride_bytes = (uint32_t)stride,
		.count = (uint32_t)count,
		.map_bytes = (uint32_t)(pages * grants->page_bytes),
	};

	return answer(session, &grant, type, fd);
}

static int grant_rings(struct session *session, enum handoff_type type,
		       const struct perf_rings *rings)
{
	int error = 0;

	for (unsigned i = 0; !error && i < rings->count; i++) {
		struct handoff_grant_ring ring = {
			.cpu = rings->rings[i].cpu,
			.data_pages = rings->data_pages,
		};

		error = answer(session, &ring, type, rings->rings[i].fd);
	}
	return error;
}

static int grant_packets(struct session *session, const struct packet_capture *packets)
{
	struct handoff_grant_socket grant = {
		.block_bytes = packets->block_bytes,
		.block_count = packets->block_count,
	};

	if (packets->socket_fd < 0)
		return grant_rings(session, HANDOFF_GRANT_PACKET_RING, &packets->rings);
	return answer(session, &grant, HANDOFF_GRANT_PACKET_SOCKET, packets->socket_fd);
}

static int on_grants(const struct session_grants *grants, struct session *session)
{
	const struct loader *loader = grants->loader;
	const unsigned cpus = loader->possible_cpus;
	const struct {
		enum handoff_type type;
		int fd;
		size_t value_bytes, count;
	} maps[] = {
		{HANDOFF_GRANT_BATCHES, loader->batches_fd, sizeof(struct conn_batch), cpus},
		{HANDOFF_GRANT_COUNTERS, loader->counters_fd, sizeof(struct conn_counters), cpus},
		{HANDOFF_GRANT_STAGE, loader->stage_fd, sizeof(struct snapshot_stage), 1},
		{HANDOFF_GRANT_RESUME, grants->resume_fd, grants->resume_bytes, 1},
		/* The last: where UDP is not traced there is none. */
		{HANDOFF_GRANT_UDP_SETTINGS, loader->udp_settings_fd, sizeof(struct udp_settings),
		 1},
	};
	const size_t map_count = sizeof(maps) / sizeof(maps[0]) - (loader->udp == UDP_NONE);
	struct handoff_empty conntrack = {0}, end = {0};
	int error = 0;

	for (size_t i = 0; !error && i < map_count; i++)
		error = grant_map(grants, session, maps[i].type, maps[i].fd, maps[i].value_bytes,
				  maps[i].count);
	if (!error && grants->conntrack_fd >= 0)
		error = answer(session, &conntrack, HANDOFF_GRANT_CONNTRACK, grants->conntrack_fd);
	if (!error)
		error = grant_rings(session, HANDOFF_GRANT_RING, grants->rings);
	if (!error)
		error = grant_packets(session, grants->packets);
	if (!error)
		error = answer(session, &end, HANDOFF_GRANTS_END, -1);
	if (!error)
		session->handoff.state = HANDOFF_STATE_SERVING;
	return error;
}

static int on_iterate(const struct session_grants *grants, struct session *session,
		      const struct handoff_iterate *request)
{
	struct handoff_iterate reply = {.what = request->what};
	_cleanup_close_ int fd = -1;

	if (request->what < HANDOFF_ITERATE_CONNECTIONS || request->what >= HANDOFF_ITERATORS ||
	    request->pad0 != 0)
		return -EBADMSG;
	fd = loader_iterate(grants->loader, (enum handoff_iterator)request->what);
	if (fd < 0) {
		log_warning("iterator %u: %s", request->what, strerror(-fd));
		return refuse(session, strerror(-fd));
	}
	return answer(session, &reply, HANDOFF_ITERATOR, fd);
}

static int on_ping(const struct session_grants *grants, struct session *session)
{
	struct handoff_pong pong = {.program_count = grants->loader->program_count};

	for (unsigned i = 0; i < pong.program_count; i++) {
		const struct loader_program *program = &grants->loader->programs[i];

		snprintf(pong.programs[i].name, sizeof(pong.programs[i].name), "%s", program->name);
		pong.programs[i].missed_runs = loader_missed_runs(program);
	}
	return answer(session, &pong, HANDOFF_PONG, -1);
}

static int dispatch(const struct session_grants *grants, struct session *session,
		    const union message *message)
{
	switch (message->header.type) {
	case HANDOFF_HELLO:
		return on_hello(grants, session, &message->hello);
	case HANDOFF_GRANTS:
		return on_grants(grants, session);
	case HANDOFF_ITERATE:
		return on_iterate(grants, session, &message->iterate);
	case HANDOFF_PING:
		return on_ping(grants, session);
	default: /* handoff_check() let no other through */
		return -ENOMSG;
	}
}

static void session_end(struct session *session)
{
	close(session->fd);
	session->fd = -1;
}

/* One message, or the end of the session. */
static void session_receive(const struct session_grants *grants, struct session *session)
{
	static union message message;
	const struct handoff_row *row;
	const char *why = "";
	unsigned fds;
	ssize_t length;
	int error;

	length = fdpass_receive(session->fd, message.bytes, sizeof(message.bytes), NULL, &fds);
	if (length == 0 && fds == 0) {
		log_info("worker %d left", session->pid);
		session_end(session);
		return;
	}
	if (length < 0) {
		log_warning("worker %d: receiving: %s", session->pid, strerror((int)-length));
		session_end(session);
		return;
	}
	error = handoff_check(&session->handoff, message.bytes, (size_t)length, fds,
			      HANDOFF_TO_PRIVD, &row, &why);
	if (error) {
		log_warning("worker %d: refused a message of type %u (%s), %zd bytes, %u "
			    "descriptors: %s; session ended",
			    session->pid, length >= 2 ? message.header.type : 0,
			    length >= 2 ? handoff_name(message.header.type) : "none", length, fds,
			    why);
		session_end(session);
		return;
	}
	error = dispatch(grants, session, &message);
	if (error) {
		log_warning("worker %d: %s: %s; session ended", session->pid, row->name,
			    strerror(-error));
		session_end(session);
	}
}

static void session_accept(struct session *session, int listen_fd, uid_t worker_uid)
{
	const struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
	_cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct session visitor = {.fd = fd};
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0) {
		log_warning("cannot tell who connected: %s", strerror(errno));
		return;
	}
	if (peer.uid != worker_uid) {
		log_warning("refused process %d: its user is %u, not the worker's %u", peer.pid,
			    peer.uid, worker_uid);
		return;
	}
	if (session->fd >= 0) {
		log_warning("refused process %d: worker %d is connected", peer.pid, session->pid);
		refuse(&visitor, "another worker is connected");
		return;
	}
	*session = (struct session){.fd = take_fd(&fd), .pid = peer.pid};
	log_info("worker %d connected", session->pid);
}

int session_serve(const struct session_grants *grants, int listen_fd, int signal_fd,
		  uid_t worker_uid)
{
	struct session session = {.fd = -1};

	for (;;) {
		struct pollfd polled[] = {
			{.fd = signal_fd, .events = POLLIN},
			{.fd = session.fd, .events = POLLIN}, /* -1 is passed over */
			{.fd = listen_fd, .events = POLLIN},
		};

		if (poll(polled, sizeof(polled) / sizeof(polled[0]), -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (polled[0].revents) {
			struct signalfd_siginfo info = {0};

			if (read(signal_fd, &info, sizeof(info)) < 0)
				return -errno;
			return (int)info.ssi_signo;
		}
		/* Before the next worker is let in, so that a dead one makes room. */
		if (polled[1].revents)
			session_receive(grants, &session);
		if (polled[2].revents)
			session_accept(&session, listen_fd, worker_uid);
	}
}
