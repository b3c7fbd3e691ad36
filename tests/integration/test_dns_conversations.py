# SPDX-License-Identifier: Apache-2.0
"""A connection on which something was asked tells what: `dns` of a connection."""
import collections
import socket

import pytest

from harness import dns_world
from harness.dns_world import HOST, NOBODY, SERVER
from harness.scale import scaled, wait_until


@pytest.fixture(scope="module", name="world")
def make_world(tmp_path_factory):
    with dns_world.running(tmp_path_factory.mktemp("dns")) as world:
        yield world


def asked(world, mark, side="outgoing", protocol="udp"):
    """Closed connections to the resolver, of one side, told since mark."""
    namespace = world.host if side == "outgoing" else world.server
    port = "remote" if side == "outgoing" else "local"
    return [c for c in world.tracer.events.closed[mark:] if namespace.is_ours(c)
            and c["protocol"] == protocol and c[port]["port"] == 53]


def has_udp(world):
    return world.tracer.hook("udp") != "none"


def ask(world, name, number):
    """One question from a socket of its own; returns its port."""
    with world.host.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect((SERVER, 53))
    client.send(dns_world.query(name, number))
    client.recv(512)
    port = client.getsockname()[1]
    client.close()
    return port


def test_each_connection_has_its_own_numbers(world):
    assert has_udp(world)
    mark = len(world.tracer.events.closed)
    ports = [ask(world, name, 7) for name in ("www.example.org", "nothing.example.org")]

    def told():
        world.tracer.snapshot()
        found = {c["local"]["port"]: c for c in asked(world, mark)}
        return [found[port] for port in ports] if set(ports) <= set(found) else None
    found, missing = wait_until(told, 10, "two flows")
    assert found["dns"].pop("latency_us")["sum"] > 0
    assert found["dns"] == {
        "queries": 1, "retries": 0, "answers": 1, "timeouts": 0, "rcodes": {"NOERROR": 1},
        "failure_latency_us": {"count": 0, "sum": 0}}
    assert missing["dns"]["rcodes"] == {"NXDOMAIN": 1}
    assert missing["dns"]["failure_latency_us"]["count"] == 1
    assert found["remote"]["port"] == 53 and found["local"]["ip"] == HOST


def test_both_sides_of_a_connection_tell_it_live_and_closed(world):
    mark = len(world.tracer.events.closed)
    with world.host.entered():
        client = socket.create_connection((SERVER, 53))
    for number in range(3):
        question = dns_world.query("www.example.org", number)
        client.sendall(len(question).to_bytes(2, "big") + question)
        length = int.from_bytes(client.recv(2, socket.MSG_WAITALL), "big")
        client.recv(length, socket.MSG_WAITALL)

    def live():
        return [c["dns"] for c in world.tracer.snapshot() if c["state"] == "active"
                and c["protocol"] == "tcp" and client.getsockname()[1] in (
                    c["local"]["port"], c["remote"]["port"])]
    wait_until(lambda: [dns and dns["answers"] for dns in live()] == [3, 3], 10, "both live")
    client.close()
    both = world.tracer.events.wait(
        lambda: (lambda rows: rows if len(rows) == 2 else None)(
            asked(world, mark, "outgoing", "tcp") + asked(world, mark, "incoming", "tcp")), 10, "both ends")
    for end in both:
        assert (end["dns"]["queries"], end["dns"]["answers"]) == (3, 3)
        assert end["dns"]["rcodes"] == {"NOERROR": 3} and end["dns"]["latency_us"]["count"] == 3


def test_what_is_not_answered_in_time_is_a_timeout_of_the_connection(world):
    mark = len(world.tracer.events.closed)
    world.host.ip("neighbour", "replace", NOBODY, "lladdr", "02:00:00:00:00:09", "dev", world.device,
                  "nud", "permanent")
    with world.host.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((HOST, 0))
    port = client.getsockname()[1]
    client.sendto(dns_world.query("unheard.example.org", 9), (NOBODY, 53))

    def live():
        return [c["dns"] for c in world.tracer.snapshot()
                if c["local"] == {"ip": HOST, "port": port} and c["dns"]]
    wait_until(lambda: [dns["timeouts"] for dns in live()] == [1], 6, "the timeout")
    client.close()
    [closed] = world.tracer.events.wait(lambda: [
        c for c in world.tracer.events.closed[mark:] if c["local"] == {"ip": HOST, "port": port}],
        10, "its end")
    assert (closed["dns"]["queries"], closed["dns"]["answers"], closed["dns"]["timeouts"]) == (1, 0, 1)


def test_connections_that_are_something_else_have_none(world):
    with world.host.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.sendto(dns_world.query("www.example.org", 1), (SERVER, 5300))
    port = client.getsockname()[1]
    client.close()
    [closed] = world.tracer.events.wait(lambda: [
        c for c in world.tracer.events.closed if world.host.is_ours(c) and c["local"]["port"] == port
        and c["remote"]["port"] == 5300], 10, "its end")
    assert closed["dns"] is None


def test_the_numbers_of_many_connections_add_up(world):
    """Each query from a socket of its own, whose end is told with it and not before its answer."""
    count = scaled(2000, 300)
    mark = len(world.tracer.events.closed)
    ports = collections.Counter(ask(world, "two.example.org", number) for number in range(count))

    def all_told():
        world.tracer.snapshot()
        return len(asked(world, mark)) >= count
    wait_until(all_told, 20, "all ends", 0.5)
    told = asked(world, mark)
    assert len(told) == count
    sums = collections.Counter()
    for c in told:
        dns = c["dns"] or {"queries": 0, "answers": 0}
        # A port that is used again at once may have its connections' numbers with one of them.
        assert (dns["queries"], dns["answers"]) == (1, 1) or ports[c["local"]["port"]] > 1, c
        sums[c["local"]["port"]] += dns["answers"]
    assert sums == ports
