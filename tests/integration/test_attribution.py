# SPDX-License-Identifier: Apache-2.0
"""Whose connection it is where sockets change hands: what sockwarden-events(7) says, case by case.

A connection belongs to whom it was opened by: the caller of connect(), or of accept() where this
kernel lets that be seen. Where it does not, the owner of the listener stands for it while it lives,
and whoever ends it from then on.
"""
import dataclasses
import json
import pathlib
import subprocess

import pytest

from harness.scale import SLOW
from harness.sockets import connect, incoming, listen, outgoing

ACTORS = pathlib.Path(__file__).parent / "harness" / "actors.py"
PYTHON = "python3"


class Scene:
    """A scene of actors.py that plays in a namespace."""

    def __init__(self, namespace, name, port):
        self.process = namespace.start(
            "/usr/bin/python3", "-B", str(ACTORS), name, str(port), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.roles = {}

    def hear(self):
        """The next line of roles."""
        self.roles.update(json.loads(self.process.stdout.readline()))

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def told(connection):
    return connection["pid"], connection["comm"], connection["pid_source"]


@dataclasses.dataclass
class Accepting:
    """A scene that accepts: (role, comm) by accept(), of the listener, and of who closes."""
    name: str
    accepts: tuple
    listens: tuple
    closes: tuple
    lines: int = 1  # that it says


ACCEPTING = [
    Accepting("thread_pool", ("pool", PYTHON), ("pool", PYTHON), ("pool", PYTHON)),
    Accepting("fork_for_each", ("parent", PYTHON), ("parent", PYTHON), ("child", "forked"), 2),
    Accepting("pass_accepted", ("passer", PYTHON), ("passer", PYTHON), ("receiver", "receiver")),
    Accepting("pass_listener", ("receiver", PYTHON), ("passer", "passer"), ("receiver", PYTHON)),
    Accepting("exec_listener", ("process", "after"), ("process", "before"), ("process", "after")),
    Accepting("activation", ("service", "service"), ("manager", "manager"),
              ("service", "service"), 2),
    Accepting("activation_for_each", ("manager", "manager"), ("manager", "manager"),
              ("service", "service"), 2),
]


@pytest.mark.parametrize("case", ACCEPTING, ids=lambda case: case.name)
def test_who_has_an_accepted_connection(tracer, box, case):
    port = 7900 + ACCEPTING.index(case)
    scene = Scene(box, case.name, port)
    scene.hear()
    client = connect(box, "127.0.0.1", port)
    client.settimeout(20 * SLOW)
    client.sendall(b".")
    while len(scene.roles) < case.lines:
        scene.hear()
    assert client.recv(1) == b"."

    def facts(which, source):
        role, comm = which
        return scene.roles[role], comm, source
    live, = [c for c in tracer.snapshot() if incoming(box, port)(c)]
    has_accept_hook = tracer.hook("accept") != "none"
    assert told(live) == (facts(case.accepts, "accept") if has_accept_hook
                          else facts(case.listens, "listener"))
    client.close()
    ended, = tracer.events.wait_closed(incoming(box, port))
    assert ended["id"] == live["id"]
    assert told(ended) == (facts(case.accepts, "accept") if has_accept_hook
                           else facts(case.closes, "close"))
    scene.close()


# A scene that connects: who is told, in all situations.
CONNECTING = {
    "connecting_thread": ("pool", PYTHON),
    "fork_after_connect": ("parent", "begun"),
    "pass_connected": ("passer", "passer"),
    "exec_connected": ("process", "before"),
}


@pytest.mark.parametrize("name", CONNECTING)
def test_who_has_a_connection_that_was_made(tracer, box, name):
    port = 7950 + list(CONNECTING).index(name)
    listener = listen(box, "127.0.0.1", port)
    listener.settimeout(20 * SLOW)
    scene = Scene(box, name, port)
    server, _ = listener.accept()
    assert server.recv(1) == b"."
    scene.hear()
    role, comm = CONNECTING[name]
    expected = (scene.roles[role], comm, "connect")
    live, = [c for c in tracer.snapshot() if outgoing(box, port)(c)]
    assert told(live) == expected
    server.close()
    ended, = tracer.events.wait_closed(outgoing(box, port))
    assert ended["id"] == live["id"] and told(ended) == expected
    scene.close()
    listener.close()
