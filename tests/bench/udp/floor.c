/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor HOOK: attaches the empty programs of fentry, kprobe or cgroup_skb, says "ready", and keeps them until it
 * is killed.
 */
#include "udp_floor.skel.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The root of the v2 hierarchy, where privd attaches as well. */
static int open_root(void)
{
	int fd = open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY);

	return fd < 0 ? open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY) : fd;
}

int main(int argc, char **argv)
{
	struct udp_floor *programs = udp_floor__open();
	const size_t length = argc == 2 ? strcspn(argv[1], "_") : 0;
	const int root = open_root();
	struct bpf_program *program;
	unsigned attached = 0;

	if (!programs || length == 0) {
		fprintf(stderr, "usage: floor fentry|kprobe|cgroup_skb\n");
		return 2;
	}
	bpf_object__for_each_program(program, programs->obj) bpf_program__set_autoload(
		program, strncmp(bpf_program__name(program), argv[1], length) == 0);
	if (udp_floor__load(programs) != 0) {
		fprintf(stderr, "the empty programs cannot be loaded\n");
		return 1;
	}
	bpf_object__for_each_program(program, programs->obj)
	{
		if (!bpf_program__autoload(program))
			continue;
		if (!(argv[1][0] == 'c' ? bpf_program__attach_cgroup(program, root)
					: bpf_program__attach(program))) {
			fprintf(stderr, "%s cannot be attached\n", bpf_program__name(program));
			return 1;
		}
		attached++;
	}
	if (attached == 0) {
		fprintf(stderr, "no such hook: %s\n", argv[1]);
		return 2;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
