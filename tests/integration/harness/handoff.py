# SPDX-License-Identifier: Apache-2.0
"""The worker's end of the handoff, spoken by hand, so that it can be spoken wrongly."""
import array
import contextlib
import ctypes
import hashlib
import os
import re
import socket
import struct

from harness.scale import BUILD, ROOT, SLOW

MESSAGE_MAX = 1024


def _enum(name):
    """The values of HANDOFF_<name> in proto/handoff.h, so that this file cannot fall behind."""
    text = (ROOT / "proto" / "handoff.h").read_text(encoding="utf-8")
    return int(re.search(rf"\bHANDOFF_{name} = (\d+)", text).group(1))


HELLO, WELCOME, REFUSED = _enum("HELLO"), _enum("WELCOME"), _enum("REFUSED")
GRANTS, GRANTS_END = _enum("GRANTS"), _enum("GRANTS_END")
ITERATE, ITERATOR = _enum("ITERATE"), _enum("ITERATOR")
PING, PONG = _enum("PING"), _enum("PONG")


def abi():
    """The ABI hash of the build under test: as it noted it down, or of both contracts' text."""
    noted = BUILD / "generated" / "record_abi.h"
    if noted.exists():
        return int(re.search(r"0x([0-9a-f]+)", noted.read_text(encoding="utf-8")).group(1), 16)
    text = b"".join((ROOT / "proto" / name).read_bytes() for name in ("record.h", "handoff.h"))
    return int(hashlib.sha256(text).hexdigest()[:16], 16)


def message(kind, body=b"", length=None, padding=0):
    """A message; length and padding of its header can be lies."""
    if length is None:
        length = 8 + len(body)
    return struct.pack("=HHI", kind, length, padding) + body


def hello(version=1, hash_of_build=None):
    return message(HELLO, struct.pack("=IIQ", version, 0,
                                      abi() if hash_of_build is None else hash_of_build))


def iterate(what):
    return message(ITERATE, struct.pack("=II", what, 0))


@contextlib.contextmanager
def as_user(uid, gid):
    """The process has this effective user, which is what a peer is told."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextlib.contextmanager
def as_user_that_passes_files(uid, gid):
    """The same, but no file permission stops it: only privd's own check of the peer is left."""
    libc = ctypes.CDLL(None)
    with as_user(uid, gid):
        libc.setfsuid(0)
        yield


class Session:
    """A connection to privd as the worker's user."""

    def __init__(self, path, uid, gid, become=as_user):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5 * SLOW)
        with become(uid, gid):
            self.socket.connect(path)

    def send(self, data, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)

    def receive(self):
        """The next message: (type, body, descriptors); type is None at the end of the session."""
        try:
            data, ancillary, _, _ = self.socket.recvmsg(MESSAGE_MAX + 1, socket.CMSG_SPACE(16))
        except ConnectionResetError:
            return None, b"", []
        fds = []
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[:len(content) - len(content) % numbers.itemsize])
                fds += numbers
        if not data:
            return None, b"", fds
        return struct.unpack_from("=H", data)[0], data[8:], fds

    def greet(self):
        self.send(hello())
        kind, body, _ = self.receive()
        assert kind == WELCOME, (kind, body)
        return self

    def take_grants(self):
        """Everything is granted; the descriptors are closed again. Returns how many came."""
        self.send(message(GRANTS))
        count = 0
        while True:
            kind, _, fds = self.receive()
            for fd in fds:
                os.close(fd)
            count += len(fds)
            if kind == GRANTS_END:
                return count
            assert kind is not None and len(fds) == 1

    def serve(self):
        """A session in the state in which everything was granted."""
        self.greet().take_grants()
        return self

    def close(self):
        self.socket.close()
