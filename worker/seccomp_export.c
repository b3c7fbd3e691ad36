/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the locked worker's system-call filter as text (libseccomp's PFC) to stdout:
 *
 *   build/worker/seccomp-export > deploy/seccomp-worker.pfc
 */
#include "worker/seccomp_rules.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	scmp_filter_ctx filter;
	int result = syscall_filter_build(seccomp_rules, seccomp_rules_count, &filter);

	if (result == 0) {
		result = seccomp_export_pfc(filter, STDOUT_FILENO);
		seccomp_release(filter);
	}
	if (result < 0) {
		fprintf(stderr, "seccomp-export: %s\n", strerror(-result));
		return 1;
	}
	return 0;
}
