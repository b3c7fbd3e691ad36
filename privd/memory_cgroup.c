/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/memory_cgroup.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Moves this process; "0" stands for the writer (cgroups(7)). */
static int join(const char *procs)
{
	_cleanup_close_ int fd = open(procs, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "0", 1) != 1 ? -errno : 0;
}

void memory_cgroup_leave(struct memory_cgroup *home)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX], group[PATH_MAX];

	home->procs[0] = '\0';
	/* Of two hierarchies the older one, which comes first, has the memory controller. */
	while (file && fgets(line, sizeof(line), file)) {
		bool old = sscanf(line, "%*d:memory:%4095[^\n]", group) == 1;
		const char *mount = old ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";

		if (!old && sscanf(line, "0::%4095[^\n]", group) != 1)
			continue;
		snprintf(line, sizeof(line), "%s/cgroup.procs", mount);
		if (strcmp(group, "/") != 0 && join(line) == 0)
			snprintf(home->procs, sizeof(home->procs), "%s%.3000s/cgroup.procs", mount,
				 group);
		break;
	}
	if (file)
		fclose(file);
}

int memory_cgroup_return(const struct memory_cgroup *home)
{
	int error = home->procs[0] ? join(home->procs) : 0;

	if (error)
		log_error("cannot return to my control group by %s: %s", home->procs,
			  strerror(-error));
	return error;
}
