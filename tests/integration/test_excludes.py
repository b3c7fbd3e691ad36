# SPDX-License-Identifier: Apache-2.0
"""What the configuration keeps from being told, and that it is still counted."""
import pytest

from harness.scale import wait_until
from harness.sockets import anyone, connect, listen, receive_exactly, sent_and_received

SIZE = 1000


def exchange(namespace, address, port):
    """One connection over which SIZE bytes go; both its sockets are given back open."""
    listener = listen(namespace, address, port)
    client = connect(namespace, address, port)
    server, _ = listener.accept()
    listener.close()
    client.sendall(b"x" * SIZE)
    receive_exactly(server, SIZE)
    return client, server


def seen(connections):
    """{(direction, server's address, server's port)}"""
    found = set()
    for one in connections:
        end = one["remote"] if one["direction"] == "outgoing" else one["local"]
        found.add((one["direction"], end["ip"], end["port"]))
    return found


EXCLUDES = {
    "exclude.source": {"127.0.0.5": ["tcp 7101"], "10.0.0.0/8": ["*"]},
    "exclude.destination": {"127.0.0.0/8": ["udp 7102", "7100"], "::1": ["tcp 7000-7100"]},
}
CONNECTIONS = [("127.0.0.1", 7100), ("127.0.0.5", 7101), ("127.0.0.6", 7101), ("127.0.0.1", 7102),
               ("::1", 7100), ("::1", 7101)]
# An end is judged by itself: the other side of an excluded connection is told.
ALL = {(direction, *end) for end in CONNECTIONS for direction in ("outgoing", "incoming")}
EXCLUDED = {("outgoing", "127.0.0.1", 7100), ("incoming", "127.0.0.5", 7101),
            ("outgoing", "::1", 7100)}
IPV6 = {one for one in ALL if ":" in one[1]}


@pytest.mark.parametrize("config, untold", [
    ({}, set()), (EXCLUDES, EXCLUDED), ({"ipv6.enabled": False}, IPV6),
    ({"exclude.source": {"*": ["*"]}}, ALL), ({"tcp.enabled": False}, ALL),
    ({"exclude.destination": {"::/0": ["tcp *"]}}, IPV6)])
def test_what_is_excluded_is_counted_and_told_nowhere(own_tracer, netns, config, untold):
    tracer = own_tracer(config=config).start()
    namespace = netns("excluded")
    ours = anyone(namespace)
    pairs = [exchange(namespace, *end) for end in CONNECTIONS]
    assert seen(c for c in tracer.snapshot() if ours(c)) == ALL - untold
    for client, server in pairs:
        client.close()
        server.close()
    told = tracer.events.wait_closed(ours, len(ALL - untold)) if untold != ALL else []

    def is_balanced():
        status = tracer.status()
        counters, connections = status["counters"], status["connections"]
        return (counters["conn.excluded"] >= len(untold)
                and counters["conn.excluded"] + counters["conn.published"]
                == connections["closed"] + connections["inferred"]
                and connections["unaccounted"] == 0)

    wait_until(is_balanced, 10, f"books that balance: {tracer.status()}")
    assert seen(told) == ALL - untold
    assert all(sum(sent_and_received(one)) == SIZE for one in told)
    assert seen(c for c in tracer.events.closed_where(ours)) == ALL - untold
