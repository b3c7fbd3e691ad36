/* SPDX-License-Identifier: Apache-2.0 */
#include "common/users.h"

#include "common/log.h"

#include <errno.h>
#include <pwd.h>

int users_find(const char *worker_name, const char *privd_name, struct user *worker,
	       struct user *privd)
{
	const struct passwd *entry = getpwnam(worker_name);

	if (!entry) {
		log_error("no user '%s': create it (systemd-sysusers or useradd -r) or name "
			  "another by --worker-user",
			  worker_name);
		return -ENOENT;
	}
	*worker = (struct user){entry->pw_uid, entry->pw_gid};
	entry = getpwnam(privd_name);
	if (!entry) {
		log_warning("no user '%s': becoming nobody instead", privd_name);
		entry = getpwnam("nobody");
	}
	if (!entry) {
		log_error("no user 'nobody' either: name one by --privd-user");
		return -ENOENT;
	}
	*privd = (struct user){entry->pw_uid, entry->pw_gid};
	if (worker->uid == 0 || privd->uid == 0 || worker->uid == privd->uid) {
		log_error("worker and privd must be two different users, and neither of them root");
		return -EINVAL;
	}
	return 0;
}
