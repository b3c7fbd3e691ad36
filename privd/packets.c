/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/packets.h"

#include "common/cleanup.h"
#include "packets.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/socket.h>

static int load(struct packet_capture *packets, struct bpf_object *object,
		const struct loader *loader, unsigned data_pages)
{
	struct bpf_map *map;
	int error = 0;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);

		if (strcmp(name, "counters") == 0)
			error = bpf_map__reuse_fd(map, loader->counters_fd);
		else if (strcmp(name, "packet_rings") == 0)
			error = bpf_map__set_max_entries(map, loader->possible_cpus);
		else if (strcmp(name, ".rodata.ports") == 0)
			error = bpf_map__set_initial_value(map, packets->ports,
							   sizeof(packets->ports));
		if (error)
			return error;
	}
	error = bpf_object__load(object);
	if (error)
		return error;
	packets->filter_fd = bpf_program__fd(bpf_object__find_program_by_name(object, "on_packet"));
	return perf_rings_open(&packets->rings,
			       bpf_object__find_map_fd_by_name(object, "packet_rings"),
			       loader->possible_cpus, data_pages);
}

void packets_load(struct packet_capture *packets, const struct loader *loader, unsigned data_pages)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "sockwarden_dns");
	struct bpf_object *object;
	size_t size;
	const void *bytes = packets__elf_bytes(&size);

	packets->error = -ECANCELED;
	if (packets->ports[0] == 0)
		return;
	/* The object stays until this process ends: its memory is never given back. */
	object = bpf_object__open_mem(bytes, size, &options);
	packets->error = object ? load(packets, object, loader, data_pages) : -errno;
	if (packets->error)
		packets->rings.count = 0;
}

/* The packet socket, of no protocol first, so that nothing is received before the filter is there. */
static int open_socket(int filter_fd)
{
	const struct sockaddr_ll everything = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
	};
	const int on = 1;
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &filter_fd, sizeof(filter_fd)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&everything, sizeof(everything)) < 0)
		return -errno;
	return take_fd(&fd);
}

void packets_capture(struct packet_capture *packets)
{
	int fd;

	if (packets->error)
		return;
	fd = open_socket(packets->filter_fd); /* stays open for as long as this process lives */
	packets->error = fd < 0 ? fd : 0;
	if (fd < 0)
		packets->rings.count = 0;
}
