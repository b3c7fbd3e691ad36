# SPDX-License-Identifier: Apache-2.0
"""Address translation, as nftables does it in namespaces of the tests and as conntrack(8) tells it."""
import os
import signal
import socket
import subprocess
import time
import threading

import pytest

from harness import daemons
from harness.gateway import (CLIENT, CLIENT_TOO, INSIDE, NOWHERE, OUTSIDE, SERVER, SERVICE,
                             UNTRANSLATED, Gateway, conntrack_lines, other_side, tuples_of)
from harness.scale import SCALE, scaled, wait_until
from harness.sockets import connect, key_of, listen, receive_end

FAMILIES = pytest.mark.parametrize("family", [4, 6])


def udp_socket(namespace, address=None, port=0):
    kind = socket.AF_INET6 if address and ":" in address else socket.AF_INET
    with namespace.entered():
        made = socket.socket(kind, socket.SOCK_DGRAM)
    if address:
        made.bind((address, port))
    made.settimeout(5)
    return made


class Service:
    """Answers each connection's first byte, and closes when the peer has; on one port."""

    def __init__(self, namespace, address, port):
        self.listener = listen(namespace, address, port, 512)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _serve(sock):
        with sock:
            while data := sock.recv(4096):
                sock.sendall(data)


def talk(sock):
    sock.sendall(b".")
    assert sock.recv(1) == b"."


def serve(gateway):
    for family in (4, 6):
        Service(gateway.server, SERVER[family], SERVICE)
        Service(gateway.server, SERVER[family], UNTRANSLATED)


class World:
    """Daemons to which the gateway's namespace is the initial one, and a connection older than they."""

    def __init__(self, directory):
        self.gateway = Gateway("nat")
        serve(self.gateway)
        self.older = connect(self.gateway.client, SERVER[4], SERVICE)
        talk(self.older)
        self.tracer = daemons.Tracer(directory, privd_prefix=self.gateway.prefix())

    def counters(self):
        return self.tracer.status()["counters"]

    def wait_read(self):
        """Until nothing waits in the socket: the kernel adds nothing to one that was overrun before."""
        def numbers():
            return {name: value for name, value in self.counters().items() if name.startswith("nat.")}

        def is_quiet():
            before = numbers()
            time.sleep(0.3)
            return numbers() == before
        wait_until(is_quiet, 20, "all of connection tracking's messages are read")

    def close(self):
        """unshare(1) waits for privd and passes no signal on."""
        privd = self.tracer.privd
        if privd and privd.is_alive:
            with open(f"/proc/{privd.pid}/task/{privd.pid}/children", encoding="ascii") as file:
                for child in file.read().split():
                    os.kill(int(child), signal.SIGTERM)
        self.tracer.close()


@pytest.fixture(scope="module", name="world")
def make_world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("nat"))
    try:
        world.tracer.start()
        yield world
    finally:
        world.close()


def closed_pair(tracer, gateway, port, remote_port, client=None, server=None):
    """Both ends of one connection: by the client's port and the one that its server listens on."""
    client, server = client or gateway.client, server or gateway.server

    def ends():
        mine = [c for c in tracer.events.closed if client.is_ours(c) and c["local"]["port"] == port]
        theirs = [c for c in tracer.events.closed
                  if server.is_ours(c) and c["local"]["port"] == remote_port and c["nat"] == (
                      mine and c["nat"])]
        return mine and theirs and (mine[-1], theirs[-1])
    return tracer.events.wait(ends, 10, f"both ends of port {port}")


def exchange(tracer, gateway, address, port, source=None, service=SERVICE, client=None):
    """One connection; returns its two published ends and what conntrack said while it lived."""
    sock = connect(client or gateway.client, address, port, source)
    talk(sock)
    lines = gateway.entries()
    mine = sock.getsockname()[1]
    sock.close()
    ours, theirs = closed_pair(tracer, gateway, mine, service, client)
    return ours, theirs, lines


def expect_as_told(lines, *connections):
    """Each connection is told as conntrack tells it, and is translated."""
    for connection in connections:
        expected = other_side(lines, connection)
        assert expected, (connection, lines)
        assert connection["nat"] == expected


def expect_counterparts(client, server):
    """What the client is on the other side is what the server sees, and the other way round."""
    assert client["nat"]["local"] == {key: server["remote"][key] for key in ("ip", "port")}
    assert client["nat"]["remote"] == server["local"]
    assert server["nat"]["remote"] == client["local"]
    assert server["nat"]["local"] == {key: client["remote"][key] for key in ("ip", "port")}


