/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proofs have in common. CBMC runs each main() with every value that what begins with any_
 * may have, up to PROOF_BYTES of input, which run.sh says.
 */
#ifndef SOCKWARDEN_TESTS_PROOF_PROOF_H
#define SOCKWARDEN_TESTS_PROOF_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PROVE(condition) __CPROVER_assert(condition, #condition)

/* Without a body: any value. */
size_t nondet_size(void);
bool nondet_bool(void);

/* Up to and with most. */
static inline size_t any_size(size_t most)
{
	const size_t size = nondet_size();

	__CPROVER_assume(size <= most);
	return size;
}

/* Any length bytes, of which the last is the last of all: a look behind it is seen. */
static inline const uint8_t *any_bytes(size_t length)
{
	static uint8_t bytes[PROOF_BYTES];

	__CPROVER_havoc_object(bytes);
	return bytes + PROOF_BYTES - length;
}

#endif
