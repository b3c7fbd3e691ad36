# SPDX-License-Identifier: Apache-2.0
"""How UDP flows end: by silence, with their socket, for want of room; and that the books balance."""
import os
import signal
import socket
import time

import pytest

from harness.netns import join
from harness.scale import scaled, wait_until
from harness.sockets import key_of
from harness.udp import (HOOKS, check_books, ended, is_udp, live, make, name, numbers, overflow,
                         wait_live)

# Nothing is silent for too long, however slow the machine is.
PATIENT = {"udp.timeout_s": 600, "udp.stream_timeout_s": 600}
CAPACITY = 65536  # flows that the programs keep (bpf/flow_table.h)


@pytest.fixture
def lane(netns):
    return netns("life")


@pytest.fixture(params=HOOKS)
def make_tracer(request, own_tracer):
    """Makes daemons that see UDP by one hook; skips where the kernel refuses it."""
    def start(**config):
        tracer = own_tracer(config=config, privd_options=HOOKS[request.param])
        tracer.start_privd()
        refused = tracer.privd.lines("UDP is not traced")
        if refused:
            pytest.skip(f"this kernel has no {request.param} for UDP: "
                        f"{refused[0].split(': ')[-1].split(';')[0]}")
        tracer.start_worker()
        return tracer.listen()
    return start


def exchange(sender, receiver):
    """A datagram each way, begun by sender."""
    sender.sendto(b"q" * 10, receiver.getsockname())
    _, peer = receiver.recvfrom(100)
    receiver.sendto(b"a" * 20, peer)
    assert len(sender.recv(100)) == 20


def test_silence_ends_a_flow_early_unless_an_answer_was_answered(make_tracer, lane):
    """One way and two ways: udp.timeout_s. Three ways: udp.stream_timeout_s."""
    tracer = make_tracer(**{"udp.timeout_s": 2, "udp.stream_timeout_s": 12})
    server = make(lane, "127.0.0.1", 7000)
    one_way, two_ways, three_ways = [make(lane, "127.0.0.1", port) for port in (7001, 7002, 7003)]
    one_way.sendto(b"q" * 10, server.getsockname())
    server.recv(100)
    exchange(two_ways, server)
    exchange(three_ways, server)
    three_ways.sendto(b"q" * 10, server.getsockname())
    server.recv(100)
    sent_at = time.time()
    expected = {
        (*name(one_way), *name(server)): (10, 1, 0, 0), (*name(server), *name(one_way)): (0, 0, 10, 1),
        (*name(two_ways), *name(server)): (10, 1, 20, 1),
        (*name(server), *name(two_ways)): (20, 1, 10, 1)}
    tracer.events.wait_closed(is_udp(lane), 4, 12)
    assert 2 <= time.time() - sent_at
    closed = ended(tracer, lane)
    assert {key: numbers(flow) for key, flow in closed.items()} == expected
    for flow in closed.values():
        assert flow["close_reason"] == "idle" and not flow["inferred"]
        # It ended with its last datagram, and did not last until its end was noticed.
        assert int(flow["duration_ns"]) < 1_500_000_000
    stays = {(*name(three_ways), *name(server)), (*name(server), *name(three_ways))}
    assert set(live(tracer, lane)) == stays
    tracer.events.wait_closed(is_udp(lane), 6, 25)
    assert 12 <= time.time() - sent_at
    late = {key: flow for key, flow in ended(tracer, lane).items() if key in stays}
    assert {flow["close_reason"] for flow in late.values()} == {"idle"}
    assert {numbers(flow) for flow in late.values()} == {(20, 2, 20, 1), (20, 1, 20, 2)}
    check_books(tracer)


def test_a_flow_that_goes_on_after_its_silence_is_a_new_one(make_tracer, lane):
    tracer = make_tracer(**{"udp.timeout_s": 1})
    server = make(lane, "127.0.0.1", 7000)
    client = make(lane, None, peer=("127.0.0.1", 7000))
    for size in (10, 100):
        client.send(b"x" * size)
        server.recv(1000)
        time.sleep(1.2)  # the next datagram may come before or after the silence was noticed
    client.send(b"x" * 1000)
    server.recv(1000)
    client.close()
    server.close()
    closed = tracer.events.wait_closed(is_udp(lane), 6, 10)
    sent = [c for c in closed if c["direction"] == "outgoing"]
    assert sorted(numbers(c) for c in sent) == [(10, 1, 0, 0), (100, 1, 0, 0), (1000, 1, 0, 0)]
    received = [c for c in closed if c["direction"] == "incoming"]
    assert sorted(numbers(c) for c in received) == [(0, 0, 10, 1), (0, 0, 100, 1), (0, 0, 1000, 1)]
    assert len({c["id"] for c in closed}) == 6
    assert sorted(c["close_reason"] for c in closed) == 4 * ["idle"] + 2 * ["released"]
    check_books(tracer)


