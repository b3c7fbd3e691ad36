/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as runtimes make them; what is shown of a path is what /proc/PID/cgroup has behind its second
 * colon.
 */
#include "proto/record.h"
#include "worker/intake/cgroups.h"
#include "worker/intake/container.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860"
#define ID2 "8c046cb0b72cd4c99f51b5591cd5b095967f58ee003710a45280c28ee1a9c7fa"
#define POD "kubepods-burstable-podc704ef4c297ab11032b83ce52cbfc87b.slice"
#define USER "/user.slice/user-1000.slice/user@1000.service"

struct path_case {
	const char *path;
	const char *id; /* "": none */
};

static void check(const struct path_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char id[CONTAINER_ID_BYTES];
		const bool found = container_id_of(cases[i].path, id);

		cr_expect_str_eq(id, cases[i].id, "%s: %s", cases[i].path, id);
		cr_expect_eq(found, cases[i].id[0] != '\0', "%s", cases[i].path);
	}
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

Test(container, docker_names_a_group_after_its_container)
{
	static const struct path_case cases[] = {
		/* cgroupfs driver, today's and that of old Debian packages; systemd driver */
		{"/docker/" ID, ID},
		{"/" ID, ID},
		{"/system.slice/docker-" ID ".scope", ID},
		/* rootless, with systemd */
		{USER "/user.slice/docker-" ID ".scope", ID},
		/* docker run --cgroup-parent=/jobs */
		{"/jobs/" ID, ID},
		/* systemd runs in the container */
		{"/system.slice/docker-" ID ".scope/init.scope", ID},
		{"/system.slice/docker-" ID ".scope/system.slice/cron.service", ID},
		/* docker in docker, and Kubernetes in docker */
		{"/docker/" ID "/docker/" ID2, ID2},
		{"/system.slice/docker-" ID ".scope/docker/" ID2, ID2},
		{"/docker/" ID "/kubelet/kubepods/besteffort/poda7a3/" ID2, ID2},
		/* the inner daemon's build steps are still the outer container */
		{"/system.slice/docker-" ID ".scope/docker/buildkit/sg8lxn1kt6uyrqpa1s5x2ixbz", ID},
		/* the daemon itself */
		{"/system.slice/docker.service", ""},
		{"/system.slice/containerd.service", ""},
	};

	CHECK(cases);
}

Test(container, kubernetes_names_a_group_after_its_container_and_not_after_its_pod)
{
	static const struct path_case cases[] = {
		/* cgroupfs driver */
		{"/kubepods/burstable/podfd52ef25-a87d-11e9-9423-0800271a638e/" ID, ID},
		{"/kubepods/pod821ad831-6a9a-4970-b623-8cb43cd3462d/" ID, ID},
		{"/kubepods/burstable/podfd52ef25-a87d-11e9-9423-0800271a638e", ""},
		{"/kubepods/besteffort", ""},
		/* systemd driver: containerd, CRI-O, Docker by cri-dockerd */
		{"/kubepods.slice/kubepods-burstable.slice/" POD "/cri-containerd-" ID ".scope",
		 ID},
		{"/kubepods.slice/kubepods-burstable.slice/" POD "/crio-" ID ".scope", ID},
		{"/kubepods.slice/kubepods-burstable.slice/" POD "/docker-" ID ".scope", ID},
		{"/kubepods.slice/kubepods-burstable.slice/" POD, ""},
		/* CRI-O with crun, and with the cgroupfs driver */
		{"/kubepods.slice/" POD "/crio-" ID ".scope/container", ID},
		{"/kubepods/burstable/pod03fa5a80/crio-" ID, ID},
		/* its monitors are on the host's side */
		{"/kubepods.slice/" POD "/crio-conmon-" ID ".scope", ""},
		{"/system.slice/crio-conmon-" ID ".scope", ""},
		{"/kubepods/burstable/pod03fa5a80/crio-conmon-" ID, ""},
		/* the systemd driver's name in the cgroupfs driver's hands */
		{"/" POD ":cri-containerd:" ID, ID},
		{"/system.slice/containerd.service/" POD ":cri-containerd:" ID, ID},
		{"/system.slice/containerd.service/" POD ":crio-conmon:" ID, ""},
		/* a node's own services */
		{"/system.slice/kubelet.service", ""},
		{"/runtime.slice/containerd.service", ""},
	};

	CHECK(cases);
}

Test(container, containerd_by_nerdctl_is_found)
{
	static const struct path_case cases[] = {
		{"/system.slice/nerdctl-" ID ".scope", ID},
		{USER "/user.slice/nerdctl-" ID ".scope", ID},
		{"/default/" ID, ID},
		{"/k8s.io/" ID, ID},
		/* a name that was given to ctr is nothing to tell a container by */
		{"/default/web", ""},
	};

	CHECK(cases);
}

