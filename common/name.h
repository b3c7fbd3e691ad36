/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of names that stand for the values of an enum: the value is the place in the list.
 */
#ifndef SOCKWARDEN_COMMON_NAME_H
#define SOCKWARDEN_COMMON_NAME_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* The place of name in a list that ends with NULL, or -EINVAL. */
static inline int name_find(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -EINVAL;
}

#endif
