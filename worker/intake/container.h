/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container a control group belongs to, told by its path alone. Runtimes name a container's
 * group after its id: Docker, containerd (also by nerdctl), CRI-O and Podman with 64 hex digits,
 * ECS and Garden in shapes of their own, LXC and systemd-nspawn with the container's name.
 *
 * The path is searched from its end, so that of nested containers the innermost counts, and a
 * process in a group that the container has made for itself still belongs to it. A runtime's own
 * helpers (conmon, lxc.monitor, nspawn's supervisor) and virtual machines are no containers.
 */
#ifndef SOCKWARDEN_WORKER_INTAKE_CONTAINER_H
#define SOCKWARDEN_WORKER_INTAKE_CONTAINER_H

#include <stdbool.h>

/* No name of a control group that a record holds is longer (CGROUP_NAME_BYTES of the programs). */
#define CONTAINER_ID_BYTES 128

/*
 * Writes the container's id or name, NUL-terminated. Returns false, and an empty id, if the path,
 * NUL-terminated, is of no container.
 */
bool container_id_of(const char *cgroup_path, char id[CONTAINER_ID_BYTES]);

#endif
