/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sandbox/attempts.h"

#include "worker/seccomp_rules.h"

#include <linux/bpf.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A call that must not return. Its arguments would be good enough to work elsewhere. */
#define DEADLY(name, ...)                                                         \
	__attribute__((unused)) static bool try_##name(const struct stage *stage) \
	{                                                                         \
		(void)stage;                                                      \
		syscall(__VA_ARGS__);                                             \
		return true;                                                      \
	}

static char *const no_strings[] = {NULL};
static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
static union bpf_attr bpf_attributes;
static struct perf_event_attr perf_attributes = {.size = sizeof(perf_attributes)};
static struct rlimit limit = {4096, 4096};
static struct iovec vector = {&limit, sizeof(limit)};
static struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

DEADLY(execve, SYS_execve, "/bin/true", no_strings, no_strings)
DEADLY(execveat, SYS_execveat, AT_FDCWD, "/bin/true", no_strings, no_strings, 0)
DEADLY(openat, SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0)
DEADLY(openat2, SYS_openat2, AT_FDCWD, "/dev/null", &limit, 24)
DEADLY(unlink, SYS_unlinkat, AT_FDCWD, stage->file, 0)
DEADLY(rename, SYS_renameat2, AT_FDCWD, stage->file, AT_FDCWD, "y", 0)
DEADLY(chmod, SYS_fchmodat, AT_FDCWD, stage->file, 0666)
DEADLY(mkdir, SYS_mkdirat, AT_FDCWD, "x", 0700)
DEADLY(stat, SYS_newfstatat, AT_FDCWD, "/", &limit, 0)
DEADLY(socket, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
DEADLY(socketpair, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, &limit)
DEADLY(connect, SYS_connect, stage->plain_fd, &address, sizeof(address))
DEADLY(bind, SYS_bind, stage->plain_fd, &address, sizeof(address))
DEADLY(listen, SYS_listen, stage->plain_fd, 1)
DEADLY(setsockopt, SYS_setsockopt, stage->plain_fd, SOL_SOCKET, SO_PRIORITY, &limit, 4)
DEADLY(getsockopt_of_others, SYS_getsockopt, stage->plain_fd, SOL_SOCKET, SO_PEERSEC, &limit,
       &vector)
DEADLY(bpf_map_create, SYS_bpf, BPF_MAP_CREATE, &bpf_attributes, sizeof(bpf_attributes))
DEADLY(bpf_prog_load, SYS_bpf, BPF_PROG_LOAD, &bpf_attributes, sizeof(bpf_attributes))
DEADLY(bpf_map_lookup, SYS_bpf, BPF_MAP_LOOKUP_ELEM, &bpf_attributes, sizeof(bpf_attributes))
DEADLY(bpf_map_update, SYS_bpf, BPF_MAP_UPDATE_ELEM, &bpf_attributes, sizeof(bpf_attributes))
DEADLY(bpf_map_freeze, SYS_bpf, BPF_MAP_FREEZE, &bpf_attributes, sizeof(bpf_attributes))
DEADLY(bpf_iter_create, SYS_bpf, BPF_ITER_CREATE, &bpf_attributes, sizeof(bpf_attributes))
DEADLY(bpf_link_update, SYS_bpf, BPF_LINK_UPDATE, &bpf_attributes, sizeof(bpf_attributes))
DEADLY(perf_event_open, SYS_perf_event_open, &perf_attributes, 0, -1, -1, 0)
DEADLY(ring_disable, SYS_ioctl, stage->ring_fd, PERF_EVENT_IOC_DISABLE, 0)
DEADLY(ring_set_bpf, SYS_ioctl, stage->ring_fd, PERF_EVENT_IOC_SET_BPF, 0)
DEADLY(ring_map_again, SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED, stage->ring_fd, 0)
DEADLY(ptrace_attach, SYS_ptrace, PTRACE_ATTACH, stage->other_pid, 0, 0)
DEADLY(ptrace_me, SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)
DEADLY(process_vm_readv, SYS_process_vm_readv, stage->other_pid, &vector, 1, &vector, 1, 0)
DEADLY(process_vm_writev, SYS_process_vm_writev, stage->other_pid, &vector, 1, &vector, 1, 0)
DEADLY(kill_another, SYS_kill, stage->other_pid, SIGKILL)
DEADLY(tgkill_another, SYS_tgkill, stage->other_pid, stage->other_pid, SIGKILL)
DEADLY(pidfd_open, SYS_pidfd_open, stage->other_pid, 0)
DEADLY(mount, SYS_mount, "none", "/mnt", "tmpfs", 0, NULL)
DEADLY(chroot, SYS_chroot, "/tmp")
DEADLY(setns, SYS_setns, stage->plain_fd, 0)
DEADLY(unshare, SYS_unshare, CLONE_NEWUSER)
DEADLY(clone, SYS_clone, SIGCHLD, 0, 0, 0, 0)
DEADLY(clone3, SYS_clone3, &limit, sizeof(limit))
DEADLY(io_uring_setup, SYS_io_uring_setup, 8, &limit)
DEADLY(userfaultfd, SYS_userfaultfd, 0)
DEADLY(keyctl, SYS_keyctl, 0, 0, 0, 0, 0)
DEADLY(add_key, SYS_add_key, "user", "x", "y", 1, -2)
DEADLY(memfd_create, SYS_memfd_create, "x", 0)
DEADLY(mprotect_exec, SYS_mprotect, stage->page, 4096, PROT_READ | PROT_EXEC)
DEADLY(mmap_exec, SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
DEADLY(mmap_shared, SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
DEADLY(mmap_file, SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, stage->plain_fd, 0)
DEADLY(pkey_mprotect, SYS_pkey_mprotect, stage->page, 4096, PROT_READ | PROT_EXEC, -1)
DEADLY(mremap, SYS_mremap, stage->page, 4096, 8192, 1, NULL)
DEADLY(prctl_dumpable, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
DEADLY(prctl_seccomp, SYS_prctl, PR_SET_SECCOMP, 1, 0, 0, 0)
DEADLY(seccomp, SYS_seccomp, 0, 0, NULL)
DEADLY(setuid, SYS_setuid, 0)
DEADLY(setgid, SYS_setgid, 0)
DEADLY(capset, SYS_capset, &limit, &limit)
DEADLY(setrlimit, SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL)
DEADLY(dup, SYS_dup, SECCOMP_FD_PRIVD)
DEADLY(dup3, SYS_dup3, SECCOMP_FD_PRIVD, 3, 0)
DEADLY(fcntl_dup, SYS_fcntl, SECCOMP_FD_PRIVD, F_DUPFD, 0)
DEADLY(fcntl_setown, SYS_fcntl, stage->plain_fd, F_SETOWN, stage->other_pid)
DEADLY(write_to_ring, SYS_write, stage->ring_fd, "x", 1)
DEADLY(write_beyond_32_bits, SYS_write, (1ULL << 32) | (unsigned)stage->plain_fd, "x", 1)
DEADLY(sendmsg_to_privd, SYS_sendmsg, SECCOMP_FD_PRIVD, &message, 0)
DEADLY(sendmsg_to_netlink, SYS_sendmsg, SECCOMP_FD_CONNTRACK, &message, 0)
DEADLY(sendto_netlink, SYS_sendto, SECCOMP_FD_CONNTRACK, "x", 1, 0, NULL, 0)
DEADLY(sendmmsg_to_netlink, SYS_sendmmsg, SECCOMP_FD_CONNTRACK, &message, 1, 0)
DEADLY(write_to_netlink, SYS_write, SECCOMP_FD_CONNTRACK, "x", 1)
DEADLY(writev_to_netlink, SYS_writev, SECCOMP_FD_CONNTRACK, &vector, 1)
DEADLY(setsockopt_of_netlink, SYS_setsockopt, SECCOMP_FD_CONNTRACK, SOL_NETLINK,
       NETLINK_ADD_MEMBERSHIP, &limit, 4)
DEADLY(bind_netlink, SYS_bind, SECCOMP_FD_CONNTRACK, &address, sizeof(address))
DEADLY(sendmsg_to_packets, SYS_sendmsg, SECCOMP_FD_PACKETS, &message, 0)
DEADLY(sendmmsg_to_packets, SYS_sendmmsg, SECCOMP_FD_PACKETS, &message, 1, 0)
DEADLY(sendto_packets, SYS_sendto, SECCOMP_FD_PACKETS, "x", 1, 0, NULL, 0)
DEADLY(sendto_packets_by_address, SYS_sendto, SECCOMP_FD_PACKETS, "x", 1, 0, &address,
       sizeof(address))
DEADLY(write_to_packets, SYS_write, SECCOMP_FD_PACKETS, "x", 1)
DEADLY(writev_to_packets, SYS_writev, SECCOMP_FD_PACKETS, &vector, 1)
DEADLY(pwrite_to_packets, SYS_pwrite64, SECCOMP_FD_PACKETS, "x", 1, 0)
DEADLY(splice_to_packets, SYS_splice, stage->plain_fd, NULL, SECCOMP_FD_PACKETS, NULL, 1, 0)
DEADLY(sendfile_to_packets, SYS_sendfile, SECCOMP_FD_PACKETS, stage->ring_fd, NULL, 1)
DEADLY(bind_packets, SYS_bind, SECCOMP_FD_PACKETS, &address, sizeof(address))
DEADLY(connect_packets, SYS_connect, SECCOMP_FD_PACKETS, &address, sizeof(address))
DEADLY(ioctl_packets, SYS_ioctl, SECCOMP_FD_PACKETS, 0x8914 /* SIOCSIFFLAGS */, &limit)
DEADLY(detach_packet_filter, SYS_setsockopt, SECCOMP_FD_PACKETS, SOL_SOCKET, SO_DETACH_FILTER,
       &limit, 4)
DEADLY(attach_packet_filter, SYS_setsockopt, SECCOMP_FD_PACKETS, SOL_SOCKET, SO_ATTACH_FILTER,
       &limit, sizeof(struct sock_fprog))
DEADLY(promiscuous_packets, SYS_setsockopt, SECCOMP_FD_PACKETS, SOL_PACKET, PACKET_ADD_MEMBERSHIP,
       &limit, sizeof(struct packet_mreq))
DEADLY(transmit_ring_of_packets, SYS_setsockopt, SECCOMP_FD_PACKETS, SOL_PACKET, PACKET_TX_RING,
       &limit, sizeof(struct tpacket_req))
DEADLY(getsockopt_of_packets, SYS_getsockopt, SECCOMP_FD_PACKETS, SOL_PACKET, PACKET_HDRLEN, &limit,
       &vector)
DEADLY(get_packet_filter, SYS_getsockopt, SECCOMP_FD_PACKETS, SOL_SOCKET, SO_GET_FILTER, &limit,
       &vector)
DEADLY(statistics_of_others, SYS_getsockopt, stage->plain_fd, SOL_PACKET, PACKET_STATISTICS, &limit,
       &vector)
DEADLY(recvmsg_of_packets, SYS_recvmsg, SECCOMP_FD_PACKETS, &message, MSG_DONTWAIT)
DEADLY(recvfrom_packets, SYS_recvfrom, SECCOMP_FD_PACKETS, &limit, 1, MSG_DONTWAIT, NULL, NULL)
DEADLY(map_packets_again, SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED, SECCOMP_FD_PACKETS, 0)
DEADLY(dup_packets, SYS_dup, SECCOMP_FD_PACKETS)
DEADLY(dup_packets_lower, SYS_fcntl, SECCOMP_FD_PACKETS, F_DUPFD, 0)
DEADLY(sendto_privd, SYS_sendto, SECCOMP_FD_PRIVD, "x", 1, 0, NULL, 0)
DEADLY(sendto_address, SYS_sendto, SECCOMP_FD_NOTIFY, "x", 1, 0, &address, sizeof(address))
DEADLY(sendmmsg, SYS_sendmmsg, stage->plain_fd, &message, 1, 0)
DEADLY(recvmsg_elsewhere, SYS_recvmsg, stage->plain_fd, &message, MSG_DONTWAIT)
DEADLY(splice, SYS_splice, stage->plain_fd, NULL, stage->plain_fd, NULL, 1, 0)
DEADLY(personality, SYS_personality, 0)
DEADLY(reboot, SYS_reboot, 0, 0, 0, NULL)
DEADLY(no_such_call, 4000)
#ifdef __x86_64__
/* The kernel's other system-call tables: the x32 numbers, and the 32-bit gate. */
DEADLY(x32_getpid, 0x40000000 + SYS_getpid)

static bool try_int80_getpid(const struct stage *stage)
{
	long result;

	(void)stage;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	return true;
}
#endif

static bool may_log(const struct stage *stage)
{
	(void)stage;
	return write(STDERR_FILENO, "", 0) == 0;
}

static bool may_allocate(const struct stage *stage)
{
	void *memory =
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)stage;
	if (memory == MAP_FAILED)
		return false;
	memset(memory, 1, 1 << 20);
	return munmap(memory, 1 << 20) == 0;
}

static bool may_protect(const struct stage *stage)
{
	return mprotect(stage->page, 4096, PROT_NONE) == 0 &&
	       mprotect(stage->page, 4096, PROT_READ | PROT_WRITE) == 0;
}

static bool may_ask_privd(const struct stage *stage)
{
	char answer[16];
	struct iovec into = {answer, sizeof(answer)};
	struct msghdr received = {.msg_iov = &into, .msg_iovlen = 1};

	(void)stage;
	/* The other end sends everything back. */
	return write(SECCOMP_FD_PRIVD, "hello", 5) == 5 &&
	       recvmsg(SECCOMP_FD_PRIVD, &received, 0) == 5 && memcmp(answer, "hello", 5) == 0;
}

/* Nothing was asked, so nothing is there; but asking is not deadly. */
static bool may_receive_from_netlink(const struct stage *stage)
{
	char bytes[16];
	struct iovec into = {bytes, sizeof(bytes)};
	struct msghdr received = {.msg_iov = &into, .msg_iovlen = 1};

	(void)stage;
	return recvmsg(SECCOMP_FD_CONNTRACK, &received, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Where the test may not make a packet socket another stands for it, and says that it has no such thing. */
static bool may_ask_for_lost_packets(const struct stage *stage)
{
	struct tpacket_stats_v3 statistics;
	socklen_t size = sizeof(statistics);
	const int result =
		getsockopt(SECCOMP_FD_PACKETS, SOL_PACKET, PACKET_STATISTICS, &statistics, &size);

	return stage->has_packets ? result == 0 : result < 0 && errno == EOPNOTSUPP;
}

static bool may_tell_systemd(const struct stage *stage)
{
	(void)stage;
	return send(SECCOMP_FD_NOTIFY, "READY=1", 7, MSG_NOSIGNAL | MSG_DONTWAIT) == 7;
}

static bool may_read_and_send(const struct stage *stage)
{
	char byte;

	/* plain_fd is connected to itself by the other end. */
	return sendmsg(stage->plain_fd, &message, MSG_NOSIGNAL) == sizeof(limit) &&
	       read(stage->plain_fd, &byte, 1) == 1;
}

static bool may_draw_random(const struct stage *stage)
{
	uint32_t number;

	(void)stage;
	return getrandom(&number, sizeof(number), 0) == sizeof(number);
}

static bool may_wait(const struct stage *stage)
{
	const struct timespec moment = {.tv_nsec = 1000};

	(void)stage;
	return nanosleep(&moment, NULL) == 0;
}

#define NO(name)                         \
	{                                \
#name, false, try_##name \
	}
#define YES(name)                 \
	{                         \
#name, true, name \
	}

const struct attempt attempts[] = {
	NO(execve),
	NO(execveat),
	NO(openat2),
	NO(unlink),
	NO(rename),
	NO(chmod),
	NO(mkdir),
	NO(socket),
	NO(socketpair),
	NO(connect),
	NO(bind),
	NO(listen),
	NO(setsockopt),
	NO(getsockopt_of_others),
	NO(bpf_map_create),
	NO(bpf_prog_load),
	NO(bpf_map_lookup),
	NO(bpf_map_update),
	NO(bpf_map_freeze),
	NO(bpf_iter_create),
	NO(bpf_link_update),
	NO(perf_event_open),
	NO(ring_disable),
	NO(ring_set_bpf),
	NO(ptrace_attach),
	NO(ptrace_me),
	NO(process_vm_readv),
	NO(process_vm_writev),
	NO(kill_another),
	NO(tgkill_another),
	NO(pidfd_open),
	NO(mount),
	NO(chroot),
	NO(setns),
	NO(unshare),
	NO(clone),
	NO(clone3),
	NO(io_uring_setup),
	NO(userfaultfd),
	NO(keyctl),
	NO(add_key),
	NO(memfd_create),
	NO(pkey_mprotect),
	NO(mremap),
	NO(prctl_dumpable),
	NO(prctl_seccomp),
	NO(seccomp),
	NO(setuid),
	NO(setgid),
	NO(capset),
	NO(setrlimit),
	NO(dup),
	NO(dup3),
	NO(fcntl_dup),
	NO(fcntl_setown),
	NO(write_to_ring),
	NO(write_beyond_32_bits),
	NO(sendmsg_to_privd),
	NO(sendmsg_to_netlink),
	NO(sendto_netlink),
	NO(sendmmsg_to_netlink),
	NO(write_to_netlink),
	NO(writev_to_netlink),
	NO(setsockopt_of_netlink),
	NO(bind_netlink),
	NO(sendmsg_to_packets),
	NO(sendmmsg_to_packets),
	NO(sendto_packets),
	NO(sendto_packets_by_address),
	NO(write_to_packets),
	NO(writev_to_packets),
	NO(pwrite_to_packets),
	NO(splice_to_packets),
	NO(sendfile_to_packets),
	NO(bind_packets),
	NO(connect_packets),
	NO(ioctl_packets),
	NO(detach_packet_filter),
	NO(attach_packet_filter),
	NO(promiscuous_packets),
	NO(transmit_ring_of_packets),
	NO(getsockopt_of_packets),
	NO(get_packet_filter),
	NO(statistics_of_others),
	NO(recvmsg_of_packets),
	NO(recvfrom_packets),
	NO(dup_packets),
	NO(dup_packets_lower),
	NO(sendto_privd),
	NO(sendto_address),
	NO(sendmmsg),
	NO(recvmsg_elsewhere),
	NO(splice),
	NO(personality),
	NO(reboot),
	NO(no_such_call),
/* A sanitizer's own calls are allowed in its builds. */
#ifndef SOCKWARDEN_ASAN
	NO(openat),
	NO(stat),
	NO(mmap_exec),
	NO(mmap_shared),
	NO(mmap_file),
	NO(ring_map_again),
	NO(map_packets_again),
	NO(mprotect_exec),
#endif
#ifdef __x86_64__
	NO(x32_getpid),
	NO(int80_getpid),
#endif
	YES(may_log),
	YES(may_allocate),
	YES(may_protect),
	YES(may_ask_privd),
	YES(may_receive_from_netlink),
	YES(may_ask_for_lost_packets),
	YES(may_tell_systemd),
	YES(may_read_and_send),
	YES(may_draw_random),
	YES(may_wait),
};

const size_t attempts_count = sizeof(attempts) / sizeof(attempts[0]);
