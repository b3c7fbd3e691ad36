/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs of this folder share: they end at the first error with its name, and give
 * every connection a source address of its own, so that a connection can be told by its address
 * even if ports are used again.
 */
#ifndef SOCKWARDEN_TESTS_PROGRAMS_HELPER_H
#define SOCKWARDEN_TESTS_PROGRAMS_HELPER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ends the program if a call has failed. */
#define CHECK(call)                                                                   \
	({                                                                            \
		const __typeof__(call) result_ = (call);                              \
		if (result_ < 0) {                                                    \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, \
				strerror(errno));                                     \
			exit(1);                                                      \
		}                                                                     \
		result_;                                                              \
	})

/* A number argument between least and most, or the end of the program. */
static inline unsigned number_argument(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || value < least || value > most) {
		fprintf(stderr, "not a number from %u to %u: %s\n", least, most, text);
		exit(2);
	}
	return (unsigned)value;
}

/* 127.1.0.0 and up: all of 127/8 is local. */
static inline uint32_t loopback_address(unsigned index)
{
	return 0x7f010000U + index;
}

/* Room for so many descriptors; the hard limit is raised only where it must be. */
static inline void allow_descriptors(unsigned count)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur >= count)
		return;
	limit.rlim_cur = count;
	if (limit.rlim_max < count)
		limit.rlim_max = count;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit));
}

#endif
