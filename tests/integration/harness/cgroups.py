# SPDX-License-Identifier: Apache-2.0
"""Control groups of our own, in either kind of hierarchy, and a tracer that finds that kind."""
import contextlib
import errno
import os
import pathlib
import signal
import subprocess

from harness.scale import wait_until

# What stands at /sys/fs/cgroup tells programs which kind rules (systemd's CGROUP_DELEGATION.md).
SEEN_BY_PRIVD = {
    "v1": "mount -t tmpfs cgroup /sys/fs/cgroup && mkdir /sys/fs/cgroup/pids"
          " && mount -t cgroup -o pids cgroup /sys/fs/cgroup/pids",
    "v2": "{ [ $(stat -f -c %T /sys/fs/cgroup) = cgroup2fs ]"
          " || mount -t cgroup2 cgroup2 /sys/fs/cgroup; }",
}
MOUNT = {"v1": ("cgroup", "pids"), "v2": ("cgroup2", "rw")}


def privd_prefix(kind):
    """What privd is started by, so that it finds this kind of hierarchy and no other."""
    return ["unshare", "--mount", "bash", "-c", f'{SEEN_BY_PRIVD[kind]} && exec "$@"', "bash"]


class Hierarchy:
    """The v2 hierarchy, or that of v1's controller "pids", mounted at a place of ours."""

    def __init__(self, kind, directory):
        self.kind = kind
        self.root = pathlib.Path(directory)
        self.root.mkdir()
        self._groups = []
        filesystem, options = MOUNT[kind]
        result = subprocess.run(["mount", "-t", filesystem, "-o", options, "test", str(self.root)],
                                check=False, capture_output=True, text=True)
        self.failure = result.stderr.strip() if result.returncode else None

    def make(self, path):
        """Makes a group and those above it; returns the file to which a process writes its number."""
        group = self.root
        for name in path.strip("/").split("/"):
            group = group / name
            if not group.is_dir():
                group.mkdir()
                self._groups.append(group)
        return group / "cgroup.procs"

    def _end_processes(self, group):
        """Those that a test that failed has left there; they would keep the group."""
        for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def close(self):
        """Removes the groups; a process that has ended may still be on its way out of one."""
        for group in reversed(self._groups):
            def removed(group=group):
                self._end_processes(group)
                try:
                    group.rmdir()
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise
                    return False
                return True
            wait_until(removed, 5, f"{group} is empty")
        if not self.failure:
            subprocess.run(["umount", str(self.root)], check=True)
