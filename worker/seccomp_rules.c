/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/seccomp_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define CALL(call_name) .call = SCMP_SYS(call_name), .name = #call_name

#define ALL_BITS (~UINT64_C(0))
#define IS(argument_, value_)                                                \
	{                                                                    \
		.argument = (argument_), .mask = ALL_BITS, .value = (value_) \
	}
#define ONLY_BITS(argument_, bits)                                             \
	{                                                                      \
		.argument = (argument_), .mask = ~(uint64_t)(bits), .value = 0 \
	}
#define BELOW_FENCE(argument_) ONLY_BITS(argument_, SECCOMP_FD_FENCE - 1)

#define READ_WRITE (PROT_READ | PROT_WRITE)

const struct seccomp_rule seccomp_rules[] = {
	{CALL(futex), "locks and conditions of glibc and nng"},
	{CALL(clock_gettime), "the time, where the vDSO cannot tell it"},
	{CALL(clock_nanosleep), "waits for queued messages before the end"},
	{CALL(restart_syscall), "the kernel's own, after a wait was interrupted by a stop"},
	{CALL(exit_group), "the end"},

	{CALL(brk), "malloc"},
	{CALL(mmap),
	 "malloc: memory that is private, has no file and cannot be executed",
	 2,
	 {ONLY_BITS(2, READ_WRITE),
	  {.argument = 3,
	   .mask = ~(uint64_t)(MAP_NORESERVE | MAP_STACK | MAP_FIXED),
	   .value = MAP_PRIVATE | MAP_ANONYMOUS}}},
	{CALL(mprotect),
	 "malloc: makes reserved memory usable, never executable",
	 1,
	 {ONLY_BITS(2, READ_WRITE)}},
	{CALL(munmap), "malloc"},
	{CALL(madvise), "malloc: gives memory back"},

	{CALL(epoll_wait), "our loop and nng's poller (glibc before 2.35)"},
	{CALL(epoll_pwait), "the same with newer glibc and on arm64"},
	{CALL(epoll_ctl), "nng adds and removes connections; we remove a ring that hung up"},
	{CALL(read), "iterators, signals, nng's wake-up descriptors"},
	{CALL(readv), "nng receives"},
	{CALL(write), "the log, nng's wake-up descriptors", 1, {BELOW_FENCE(0)}},
	{CALL(write), "requests to privd", 1, {IS(0, SECCOMP_FD_PRIVD)}},
	{CALL(sendmsg), "nng sends", 1, {BELOW_FENCE(0)}},
	{CALL(recvmsg),
	 "answers of privd, with an iterator's descriptor",
	 1,
	 {IS(0, SECCOMP_FD_PRIVD)}},
	{CALL(sendto),
	 "tells systemd's socket, and no other address, how it goes",
	 2,
	 {IS(0, SECCOMP_FD_NOTIFY), IS(4, 0)}},
	{CALL(accept), "subscribers and queries (nng without NNG_USE_ACCEPT4)"},
	{CALL(accept4), "the same with other builds of nng"},
	{CALL(fcntl), "nng on an accepted connection", 2, {IS(1, F_SETFD), IS(2, FD_CLOEXEC)}},
	{CALL(fcntl), "nng on an accepted connection", 2, {IS(1, F_SETFL), IS(2, O_NONBLOCK)}},
	{CALL(getsockopt), "nng asks who a peer is", 2, {IS(1, SOL_SOCKET), IS(2, SO_PEERCRED)}},
	{CALL(shutdown), "nng ends a connection"},
	{CALL(close), "ended connections, iterators that were read"},
	{CALL(getrandom), "nng's ids; nng aborts without it"},

	/* A thread that nng has made may only get to run after the lock. */
	{CALL(rseq), "glibc at the start of a thread"},
	{CALL(set_robust_list), "glibc at the start of a thread"},
	{CALL(rt_sigprocmask), "glibc and nng at the start of a thread"},
	{CALL(prctl), "nng names its threads", 1, {IS(0, PR_SET_NAME)}},
#ifdef SOCKWARDEN_ASAN
	{CALL(sched_yield), "sanitizer"},
	{CALL(sigaltstack), "sanitizer"},
	{CALL(gettid), "sanitizer"},
	{CALL(getpid), "sanitizer"},
	{CALL(rt_sigaction), "sanitizer"},
	{CALL(openat), "sanitizer: its report names places"},
	{CALL(open), "sanitizer: its report names places"},
	{CALL(readlink), "sanitizer: its report names places"},
	{CALL(newfstatat), "sanitizer: its report names places"},
	{CALL(fstat), "sanitizer: its report names places"},
	{CALL(lseek), "sanitizer: its report names places"},
#endif
};

const size_t seccomp_rules_count = sizeof(seccomp_rules) / sizeof(seccomp_rules[0]);

static int add_rule(scmp_filter_ctx filter, const struct seccomp_rule *rule)
{
	struct scmp_arg_cmp checks[SECCOMP_CHECKS_MAX];

	/* libseccomp gives calls of other architectures negative numbers. */
	if (rule->call < 0)
		return 0;
	for (unsigned i = 0; i < rule->checks; i++) {
		checks[i] = (struct scmp_arg_cmp){
			.arg = rule->check[i].argument,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = rule->check[i].mask,
			.datum_b = rule->check[i].value,
		};
	}
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, rule->checks, checks);
}

/* The attributes: every thread, whole process, no second architecture, a tree instead of a list. */
static int set_attributes(scmp_filter_ctx filter)
{
	const struct {
		enum scmp_filter_attr attribute;
		uint32_t value;
	} attributes[] = {
		{SCMP_FLTATR_CTL_TSYNC, 1},
		{SCMP_FLTATR_CTL_NNP, 1},
		{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS},
		{SCMP_FLTATR_CTL_OPTIMIZE, 2},
	};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		int result = seccomp_attr_set(filter, attributes[i].attribute, attributes[i].value);

		if (result < 0)
			return result;
	}
	return 0;
}

int seccomp_rules_build(scmp_filter_ctx *filter)
{
	scmp_filter_ctx made = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int result;

	if (!made)
		return -ENOMEM;
	result = set_attributes(made);
	for (size_t i = 0; result == 0 && i < seccomp_rules_count; i++)
		result = add_rule(made, &seccomp_rules[i]);
	if (result < 0) {
		seccomp_release(made);
		return result;
	}
	*filter = made;
	return 0;
}
