/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Empty programs where sockwarden's are: what it costs to be there and do nothing. */

#include "bpf/kernel.h"
char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/inet_sock_set_state")
int on_state(void *context)
{
	return context == 0;
}

SEC("tp_btf/tcp_destroy_sock")
int on_destroy(void *context)
{
	return context == 0;
}
