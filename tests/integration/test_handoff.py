# SPDX-License-Identifier: Apache-2.0
"""privd against a worker that misbehaves: the session ends with one line, tracing goes on."""
import os
import pwd
import struct

import pytest

from harness import handoff
from harness.daemons import Tracer
from harness.handoff import GRANTS, HELLO, ITERATE, PING, PONG, REFUSED, Session, message
from harness.scale import program, scaled, wait_until
from harness.sockets import anyone, run_program, sent_and_received


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """privd; the tests are its workers until the last one starts the real one."""
    # Room for what closes before the real one comes, and until its subscribers have dialled.
    tracer = Tracer(tmp_path_factory.mktemp("handoff"), privd_options=["--ring-pages", "4096"])
    try:
        tracer.start_privd()
        yield tracer
    finally:
        tracer.close()


def session(pair, user="sockwarden", become=handoff.as_user):
    entry = pwd.getpwnam(user)
    return Session(pair.privd_socket, entry.pw_uid, entry.pw_gid, become)


def expect_end(pair, visitor, lines_before):
    """The session is over, and one line more says why."""
    kind, body, fds = visitor.receive()
    if kind == REFUSED:
        kind, body, fds = visitor.receive()
    assert (kind, fds) == (None, []), (kind, body)
    visitor.close()
    wait_until(lambda: len(warnings(pair)) > lines_before, 5, "a line in the log")
    new = warnings(pair)[lines_before:]
    assert len(new) == 1, new
    assert pair.privd.is_alive
    return new[0]


def warnings(pair):
    """Lines at warning or above: priorities 0 to 4."""
    return pair.privd.lines(r"^<[0-4]>")


