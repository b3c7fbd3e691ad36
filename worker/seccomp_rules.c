/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/seccomp_rules.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define BELOW_FENCE(argument_) ONLY_BITS(argument_, SECCOMP_FD_FENCE - 1)

#define READ_WRITE (PROT_READ | PROT_WRITE)

const struct syscall_rule seccomp_rules[] = {
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
	{CALL(recvmsg), "events of address translation", 1, {IS(0, SECCOMP_FD_CONNTRACK)}},
	{CALL(sendto),
	 "tells systemd's socket, and no other address, how it goes",
	 2,
	 {IS(0, SECCOMP_FD_NOTIFY), IS(4, 0)}},
	{CALL(accept), "subscribers and queries (nng without NNG_USE_ACCEPT4)"},
	{CALL(accept4), "the same with other builds of nng"},
	{CALL(fcntl), "nng on an accepted connection", 2, {IS(1, F_SETFD), IS(2, FD_CLOEXEC)}},
	{CALL(fcntl), "nng on an accepted connection", 2, {IS(1, F_SETFL), IS(2, O_NONBLOCK)}},
	{CALL(getsockopt), "nng asks who a peer is", 2, {IS(1, SOL_SOCKET), IS(2, SO_PEERCRED)}},
	{CALL(getsockopt),
	 "how many packets the socket's ring had no room for",
	 3,
	 {IS(0, SECCOMP_FD_PACKETS), IS(1, SOL_PACKET), IS(2, PACKET_STATISTICS)}},
	{CALL(shutdown), "nng ends a connection"},
	{CALL(close), "ended connections, iterators that were read"},
	{CALL(getrandom), "nng's ids; nng aborts without it"},

	/* A thread that nng has made may only get to run after the lock. */
	{CALL(rseq), "glibc at the start of a thread"},
	{CALL(set_robust_list), "glibc at the start of a thread"},
	{CALL(rt_sigprocmask), "glibc and nng at the start of a thread"},
	{CALL(prctl), "nng names its threads", 1, {IS(0, PR_SET_NAME)}},
};

const size_t seccomp_rules_count = sizeof(seccomp_rules) / sizeof(seccomp_rules[0]);
