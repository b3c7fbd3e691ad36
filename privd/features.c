/* SPDX-License-Identifier: Apache-2.0 */
#include "privd/features.h"

#include <bpf/btf.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const store_names[] = {"auto", "storage", "hash"};
static const char *const hook_names[] = {"auto", "fexit", "kprobe", "none"};

/* The number of arguments of a kernel function, or -ENOENT. */
static int function_arguments(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	const struct btf_type *type;

	if (id < 0)
		return -ENOENT;
	type = btf__type_by_id(btf, btf__type_by_id(btf, (unsigned)id)->type);
	return btf_vlen(type);
}

int features_read(struct features *features)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int arguments;

	if (!btf)
		return errno == ENOENT || errno == ESRCH ? -ENOENT : -errno;
	/* The helper that gives cookies to tracing programs came one release after their storage. */
	features->storage = function_arguments(btf, "bpf_get_socket_ptr_cookie") >= 0;
	arguments = function_arguments(btf, "inet_csk_accept");
	features->accept_args = arguments == 4 || arguments == 2 ? (unsigned)arguments : 0;
	btf__free(btf);
	return 0;
}

static int parse(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return (int)i;
	}
	return -EINVAL;
}

const char *facts_store_name(enum facts_store store)
{
	return store_names[store];
}

const char *accept_hook_name(enum accept_hook hook)
{
	return hook_names[hook];
}

int facts_store_parse(const char *name, enum facts_store *store)
{
	int found = parse(store_names, sizeof(store_names) / sizeof(store_names[0]), name);

	if (found < 0)
		return found;
	*store = (enum facts_store)found;
	return 0;
}

int accept_hook_parse(const char *name, enum accept_hook *hook)
{
	int found = parse(hook_names, sizeof(hook_names) / sizeof(hook_names[0]), name);

	if (found < 0)
		return found;
	*hook = (enum accept_hook)found;
	return 0;
}
