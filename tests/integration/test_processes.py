# SPDX-License-Identifier: Apache-2.0
"""Whose connection it is: servers with workers, connections older than the tracer, namespaces."""
import pathlib
import socket

from harness.netns import join
from harness.scale import program, scaled
from harness.sockets import (anyone, connect, facts, incoming, key_of, listen, outgoing, own_facts,
                             receive_end, receive_exactly, sent_and_received, ss,
                             start_program)


def test_a_server_that_accepts_in_forked_workers(tracer, box):
    server, first = start_program(box, program("forker"), "7200", "3")
    listener_pid = int(first[1])
    count = scaled(60, 12)
    clients = [connect(box, "127.0.0.1", 7200) for _ in range(3)]
    for sock in clients:
        sock.sendall(b"x")
        receive_exactly(sock, 1)
    has_accept_hook = tracer.hook("accept") != "none"
    live = [c for c in tracer.snapshot() if incoming(box, 7200)(c)]
    assert len(live) == 3
    children = set(map(int, pathlib.Path(
        f"/proc/{listener_pid}/task/{listener_pid}/children").read_text().split()))
    for connection in live:
        if has_accept_hook:
            assert connection["pid_source"] == "accept" and connection["pid"] in children
            assert connection["comm"] == "acceptor"
        else:
            assert (connection["pid_source"], connection["pid"]) == ("listener", listener_pid)
            assert connection["comm"] == "forker"
    for sock in clients:
        sock.close()
    for number in range(count):
        with connect(box, "127.0.0.1", 7200) as sock:
            sock.sendall(b"x" * number)
            receive_exactly(sock, number)
    found = tracer.events.wait_closed(incoming(box, 7200), count + 3)
    server.stdin.close()
    log = [tuple(map(int, line.split())) for line in server.stdout if len(line.split()) == 3]
    server.wait(10)
    assert sorted((c["pid"], c["remote"]["port"], c["total"]["recv_bytes"]) for c in found) == (
        sorted(log))
    assert {c["comm"] for c in found} == {"acceptor"}
    assert {c["pid_source"] for c in found} == {"accept" if has_accept_hook else "close"}
    assert {entry[0] for entry in log} <= children


ACCEPTOR = """
import os, socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("127.0.0.1", 7310))
listener.listen(64)
print("ready", flush=True)
held = []
while True:
    held.append(listener.accept()[0])
    held[-1].sendall(b"%8d" % os.getpid())
"""


def test_of_two_processes_that_listen_at_one_port_each_has_its_own(tracer, box):
    servers = [start_program(box, "/usr/bin/python3", "-c", ACCEPTOR)[0] for _ in range(2)]
    clients = [connect(box, "127.0.0.1", 7310) for _ in range(40)]
    owners = {sock.getsockname()[1]: int(sock.recv(8, socket.MSG_WAITALL)) for sock in clients}
    assert set(owners.values()) == {server.pid for server in servers}
    live = [c for c in tracer.snapshot() if incoming(box, 7310)(c)]
    assert {c["remote"]["port"]: c["pid"] for c in live} == owners
    assert {c["pid_source"] for c in live} == {
        "accept" if tracer.hook("accept") != "none" else "listener"}
    for sock in clients:
        sock.close()
    for server in servers:
        server.kill()
        server.wait()


def test_connections_older_than_the_tracer_have_their_owners(own_tracer, box):
    holder, first = start_program(box, program("holder"), "10", "7300")
    client_pid, server_pid = int(first[1]), int(first[2])
    forker, listening = start_program(box, program("forker"), "7301", "1")
    tracer = own_tracer().start()

    old = [c for c in tracer.snapshot() if anyone(box)(c)
           and 7300 in (c["local"]["port"], c["remote"]["port"])]
    assert len(old) == 20
    witness = ss(box)
    for connection in old:
        is_client = connection["remote"]["port"] == 7300
        assert connection["pid_source"] == "seed"
        assert connection["pid"] == (client_pid if is_client else server_pid)
        assert connection["comm"] == "holder" and connection["uid"] == 0
        assert connection["opened_ns"] is None and connection["duration_ns"] is None
        facts_of_ss = witness[key_of(connection)]
        end = connection["local"] if is_client else connection["remote"]
        index = int(end["ip"].split(".")[2]) * 256 + int(end["ip"].split(".")[3])
        size = index % 1000 + 1
        assert sent_and_received(connection) == (
            (size, 2 * size) if is_client else (2 * size, size))
        assert int(facts_of_ss["bytes_received"]) == connection["total"]["recv_bytes"]
        assert connection["total"]["sent_packets"] == int(facts_of_ss["segs_out"])
        assert connection["total"]["recv_packets"] == int(facts_of_ss["segs_in"])

    # Their ends are told like any other's.
    holder.stdin.close()
    holder.wait(10)
    ends = tracer.events.wait_closed(
        lambda c: anyone(box)(c) and 7300 in (c["local"]["port"], c["remote"]["port"]), 20)
    assert len(ends) == 20 and {c["id"] for c in ends} == {c["id"] for c in old}
    for connection in ends:
        is_client = connection["remote"]["port"] == 7300
        assert connection["pid"] == (client_pid if is_client else server_pid)
        assert connection["opened_ns"] is None and connection["duration_ns"] is None

    # A listener that is older than the tracer: who accepts from it now is known too. The call to
    # accept() that slept through the start is not: it was entered before there was a hook.
    connect(box, "127.0.0.1", 7301).close()
    tracer.events.wait_closed(incoming(box, 7301))
    with connect(box, "127.0.0.1", 7301) as sock:
        sock.sendall(b"hello")
        receive_exactly(sock, 5)
        live, = [c for c in tracer.snapshot() if incoming(box, 7301)(c)]
        if tracer.hook("accept") != "none":
            assert live["pid_source"] == "accept" and live["comm"] == "acceptor"
        else:
            # Parent and child both hold the listening socket; either may have been found first.
            assert live["pid_source"] in ("listener", "seed")
            assert live["comm"] in ("forker", "acceptor")
    _, ended = tracer.events.wait_closed(incoming(box, 7301), 2)
    assert sent_and_received(ended) == (5, 5) and ended["comm"] == "acceptor"
    forker.stdin.close()
    forker.wait(10)
    assert int(listening[1]) > 0
    assert not tracer.events.duplicates()
    assert tracer.status()["connections"]["inferred"] == 0


