/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A classic socket filter (linux/filter.h) for a conntrack netlink socket. Of the events only those
 * of translated entries get through: of all other conversations the receiver is not even woken.
 * What is no event gets through: dumped entries, of which many come in one message, and errors.
 */
#ifndef SOCKWARDEN_BPF_CONNTRACK_FILTER_H
#define SOCKWARDEN_BPF_CONNTRACK_FILTER_H

#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

/* What a filter loads is in network order, a netlink header is not. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOADED(half) __builtin_bswap16(half)
#else
#define LOADED(half) (half)
#endif

static struct sock_filter conntrack_filter[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, LOADED(0xff00), 0, 8), /* netlink's own */
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_flags)),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, LOADED(NLM_F_MULTI), 6, 0), /* dumped */
	/* The kernel looks for attribute X from offset A on, and A is its offset then. */
	BPF_STMT(BPF_LD | BPF_IMM, NLMSG_HDRLEN + sizeof(struct nfgenmsg)),
	BPF_STMT(BPF_LDX | BPF_IMM, CTA_STATUS),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR)),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_IND, sizeof(struct nlattr)),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IPS_NAT_MASK, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

#endif
