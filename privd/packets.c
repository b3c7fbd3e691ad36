/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/packets.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "packets.skel.h"
#include "privd/classic_filter.h"
#include "privd/confine.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of the classic filter's ring: each holds some packets, and is handed over full or after so long. */
#define BLOCK_BYTES_LEAST (16 << 10)
#define BLOCKS_LEAST 4
#define RETIRE_MS 10

const char *const packet_filter_names[] = {"auto", "ebpf", "classic", NULL};

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

void packets_load(struct packet_capture *packets, const struct loader *loader, unsigned data_pages,
		  unsigned cpus)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "sockwarden_dns");
	struct bpf_object *object;
	size_t size;
	const void *bytes = packets__elf_bytes(&size);

	packets->socket_fd = -1;
	packets->error = packets->ports[0] == 0 ? -ECANCELED : 0;
	packets->ring_bytes = (uint64_t)data_pages * cpus * (uint64_t)sysconf(_SC_PAGESIZE);
	if (packets->error || packets->filter == PACKET_FILTER_CLASSIC)
		return;
	/* The object stays until this process ends: its memory is never given back. */
	object = bpf_object__open_mem(bytes, size, &options);
	packets->error = object ? load(packets, object, loader, data_pages) : -errno;
}

/*
 * The packet socket, of no protocol first, so that nothing is received before the filter is there. ring
 * may be NULL. What it returns is beyond what this process will be able to send on.
 */
static int open_socket(int kind, const void *filter, socklen_t filter_bytes,
		       const struct tpacket_req3 *ring)
{
	const struct sockaddr_ll everything = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
	};
	const int on = 1, version = TPACKET_V3;
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, kind, filter, filter_bytes) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) < 0 ||
	    (ring && (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
		      setsockopt(fd, SOL_PACKET, PACKET_RX_RING, ring, sizeof(*ring)) < 0)) ||
	    bind(fd, (const struct sockaddr *)&everything, sizeof(everything)) < 0)
		return -errno;
	return confine_fence(take_fd(&fd));
}

static int open_classic(struct packet_capture *packets)
{
	const unsigned page = (unsigned)sysconf(_SC_PAGESIZE);
	const unsigned block_bytes = page > BLOCK_BYTES_LEAST ? page : BLOCK_BYTES_LEAST;
	const uint64_t wanted = packets->ring_bytes / block_bytes + BLOCKS_LEAST;
	const unsigned blocks = wanted < HANDOFF_BLOCKS_MAX ? (unsigned)wanted : HANDOFF_BLOCKS_MAX;
	struct sock_filter program[CLASSIC_FILTER_MAX];
	const struct sock_fprog filter = {
		.len = classic_filter_make(packets->ports, program),
		.filter = program,
	};
	const struct tpacket_req3 ring = {
		.tp_block_size = block_bytes,
		.tp_block_nr = blocks,
		.tp_frame_size = block_bytes, /* has no meaning in this version */
		.tp_frame_nr = blocks,
		.tp_retire_blk_tov = RETIRE_MS,
	};

	packets->block_bytes = block_bytes;
	packets->block_count = blocks;
	return open_socket(SO_ATTACH_FILTER, &filter, sizeof(filter), &ring);
}

void packets_capture(struct packet_capture *packets)
{
	int fd = packets->error; /* what is opened stays so for as long as this process lives */

	if (fd == -ECANCELED)
		return;
	if (fd == 0 && packets->filter != PACKET_FILTER_CLASSIC)
		fd = open_socket(SO_ATTACH_BPF, &packets->filter_fd, sizeof(packets->filter_fd),
				 NULL);
	if (fd < 0) {
		packets->rings.count = 0;
		log_warning("no eBPF filter for DNS: %s", strerror(-fd));
	}
	if (packets->filter == PACKET_FILTER_CLASSIC ||
	    (packets->filter == PACKET_FILTER_AUTO && fd < 0))
		fd = packets->socket_fd = open_classic(packets);
	packets->error = fd < 0 ? fd : 0;
}