def test_a_flow_lives_as_long_as_something_passes(make_tracer, lane):
    tracer = make_tracer(**{"udp.timeout_s": 3})
    server = make(lane, "127.0.0.1", 7000)
    client = make(lane, None, peer=("127.0.0.1", 7000))
    for _ in range(12):
        client.send(b"x")
        server.recv(10)
        time.sleep(0.5)
    assert not tracer.events.closed_where(is_udp(lane))
    wait_live(tracer, lane, {(*name(client), *name(server)): (12, 12, 0, 0)})


def test_the_end_of_a_socket_ends_all_its_flows_at_once(make_tracer, lane):
    """Those of a socket that had many a moment later; the last holder of a socket closes it."""
    tracer = make_tracer(**PATIENT)
    count = scaled(2000, 300)
    server = make(lane, "0.0.0.0", 7000)
    client = make(lane, "127.0.0.1", 7001)
    for index in range(count):
        client.sendto(b"x" * 5, (f"127.4.{index // 250}.{index % 250 + 1}", 7000))
        server.recv(100)
    assert len(live(tracer, lane)) == 2 * count
    heir = os.dup(client.fileno())
    client.close()
    time.sleep(0.7)
    assert not tracer.events.closed_where(is_udp(lane))
    os.close(heir)
    tracer.events.wait_count(is_udp(lane), count, 3)
    server.close()
    tracer.events.wait_count(is_udp(lane), 2 * count, 3)
    closed = ended(tracer, lane)
    assert len(closed) == 2 * count
    assert {(flow["close_reason"], numbers(flow)) for flow in closed.values()} == {
        ("released", (5, 1, 0, 0)), ("released", (0, 0, 5, 1))}
    assert not live(tracer, lane)
    check_books(tracer)


def test_many_that_end_together_and_leave_nothing_behind_are_each_told_once(make_tracer, lane):
    """More than the worker remembers as closed (CLOSED_IDS_SETS * CLOSED_IDS_WAYS), fewer than a piece holds."""
    tracer = make_tracer(**{"publish.interval_s": 30, **PATIENT})
    count = 7000
    client = make(lane, "127.0.0.1", 7001)
    for index in range(count):
        client.sendto(b"x" * 5, (f"127.5.{index // 250}.{index % 250 + 1}", 7000))
    client.close()
    tracer.events.wait_count(is_udp(lane), count, 10)
    time.sleep(6)  # a sweep that finds nothing (SWEEP_INTERVAL_NS)
    assert not live(tracer, lane)
    tracer.settle()
    closed = ended(tracer, lane)
    assert {(flow["close_reason"], numbers(flow)) for flow in closed.values()} == {
        ("released", (5, 1, 0, 0))}
    assert len(closed) == count
    check_books(tracer)


def test_short_lived_sockets_are_each_told_once(make_tracer, lane):
    """As a resolver does it: a new socket for each question."""
    tracer = make_tracer(**PATIENT)
    count = scaled(5000, 300)
    server = make(lane, "127.0.0.1", 7000)
    for _ in range(count):
        client = make(lane, None, peer=("127.0.0.1", 7000))
        client.send(b"q" * 30)
        _, peer = server.recvfrom(100)
        server.sendto(b"a" * 90, peer)
        assert len(client.recv(100)) == 90
        client.close()
    server.close()

    def outgoing(flow):
        return is_udp(lane)(flow) and flow["direction"] == "outgoing"
    tracer.events.wait_count(is_udp(lane), count + 1, 15)
    wait_until(lambda: not live(tracer, lane), 5, "no flow lives", 0.2)

    def incoming():
        return [c for c in tracer.events.closed_where(is_udp(lane)) if c["direction"] == "incoming"]
    # The server's flows come all at once, and are thousands.
    wait_until(lambda: sum(numbers(c)[1] for c in incoming()) >= count, 20, "all that was served", 0.5)
    tracer.settle()
    closed, served = tracer.events.closed_where(outgoing), incoming()
    assert len(closed) == count == len({c["id"] for c in closed})
    assert {numbers(c) for c in closed} == {(30, 1, 90, 1)}
    # A port may have been used by several of the clients; all else is exact.
    assert sum(numbers(c)[1] for c in served) == count == sum(numbers(c)[3] for c in served)
    assert sum(numbers(c)[0] for c in served) == 90 * count
    assert sum(numbers(c)[2] for c in served) == 30 * count
    check_books(tracer)


