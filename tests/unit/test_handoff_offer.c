/* SPDX-License-Identifier: Apache-2.0 */
/* What privd may not grant or say in its greeting, one wrong thing at a time. */
#include "tests/unit/handoff_rig.h"

#include <errno.h>

TestSuite(handoff_offer, .init = open_session, .fini = close_session);

/* One wrong thing in what privd says. */
static void other_version(struct offer *o)
{
	o->welcome.version++;
}
static void other_abi(struct offer *o)
{
	o->welcome.abi ^= 1;
}
static void no_cpus(struct offer *o)
{
	o->welcome.possible_cpus = 0;
}
static void many_cpus(struct offer *o)
{
	o->welcome.possible_cpus = RECORD_CPUS_MAX + 1;
}
static void no_rings(struct offer *o)
{
	o->welcome.rings = 0;
}
static void rings_beyond_cpus(struct offer *o)
{
	o->welcome.rings = CPUS + 1;
}
static void many_hooks(struct offer *o)
{
	o->welcome.hook_count = HANDOFF_HOOKS_MAX + 1;
}
static void endless_kernel(struct offer *o)
{
	memset(o->welcome.kernel, 'k', HANDOFF_KERNEL_BYTES);
}
static void endless_hook(struct offer *o)
{
	memset(o->welcome.hooks[0].hook, 'h', HANDOFF_HOOK_NAME_BYTES);
}
static void wrong_header(struct offer *o)
{
	o->welcome.header.length--;
}
static void padded_header(struct offer *o)
{
	o->welcome.header.pad0 = 1;
}
static void unknown_type(struct offer *o)
{
	o->welcome.header.type = 99;
}
static void wrong_direction(struct offer *o)
{
	handoff_header_init(&o->arrays[0].header, HANDOFF_PING);
	o->arrays[0].header.length = sizeof(o->arrays[0]);
}
static void other_value(struct offer *o)
{
	o->arrays[0].value_bytes -= 8;
}
static void other_count(struct offer *o)
{
	o->arrays[1].count = CPUS + 1;
}
static void small_stride(struct offer *o)
{
	o->arrays[0].stride_bytes = 16;
}
static void odd_stride(struct offer *o)
{
	o->arrays[0].stride_bytes += 4;
}
static void huge_stride(struct offer *o)
{
	o->arrays[0].stride_bytes = UINT32_MAX - 7;
}
static void small_map(struct offer *o)
{
	o->arrays[0].map_bytes = PAGE;
}
static void no_map(struct offer *o)
{
	o->arrays[2].map_bytes = 0;
}
static void array_twice(struct offer *o)
{
	o->arrays[1] = o->arrays[0];
}
static void odd_pages(struct offer *o)
{
	o->rings[0].data_pages = 3;
}
static void no_pages(struct offer *o)
{
	o->rings[1].data_pages = 0;
}
static void many_pages(struct offer *o)
{
	o->rings[1].data_pages = 1U << 31;
}
static void cpu_out_of_range(struct offer *o)
{
	o->rings[0].cpu = CPUS;
}
static void cpu_twice(struct offer *o)
{
	o->rings[1].cpu = 0;
}
static void ring_missing(struct offer *o)
{
	o->ring_count = 1;
}
static void ring_too_many(struct offer *o)
{
	o->ring_count = 3;
}
static void packet_rings_beyond_cpus(struct offer *o)
{
	o->welcome.packet_rings = CPUS + 1;
}
static void packet_ring_missing(struct offer *o)
{
	o->welcome.packet_rings = CPUS;
	o->packet_ring_count = 1;
}
static void packet_ring_not_promised(struct offer *o)
{
	o->packet_ring_count = 1;
}
static void packet_ring_twice(struct offer *o)
{
	o->welcome.packet_rings = o->packet_ring_count = CPUS;
	o->packet_rings[1].cpu = 0;
}
static void promise_packet_socket(struct offer *o)
{
	o->welcome.packet_sockets = o->packet_socket_count = 1;
}
static void many_packet_sockets(struct offer *o)
{
	o->welcome.packet_sockets = 2;
}
static void packet_socket_beside_rings(struct offer *o)
{
	promise_packet_socket(o);
	o->welcome.packet_rings = o->packet_ring_count = CPUS;
}
static void packet_socket_missing(struct offer *o)
{
	o->welcome.packet_sockets = 1;
}
static void packet_socket_not_promised(struct offer *o)
{
	o->packet_socket_count = 1;
}
static void packet_socket_twice(struct offer *o)
{
	promise_packet_socket(o);
	o->packet_socket_count = 2;
}
static void no_blocks(struct offer *o)
{
	promise_packet_socket(o);
	o->packet_socket.block_count = 0;
}
static void many_blocks(struct offer *o)
{
	promise_packet_socket(o);
	o->packet_socket.block_count = HANDOFF_BLOCKS_MAX + 1;
}
static void odd_blocks(struct offer *o)
{
	promise_packet_socket(o);
	o->packet_socket.block_bytes = PAGE + 512;
}
static void empty_blocks(struct offer *o)
{
	promise_packet_socket(o);
	o->packet_socket.block_bytes = 0;
}
static void large_blocks(struct offer *o)
{
	promise_packet_socket(o);
	o->packet_socket.block_bytes = HANDOFF_BLOCK_BYTES_MAX + PAGE;
}
static void no_descriptor(struct offer *o)
{
	o->no_descriptor = true;
}
static void end_first(struct offer *o)
{
	o->end_first = true;
}

