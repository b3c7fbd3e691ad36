/* SPDX-License-Identifier: Apache-2.0 */
#include "common/lazy_memory.h"

#include <string.h>
#include <sys/mman.h>

void *lazy_memory_reserve(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void lazy_memory_clear(void *memory, size_t bytes)
{
	/* Private memory without a file reads as zeroes afterwards (madvise(2)). */
	if (madvise(memory, bytes, MADV_DONTNEED) < 0)
		memset(memory, 0, bytes);
}

void lazy_memory_release(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
