/* SPDX-License-Identifier: Apache-2.0 */
#include "common/notify.h"

#include "common/cleanup.h"
#include "common/clock.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	_cleanup_close_ int fd = -1;
	size_t length;

	if (!path || (path[0] != '/' && path[0] != '@'))
		return -1;
	length = strlen(path);
	if (length >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		return -1;
	return take_fd(&fd);
}

/* A decimal number from 1 to maximum in the environment, or 0. */
static uint64_t number_in(const char *variable, uint64_t maximum)
{
	const char *text = getenv(variable);
	unsigned long long number;
	char *end;

	if (!text || text[0] < '1' || text[0] > '9')
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && number <= maximum ? number : 0;
}

uint64_t notify_watchdog_ns(void)
{
	/* The variables of a process that started this one are none of ours. */
	if (getenv("WATCHDOG_PID") && number_in("WATCHDOG_PID", INT32_MAX) != (uint64_t)getpid())
		return 0;
	return number_in("WATCHDOG_USEC", UINT64_MAX / NS_PER_US) * NS_PER_US;
}

void notify_send(int fd, const char *state)
{
	if (fd >= 0)
		(void)!send(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}
