/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/container.h"

#include "proto/record.h"

#include <stddef.h>
#include <string.h>

#define RUNTIME_ID_DIGITS 64
#define ECS_TASK_DIGITS 32
#define ECS_NUMBER_DIGITS_MAX 10

/* One component of a path, or a piece of one. */
struct part {
	const char *text;
	size_t length;
};

static bool part_is(struct part part, const char *word)
{
	return part.length == strlen(word) && memcmp(part.text, word, part.length) == 0;
}

/* Takes the prefix off, or leaves all as it was and returns false. */
static bool cut_prefix(struct part *part, const char *prefix)
{
	const size_t length = strlen(prefix);

	if (part->length < length || memcmp(part->text, prefix, length) != 0)
		return false;
	part->text += length;
	part->length -= length;
	return true;
}

static bool cut_suffix(struct part *part, const char *suffix)
{
	const size_t length = strlen(suffix);

	if (part->length < length ||
	    memcmp(part->text + part->length - length, suffix, length) != 0)
		return false;
	part->length -= length;
	return true;
}

/* Takes exactly so many hex digits off; capital ones are nobody's. */
static bool cut_hex(struct part *part, size_t digits)
{
	if (part->length < digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		const char c = part->text[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
	}
	part->text += digits;
	part->length -= digits;
	return true;
}

static bool write_id(char id[CONTAINER_ID_BYTES], struct part part)
{
	if (part.length == 0 || part.length >= CONTAINER_ID_BYTES)
		return false;
	memcpy(id, part.text, part.length);
	id[part.length] = '\0';
	return true;
}

/*
 * "docker-ID.scope" (systemd driver), "docker-ID" or "ID" (cgroupfs driver), and the colons of
 * "SLICE:cri-containerd:ID", which is the systemd driver's name given to the cgroupfs one. What else
 * stands before an id is a helper's, such as "crio-conmon-".
 */
static bool of_runtime(struct part part, struct part parent, char id[CONTAINER_ID_BYTES])
{
	static const char *const prefixes[] = {"docker-", "cri-containerd-", "nerdctl-",
					       "crio-",	  "libpod-payload-", "libpod-"};
	static const char *const colons[] = {
		":docker:", ":cri-containerd:", ":nerdctl:", ":crio:", ":libpod:"};
	bool is_named = false;
	struct part before;
	struct part digits;

	for (size_t i = 0; !is_named && i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		is_named = cut_prefix(&part, prefixes[i]);
	if (is_named)
		cut_suffix(&part, ".scope");
	if (part.length < RUNTIME_ID_DIGITS)
		return false;
	before = (struct part){part.text, part.length - RUNTIME_ID_DIGITS};
	digits = (struct part){part.text + before.length, RUNTIME_ID_DIGITS};
	for (size_t i = 0; before.length > 0 && i < sizeof(colons) / sizeof(colons[0]); i++) {
		if (cut_suffix(&before, colons[i]))
			before.length = 0;
	}
	if (before.length > 0 ||
	    !cut_hex(&(struct part){digits.text, digits.length}, digits.length))
		return false;
	/* Podman's cgroupfs driver names pods like this, and their containers "libpod-ID" in them. */
	if (!is_named && part_is(parent, "libpod_parent"))
		return false;
	return write_id(id, digits);
}

/* Amazon ECS on Fargate: "TASK-NUMBER". */
static bool of_ecs(struct part part, char id[CONTAINER_ID_BYTES])
{
	const struct part whole = part;

	if (!cut_hex(&part, ECS_TASK_DIGITS) || !cut_prefix(&part, "-"))
		return false;
	if (part.length == 0 || part.length > ECS_NUMBER_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < part.length; i++) {
		if (part.text[i] < '0' || part.text[i] > '9')
			return false;
	}
	return write_id(id, whole);
}

/* Cloud Foundry's Garden: eight hex digits and four times four, one group short of a UUID. */
static bool of_garden(struct part part, char id[CONTAINER_ID_BYTES])
{
	const struct part whole = part;

	if (!cut_hex(&part, 8))
		return false;
	for (unsigned group = 0; group < 4; group++) {
		if (!cut_prefix(&part, "-") || !cut_hex(&part, 4))
			return false;
	}
	return part.length == 0 && write_id(id, whole);
}

/* "lxc.payload.NAME" since 4.0, "lxc.payload/NAME" in 3.1 and 3.2, "lxc/NAME" before and by Proxmox. */
static bool of_lxc(struct part part, struct part parent, char id[CONTAINER_ID_BYTES])
{
	if (cut_prefix(&part, "lxc.payload.") || part_is(parent, "lxc.payload") ||
	    part_is(parent, "lxc"))
		return write_id(id, part);
	return false;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Takes one character off: as it is, or as the \xNN of systemd's unit names (systemd.unit(5)). */
static bool cut_character(struct part *part, char *c)
{
	int high, low;

	if (!cut_prefix(part, "\\x")) {
		*c = *part->text;
		part->text++;
		part->length--;
		return true;
	}
	if (part->length < 2)
		return false;
	high = hex_value(part->text[0]);
	low = hex_value(part->text[1]);
	part->text += 2;
	part->length -= 2;
	if (high < 0 || low < 0)
		return false;
	*c = (char)(high * 16 + low);
	return *c != '\0';
}

static bool write_unescaped(char id[CONTAINER_ID_BYTES], struct part part)
{
	size_t length = 0;

	if (part.length == 0 || part.length >= CONTAINER_ID_BYTES)
		return false;
	while (part.length > 0) {
		if (!cut_character(&part, &id[length++]))
			return false;
	}
	id[length] = '\0';
	return true;
}

/*
 * systemd-machined's "machine-NAME.scope" and nspawn's "systemd-nspawn@NAME.service". The latter
 * holds nspawn itself; the container is in groups below it. libvirt registers its machines too:
 * those of QEMU are no containers.
 */
static bool of_machine(struct part part, struct part child, char id[CONTAINER_ID_BYTES])
{
	if (part_is(child, "supervisor"))
		return false;
	if (cut_prefix(&part, "machine-") && cut_suffix(&part, ".scope")) {
		struct part name = part;

		return !cut_prefix(&name, "qemu\\x2d") && write_unescaped(id, part);
	}
	if (cut_prefix(&part, "systemd-nspawn@") && cut_suffix(&part, ".service"))
		return child.length > 0 && write_unescaped(id, part);
	return false;
}

/* The component that ends before *end, which is moved to where the next one outwards ends. */
static struct part last_part(const char *path, size_t *end)
{
	size_t begin = *end;
	struct part part;

	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	part = (struct part){path + begin, *end - begin};
	*end = begin > 0 ? begin - 1 : 0;
	return part;
}

bool container_id_of(const char *cgroup_path, char id[CONTAINER_ID_BYTES])
{
	size_t end = strnlen(cgroup_path, RECORD_CGROUP_PATH_BYTES);
	struct part child = {cgroup_path, 0};
	struct part part = last_part(cgroup_path, &end);

	while (part.length > 0) {
		const struct part parent = last_part(cgroup_path, &end);

		if (of_runtime(part, parent, id) || of_ecs(part, id) || of_garden(part, id) ||
		    of_lxc(part, parent, id) || of_machine(part, child, id))
			return true;
		child = part;
		part = parent;
	}
	id[0] = '\0';
	return false;
}
