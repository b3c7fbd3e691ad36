/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Perf rings in ordinary memory, filled with close records as the programs do it: batches of
 * sixteen, one ring a CPU. The worker's own intake reads them.
 */
#ifndef SOCKWARDEN_TESTS_BENCH_PIPELINE_MACHINE_H
#define SOCKWARDEN_TESTS_BENCH_PIPELINE_MACHINE_H

#include "worker/intake/batch.h"
#include "worker/intake/perf_ring.h"

#include <stdint.h>

#define MACHINE_CPUS 2
#define MACHINE_RING_BYTES (4 << 20)
/* What both rings hold. */
#define MACHINE_RECORDS 49152

struct machine {
	uint8_t *memory[MACHINE_CPUS];
	struct perf_ring rings[MACHINE_CPUS];
	struct conn_batch mapped[MACHINE_CPUS];
	struct batch_source sources[MACHINE_CPUS];
	struct batch_reader reader;
	struct handoff_resume *resume;
	uint64_t next_id; /* of a connection that is closed next */
	uint64_t now_ns;
};

/* Returns 0 or -ENOMEM. */
int machine_init(struct machine *machine);
void machine_fini(struct machine *machine);

/* One short connection among many: 64 services, 8 processes, any port. */
struct conn_record machine_record(uint64_t id, uint64_t now_ns);

/* Fills both rings with MACHINE_RECORDS close records. */
void machine_fill(struct machine *machine);

#endif
