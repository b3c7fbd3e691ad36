/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/perf_rings.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <bpf/bpf.h>

#include <errno.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int open_ring(unsigned cpu, size_t data_bytes)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_RAW,
		.watermark = 1,
		.wakeup_watermark = (__u32)(data_bytes / 4),
	};
	_cleanup_close_ int fd = -1;
	size_t header = (size_t)sysconf(_SC_PAGESIZE);

	fd = (int)syscall(SYS_perf_event_open, &attributes, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (mmap(NULL, header + data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	    MAP_FAILED)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	return take_fd(&fd);
}

int perf_rings_open(struct perf_rings *rings, int rings_fd, unsigned possible_cpus,
		    unsigned data_pages)
{
	size_t data_bytes = (size_t)data_pages * (size_t)sysconf(_SC_PAGESIZE);

	rings->data_pages = data_pages;
	rings->count = 0;
	for (unsigned cpu = 0; cpu < possible_cpus; cpu++) {
		int fd = open_ring(cpu, data_bytes);

		if (fd == -ENODEV) /* possible, but not online */
			continue;
		if (fd < 0) {
			log_error("perf ring of CPU %u (%u pages): %s", cpu, data_pages,
				  strerror(-fd));
			return fd;
		}
		if (bpf_map_update_elem(rings_fd, &cpu, &fd, BPF_ANY))
			return -errno;
		rings->rings[rings->count++] = (struct perf_ring_grant){.cpu = cpu, .fd = fd};
	}
	return 0;
}