def test_what_finds_no_room_is_counted_to_the_byte(make_tracer, lane, netns):
    """More flows than there are places: flows and the overflow together have all that was sent."""
    tracer = make_tracer(**{"publish.interval_s": 30, "state.max_connections": 262144, **PATIENT})
    table_full = CAPACITY + CAPACITY // 4
    before = overflow(tracer)
    # A neighbour whom nobody is: what is sent to him is gone, and nobody says so.
    device, _ = join(lane, "192.0.2.1/24", netns("other"), "192.0.2.2/24")
    lane.ip("neighbour", "add", "192.0.2.3", "lladdr", "02:00:00:00:00:03", "dev", device, "nud",
            "permanent")
    lane.ip("route", "add", "10.0.0.0/8", "via", "192.0.2.3")
    with lane.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("0.0.0.0", 7001))
    sent = 0
    for index in range(table_full):
        size = index % 50 + 1
        sent += client.sendto(bytes(size), (f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}", 53))
    client.close()
    extra = [now - then for now, then in zip(overflow(tracer), before)]
    tracer.events.wait_count(is_udp(lane), table_full - extra[1], 60)
    wait_until(lambda: not live(tracer, lane), 10, "no flow lives", 0.5)
    tracer.settle()
    closed = ended(tracer, lane)
    told_bytes = sum(numbers(flow)[0] for flow in closed.values())
    told = sum(numbers(flow)[1] for flow in closed.values())
    # What is in no flow may also be somebody else's on this machine: a handful, if any.
    others = told + extra[1] - table_full
    assert 0 <= others < table_full // 100
    assert told_bytes + extra[0] == sent if others == 0 else told_bytes + extra[0] > sent
    counters = tracer.status()["counters"]
    reasons = [flow["close_reason"] for flow in closed.values()]
    print({"evicted": counters["udp.evicted"], "overflow": extra, "flows": len(closed)})
    assert set(reasons) <= {"idle", "released"}
    if tracer.hook("facts") == "table":
        # Who was silent for the longest time made room: it was told, and nothing is in no flow.
        assert extra == [0, 0, 0, 0]
        # (Others on this machine may have flows as well.)
        assert table_full - CAPACITY <= reasons.count("idle") <= counters["udp.evicted"]
        assert len(closed) == table_full
    else:
        assert len(closed) < table_full and told == len(closed)
    check_books(tracer)


def test_a_new_worker_goes_on_where_the_killed_one_was(make_tracer, lane):
    tracer = make_tracer(**PATIENT)
    server = make(lane, "0.0.0.0", 7000)
    stays = make(lane, None, peer=("127.0.0.1", 7000))
    goes = make(lane, None, peer=("127.0.0.1", 7000))
    many = make(lane, "127.0.0.1", 7001)
    peers = [f"127.4.0.{index}" for index in range(1, 101)]
    for sock in (stays, goes):
        sock.send(b"x" * 10)
        server.recv(100)
    for peer in peers:
        many.sendto(b"x" * 7, (peer, 7000))
        server.recv(100)
    wait_live(tracer, lane, {(*name(stays), "127.0.0.1", 7000): (10, 1, 0, 0)})
    here, name_of_stays = name(goes), name(stays)
    os.kill(tracer.worker.pid, signal.SIGKILL)
    tracer.worker.process.wait()
    goes.close()
    many.close()
    stays.send(b"x" * 5)
    server.recv(100)
    tracer.events.close()
    tracer.start_worker(log="worker2.log")
    tracer.listen()
    # Whoever had ended before the subscriber was there may have been told to nobody: books tell.
    wait_live(tracer, lane, {(*name(stays), "127.0.0.1", 7000): (15, 2, 0, 0)})
    wait_until(lambda: not [key for key in live(tracer, lane) if key[:2] in (here, ("127.0.0.1", 7001))],
               5, "the ended flows are gone", 0.2)
    check_books(tracer)
    stays.close()
    server.close()
    found, = tracer.events.wait_closed(
        lambda c: is_udp(lane)(c) and key_of(c) == (*name_of_stays, "127.0.0.1", 7000))
    assert numbers(found) == (15, 2, 0, 0)
    wait_until(lambda: not live(tracer, lane), 5, "no flow lives", 0.2)
    check_books(tracer)


def test_udp_can_be_left_out(own_tracer, lane):
    """By the configuration: nothing is told. By privd's option: nothing even runs."""
    for number, (config, options) in enumerate((({"udp.enabled": False}, []),
                                                ({}, ["--udp-hook", "none"]))):
        tracer = own_tracer(config=config, privd_options=options).start()
        assert (tracer.hook("udp") == "none") == bool(options)
        server = make(lane, "127.0.0.1", 7000 + number)
        client = make(lane, None, peer=("127.0.0.1", 7000 + number))
        client.send(b"x")
        server.recv(10)
        assert not live(tracer, lane)
        client.close()
        server.close()
        tracer.settle()
        assert not [c for c in tracer.events.closed if key_of(c)[1] == 7000 + number]
        check_books(tracer)
        tracer.close()