CASES = {
    "one byte": (None, b"\x01"),
    "four bytes": (None, struct.pack("=HH", HELLO, 24)),
    "no such type": (None, message(99)),
    "type zero": (None, message(0)),
    "a greeting that is too short": (None, message(HELLO, b"\0" * 8, length=24)),
    "a greeting that is too long": (None, message(HELLO, b"\0" * 24, length=24)),
    "a length that lies": (None, message(HELLO, b"\0" * 16, length=23)),
    "padding that is not zero": (None, message(HELLO, b"\0" * 16, padding=1)),
    "privd's own message": (None, message(handoff.WELCOME, b"\0" * (32 + 8 * 64 + 64 - 8))),
    "grants before a greeting": (None, message(GRANTS)),
    "a ping before a greeting": (None, message(PING)),
    "an iterator before a greeting": (None, handoff.iterate(1)),
    "the longest message": (None, message(HELLO, b"\0" * (handoff.MESSAGE_MAX - 8))),
    "an oversized message": (None, b"\0" * 20000),
    "a greeting of another version": (None, "hello of version 2"),
    "a greeting of another build": (None, "hello of another build"),
    "a second greeting": ("greet", "hello"),
    "a ping before the grants": ("greet", message(PING)),
    "an iterator before the grants": ("greet", handoff.iterate(1)),
    "grants a second time": ("serve", message(GRANTS)),
    "a greeting after the grants": ("serve", "hello"),
    "an iterator over nothing known": ("serve", handoff.iterate(6)),
    "an iterator with padding": ("serve", message(ITERATE, struct.pack("=II", 1, 7))),
    "a pong": ("serve", message(PONG, b"\0" * (16 + 16 * 40 - 8))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_message_ends_the_session_with_one_line(pair, name):
    prepare, data = CASES[name]
    if isinstance(data, str):
        data = {"hello": handoff.hello(), "hello of version 2": handoff.hello(version=2),
                "hello of another build": handoff.hello(hash_of_build=handoff.abi() ^ 1)}[data]
    before = len(warnings(pair))
    visitor = session(pair)
    if prepare:
        getattr(visitor, prepare)()
    visitor.send(data)
    expect_end(pair, visitor, before)


@pytest.mark.parametrize("prepare, data", [
    (None, "hello"), ("greet", message(GRANTS)), ("serve", message(PING)),
    ("serve", handoff.iterate(1))], ids=["hello", "grants", "ping", "iterate"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_message_with_descriptors_ends_the_session(pair, prepare, data, count):
    held = os.listdir(f"/proc/{pair.privd.pid}/fd")
    before = len(warnings(pair))
    visitor = session(pair)
    if prepare:
        getattr(visitor, prepare)()
    with open("/dev/null", "rb") as null:
        visitor.send(handoff.hello() if data == "hello" else data, [null.fileno()] * count)
        line = expect_end(pair, visitor, before)
    assert "descriptor" in line
    # None of them stays in privd.
    assert sorted(os.listdir(f"/proc/{pair.privd.pid}/fd")) == sorted(held)


def test_a_worker_of_another_build_is_told_so(pair):
    visitor = session(pair)
    visitor.send(handoff.hello(hash_of_build=handoff.abi() + 1))
    kind, body, _ = visitor.receive()
    assert kind == REFUSED and b"build" in body
    visitor.close()


def test_what_privd_refuses_to_send_twice_or_too_early_leaks_nothing(pair):
    """Sessions come and go; privd holds the same descriptors after each."""
    def descriptors():
        return len(os.listdir(f"/proc/{pair.privd.pid}/fd"))
    wait_until(lambda: len(pair.privd.lines("connected")) == len(
        pair.privd.lines(r"worker \d+ left|session ended")), 5, "no session is open")
    before = descriptors()
    for _ in range(20):
        visitor = session(pair).serve()
        visitor.send(handoff.iterate(1))
        kind, _, fds = visitor.receive()
        assert kind == handoff.ITERATOR and len(fds) == 1
        while os.read(fds[0], 65536):
            pass
        os.close(fds[0])
        visitor.send(message(PING))
        kind, _, fds = visitor.receive()
        assert (kind, fds) == (PONG, [])
        visitor.close()
    wait_until(lambda: descriptors() == before, 5, "the same number of descriptors")


def test_another_user_is_refused_by_file_permission_and_by_the_peer_check(pair):
    with pytest.raises(PermissionError):
        session(pair, "nobody")
    before = len(warnings(pair))
    try:
        visitor = session(pair, "nobody", handoff.as_user_that_passes_files)
    except ConnectionResetError:
        return
    kind, _, fds = visitor.receive()
    assert (kind, fds) == (None, [])
    visitor.close()
    wait_until(lambda: len(warnings(pair)) == before + 1, 5, "a line in the log")
    assert str(pwd.getpwnam("nobody").pw_uid) in warnings(pair)[-1]


def test_root_is_refused_too(pair):
    """Only the worker's user may take descriptors; root has other ways."""
    before = len(warnings(pair))
    visitor = session(pair, "root")
    kind, _, _ = visitor.receive()
    assert kind is None
    visitor.close()
    wait_until(lambda: len(warnings(pair)) == before + 1, 5, "a line in the log")


def test_tracing_went_on_through_all_of_that(pair, box):
    """What closed while wrong workers came and went is told by the right one."""
    pair.start_worker()
    pair.events = pair.subscribe()
    pair.events.wait(lambda: pair.events.topic("meta.v1"), 5, "a first message")
    pair.worker.kill()
    count = scaled(200, 32)
    made = run_program(box, program("exact"), "4", str(count), "500000", "9100")
    for case in ("no such type", "a ping before a greeting", "an oversized message"):
        visitor = session(pair)
        visitor.send(CASES[case][1])
        assert visitor.receive()[0] is None
        visitor.close()
    assert pair.privd.is_alive
    made += run_program(box, program("exact"), "4", str(count), "510000", "9100")
    pair.start_worker()

    def mine(connection):
        return anyone(box)(connection) and 9100 in (connection["local"]["port"],
                                                    connection["remote"]["port"])
    found = pair.events.wait_closed(mine, 4 * count, 10)
    pair.settle()
    assert len(pair.events.closed_where(mine)) == 4 * count
    clients = {c["local"]["ip"]: c for c in found if c["direction"] == "outgoing"}
    for _, address, port, _, client_wrote, server_wrote in made:
        assert clients[address]["local"]["port"] == int(port)
        assert sent_and_received(clients[address]) == (int(client_wrote), int(server_wrote))


def test_a_second_worker_is_refused_and_the_first_goes_on(pair):
    if not pair.worker:
        pair.start_worker()
        pair.events = pair.subscribe()
    before = len(warnings(pair))
    visitor = session(pair)
    kind, body, fds = visitor.receive()
    assert kind == REFUSED and fds == [] and b"another worker" in body
    assert visitor.receive()[0] is None
    visitor.close()
    wait_until(lambda: len(warnings(pair)) == before + 1, 5, "a line in the log")

    # The program itself says it in one line and ends.
    first, pair.worker = pair.worker, None
    second = pair.start_worker(wait=False, log="second.log")
    code = second.wait_exit(15)
    assert code != 0
    assert len(second.lines(r"^<[0-4]>")) == 1, second.log()
    pair.worker = first
    assert first.is_alive and pair.status()["health"] == "good"


def test_a_hanging_visitor_does_not_stop_privd_for_long(pair):
    """A peer that asks and never reads is cut off; the next one is served."""
    if pair.worker:
        pair.worker.stop()
        pair.worker = None
    visitor = session(pair).serve()
    visitor.socket.setblocking(False)
    try:
        for _ in range(100000):
            visitor.send(message(PING))
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass

    def served():
        try:
            other = session(pair).serve()
        except (AssertionError, OSError):
            return False
        other.close()
        return True
    try:
        wait_until(served, 10, "the next worker is served", 0.2)
    finally:
        visitor.close()
    assert pair.privd.is_alive
