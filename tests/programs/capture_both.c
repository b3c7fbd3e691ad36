/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_both PORTS PAGES [hold]: captures DNS packets in the network namespace that it is in with both of privd's
 * filters at once, and reads them as the worker does. Says "ready", and prints a line of JSON for each packet until
 * its standard input ends, then one with the counters of each. With "hold" nothing is read before that end.
 */
#include "common/clock.h"
#include "common/port_list.h"
#include "helper.h"
#include "privd/packets.h"
#include "worker/frame_feed.h"
#include "worker/intake/packet_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>

#define STEP_MS 5
#define FRAMES_AT_ONCE 8192
/* After the end: a block that is not full is handed over within 10 ms. */
#define LAST_NS (200 * NS_PER_MS)

static struct packet_capture ebpf, classic;
static struct loader loader;
static struct packet_source sources[RECORD_CPUS_MAX];
static struct packet_reader reader;
static struct frame_feed feed;

static void print_bytes(const char *name, const uint8_t *bytes, size_t length)
{
	printf(", \"%s\": \"", name);
	for (size_t i = 0; i < length; i++)
		printf("%02x", bytes[i]);
	printf("\"");
}

static void print_packet(const char *filter, const struct packet *packet)
{
	const struct packet_record *record = &packet->record;

	printf("{\"filter\": \"%s\", \"kind\": %u, \"version\": %u, \"family\": %u, \"protocol\": %u, "
	       "\"flags\": %u, \"tcp_flags\": %u, \"at_ns\": %llu, \"payload_bytes\": %u, "
	       "\"sequence\": %u, \"interface\": %u, \"source_port\": %u, \"destination_port\": %u",
	       filter, record->kind, record->version, record->family, record->protocol,
	       record->flags, record->tcp_flags, (unsigned long long)record->at_ns,
	       record->payload_bytes, record->sequence, record->interface, record->source_port,
	       record->destination_port);
	print_bytes("source", record->source_ip, sizeof(record->source_ip));
	print_bytes("destination", record->destination_ip, sizeof(record->destination_ip));
	print_bytes("payload", packet->payload, packet->length);
	printf("}\n");
}

static void read_all(void)
{
	const struct packet *packet;

	do {
		frame_feed_begin(&feed, FRAMES_AT_ONCE);
		while ((packet = frame_feed_next(&feed)))
			print_packet("classic", packet);
	} while (frame_feed_has_more(&feed));
	packet_reader_begin(&reader, clock_ns(CLOCK_MONOTONIC), 0);
	while ((packet = packet_reader_next(&reader)))
		print_packet("ebpf", packet);
	packet_reader_end(&reader);
	fflush(stdout);
}

static void print_counts(const char *filter, uint64_t captured, uint64_t lost, uint64_t fragments,
			 uint64_t malformed)
{
	printf("{\"counts\": \"%s\", \"captured\": %llu, \"lost\": %llu, \"fragments\": %llu, "
	       "\"malformed\": %llu}\n",
	       filter, (unsigned long long)captured, (unsigned long long)lost,
	       (unsigned long long)fragments, (unsigned long long)malformed);
}

static void print_all_counts(void)
{
	struct metrics metrics = {0};
	struct conn_counters sum = {0}, one;
	const uint64_t malformed = reader.malformed + feed.ring.malformed;

	frame_feed_measure(&feed, &metrics);
	print_counts("classic", metrics.value[METRIC_DNS_CAPTURED],
		     metrics.value[METRIC_DNS_CAPTURE_LOST], metrics.value[METRIC_DNS_FRAGMENTS],
		     metrics.value[METRIC_DNS_BAD_PACKETS]);
	for (unsigned cpu = 0; cpu < loader.possible_cpus; cpu++) {
		CHECK(bpf_map_lookup_elem(loader.counters_fd, &cpu, &one));
		sum.packets += one.packets;
		sum.packets_lost += one.packets_lost;
		sum.packet_fragments += one.packet_fragments;
		sum.packets_malformed += one.packets_malformed;
	}
	print_counts("ebpf", sum.packets, sum.packets_lost, sum.packet_fragments,
		     sum.packets_malformed);
	printf("{\"malformed_in_rings\": %llu}\n", (unsigned long long)malformed);
}

static void end_if(int error, const char *what)
{
	if (error == 0)
		return;
	fprintf(stderr, "capture_both: %s: %s\n", what, strerror(-error));
	exit(1);
}

static void *map(int fd, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	end_if(memory == MAP_FAILED ? -errno : 0, "mmap");
	return memory;
}

/* What privd does, and then what the worker does with what it is granted. */
static void open_both(const char *ports, unsigned pages)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct handoff_socket socket;

	CHECK(port_list_parse(ports, ebpf.ports, HANDOFF_DNS_PORTS_MAX));
	memcpy(classic.ports, ebpf.ports, sizeof(ebpf.ports));
	loader.possible_cpus = (unsigned)CHECK(libbpf_num_possible_cpus());
	loader.counters_fd =
		CHECK(bpf_map_create(BPF_MAP_TYPE_ARRAY, "counters", sizeof(uint32_t),
				     sizeof(struct conn_counters), loader.possible_cpus, &options));
	ebpf.filter = PACKET_FILTER_EBPF;
	classic.filter = PACKET_FILTER_CLASSIC;
	packets_load(&ebpf, &loader, pages, 1);
	end_if(ebpf.error, "loading the eBPF filter");
	packets_load(&classic, &loader, pages, ebpf.rings.count);
	packets_capture(&ebpf);
	end_if(ebpf.error, "the eBPF filter");
	packets_capture(&classic);
	end_if(classic.error, "the classic filter");
	for (unsigned i = 0; i < ebpf.rings.count; i++)
		end_if(perf_ring_init(&sources[i].ring,
				      map(ebpf.rings.rings[i].fd, page * (1 + pages)), page,
				      page * pages),
		       "a ring");
	end_if(packet_reader_init(&reader, sources, ebpf.rings.count), "the rings");
	socket = (struct handoff_socket){
		.fd = classic.socket_fd,
		.memory = map(classic.socket_fd, (size_t)classic.block_bytes * classic.block_count),
		.block_bytes = classic.block_bytes,
		.block_count = classic.block_count,
	};
	end_if(frame_feed_init(&feed, &socket), "the socket's ring");
}

int main(int argc, char **argv)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	const bool hold = argc == 4 && strcmp(argv[3], "hold") == 0;
	uint64_t end_ns;

	if (argc < 3 || (argc == 4 && !hold) || argc > 4) {
		fprintf(stderr, "usage: capture_both PORTS PAGES [hold]\n");
		return 2;
	}
	open_both(argv[1], number_argument(argv[2], 1, 65536));
	printf("ready\n");
	fflush(stdout);
	while (CHECK(poll(&input, 1, STEP_MS)) == 0) {
		if (!hold)
			read_all();
	}
	end_ns = clock_ns(CLOCK_MONOTONIC) + LAST_NS;
	do {
		read_all();
		usleep(STEP_MS * 1000);
	} while (clock_ns(CLOCK_MONOTONIC) < end_ns);
	print_all_counts();
	return 0;
}