def test_the_same_addresses_in_two_namespaces_are_two_connections(tracer, netns):
    spaces = [netns("one"), netns("two")]
    sizes = {spaces[0].inode: 111, spaces[1].inode: 2222}
    ends = []
    for space in spaces:
        listener = listen(space, "127.0.0.1", 7400)
        client = connect(space, "127.0.0.1", 7400, ("127.0.0.1", 7401))
        server, _ = listener.accept()
        client.sendall(b"x" * sizes[space.inode])
        receive_exactly(server, sizes[space.inode])
        ends += [client, server, listener]
    live = [c for c in tracer.snapshot() if c["netns"] in sizes]
    assert len(live) == 4 and len({c["id"] for c in live}) == 4
    for sock in ends:
        sock.close()
    for space in spaces:
        found = tracer.events.wait_closed(anyone(space), 2)
        assert len(found) == 2
        for connection in found:
            assert {connection["local"]["port"], connection["remote"]["port"]} == {7400, 7401}
            size = sizes[space.inode]
            assert sent_and_received(connection) == (
                (size, 0) if connection["direction"] == "outgoing" else (0, size))


def test_a_connection_between_namespaces_of_this_host_stays_inside_it(tracer, netns):
    left, right = netns("left"), netns("right")
    join(left, "10.79.0.1/24", right, "10.79.0.2/24")
    join(left, "fd79::1/64", right, "fd79::2/64")
    for address, source in (("10.79.0.2", "10.79.0.1"), ("fd79::2", "fd79::1")):
        listener = listen(right, address, 7500)
        client = connect(left, address, 7500)
        server, _ = listener.accept()
        client.sendall(b"abc")
        client.close()
        assert receive_end(server) == 3
        server.close()
        listener.close()
        one, = tracer.events.wait_closed(
            lambda c: outgoing(left, 7500)(c) and c["remote"]["ip"] == address)
        other, = tracer.events.wait_closed(
            lambda c: incoming(right, 7500)(c) and c["local"]["ip"] == address)
        for side in (one, other):
            assert side["family"] == ("ipv6" if ":" in address else "ipv4")
            assert facts(side) == own_facts()
        # Who closes last is told when both addresses are known to be this host's.
        assert one["intra_host"] or other["intra_host"]
        assert one["local"]["ip"] == source == other["remote"]["ip"]
        assert sent_and_received(one) == (3, 0) and sent_and_received(other) == (0, 3)


def test_active_connections_are_told_with_deltas_that_add_up(tracer, box):
    listener = listen(box, "127.0.0.1", 7600)
    client = connect(box, "127.0.0.1", 7600)
    server, _ = listener.accept()
    for size in (1000, 20, 3):
        client.sendall(b"x" * size)
        receive_exactly(server, size)
        so_far = len([c for c in tracer.events.active if outgoing(box, 7600)(c)])
        tracer.events.wait_active(outgoing(box, 7600), so_far + 1)
    client.close()
    server.close()
    listener.close()
    last, = tracer.events.wait_closed(outgoing(box, 7600))
    reports = [c for c in tracer.events.active if outgoing(box, 7600)(c)] + [last]
    assert len({c["id"] for c in reports}) == 1
    for name, value in last["total"].items():
        assert sum(c["delta"][name] for c in reports) == value, name
    assert last["total"]["sent_bytes"] == 1023
    for report in reports[:-1]:
        assert report["close_reason"] is None and report["state"] == "active"
        assert report["duration_ns"] is not None and facts(report) == own_facts()
