/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"

#define SLACK_NS (10 * NS_PER_MS)

static void follow(uint64_t *offset_ns, uint64_t measured_ns)
{
	/* Modulo 2^64, as offsets are: the difference may have either sign. */
	if (measured_ns - *offset_ns + SLACK_NS > 2 * SLACK_NS)
		*offset_ns = measured_ns;
}

void clock_offsets_follow(struct clock_offsets *offsets, struct clock_offsets measured)
{
	follow(&offsets->monotonic_ns, measured.monotonic_ns);
	follow(&offsets->boot_ns, measured.boot_ns);
}