@FAMILIES
def test_a_client_behind_a_gateway_that_masquerades(world, family):
    client, server, lines = exchange(world.tracer, world.gateway, SERVER[family], SERVICE)
    expect_as_told(lines, client, server)
    expect_counterparts(client, server)
    assert client["nat"]["local"]["ip"] == OUTSIDE[family]
    assert server["remote"]["ip"] == OUTSIDE[family]


@FAMILIES
def test_a_server_to_which_a_port_is_forwarded(world, family):
    client, server, lines = exchange(world.tracer, world.gateway, INSIDE[family], 8081)
    expect_as_told(lines, client, server)
    expect_counterparts(client, server)
    assert client["nat"]["remote"] == {"ip": SERVER[family], "port": SERVICE}
    assert client["nat"]["local"] == client["local"]
    assert server["nat"]["local"] == {"ip": INSIDE[family], "port": 8081}


@FAMILIES
def test_both_at_once(world, family):
    client, server, lines = exchange(world.tracer, world.gateway, INSIDE[family], 8082)
    expect_as_told(lines, client, server)
    expect_counterparts(client, server)
    assert client["nat"]["local"]["ip"] == OUTSIDE[family]
    assert client["nat"]["remote"]["ip"] == SERVER[family]


@FAMILIES
def test_a_port_that_is_taken_is_told_as_the_one_that_it_became(world, family):
    """Two connections from one port of two addresses; only one of them can keep it."""
    first = connect(world.gateway.client, SERVER[family], SERVICE, (CLIENT[family], 5555))
    second = connect(world.gateway.client, SERVER[family], SERVICE, (CLIENT_TOO[family], 5555))
    talk(first)
    talk(second)
    lines = world.gateway.entries()
    mark = world.tracer.events.mark()
    first.close()
    second.close()
    both = world.tracer.events.wait(
        lambda: (lambda found: found if len(found) == 4 else None)(
            [c for c in world.tracer.events.closed[mark:]
             if world.gateway.client.is_ours(c) or world.gateway.server.is_ours(c)]), 10, "4 ends")
    expect_as_told(lines, *both)
    ports = [c["nat"]["local"]["port"] for c in both if c["direction"] == "outgoing"]
    assert len(set(ports)) == 2 and 5555 in ports


@FAMILIES
@pytest.mark.parametrize("forwarded", [False, True], ids=["masquerade", "forward"])
def test_udp(world, family, forwarded):
    gateway, tracer = world.gateway, world.tracer
    server = udp_socket(gateway.server, SERVER[family], SERVICE)
    client = udp_socket(gateway.client, CLIENT[family])
    client.connect((INSIDE[family], 8081) if forwarded else (SERVER[family], SERVICE))
    for _ in range(3):
        client.send(b"question")
        _, peer = server.recvfrom(100)
        server.sendto(b"answer", peer)
        assert client.recv(100) == b"answer"
    lines = gateway.entries("-p", "udp")
    port = client.getsockname()[1]
    client.close()
    server.close()
    ours, theirs = tracer.events.wait(
        lambda: (lambda mine, other: mine and other and (mine[-1], other[-1]))(
            [c for c in tracer.events.closed if c["protocol"] == "udp"
             and gateway.client.is_ours(c) and c["local"]["port"] == port],
            [c for c in tracer.events.closed if c["protocol"] == "udp"
             and gateway.server.is_ours(c) and c["remote"]["port"] == peer[1]]), 15, "both ends")
    expect_as_told(lines, ours, theirs)
    expect_counterparts(ours, theirs)


@FAMILIES
def test_the_gateways_own_connection(world, family):
    """To an address that only a rule of its own knows."""
    sock = connect(world.gateway.box, NOWHERE[family], 80)
    talk(sock)
    lines = world.gateway.entries()
    port = sock.getsockname()[1]
    sock.close()
    found = world.tracer.events.wait_closed(
        lambda c: world.gateway.box.is_ours(c) and c["local"]["port"] == port)
    assert found[0]["remote"]["ip"] == NOWHERE[family]
    assert found[0]["nat"]["remote"] == {"ip": SERVER[family], "port": SERVICE}
    expect_as_told(lines, found[0])


@FAMILIES
def test_what_is_only_forwarded_has_none(world, family):
    sock = connect(world.gateway.client, SERVER[family], UNTRANSLATED, (CLIENT[family], 0))
    talk(sock)
    port = sock.getsockname()[1]
    sock.close()
    for namespace in (world.gateway.client, world.gateway.server):
        found = world.tracer.events.wait_closed(
            lambda c, namespace=namespace: namespace.is_ours(c) and port in (
                c["local"]["port"], c["remote"]["port"]))
        assert [c["nat"] for c in found] == [None]


