# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of our own, and sockets in them."""
import contextlib
import ctypes
import os
import subprocess
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def _setns(fd):
    if _LIBC.setns(fd, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "setns")


class Netns:
    """A named namespace with its loopback up.

    It lives until the end of the session: an inode that is free again may be given to the next
    namespace, and then published connections of the two could not be told apart. Others on the
    machine may have had the inode before, so connections that are older are not ours: by their
    opening, or where that was not seen by the time at which they were told.
    """

    _count = 0
    _made = []

    def __init__(self, label="box"):
        Netns._count += 1
        self.name = f"sw{os.getpid()}-{Netns._count}-{label}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        Netns._made.append(self)
        self.path = f"/run/netns/{self.name}"
        self.inode = os.stat(self.path).st_ino
        self.created_ns = time.time_ns() - 1_000_000  # room for the steps of a clock
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments):
        """Runs ip(8) inside."""
        subprocess.run(["ip", "-n", self.name, *arguments], check=True)

    def sysctl(self, key, value):
        """Sets a sysctl of the network namespace."""
        with self.entered():
            with open("/proc/sys/" + key.replace(".", "/"), "w", encoding="ascii") as file:
                file.write(str(value))

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is inside; sockets that it makes stay there."""
        with open("/proc/thread-self/ns/net", "rb") as before, open(self.path, "rb") as inside:
            _setns(inside.fileno())
            try:
                yield self
            finally:
                _setns(before.fileno())

    def run(self, *command, **options):
        """Runs a command inside and returns its result; its output is text."""
        options = {"check": True, "text": True, "capture_output": True, **options}
        with self.entered():
            return subprocess.run(command, **options)

    def start(self, *command, **options):
        """Starts a command inside."""
        with self.entered():
            return subprocess.Popen(command, **options)

    def is_ours(self, connection):
        """Whether a published connection lives here."""
        since = connection["opened_ns"] or connection.get("_ts_ns") or self.created_ns
        return connection["netns"] == self.inode and int(since) >= self.created_ns

    @classmethod
    def delete_all(cls):
        """The end of the session."""
        while cls._made:
            subprocess.run(["ip", "netns", "del", cls._made.pop().name], check=False)


def join(first, first_address, second, second_address, label="v"):
    """Joins two namespaces by a veth pair: address/length for each end."""
    Netns._count += 1
    left, right = f"{label}{Netns._count}a", f"{label}{Netns._count}b"
    first.ip("link", "add", left, "type", "veth", "peer", "name", right, "netns", second.name)
    for side, device, address in ((first, left, first_address), (second, right, second_address)):
        options = ("nodad",) if ":" in address else ()
        side.ip("address", "add", address, "dev", device, *options)
        side.ip("link", "set", device, "up")
    return left, right
