/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/pipeline/machine.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096

int machine_init(struct machine *machine)
{
	memset(machine, 0, sizeof(*machine));
	machine->next_id = 1;
	machine->now_ns = 1000000000000;
	machine->resume = calloc(1, handoff_resume_bytes(MACHINE_CPUS));
	if (!machine->resume)
		return -ENOMEM;
	for (uint16_t cpu = 0; cpu < MACHINE_CPUS; cpu++) {
		machine->memory[cpu] = aligned_alloc(PAGE, PAGE + MACHINE_RING_BYTES);
		if (!machine->memory[cpu])
			return -ENOMEM;
		memset(machine->memory[cpu], 0, PAGE + MACHINE_RING_BYTES);
		machine->mapped[cpu].kind = RECORD_KIND_BATCH;
		machine->mapped[cpu].version = RECORD_VERSION;
		machine->mapped[cpu].cpu = cpu;
		perf_ring_init(&machine->rings[cpu], machine->memory[cpu], PAGE,
			       MACHINE_RING_BYTES);
		machine->sources[cpu] = (struct batch_source){
			.ring = &machine->rings[cpu],
			.mapped = &machine->mapped[cpu],
		};
	}
	batch_reader_init(&machine->reader, machine->sources, MACHINE_CPUS, machine->resume);
	return 0;
}

void machine_fini(struct machine *machine)
{
	for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++)
		free(machine->memory[cpu]);
	free(machine->resume);
}

struct conn_record machine_record(uint64_t id, uint64_t now_ns)
{
	const uint64_t spread = id * 0x9e3779b97f4a7c15ULL >> 20;
	struct conn_record record = {
		.kind = RECORD_KIND_CLOSE,
		.version = RECORD_VERSION,
		.protocol = IPPROTO_TCP,
		.family = RECORD_FAMILY_IPV4,
		.direction = id % 2 ? RECORD_DIRECTION_OUTGOING : RECORD_DIRECTION_INCOMING,
		.pid_source = RECORD_PID_CONNECT,
		.tcp_state = 5, /* FIN_WAIT2 */
		.flags = RECORD_ESTABLISHED | RECORD_FIN_ACKED,
		.id = id,
		.opened_ns = now_ns - spread % 50000000 - 1,
		.at_ns = now_ns,
		.sent_bytes = spread % 5000,
		.recv_bytes = spread % 100000,
		.start_ns = 5,
		.sent_packets = 6 + (uint32_t)(spread % 20),
		.recv_packets = 5 + (uint32_t)(spread % 80),
		.srtt_us = 95,
		.rttvar_us = 12,
		.handshake_us = 311,
		.pid = 4711 + (uint32_t)(spread % 8),
		.uid = 1000,
		.netns = 4026531840,
		.local_port = (uint16_t)(32768 + id % 28000),
		.remote_port = 443,
		.local_ip = {10, 0, 0, (uint8_t)(1 + spread % 4)},
		.remote_ip = {10, 1, 0, (uint8_t)(spread % 64)},
		.comm = "curl",
	};

	return record;
}

static void put(struct machine *machine, unsigned cpu, const struct conn_batch *batch)
{
	struct perf_event_mmap_page *page = (void *)machine->memory[cpu];
	uint8_t *data = machine->memory[cpu] + PAGE;
	const uint32_t raw = (uint32_t)((sizeof(*batch) + 4 + 7) / 8 * 8 - 4);
	struct {
		struct perf_event_header header;
		uint32_t raw;
		uint8_t payload[sizeof(*batch) + 8];
	} __attribute__((packed)) sample = {
		.header = {.type = PERF_RECORD_SAMPLE, .size = (uint16_t)(12 + raw)},
		.raw = raw,
	};
	size_t at = page->data_head % MACHINE_RING_BYTES;
	size_t first = MACHINE_RING_BYTES - at;

	memcpy(sample.payload, batch, sizeof(*batch));
	if (first > sample.header.size)
		first = sample.header.size;
	memcpy(data + at, &sample, first);
	memcpy(data, (const uint8_t *)&sample + first, sample.header.size - first);
	page->data_head += sample.header.size;
}

void machine_fill(struct machine *machine)
{
	for (unsigned i = 0; i < MACHINE_RECORDS / RECORD_BATCH_CAPACITY; i++) {
		struct conn_batch *batch = &machine->mapped[i % MACHINE_CPUS];

		for (batch->len = 0; batch->len < RECORD_BATCH_CAPACITY; batch->len++)
			batch->records[batch->len] =
				machine_record(machine->next_id++, machine->now_ns++);
		put(machine, i % MACHINE_CPUS, batch);
		batch->len = 0;
		batch->id++;
	}
}
