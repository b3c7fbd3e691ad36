/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this record one that our programs could have written? What passes has a known kind, version
 * and family, enumerations within their range, a terminated name and zeroed padding, so that the
 * stages behind need no checks of their own.
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_RECORD_CHECK_H
#define SOCKWARDEN_WORKER_INTAKE_RECORD_CHECK_H

#include "proto/record.h"

#include <stdbool.h>

/* kind is what the place where it was found calls for: RECORD_KIND_CLOSE or _SNAPSHOT. */
bool conn_record_is_valid(const struct conn_record *record, enum record_kind kind);

bool cgroup_record_is_valid(const struct cgroup_record *record);

#endif
