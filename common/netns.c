/* SPDX-License-Identifier: Apache-2.0 */
#include "common/netns.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

int netns_run_in_root(int (*action)(void *context), void *context)
{
	_cleanup_close_ int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int root = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	struct stat here_stat, root_stat;
	int result;

	if (here < 0 || root < 0 || fstat(here, &here_stat) < 0 || fstat(root, &root_stat) < 0)
		return -errno;
	if (here_stat.st_ino == root_stat.st_ino && here_stat.st_dev == root_stat.st_dev)
		return action(context);
	if (setns(root, CLONE_NEWNET) < 0)
		return -errno;
	result = action(context);
	if (setns(here, CLONE_NEWNET) < 0) {
		log_error("cannot return to my network namespace: %s", strerror(errno));
		return NETNS_LOST;
	}
	return result;
}
