/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/files.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, char *text, size_t capacity, size_t *length)
{
	*length = 0;
	while (*length < capacity) {
		ssize_t got = read(fd, text + *length, capacity - *length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		*length += (size_t)got;
	}
	return 0;
}

int config_files_read(const char *path, size_t length_max, char **text, size_t *length)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *bytes = NULL;
	struct stat about;
	size_t got;
	int result;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &about) < 0)
		return -errno;
	if (!S_ISREG(about.st_mode))
		return S_ISDIR(about.st_mode) ? -EISDIR : -EINVAL;
	/* One byte more shows a file that is too long, also one that grows meanwhile. */
	bytes = malloc(length_max + 1);
	if (!bytes)
		return -ENOMEM;
	result = read_all(fd, bytes, length_max + 1, &got);
	if (result < 0)
		return result;
	if (got > length_max)
		return -EFBIG;
	*length = got;
	*text = bytes;
	bytes = NULL;
	return 0;
}

static int is_drop_in(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 &&
	       strcmp(entry->d_name + length - 5, ".json") == 0;
}

/* alphasort(3) would order by the locale. */
static int by_bytes(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

static int collect(const char *folder, struct dirent **entries, size_t count,
		   struct config_drop_ins *drop_ins)
{
	struct config_drop_ins found = {.paths = calloc(count + 1, sizeof(char *))};

	if (!found.paths)
		return -ENOMEM;
	for (; found.count < count; found.count++) {
		if (asprintf(&found.paths[found.count], "%s/%s", folder,
			     entries[found.count]->d_name) < 0) {
			config_files_free(&found);
			return -ENOMEM;
		}
	}
	*drop_ins = found;
	return 0;
}

int config_files_drop_ins(const char *path, size_t count_max, struct config_drop_ins *drop_ins)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = NULL;
	struct dirent **entries = NULL;
	int found;
	int result;

	if (asprintf(&folder, "%.*s" CONFIG_DROP_IN_FOLDER, slash ? (int)(slash + 1 - path) : 0,
		     path) < 0) {
		folder = NULL;
		return -ENOMEM;
	}
	found = scandir(folder, &entries, is_drop_in, by_bytes);
	if (found < 0 && errno == ENOENT) {
		*drop_ins = (struct config_drop_ins){0};
		return 0;
	}
	if (found < 0)
		return -errno;
	if ((size_t)found > count_max)
		result = -E2BIG;
	else
		result = collect(folder, entries, (size_t)found, drop_ins);
	for (int i = 0; i < found; i++)
		free(entries[i]);
	free(entries);
	return result;
}

void config_files_free(struct config_drop_ins *drop_ins)
{
	for (size_t i = 0; i < drop_ins->count; i++)
		free(drop_ins->paths[i]);
	free(drop_ins->paths);
	*drop_ins = (struct config_drop_ins){0};
}
