/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS conversation that a connection is, found by its ends or by what these are translated to, since
 * packets are seen on this host's interfaces and not in its sockets. One whose remote port is a port
 * of servers is seen from the client's side, one whose local port is, from the server's.
 */
#ifndef SOCKWARDEN_WORKER_CONN_CONN_DNS_H
#define SOCKWARDEN_WORKER_CONN_CONN_DNS_H

#include "worker/conn/view.h"
#include "worker/dns/dns.h"

#include <stdbool.h>

/*
 * What a connection is to be told; its translation is in the view. That of a closed one ends: what comes
 * later is the next one's with these ends. False if there is nothing.
 */
bool conn_dns_find(struct dns *dns, const struct conn_view *view,
		   struct dns_conversation_numbers *numbers);

#endif