Test(container, podman_is_found_and_its_monitor_is_not)
{
	static const struct path_case cases[] = {
		{"/machine.slice/libpod-" ID ".scope", ID},
		{"/machine.slice/libpod-" ID ".scope/container", ID},
		{"/machine.slice/machine-libpod_pod_" ID ".slice/libpod-" ID2 ".scope", ID2},
		{"/machine.slice/machine-libpod_pod_" ID ".slice", ""},
		/* cgroupfs driver, also in a pod, whose group has a bare id */
		{"/libpod_parent/libpod-" ID, ID},
		{"/libpod_parent/" ID "/libpod-" ID2, ID2},
		{"/libpod_parent/" ID, ""},
		{"/libpod_parent/conmon", ""},
		/* rootless */
		{USER "/user.slice/libpod-" ID ".scope", ID},
		{USER "/user.slice/libpod-" ID ".scope/container", ID},
		/* a service of Quadlet (--cgroups=split) */
		{"/system.slice/nginx.service/libpod-payload-" ID, ID},
		{USER "/app.slice/redis.service/libpod-payload-" ID "/container", ID},
		{USER "/app.slice/redis.service/runtime", ""},
		{"/machine.slice/libpod-conmon-" ID ".scope", ""},
		{USER "/user.slice/libpod-conmon-" ID ".scope", ""},
		{USER "/user.slice/podman-pause-4b2d7a6c.scope", ""},
	};

	CHECK(cases);
}

Test(container, lxc_is_found_by_its_name_and_its_monitor_is_not)
{
	static const struct path_case cases[] = {
		{"/lxc.payload.web", "web"},
		{"/lxc.payload.web/system.slice/nginx.service", "web"},
		{"/lxc.payload/web/init.scope", "web"},
		{"/lxc/101/ns/system.slice/ssh.service", "101"},
		{USER "/user.slice/lxc-42.scope/lxc.payload.dev", "dev"},
		/* a project of LXD or Incus stands before the name */
		{"/lxc.payload.team_web/docker/" ID, ID},
		{"/lxc.payload.team_web", "team_web"},
		{"/lxc.monitor.web", ""},
		{"/lxc.monitor/101", ""},
		{"/lxc", ""},
		{"/lxc.payload.", ""},
		{"/system.slice/lxc.service", ""},
	};

	CHECK(cases);
}

Test(container, a_machine_of_systemd_is_found_by_its_name_as_machinectl_shows_it)
{
	static const struct path_case cases[] = {
		{"/machine.slice/machine-web.scope", "web"},
		{"/machine.slice/machine-web\\x2d1.scope/payload/system.slice/x.service", "web-1"},
		{"/machine.slice/machine-lxc\\x2d4242\\x2dbox.scope", "lxc-4242-box"},
		{"/machine.slice/systemd-nspawn@jammy.service/payload/init.scope", "jammy"},
		{"/machine.slice/systemd-nspawn@a\\x2db.service/init.scope", "a-b"},
		/* nspawn itself */
		{"/machine.slice/systemd-nspawn@jammy.service", ""},
		{"/machine.slice/systemd-nspawn@jammy.service/supervisor", ""},
		{"/machine.slice/machine-web.scope/supervisor", ""},
		/* a virtual machine is none */
		{"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", ""},
		{"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", ""},
		{"/machine.slice/machine-.scope", ""},
		{"/machine.slice/machine-a\\x00b.scope", ""},
		{"/machine.slice/machine-a\\x2.scope", ""},
		{"/machine.slice/machine-a\\xZZb.scope", ""},
	};

	CHECK(cases);
}

Test(container, ecs_and_garden_have_shapes_of_their_own)
{
	static const struct path_case cases[] = {
		/* on EC2, with and without the cluster's name; Fargate before and since 1.4 */
		{"/ecs/haissam-ecs-classic/5a0d5ceddf6c44c1928d367a815d890f/" ID, ID},
		{"/ecs/55091c13-b8cf-4801-b527-f4601742204d/" ID, ID},
		{"/ecs/34dc0b5e626f2c5c4c5170e34b10e765/34dc0b5e626f2c5c4c5170e34b10e765-1234567890",
		 "34dc0b5e626f2c5c4c5170e34b10e765-1234567890"},
		{"/ecs/34dc0b5e626f2c5c4c5170e34b10e765-12345678901", ""},
		{"/ecs/34dc0b5e626f2c5c4c5170e34b10e765-", ""},
		{"/ecs/34dc0b5e626f2c5c4c5170e34b10e765-12x", ""},
		{"/ecs/34dc0b5e626f2c5c4c5170e34b10e765", ""},
		{"/ecs/55091c13-b8cf-4801-b527-f4601742204d", ""},
		{"/ecstasks.slice/ecstasks-34dc0b5e626f2c5c4c5170e34b10e765.slice/docker-" ID
		 ".scope",
		 ID},
		{"/system.slice/garden.service/garden/6f265890-5165-7fab-6b52-18d1",
		 "6f265890-5165-7fab-6b52-18d1"},
		{"/garden/6f265890-5165-7fab-6b52-18d1", "6f265890-5165-7fab-6b52-18d1"},
		{"/garden/6f265890-5165-7fab-6b52-18d10", ""},
		{"/system.slice/garden.service", ""},
	};

	CHECK(cases);
}