def test_a_translation_that_is_older_than_the_tracer(world):
    lines = world.gateway.entries()
    port = world.older.getsockname()[1]
    talk(world.older)
    live = [c for c in world.tracer.snapshot() if c["local"]["port"] == port]
    expect_as_told(lines, *[c for c in live if c["netns"] == world.gateway.client.inode])
    world.older.close()
    found = world.tracer.events.wait_closed(
        lambda c: c["netns"] == world.gateway.client.inode and c["local"]["port"] == port)
    expect_as_told(lines, found[0])


def test_a_translation_that_is_over_counts_for_its_connection_only(world):
    gateway, source = world.gateway, (CLIENT[4], 6001)
    first = connect(gateway.client, SERVER[4], SERVICE, source)
    talk(first)
    lines = gateway.entries()
    destroyed = world.counters()["nat.destroyed"]
    assert conntrack_lines(gateway.box, "-D", "-p", "tcp", "--orig-port-src", "6001")
    wait_until(lambda: world.counters()["nat.destroyed"] > destroyed, 5, "the end of a translation")
    assert world.tracer.status()["gauges"]["nat.ended"] > 0
    mark = world.tracer.events.mark()
    first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    first.close()
    ended = world.tracer.events.wait_closed(
        lambda c: gateway.client.is_ours(c) and c["local"]["port"] == 6001)
    expect_as_told(lines, ended[0])
    gateway.stop_translating(4)
    try:
        again = connect(gateway.client, SERVER[4], SERVICE, source)
        talk(again)
        again.close()
        second = world.tracer.events.wait(
            lambda: [c for c in world.tracer.events.closed[mark:] if gateway.client.is_ours(c)
                     and c["local"]["port"] == 6001 and c["close_reason"] != "rst"], 5, "a close")
        assert second[0]["nat"] is None
    finally:
        gateway.translate(4)


