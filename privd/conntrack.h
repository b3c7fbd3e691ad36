/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's word on address translation: a netlink socket that hears when a translated
 * conversation begins and ends, in this network namespace and in all that it knows by an id. privd
 * makes it, asks once for what is there already, and never reads; the worker reads and cannot write.
 */
#ifndef SOCKWARDEN_PRIVD_CONNTRACK_H
#define SOCKWARDEN_PRIVD_CONNTRACK_H

/*
 * Opens it in the current network namespace. Needs CAP_NET_ADMIN, and CAP_NET_BROADCAST to hear
 * other namespaces. Returns a descriptor or -errno.
 */
int conntrack_open(void);

#endif
