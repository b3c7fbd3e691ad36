/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large zeroed memory that costs nothing until it is touched, and that can be given back in place.
 * All tables of fixed capacity are made of it: reserved at start, resident as far as they are used.
 */
#ifndef SOCKWARDEN_COMMON_LAZY_MEMORY_H
#define SOCKWARDEN_COMMON_LAZY_MEMORY_H

#include <stddef.h>

/* bytes > 0. Returns NULL if the address space has no room. */
void *lazy_memory_reserve(size_t bytes);

/* Makes all of it zero and untouched again. memory is what lazy_memory_reserve(bytes) gave. */
void lazy_memory_clear(void *memory, size_t bytes);

/* Gives it back; NULL is fine. */
void lazy_memory_release(void *memory, size_t bytes);

#endif
