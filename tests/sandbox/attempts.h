/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a taken-over worker might try, and what it must still be able to do: one function each,
 * called in a process that is locked as the worker is.
 */
#ifndef SOCKWARDEN_TESTS_SANDBOX_ATTEMPTS_H
#define SOCKWARDEN_TESTS_SANDBOX_ATTEMPTS_H

#include <stdbool.h>
#include <stddef.h>

/* What was prepared before the lock. */
struct stage {
	int other_pid;	  /* a process of the same user */
	int plain_fd;	  /* a connected socket below the fence */
	int ring_fd;	  /* stands for a ring's descriptor, above the fence */
	bool has_packets; /* SECCOMP_FD_PACKETS is a packet socket: it takes a privilege to make one */
	void *page;	  /* a page of private memory */
	const char *file; /* in the runtime directory */
};

struct attempt {
	const char *name;
	bool allowed;				/* it must work; otherwise it must be deadly */
	bool (*run)(const struct stage *stage); /* whether it worked */
};

extern const struct attempt attempts[];
extern const size_t attempts_count;

#endif
