# SPDX-License-Identifier: Apache-2.0
"""DNS by the classic filter: who holds the socket, what a successor finds, and what is lost."""
import os
import re
import signal
import socket

import pytest

from harness import dns_world
from harness.dns_world import SERVER
from harness.frames import IPV4, UDP, ethernet, ipv4, udp
from harness.scale import is_sanitized, program, scaled, wait_until

CLASSIC = "classic socket filter"
# As in worker/seccomp_rules.h and privd/confine.h.
WORKER_PLACE, FENCE = 515, 4096


@pytest.fixture(name="make_world")
def world_maker(tmp_path):
    """make_world(...) as dns_world.running(); it ends with the test."""
    made = []

    def make(**options):
        manager = dns_world.running(tmp_path, **options)
        made.append(manager)
        return manager.__enter__()
    yield make
    for manager in made:
        manager.__exit__(None, None, None)


def packet_sockets(world, pid):
    """The numbers of a process's descriptors that are packet sockets of the host's namespace."""
    lines = world.host.run("cat", "/proc/net/packet").stdout.splitlines()[1:]
    inodes = {line.split()[8] for line in lines}
    found = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{entry}")
        except FileNotFoundError:
            continue
        match = re.fullmatch(r"socket:\[(\d+)\]", target)
        if match and match.group(1) in inodes:
            found.add(int(entry))
    return found


def privd_pid(world):
    """The real one: what was started is nsenter and unshare."""
    with open(f"/proc/{world.tracer.privd.pid}/task/{world.tracer.privd.pid}/children",
              encoding="ascii") as file:
        return int(file.read().split()[0])


def names_of(world, address):
    return world.tracer.query({"op": "names", "ips": [address]})["names"][0]["names"]


def test_the_worker_holds_the_socket_and_nothing_else_of_it(make_world):
    world = make_world(privd_options=["--packet-filter=classic"])
    assert packet_sockets(world, world.tracer.worker.pid) == {WORKER_PLACE}
    [held] = packet_sockets(world, privd_pid(world))
    assert held >= FENCE
    assert int(world.tracer.worker.status()["CapEff"], 16) == 0
    with open(f"/proc/{world.tracer.worker.pid}/maps", encoding="ascii") as file:
        rings = [line for line in file if "socket:[" in line]
    assert len(rings) == 1 and " rw-s " in rings[0]


def test_with_the_other_filter_the_socket_stays_in_privd(make_world):
    world = make_world(privd_options=["--packet-filter=ebpf"])
    assert packet_sockets(world, world.tracer.worker.pid) == set()
    [held] = packet_sockets(world, privd_pid(world))
    assert held >= FENCE
    assert world.tracer.hook("dns") == "socket filter"


def test_without_dns_the_worker_gives_the_socket_away(make_world):
    world = make_world(config={"dns.enabled": False}, privd_options=["--packet-filter=classic"])
    assert packet_sockets(world, world.tracer.worker.pid) == set()
    assert world.tracer.status()["health"] == "good"


def test_where_the_kernel_refuses_an_ebpf_filter_a_classic_one_takes_its_place(make_world):
    world = make_world(environment={"LD_PRELOAD": program("no_filter.so")})
    assert world.tracer.hook("dns") == CLASSIC
    assert len(world.tracer.privd.lines("no eBPF filter for DNS: Operation not permitted$")) == 1
    assert packet_sockets(world, world.tracer.worker.pid) == {WORKER_PLACE}
    world.dig("www.example.org")
    wait_until(lambda: names_of(world, SERVER) == ["www.example.org"], 5, "the name")


def test_an_ebpf_filter_that_was_asked_for_has_no_substitute(make_world):
    world = make_world(environment={"LD_PRELOAD": program("no_filter.so")},
                       privd_options=["--packet-filter=ebpf"])
    assert world.tracer.hook("dns") == "none: Operation not permitted"
    assert world.tracer.privd.lines("DNS is not captured: Operation not permitted")
    assert packet_sockets(world, world.tracer.worker.pid) == set()


def test_a_successor_reads_what_came_while_nobody_did(make_world):
    world = make_world(privd_options=["--packet-filter=classic"])
    count = scaled(60, 20)
    world.tracer.worker.kill()
    world.tracer.events.close()
    for number in range(count):
        world.dig(f"gap-{number}.example.org")
    world.tracer.start_worker()
    world.tracer.events = world.tracer.subscribe(("dns.v1 ", "meta.v1 "))
    wait_until(lambda: world.counters()["dns.answers"] >= count, 10, "what was asked in between")
    assert world.counters()["dns.capture_lost"] == 0
    told = {domain for _, _, domain, _ in world.rows()}
    assert {f"gap-{number}.example.org" for number in range(count)} <= told
    world.dig("www.example.org")
    wait_until(lambda: names_of(world, SERVER) == ["www.example.org"], 5, "the name")


def test_what_finds_no_room_has_a_budget(make_world):
    """Every packet is taken or lost, and the sum of both is what was sent."""
    world = make_world(privd_options=["--packet-filter=classic", "--ring-pages=8"])
    before = world.counters()
    frame = ethernet(IPV4, ipv4(UDP, udp(40000, 53, bytes(1000))))
    count = scaled(2000, 1000)
    with world.host.entered():
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((world.device, 0))
    world.tracer.pause_worker()
    for _ in range(count):
        sender.send(frame)
    sender.close()
    os.kill(world.tracer.worker.pid, signal.SIGCONT)

    def gained():
        after = world.counters()
        return {name: after[name] - before[name] for name in ("dns.captured", "dns.capture_lost", "dns.packets")}
    wait_until(lambda: gained()["dns.captured"] >= count, 10, f"all of them: {gained()}")
    gain = gained()
    assert gain["dns.captured"] == count
    assert 0 < gain["dns.capture_lost"] < count
    assert gain["dns.packets"] == count - gain["dns.capture_lost"]
    budget = world.tracer.status()["loss"]["budgets"]["packets"]
    assert budget["lost"] == gain["dns.capture_lost"]
    assert world.tracer.command("status").returncode == (7 if budget["exceeded"] else 0)
    # The ring goes on.
    world.dig("www.example.org")
    wait_until(lambda: names_of(world, SERVER) == ["www.example.org"], 5, "the name")


def test_privd_uses_no_heap_with_it(make_world):
    if is_sanitized():
        pytest.skip("AddressSanitizer has an allocator of its own; the release build runs this")
    world = make_world(environment={"LD_PRELOAD": program("heap_guard.so")},
                       privd_options=["--packet-filter=classic"])
    world.tracer.worker.stop()
    world.tracer.start_worker()
    assert packet_sockets(world, world.tracer.worker.pid) == {WORKER_PLACE}
    assert not world.tracer.privd.lines("the heap was used")
