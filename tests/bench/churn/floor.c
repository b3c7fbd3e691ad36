/* SPDX-License-Identifier: Apache-2.0 */
/* Attaches the empty programs, says "ready", and keeps them until it is killed. */
#include "churn_floor.skel.h"

#include <stdio.h>
#include <unistd.h>

int main(void)
{
	struct churn_floor *programs = churn_floor__open_and_load();

	if (!programs || churn_floor__attach(programs) != 0) {
		fprintf(stderr, "the empty programs cannot be attached\n");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
