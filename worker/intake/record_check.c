/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/record_check.h"

#include <netinet/in.h>
#include <string.h>

/* linux/tcp_states.h: TCP_ESTABLISHED is 1, TCP_NEW_SYN_RECV, the last one, is 12. */
#define TCP_STATE_MIN 1
#define TCP_STATE_MAX 12

/* include/linux/err.h: no errno is larger. */
#define ERRNO_MAX 4095

bool conn_record_is_valid(const struct conn_record *record, enum record_kind kind)
{
	if (record->kind != kind || record->version != RECORD_VERSION)
		return false;
	if (record->family != RECORD_FAMILY_IPV4 && record->family != RECORD_FAMILY_IPV6)
		return false;
	if (record->direction > RECORD_DIRECTION_INCOMING ||
	    record->pid_source > RECORD_PID_TRAFFIC)
		return false;
	switch (record->protocol) {
	case IPPROTO_TCP:
		if (record->tcp_state < TCP_STATE_MIN || record->tcp_state > TCP_STATE_MAX ||
		    record->end != RECORD_END_NONE)
			return false;
		break;
	case IPPROTO_UDP:
		if (record->tcp_state != 0 || record->end > RECORD_END_EVICTED ||
		    (record->end != RECORD_END_NONE) != (kind == RECORD_KIND_CLOSE))
			return false;
		break;
	default:
		return false;
	}
	if (record->error > ERRNO_MAX)
		return false;
	if (record->pad0 != 0 || record->pad1 != 0)
		return false;
	return memchr(record->comm, '\0', sizeof(record->comm)) != NULL;
}

bool cgroup_record_is_valid(const struct cgroup_record *record)
{
	if (record->kind != RECORD_KIND_CGROUP || record->version != RECORD_VERSION)
		return false;
	if (record->pad0 != 0 || record->pad1 != 0)
		return false;
	return memchr(record->path, '\0', sizeof(record->path)) != NULL;
}
