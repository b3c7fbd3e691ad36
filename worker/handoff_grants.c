/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/handoff_grants.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* 1 GiB per CPU; a larger number is not one that privd can mean. */
#define RING_DATA_PAGES_MAX (1U << 18)

/* What the arrays must look like: the value's size here and the number of values. */
struct expectation {
	size_t value_bytes;
	uint32_t count;
	int protection;
};

static int map_array(const struct handoff_grant *grant, const struct expectation *expected, int fd,
		     struct handoff_array *array, const char **fault)
{
	void *memory;

	*fault = NULL;
	if (grant->value_bytes != expected->value_bytes || grant->count != expected->count)
		*fault = "not the sizes that were agreed";
	else if (grant->stride_bytes < grant->value_bytes || grant->stride_bytes % 8 != 0 ||
		 (uint64_t)grant->stride_bytes * (grant->count - 1) + grant->value_bytes >
			 grant->map_bytes)
		*fault = "values that do not fit";
	if (*fault)
		return -EPROTO;
	memory = mmap(NULL, grant->map_bytes, expected->protection, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*array = (struct handoff_array){
		.memory = memory,
		.map_bytes = grant->map_bytes,
		.stride_bytes = grant->stride_bytes,
		.count = grant->count,
	};
	return 0;
}

/* The next of as many rings as were promised. */
static int map_ring(const struct handoff_grant_ring *grant, uint32_t promised, uint32_t cpus,
		    struct handoff_rings *rings, int fd, const char **fault)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct handoff_ring *ring;

	*fault = rings->count == promised ? "more rings than promised" : NULL;
	if (*fault)
		return -EPROTO;
	if (grant->data_pages == 0 || grant->data_pages > RING_DATA_PAGES_MAX ||
	    (grant->data_pages & (grant->data_pages - 1)) != 0)
		*fault = "pages are not a power of two";
	if (grant->cpu >= cpus)
		*fault = "no such CPU";
	for (uint32_t i = 0; i < rings->count; i++) {
		if (rings->ring[i].cpu == grant->cpu)
			*fault = "a CPU's second ring";
	}
	if (*fault)
		return -EPROTO;
	ring = &rings->ring[rings->count];
	*ring = (struct handoff_ring){
		.fd = -1,
		.cpu = grant->cpu,
		.data_bytes = grant->data_pages * page,
	};
	ring->memory =
		mmap(NULL, page + ring->data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring->memory == MAP_FAILED)
		return -errno;
	rings->count++;
	ring->fd = fcntl(fd, F_DUPFD_CLOEXEC, HANDOFF_FD_RINGS);
	return ring->fd < 0 ? -errno : 0;
}

/* Puts a copy at the number that the sandbox's rule names, or nowhere. */
static int place(int fd, int number, int *at)
{
	const int placed = fcntl(fd, F_DUPFD_CLOEXEC, number);

	if (placed < 0)
		return -errno;
	if (placed != number) {
		close(placed);
		return -EBUSY;
	}
	*at = placed;
	return 0;
}

static int map_socket(const struct handoff_grant_socket *grant, struct handoff_socket *socket,
		      int fd, const char **fault)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory;

	*fault = NULL;
	if (grant->block_bytes == 0 || grant->block_bytes % page != 0 ||
	    grant->block_bytes > HANDOFF_BLOCK_BYTES_MAX)
		*fault = "blocks are not of whole pages, or too large";
	else if (grant->block_count == 0 || grant->block_count > HANDOFF_BLOCKS_MAX)
		*fault = "number of blocks out of range";
	if (*fault)
		return -EPROTO;
	memory = mmap(NULL, (size_t)grant->block_bytes * grant->block_count, PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	socket->memory = memory;
	socket->block_bytes = grant->block_bytes;
	socket->block_count = grant->block_count;
	return place(fd, HANDOFF_FD_PACKETS, &socket->fd);
}

static int not_promised(const char **fault)
{
	*fault = "was not promised";
	return -EPROTO;
}

