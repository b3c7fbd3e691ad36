/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

int identity_init(struct identity *identity)
{
	char host[IDENTITY_HOST_BYTES] = {0};
	uint64_t random;

	/* The last byte stays NUL: gethostname(2) need not terminate a name that it cut. */
	if (gethostname(host, sizeof(host) - 1) < 0 && errno != ENAMETOOLONG)
		return -errno;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	memcpy(identity->host, host, sizeof(host));
	snprintf(identity->instance, sizeof(identity->instance), "%016" PRIx64, random);
	return 0;
}