def test_every_one_of_many_is_told_as_conntrack_told_it(world):
    """conntrack -E is the witness, which prints each new entry as the kernel announces it."""
    gateway, count = world.gateway, scaled(2000, 200)
    witness = gateway.box.start("conntrack", "-E", "-e", "NEW", "-p", "tcp", "-b", "8388608",
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    threading.Thread(target=lambda: lines.extend(witness.stdout), daemon=True).start()

    def touch():
        connect(gateway.client, SERVER[4], SERVICE).close()
        return lines
    wait_until(touch, 5, "the witness listens")
    mark = world.tracer.events.mark()
    mine = set()
    for i in range(count):
        sock = connect(gateway.client, (SERVER if i % 2 else INSIDE)[4], SERVICE if i % 2 else 8082)
        mine.add((*sock.getsockname(), *sock.getpeername()))
        sock.close()
    assert len(mine) == count

    def told():
        world.tracer.query({"op": "snapshot"})  # also looks for ends that the kernel hid
        found = [c for c in world.tracer.events.closed[mark:] if gateway.client.is_ours(c)
                 and key_of(c) in mine]
        return found if len(found) >= count else None
    ended = wait_until(told, 30, f"{count} connections", 0.5)
    wait_until(lambda: mine <= {tuples_of(line)[0] for line in list(lines) if tuples_of(line)}, 20,
               "all new entries")
    witness.terminate()
    witness.wait()
    index = {tuples_of(line)[0]: line for line in lines if tuples_of(line)}
    assert len(ended) == count
    for connection in ended:
        expect_as_told([index[key_of(connection)]], connection)
    print(f"{count} connections, each told as conntrack -E told it")


def test_ports_that_are_used_again_at_once_keep_their_translation(world):
    """Refused, so that each entry is replaced by the next one's of the same tuple within moments."""
    client, ports, rounds = world.gateway.client, range(21000, 21040), scaled(50, 5)
    mark = world.tracer.events.mark()
    for _ in range(rounds):
        for port in ports:
            with client.entered():
                sock = socket.socket()
            with sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((CLIENT[4], port))
                with pytest.raises(ConnectionRefusedError):
                    sock.connect((SERVER[4], 9))
    count = rounds * len(ports)
    refused = world.tracer.events.wait(
        lambda: (lambda found: found if len(found) >= count else None)(
            [c for c in world.tracer.events.closed[mark:] if client.is_ours(c)
             and c["remote"] == {**c["remote"], "ip": SERVER[4], "port": 9}]), 20, "all refused ones")
    assert len(refused) == count
    told = [c["nat"] and (c["nat"]["local"]["ip"], c["nat"]["remote"]) for c in refused]
    assert set(map(str, told)) == {str((OUTSIDE[4], {"ip": SERVER[4], "port": 9}))}, [
        c for c in refused if not c["nat"]][:3]


def test_what_happened_while_the_worker_stood_still_is_known_afterwards(world):
    world.tracer.pause_worker()
    try:
        socks = [connect(world.gateway.client, SERVER[4], SERVICE) for _ in range(50)]
        lines = world.gateway.entries()
        ports = {sock.getsockname()[1] for sock in socks}
        mark = world.tracer.events.mark()
        for sock in socks:
            # To its end: a FIN that comes when its entry is gone is answered by the gateway.
            sock.shutdown(socket.SHUT_WR)
            receive_end(sock)
            sock.close()
        conntrack_lines(world.gateway.box, "-F")
    finally:
        os.kill(world.tracer.worker.pid, signal.SIGCONT)
    ended = world.tracer.events.wait(
        lambda: (lambda found: found if len(found) == 50 else None)(
            [c for c in world.tracer.events.closed[mark:] if world.gateway.client.is_ours(c)
             and c["local"]["port"] in ports]), 10, "50 connections")
    expect_as_told(lines, *ended)


def test_the_command_shows_and_filters_by_it(world):
    sock = connect(world.gateway.client, INSIDE[4], 8082)
    talk(sock)
    port = sock.getsockname()[1]
    mine = f"netns == {world.gateway.client.inode} and local.port == {port}"
    expression = f"{mine} and nat.remote.port == {SERVICE} and nat.local.ip == {OUTSIDE[4]}"
    shown = world.tracer.command("conns", "--no-header", "--fields", "nat.remote,nat.local.ip",
                                 "--filter", expression)
    assert shown.stdout.split() == [f"{SERVER[4]}:{SERVICE}", OUTSIDE[4]], shown
    none = world.tracer.command("conns", "--json", "--filter", f"{mine} and nat.remote.ip == null")
    assert none.returncode == 0 and not none.stdout
    sock.close()


def test_a_client_that_asks_is_told_it_too(world):
    """Of a closed connection what was known when it closed, though the translation is over since."""
    def ask(**ack):
        """A whole batch: its number, and {id: connection}; others on this machine have some, too."""
        request = {"op": "connections", "client": "nat"}
        answer = world.tracer.query({**request, **ack})
        told = {c["id"]: c for c in answer["connections"]}
        while "more" in answer:
            answer = world.tracer.query({**request, "page": answer["more"]})
            told.update((c["id"], c) for c in answer["connections"])
        return answer["batch"], told
    batch, _ = ask()
    client, server, _ = exchange(world.tracer, world.gateway, SERVER[4], SERVICE)
    conntrack_lines(world.gateway.box, "-F")
    _, told = ask(ack=batch)
    assert told[client["id"]]["nat"] == client["nat"] and client["nat"]
    assert told[server["id"]]["nat"] == server["nat"]
    assert world.tracer.query({"op": "unregister", "client": "nat"})["ok"]


def blast(client, flows):
    """So many UDP flows to as many ports, one datagram each."""
    socks = [udp_socket(client, CLIENT[4]) for _ in range(20)]
    for i in range(flows):
        socks[i % 20].sendto(b"x", (SERVER[4], 10000 + i // 20))
    for sock in socks:
        sock.close()


@pytest.mark.skipif(SCALE < 0.5, reason="52,000 messages take minutes on an emulated machine")
def test_what_the_kernel_had_to_leave_out_is_counted_and_what_is_new_is_told(world):
    """The socket's buffer holds some 52,000 messages; a worker that stands still overruns it."""
    gateway = world.gateway
    before = world.counters()["nat.overruns"]
    world.tracer.pause_worker()
    try:
        for _ in range(8):
            blast(gateway.client, 5000)
            conntrack_lines(gateway.box, "-F")
    finally:
        os.kill(world.tracer.worker.pid, signal.SIGCONT)
    wait_until(lambda: world.counters()["nat.overruns"] > before, 20, "an overrun is counted")
    world.wait_read()
    client, server, lines = exchange(world.tracer, gateway, SERVER[4], SERVICE)
    expect_as_told(lines, client, server)
    counters = world.counters()
    assert not any(counters[name] for name in counters
                   if name.startswith("nat.bad_") or name in ("nat.foreign", "nat.truncated"))


def test_a_restarted_worker_knows_what_is_new(world):
    """The dump was its predecessor's: a translation from before is not known, and told as such."""
    tracer = world.tracer
    world.wait_read()
    old = connect(world.gateway.client, SERVER[4], SERVICE)
    talk(old)
    port = old.getsockname()[1]
    wait_until(lambda: any(c["nat"] for c in tracer.snapshot() if c["local"]["port"] == port), 5,
               "the translation is known")
    tracer.worker.stop()
    tracer.start_worker(log="worker-2.log")
    client, server, lines = exchange(tracer, world.gateway, SERVER[4], SERVICE)
    expect_as_told(lines, client, server)
    assert [c["nat"] for c in tracer.snapshot() if c["local"]["port"] == port] == [None]
    old.close()


@FAMILIES
def test_a_gateway_in_a_namespace_that_has_an_id_in_the_initial_one(tracer, family):
    gateway = Gateway("other")
    gateway.known_in()
    # Kernels from 5.19 to 6.2 announce what happens in a namespace only to who listens in it.
    gateway.box.sysctl("net.netfilter.nf_conntrack_events", 1)
    serve(gateway)
    for address, port in ((SERVER, SERVICE), (INSIDE, 8081), (INSIDE, 8082)):
        client, server, lines = exchange(tracer, gateway, address[family], port)
        expect_as_told(lines, client, server)
        expect_counterparts(client, server)


def test_two_gateways_that_translate_the_same_ends_differently_tell_nothing(tracer):
    first, second = Gateway("one"), Gateway("two")
    second.box.run("nft", "add", "rule", "ip", "sw", "before", "ip", "daddr", INSIDE[4], "tcp",
                   "dport", "8083", "dnat", "to", f"{SERVER[4]}:{UNTRANSLATED}")
    first.box.run("nft", "add", "rule", "ip", "sw", "before", "ip", "daddr", INSIDE[4], "tcp",
                  "dport", "8083", "dnat", "to", f"{SERVER[4]}:{SERVICE}")
    ambiguous = tracer.status()["counters"]["nat.ambiguous"]
    socks = []
    for gateway in (first, second):
        gateway.known_in()
        gateway.box.sysctl("net.netfilter.nf_conntrack_events", 1)
        serve(gateway)
        socks.append(connect(gateway.client, INSIDE[4], 8083, (CLIENT[4], 6002)))
        talk(socks[-1])
    for sock in socks:
        sock.close()
    for gateway in (first, second):
        found = tracer.events.wait_closed(
            lambda c, gateway=gateway: gateway.client.is_ours(c) and c["local"]["port"] == 6002)
        assert [c["nat"] for c in found] == [None]
    assert tracer.status()["counters"]["nat.ambiguous"] >= ambiguous + 2


def test_a_namespace_without_an_id_is_not_heard(tracer):
    gateway = Gateway("deaf")
    serve(gateway)
    sock = connect(gateway.client, SERVER[4], SERVICE)
    talk(sock)
    assert other_side(gateway.entries(), {
        "protocol": "tcp", "local": dict(zip(("ip", "port"), sock.getsockname())),
        "remote": {"ip": SERVER[4], "port": SERVICE}})
    port = sock.getsockname()[1]
    sock.close()
    found = tracer.events.wait_closed(
        lambda c: gateway.client.is_ours(c) and c["local"]["port"] == port)
    assert [c["nat"] for c in found] == [None]


def has_socket(worker):
    """Whether the number that the worker's system-call filter knows is open."""
    return os.path.lexists(f"/proc/{worker.pid}/fd/514")


def test_where_it_is_off_that_is_told_and_the_socket_is_closed(own_tracer):
    off = own_tracer(config={"nat.enabled": False}).start()
    assert off.hook("nat") == "off: nat.enabled is false"
    assert off.worker.lines("translated addresses are not told: off: nat.enabled is false")
    assert off.status()["gauges"]["nat.capacity"] == 0
    assert not has_socket(off.worker)
    off.worker.stop()
    off.config["nat.enabled"] = True
    off.start_worker(log="worker-2.log")
    assert off.hook("nat") == "conntrack netlink"
    assert off.status()["gauges"]["nat.capacity"] == 131072
    assert has_socket(off.worker)


def test_a_privd_that_was_told_not_to_open_it_says_so(own_tracer):
    tracer = own_tracer(privd_options=["--no-nat"]).start()
    assert tracer.hook("nat") == "none: --no-nat"
    assert tracer.worker.lines("translated addresses are not told: none: --no-nat")
    assert not has_socket(tracer.worker)
