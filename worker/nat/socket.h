/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the netlink socket that privd made (privd/conntrack.h): one datagram a call, without
 * waiting, a bounded number at a time. Nothing is ever sent on it.
 *
 * The kernel puts an event there before the packet that caused it goes on, so who has read all
 * that is there now knows the translation of every connection that is known to have ended by now.
 */
#ifndef SOCKWARDEN_WORKER_NAT_SOCKET_H
#define SOCKWARDEN_WORKER_NAT_SOCKET_H

#include "worker/nat/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Datagrams that one call of nat_socket_read() takes: about 10 ms. */
#define NAT_SOCKET_DATAGRAMS_MAX 8192
/* A dump comes in pieces of at most this size (netlink_dump() in the kernel). */
#define NAT_SOCKET_BUFFER_BYTES 32768

struct nat_socket_counts {
	struct nat_message_counts parsed;
	uint64_t events;   /* that were handed on */
	uint64_t overruns; /* ENOBUFS: the kernel had to leave some out, it does not say how many */
	uint64_t truncated; /* datagrams that did not fit */
	uint64_t foreign;   /* datagrams that are not the kernel's */
	uint64_t errors;    /* reads that failed otherwise */
};

struct nat_socket {
	int fd;		  /* -1: there is none */
	uint64_t read_ns; /* CLOCK_MONOTONIC: what came before that was read */
	bool more;	  /* the last call left something unread */
	struct nat_socket_counts counts;
	uint8_t buffer[NAT_SOCKET_BUFFER_BYTES];
};

/* Who is given the events; the event is good until it returns. */
struct nat_taker {
	void *ctx;
	void (*take)(void *ctx, const struct nat_event *event);
};

/* *nat is zeroed memory; fd stays the caller's, -1 for none. */
void nat_socket_init(struct nat_socket *nat, int fd);

/* Reads what is there and hands it on. now_ns is CLOCK_MONOTONIC, read before this call. */
void nat_socket_read(struct nat_socket *nat, uint64_t now_ns, const struct nat_taker *taker);

#endif
