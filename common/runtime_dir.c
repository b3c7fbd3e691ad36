/* SPDX-License-Identifier: Apache-2.0 */
#include "common/runtime_dir.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "proto/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static const struct sockaddr_un handoff_address = {
	.sun_family = AF_UNIX,
	.sun_path = HANDOFF_SOCKET_NAME, /* relative: the directory is the working directory */
};

int runtime_dir_open(const char *path, uid_t uid, gid_t gid)
{
	_cleanup_close_ int fd = -1;
	struct stat status;
	bool made = mkdir(path, 0750) == 0;

	if (!made && errno != EEXIST) {
		log_error("cannot make %s: %s", path, strerror(errno));
		return -errno;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (made && (fchown(fd, uid, gid) < 0 || fchmod(fd, 0750) < 0)) ||
	    fstat(fd, &status) < 0) {
		log_error("runtime directory %s: %s", path, strerror(errno));
		return -errno;
	}
	if (status.st_uid != uid || (status.st_mode & 022)) {
		log_error("runtime directory %s must belong to the worker's user (uid %u) and be "
			  "writable by nobody else; remove it or name another by --runtime-dir",
			  path, uid);
		return -EPERM;
	}
	return take_fd(&fd);
}

/* Whether somebody listens at the socket that is already there; he may let nobody in (EAGAIN). */
static bool is_served(void)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr *address = (const struct sockaddr *)&handoff_address;

	return fd >= 0 && (connect(fd, address, sizeof(handoff_address)) == 0 || errno == EAGAIN);
}

/* In the directory and as its owner. */
static int bind_here(int fd)
{
	mode_t mask = umask(0177);
	int error = 0;

	if (bind(fd, (const struct sockaddr *)&handoff_address, sizeof(handoff_address)) < 0)
		error = -errno;
	if (error == -EADDRINUSE && !is_served()) {
		log_warning("replacing the stale socket %s", HANDOFF_SOCKET_NAME);
		error = 0;
		if (unlink(HANDOFF_SOCKET_NAME) < 0 ||
		    bind(fd, (const struct sockaddr *)&handoff_address, sizeof(handoff_address)) <
			    0)
			error = -errno;
	}
	umask(mask);
	return error;
}

int runtime_dir_listen(int directory, uid_t uid, gid_t gid)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0 || fchdir(directory) < 0)
		return -errno;
	setfsgid(gid);
	setfsuid(uid);
	error = bind_here(fd);
	setfsuid(geteuid());
	setfsgid(getegid());
	if (!error && (chdir("/") < 0 || listen(fd, 8) < 0))
		error = -errno;
	if (error == -EADDRINUSE)
		log_error("another sockwarden-privd serves this runtime directory; stop it first");
	else if (error)
		log_error("handoff socket %s: %s", HANDOFF_SOCKET_NAME, strerror(-error));
	return error ? error : take_fd(&fd);
}
