/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into privd, this ends the process at its first allocation after the seccomp filter is
 * in force. Freeing is allowed: libseccomp's own context goes then.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

typedef void *scmp_filter_ctx;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

int seccomp_load(scmp_filter_ctx context);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

static bool is_locked;

static void check(void)
{
	static const char text[] = "heap_guard: the heap was used after the lock\n";

	if (!is_locked)
		return;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
		/* The trap says it too. */
	}
	__builtin_trap();
}

int seccomp_load(scmp_filter_ctx context)
{
	static const char text[] = "heap_guard: armed\n";
	int (*next)(scmp_filter_ctx);
	int result;

	*(void **)&next = dlsym(RTLD_NEXT, "seccomp_load");
	result = next(context);
	if (result == 0) {
		if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
			__builtin_trap();
		is_locked = true;
	}
	return result;
}

void *malloc(size_t size)
{
	check();
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	check();
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	check();
	return __libc_realloc(old, size);
}