Test(container, what_is_on_the_host_is_in_none)
{
	static const struct path_case cases[] = {
		{"", ""},
		{"/", ""},
		{"//", ""},
		{"/init.scope", ""},
		{"/system.slice/ssh.service", ""},
		{"/user.slice/user-1000.slice/session-3.scope", ""},
		{USER "/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope", ""},
		{"/system.slice/run-r0123456789abcdef0123456789abcdef.scope", ""},
		{"/system.slice/var-lib-docker-containers-" ID "-mounts-shm.mount", ""},
	};

	CHECK(cases);
}

Test(container, what_only_resembles_an_id_is_none)
{
	static const struct path_case cases[] = {
		{"/docker/" ID "0", ""},
		{"/docker/3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f86986", ""},
		{"/docker/g726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860", ""},
		{"/docker/A726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860", ""},
		{"/system.slice/docker-" ID ".slice", ""},
		{"/system.slice/dicker-" ID ".scope", ""},
		{"/system.slice/" ID ".scope", ""},
		{"/system.slice/docker-.scope", ""},
	};

	CHECK(cases);
}

/* The programs keep a path's end when it is too long, and so the innermost container. */
Test(container, a_path_that_lost_its_head_still_tells)
{
	char path[RECORD_CGROUP_PATH_BYTES];
	char id[CONTAINER_ID_BYTES];

	snprintf(path, sizeof(path), "/%0*d/cri-containerd-" ID ".scope", 120, 0);
	cr_expect(container_id_of(path, id));
	cr_expect_str_eq(id, ID);
}

/* Every byte of a path may be another than any runtime writes. */
Test(container, any_path_gives_an_id_that_is_terminated_or_none)
{
	char path[RECORD_CGROUP_PATH_BYTES];
	char id[CONTAINER_ID_BYTES];
	static const char alphabet[] = "/-.\\x0af:@lxcpdmhinr_";

	srand(7);
	for (unsigned round = 0; round < 200000; round++) {
		const size_t length = (size_t)rand() % sizeof(path);
		bool found;

		for (size_t i = 0; i < length; i++)
			path[i] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
		path[length] = '\0';
		memset(id, 'x', sizeof(id));
		found = container_id_of(path, id);
		cr_assert_lt(strnlen(id, sizeof(id)), sizeof(id), "%s", path);
		cr_assert_eq(found, id[0] != '\0', "%s", path);
	}
}

/* The names of LXC and nspawn are as long as a group's name can be. */
Test(container, the_longest_name_fits)
{
	char path[RECORD_CGROUP_PATH_BYTES] = "/lxc.payload.";
	char id[CONTAINER_ID_BYTES];
	const size_t head = strlen(path);

	memset(path + head, 'n', CONTAINER_ID_BYTES - 1);
	path[head + CONTAINER_ID_BYTES - 1] = '\0';
	cr_expect(container_id_of(path, id));
	cr_expect_str_eq(id, path + head);
	strcat(path, "n");
	cr_expect_not(container_id_of(path, id));
	cr_expect_str_empty(id);
}

Test(container, is_told_with_its_group)
{
	struct cgroups *cgroups = calloc(1, sizeof(*cgroups));
	struct cgroup_record record = {
		.kind = RECORD_KIND_CGROUP,
		.version = RECORD_VERSION,
		.id = 77,
		.path = "/docker/" ID,
	};

	cr_assert(cgroups_put(cgroups, &record));
	cr_expect_str_eq(cgroups_find(cgroups, 77)->path, "/docker/" ID);
	cr_expect_str_eq(cgroups_find(cgroups, 77)->container, ID);
	/* An id that is given to another group. */
	strcpy(record.path, "/system.slice/x.service");
	cr_assert(cgroups_put(cgroups, &record));
	cr_expect_str_empty(cgroups_find(cgroups, 77)->container);
	cr_expect_null(cgroups_find(cgroups, 78));
	free(cgroups);
}
