# SPDX-License-Identifier: Apache-2.0
"""The wire protocol of nng's ipc sockets, spoken by hand: for peers that do what nng never does."""
import json
import socket
import struct

SUB = 33  # https://nanomsg.org/rfcs: protocol numbers
REQ = 48


class Peer:
    """One connection to a socket of the worker, greeted and then left alone."""

    _requests = 0

    def __init__(self, path, protocol):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # What the kernel takes is not the worker's any more.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.socket.sendall(b"\0SP\0" + struct.pack(">HH", protocol, 0))
        greeting = self.socket.recv(8, socket.MSG_WAITALL)
        assert greeting[:4] == b"\0SP\0", greeting

    def send(self, body):
        """One message of a requester."""
        Peer._requests += 1
        message = struct.pack(">I", 0x80000000 | Peer._requests) + body
        self.socket.sendall(b"\1" + struct.pack(">Q", len(message)) + message)

    def ask(self, request):
        """A request as JSON."""
        self.send(json.dumps(request).encode())

    def receive(self):
        """The answer to the oldest request that has none yet: its bytes."""
        head = self._read(9)
        assert head[:1] == b"\1", head
        message = self._read(struct.unpack(">Q", head[1:])[0])
        return message[4:]

    def _read(self, length):
        parts = []
        while length > 0:
            part = self.socket.recv(min(length, 1 << 20))
            if not part:
                raise EOFError("the worker has closed the connection")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def close(self):
        self.socket.close()
