/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request to the worker may hold (sockwarden-events(7), "Queries"): the worker refuses more, and the
 * command asks for more in several. Each is told to users too, so a smaller number breaks programs of theirs.
 */
#ifndef SOCKWARDEN_PROTO_QUERY_H
#define SOCKWARDEN_PROTO_QUERY_H

/* Addresses of one "names" request. */
#define QUERY_ADDRESSES_MAX 160

#endif
