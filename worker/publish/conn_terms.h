/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words in which a connection is told, and the facts that follow from its record: why it
 * ended, how long it was. JSON and filter expressions both take them from here, so that what is
 * printed is what can be asked for.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_CONN_TERMS_H
#define SOCKWARDEN_WORKER_PUBLISH_CONN_TERMS_H

#include "worker/conn/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "outgoing", "incoming", "unknown" of an enum record_direction, and of a connection. */
const char *conn_direction_word(uint8_t direction);
const char *conn_direction(const struct conn_view *view);

/* "tcp" or "udp". */
const char *conn_protocol(const struct conn_record *record);

/* "connect", "accept", ...; NULL if no process is known. */
const char *conn_pid_source(const struct conn_record *record);

/* "failed", "timeout", "rst", "fin"; NULL while it lives, or where it is not known. */
const char *conn_close_reason(const struct conn_view *view);

/* The errno's name of what went wrong, such as "ECONNREFUSED"; NULL if nothing is known to have. */
const char *conn_failure(const struct conn_view *view);

/* From its opening to its record, ns; false if the opening is not known. */
bool conn_duration_ns(const struct conn_record *record, uint64_t *duration_ns);

/* Whether both ends are this host: as the view knows, or a loopback address, or the local one. */
bool conn_is_intra_host(const struct conn_view *view);

/* What was counted since view->previous. */
void conn_delta(const struct conn_view *view, struct conn_totals *delta);

/* Length of comm, without its NUL. */
size_t conn_comm_length(const struct conn_record *record);

#endif