static void many_conntracks(struct offer *o)
{
	o->welcome.conntracks = 2;
}
static void conntrack_missing(struct offer *o)
{
	o->welcome.conntracks = 1;
}
static void conntrack_not_promised(struct offer *o)
{
	o->conntracks = 1;
}
static void conntrack_twice(struct offer *o)
{
	o->welcome.conntracks = 1;
	o->conntracks = 2;
}

#define CASE(function)              \
	{                           \
#function, function \
	}

static const struct {
	const char *name;
	void (*change)(struct offer *offer);
} wrong_offers[] = {
	CASE(other_version),
	CASE(other_abi),
	CASE(no_cpus),
	CASE(many_cpus),
	CASE(no_rings),
	CASE(many_hooks),
	CASE(rings_beyond_cpus),
	CASE(endless_kernel),
	CASE(endless_hook),
	CASE(wrong_header),
	CASE(padded_header),
	CASE(unknown_type),
	CASE(wrong_direction),
	CASE(other_value),
	CASE(other_count),
	CASE(small_stride),
	CASE(odd_stride),
	CASE(huge_stride),
	CASE(small_map),
	CASE(no_map),
	CASE(array_twice),
	CASE(odd_pages),
	CASE(no_pages),
	CASE(many_pages),
	CASE(cpu_out_of_range),
	CASE(cpu_twice),
	CASE(ring_missing),
	CASE(ring_too_many),
	CASE(packet_rings_beyond_cpus),
	CASE(packet_ring_missing),
	CASE(packet_ring_not_promised),
	CASE(packet_ring_twice),
	CASE(many_packet_sockets),
	CASE(packet_socket_beside_rings),
	CASE(packet_socket_missing),
	CASE(packet_socket_not_promised),
	CASE(packet_socket_twice),
	CASE(no_blocks),
	CASE(many_blocks),
	CASE(odd_blocks),
	CASE(empty_blocks),
	CASE(large_blocks),
	CASE(no_descriptor),
	CASE(end_first),
	CASE(many_conntracks),
	CASE(conntrack_missing),
	CASE(conntrack_not_promised),
	CASE(conntrack_twice),
};

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

Test(handoff_offer, whatever_is_wrong_ends_the_session_with_one_line)
{
	close_session();
	for (size_t i = 0; i < sizeof(wrong_offers) / sizeof(wrong_offers[0]); i++) {
		const unsigned before = open_descriptors();
		struct offer offer = good_offer();
		struct handoff_grants grants;
		int result, log, saved;

		open_session();
		wrong_offers[i].change(&offer);
		log = catch_log(&saved);
		result = take_offer(&offer, &grants);
		cr_expect_eq(lines_in_log(log, saved), 1, "%s", wrong_offers[i].name);
		cr_expect_eq(result, -EPROTO, "%s: %s", wrong_offers[i].name, strerror(-result));
		cr_expect_lt(client.fd, 0, "%s", wrong_offers[i].name);
		close_session();
		cr_expect_eq(open_descriptors(), before, "%s leaks", wrong_offers[i].name);
	}
	open_session();
}
