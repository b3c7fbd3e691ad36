/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/facts.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

int identity_init(struct identity *identity)
{
	char host[IDENTITY_HOST_BYTES] = {0};
	uint64_t random[3];

	/* The last byte stays NUL: gethostname(2) need not terminate a name that it cut. */
	if (gethostname(host, sizeof(host) - 1) < 0 && errno != ENAMETOOLONG)
		return -errno;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	memcpy(identity->host, host, sizeof(host));
	snprintf(identity->instance, sizeof(identity->instance), "%016" PRIx64, random[0]);
	snprintf(identity->secret, sizeof(identity->secret), "%016" PRIx64 "%016" PRIx64, random[1],
		 random[2]);
	return 0;
}

int facts_read_credentials(struct worker_facts *facts)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, sets) < 0)
		return -errno;
	facts->uid = geteuid();
	facts->gid = getegid();
	facts->capabilities = (uint64_t)(sets[1].effective | sets[1].permitted) << 32 |
			      (sets[0].effective | sets[0].permitted);
	return 0;
}
