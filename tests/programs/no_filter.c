/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into privd, this refuses to attach eBPF filters to sockets, as a kernel without them does. */
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

int setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	int (*next)(int, int, int, const void *, socklen_t);

	if (level == SOL_SOCKET && optname == SO_ATTACH_BPF) {
		errno = EPERM;
		return -1;
	}
	*(void **)&next = dlsym(RTLD_NEXT, "setsockopt");
	return next(fd, level, optname, optval, optlen);
}
