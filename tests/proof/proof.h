/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proofs have in common. CBMC runs each main() with every value that what begins with any_
 * or nondet_ may have, up to PROOF_BYTES of input, which run.sh says. It looks for a place where
 * bytes are read or written that are not an object's, arithmetic leaves its type's range, unsigned
 * types' included, a loop goes on for longer than run.sh says, or a PROVE() does not hold.
 */
#ifndef SOCKWARDEN_TESTS_PROOF_PROOF_H
#define SOCKWARDEN_TESTS_PROOF_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PROVE(condition) __CPROVER_assert(condition, #condition)

/*
 * A proof of inputs that never reach what matters would show nothing: with PROOF_REACHES, a condition, the
 * proof claims that it never holds here, and must fail.
 */
#ifdef PROOF_REACHES
#define REACHES() __CPROVER_assert(!(PROOF_REACHES), "never reached")
#else
#define REACHES() ((void)0)
#endif

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
