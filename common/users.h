/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The users that the two processes run as. Both must be ordinary ones, and not the same: each is to
 * be safe from the other.
 */
#ifndef SOCKWARDEN_COMMON_USERS_H
#define SOCKWARDEN_COMMON_USERS_H

#include <sys/types.h>

struct user {
	uid_t uid;
	gid_t gid;
};

/*
 * Looks both up by name; where there is no user for privd it is nobody. 0; -ENOENT, or -EINVAL for root or
 * twice the same (logged).
 */
int users_find(const char *worker_name, const char *privd_name, struct user *worker,
	       struct user *privd);

#endif
