# SPDX-License-Identifier: Apache-2.0
"""Whose connection it is where sockets change hands: what sockwarden-events(7) says, case by case.

A connection belongs to whom it was opened by: the caller of connect(), or of accept() where this
kernel lets that be seen. Where it does not, the owner of the listener stands for it while it lives,
and whoever ends it from then on.
"""
import dataclasses
import json
import os
import pathlib
import subprocess
import time

import pytest

from harness.scale import SLOW, program
from harness.sockets import connect, incoming, listen, outgoing, start_program

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


def wall_clock(ticks):
    """Clock ticks since boot, as /proc/PID/stat has them, in ns of the wall clock."""
    boot_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return boot_ns + ticks * 10**9 // os.sysconf("SC_CLK_TCK")


def near(start_ns, ticks):
    """A tick, and how far the worker's clock offsets may be behind."""
    return -25e6 < int(start_ns) - wall_clock(ticks) < 25e6


def test_two_processes_that_had_one_number_after_the_other_are_not_mixed_up(tracer, box):
    """The first one's connection still lives when the second one has its number."""
    listener = listen(box, "127.0.0.1", 7960)
    player, words = start_program(box, program("samepid"), "7960")
    pid, first, second = map(int, words[1:])
    servers = [listener.accept()[0] for _ in range(2)]

    def check(connections):
        by_comm = {c["comm"]: c for c in connections}
        assert by_comm.keys() == {"first", "second"}
        assert {c["pid"] for c in connections} == {pid}
        assert near(by_comm["first"]["start_ns"], first)
        assert near(by_comm["second"]["start_ns"], second)
        assert int(by_comm["second"]["start_ns"]) - int(by_comm["first"]["start_ns"]) > 40e6
        return {comm: c["start_ns"] for comm, c in by_comm.items()}

    starts = check([c for c in tracer.snapshot() if outgoing(box, 7960)(c)])
    for server in servers:
        server.close()
    player.stdin.close()
    player.wait(10)
    # What identifies a process does not change from one message to the next.
    assert check(tracer.events.wait_closed(outgoing(box, 7960), 2)) == starts
    listener.close()