int handoff_grants_take(struct handoff_grants *grants, const struct handoff_welcome *welcome,
			const union handoff_grant_message *message, int fd, const char **fault)
{
	const uint32_t cpus = welcome->possible_cpus;

	*fault = NULL;
	switch (message->header.type) {
	case HANDOFF_GRANT_BATCHES:
		return map_array(&message->grant,
				 &(struct expectation){sizeof(struct conn_batch), cpus, PROT_READ},
				 fd, &grants->batches, fault);
	case HANDOFF_GRANT_COUNTERS:
		return map_array(&message->grant,
				 &(struct expectation){sizeof(struct conn_counters), cpus,
						       PROT_READ},
				 fd, &grants->counters, fault);
	case HANDOFF_GRANT_STAGE:
		return map_array(&message->grant,
				 &(struct expectation){sizeof(struct snapshot_stage), 1, PROT_READ},
				 fd, &grants->stage, fault);
	case HANDOFF_GRANT_RESUME:
		return map_array(&message->grant,
				 &(struct expectation){handoff_resume_bytes(cpus), 1,
						       PROT_READ | PROT_WRITE},
				 fd, &grants->resume, fault);
	case HANDOFF_GRANT_UDP_SETTINGS:
		return map_array(&message->grant,
				 &(struct expectation){sizeof(struct udp_settings), 1,
						       PROT_READ | PROT_WRITE},
				 fd, &grants->udp_settings, fault);
	case HANDOFF_GRANT_RING:
		return map_ring(&message->ring, welcome->rings, cpus, &grants->rings, fd, fault);
	case HANDOFF_GRANT_PACKET_RING:
		return map_ring(&message->ring, welcome->packet_rings, cpus, &grants->packet_rings,
				fd, fault);
	case HANDOFF_GRANT_CONNTRACK:
		return welcome->conntracks == 0
			       ? not_promised(fault)
			       : place(fd, HANDOFF_FD_CONNTRACK, &grants->conntrack_fd);
	case HANDOFF_GRANT_PACKET_SOCKET:
		return welcome->packet_sockets == 0
			       ? not_promised(fault)
			       : map_socket(&message->socket, &grants->packet_socket, fd, fault);
	default:
		*fault = "not a grant";
		return -EPROTO;
	}
}

/* For one more than promised: where none is, there is still no null to follow. */
static int make_room(struct handoff_rings *rings, uint32_t count)
{
	rings->ring = calloc((size_t)count + 1, sizeof(*rings->ring));
	return rings->ring ? 0 : -ENOMEM;
}

int handoff_grants_init(struct handoff_grants *grants, const struct handoff_welcome *welcome)
{
	int result;

	*grants = (struct handoff_grants){
		.possible_cpus = welcome->possible_cpus,
		.conntrack_fd = -1,
		.packet_socket = {.fd = -1},
	};
	result = make_room(&grants->rings, welcome->rings);
	return result == 0 ? make_room(&grants->packet_rings, welcome->packet_rings) : result;
}

bool handoff_grants_are_complete(const struct handoff_grants *grants,
				 const struct handoff_welcome *welcome)
{
	return grants->batches.memory && grants->counters.memory && grants->stage.memory &&
	       grants->resume.memory && grants->rings.count == welcome->rings &&
	       grants->packet_rings.count == welcome->packet_rings &&
	       (grants->conntrack_fd >= 0) == (welcome->conntracks == 1) &&
	       (grants->packet_socket.fd >= 0) == (welcome->packet_sockets == 1);
}

static void rings_fini(struct handoff_rings *rings)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (uint32_t i = 0; i < rings->count; i++) {
		munmap(rings->ring[i].memory, page + rings->ring[i].data_bytes);
		if (rings->ring[i].fd >= 0)
			close(rings->ring[i].fd);
	}
	free(rings->ring);
}

static void array_fini(struct handoff_array *array)
{
	if (array->memory)
		munmap(array->memory, array->map_bytes);
}

void handoff_socket_fini(struct handoff_socket *socket)
{
	if (socket->memory)
		munmap(socket->memory, socket->block_bytes * socket->block_count);
	if (socket->fd >= 0)
		close(socket->fd);
	*socket = (struct handoff_socket){.fd = -1};
}

void handoff_grants_fini(struct handoff_grants *grants)
{
	array_fini(&grants->batches);
	array_fini(&grants->counters);
	array_fini(&grants->stage);
	array_fini(&grants->resume);
	array_fini(&grants->udp_settings);
	rings_fini(&grants->rings);
	rings_fini(&grants->packet_rings);
	handoff_socket_fini(&grants->packet_socket);
	if (grants->conntrack_fd >= 0)
		close(grants->conntrack_fd);
	*grants = (struct handoff_grants){.conntrack_fd = -1, .packet_socket = {.fd = -1}};
}
