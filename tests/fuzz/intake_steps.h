/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that an input of fuzz_intake is made of, for it and for who writes its seeds.
 */
#ifndef SOCKWARDEN_TESTS_FUZZ_INTAKE_STEPS_H
#define SOCKWARDEN_TESTS_FUZZ_INTAKE_STEPS_H

#include <stdint.h>

enum op {
	OP_CLOSE,    /* on CPU a, of b bytes */
	OP_LONE,     /* the same, while the batch is busy */
	OP_CHANGE,   /* the byte at b of the next sample is xored with a */
	OP_AGAIN,    /* the last sample of CPU a once more */
	OP_HEAD,     /* data_head of CPU a moves by b */
	OP_LOST,     /* the kernel says that b outputs were lost */
	OP_MAPPED,   /* the byte at b of the mapped batch of CPU 0 is xored with a */
	OP_PASS,     /* the worker reads, and tells if a is odd */
	OP_RESTART,  /* another worker takes over */
	OP_SNAPSHOT, /* a pass; the stage's byte at b is xored with a */
	OP_CGROUPS,  /* names; the byte at b is xored with a */
	OP_TICK,     /* a seconds pass */
	OP_RESUME,   /* the byte at b of the positions is xored with a */
	OP_COUNT,
};

struct step {
	uint8_t op;
	uint8_t a;
	uint16_t b; /* host order */
};

#endif
