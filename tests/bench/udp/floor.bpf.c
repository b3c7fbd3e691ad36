/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Empty programs where sockwarden's are, for each way to see UDP: what it costs to be there. */

#include "bpf/kernel.h"
char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define EMPTY(name, where, result) \
	SEC(where)                 \
	int name(void *context)    \
	{                          \
		return (result);   \
	}

/* fentry must give 0, and a cgroup's program 1: go on. */
EMPTY(fentry_sent, "fentry/ip_send_skb", 0)
EMPTY(fentry_sent6, "fentry/ip6_send_skb", 0)
EMPTY(fentry_received, "fentry/skb_consume_udp", 0)
EMPTY(fentry_released, "fentry/udp_destroy_sock", 0)
EMPTY(fentry_released6, "fentry/udpv6_destroy_sock", 0)
EMPTY(kprobe_sent, "kprobe/ip_send_skb", 0)
EMPTY(kprobe_sent6, "kprobe/ip6_send_skb", 0)
EMPTY(kprobe_received, "kprobe/skb_consume_udp", 0)
EMPTY(kprobe_released, "kprobe/udp_destroy_sock", 0)
EMPTY(kprobe_released6, "kprobe/udpv6_destroy_sock", 0)
EMPTY(cgroup_sent, "cgroup_skb/egress", 1)
EMPTY(cgroup_received, "cgroup_skb/ingress", 1)
EMPTY(cgroup_bound, "cgroup/post_bind4", 1)
EMPTY(cgroup_bound6, "cgroup/post_bind6", 1)
EMPTY(cgroup_gone, "cgroup/sock_release", 1)
