# SPDX-License-Identifier: Apache-2.0
"""The worker's memory stays below what `sockwarden config check` prints, with everything full."""
import json
import socket
import struct
import subprocess

import pytest

from harness import dns_world, sp
from harness.dns_world import HOST
from harness.recordings import start_recording, stop_recording
from harness.scale import binary, is_sanitized, program, scaled, wait_until
from harness.sockets import anyone, start_program

QUEUE = scaled(128, 32)
PEERS = 32  # that either socket takes; one place is left to the test itself
TABLE = scaled(8192, 1024)
NAMES = scaled(100000, 10000)
DNS_ROWS = NAMES // 5
IN_FLIGHT = NAMES // 10
EACH = 16  # addresses of an answer


def bound_of(tracer):
    """What the command says, row by row and in all, in bytes."""
    result = subprocess.run(
        [binary("cli/sockwarden"), "config", "check", tracer.write_config(), "--json"],
        capture_output=True, text=True, check=True)
    answer = json.loads(result.stdout)
    return answer["memory_bytes"], {row["what"]: row["bytes"] for row in answer["memory"]}


def resident(worker, what="VmRSS"):
    return int(worker.status()[what].split()[0]) * 1024


def waste_requests(tracer):
    """So many requesters as there may be, each with a long answer that it does not read."""
    peers = [sp.Peer(tracer.runtime_dir / "query.sock", sp.REQ) for _ in range(PEERS - 1)]
    for peer in peers:
        peer.ask({"op": "config"})
        peer.ask({"op": "snapshot"})
        peer.send(b'{"op":"snapshot","filter":"' + b"(" * 16000 + b'"}')
        peer.send(b"[" * 60000)
    return peers


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer takes memory of its own")
def test_full_tables_stay_below_the_printed_bound(own_tracer, netns):
    excludes = {f"2001:db8:{i:x}:1111:2222:3333:4444:5555": ["tcp 10000-20000"]
                for i in range(1024)}
    tracer = own_tracer(config={
        "state.max_connections": TABLE, "publish.queue": QUEUE, "publish.interval_s": 1,
        "exclude.source": excludes, "exclude.destination": excludes})
    bound, rows = bound_of(tracer)
    tracer.start()
    idle = resident(tracer.worker)
    deaf = [sp.Peer(tracer.runtime_dir / "events.sock", sp.SUB) for _ in range(PEERS - 1)]
    box = netns("full")
    started = [start_program(box, program("holder"), str(TABLE // 2 + 500), str(port))
               for port in (7900, 7901)]
    wait_until(lambda: tracer.status()["counters"]["conn.table_full"] > 0, 10, "a full table")
    with_table = resident(tracer.worker)
    wasters = waste_requests(tracer)
    messages = tracer.status()["counters"]["publish.messages"]
    for holder, _ in started:
        holder.stdin.close()
        holder.wait(60)
    tracer.events.wait_count(anyone(box), 4 * (TABLE // 2 + 500), 60)
    status = tracer.status()
    full = resident(tracer.worker)
    peak = resident(tracer.worker, "VmHWM")
    print(f"idle {idle >> 10} KiB, full table {with_table >> 10} KiB, full queues {full >> 10} KiB, "
          f"peak {peak >> 10} KiB, bound {bound >> 10} KiB: {rows}")
    assert status["gauges"]["publish.subscribers"] == PEERS
    assert status["gauges"]["conn.capacity"] == TABLE
    # The table was really full, and so were the queues: what they hold is in the peak.
    assert with_table - idle > rows["live connections"] * 0.8
    assert status["counters"]["publish.messages"] - messages > QUEUE
    assert full - with_table > QUEUE * 16384
    assert peak < bound
    # Deaf subscribers and requesters cost the others nothing.
    assert not tracer.events.holes() and tracer.status()["health"] == "good"
    for peer in deaf + wasters:
        peer.close()


class Forger:
    """Both ends of a conversation, so that as many questions and answers pass a wire as one process can send."""

    def __init__(self, world, server="10.80.1.53"):
        device = world.server.run("ip", "-o", "-4", "address", "show", "to", dns_world.SERVER).stdout
        world.server.ip("address", "add", f"{server}/24", "dev", device.split()[1])
        with world.host.entered():
            self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with world.server.entered():
            self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind((HOST, 0))
        self.server.bind((server, 53))
        self._client, self._server = self.client.getsockname(), (server, 53)
        self._world, self._sent, self._before = world, 0, world.counters()["dns.queries"]

    def ask(self, name, first_address=None):
        """A question, and if there is an address its answer: it and those that follow."""
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        question = labels + b"\0\0\1\0\1"
        number = self._sent & 0xffff
        self.client.sendto(struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + question, self._server)
        if first_address is not None:
            records = b"".join(
                struct.pack("!3HIHI", 0xc00c, 1, 1, 3600, 4, (11 << 24) + first_address + i) for i in range(EACH))
            self.server.sendto(struct.pack("!6H", number, 0x8180, 1, EACH, 0, 0) + question + records,
                               self._client)
        self._sent += 1
        if self._sent % 2048 == 0:
            self.wait()  # a ring holds twice as many, also while the worker has no processor

    def wait(self):
        """Until the worker has seen all questions."""
        wait_until(lambda: self._world.counters()["dns.queries"] - self._before >= self._sent, 20,
                   f"{self._sent} questions")

    def close(self):
        self.client.close()
        self.server.close()


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer takes memory of its own")
def test_names_and_statistics_that_are_full_stay_below_the_printed_bound(tmp_path):
    """Each address has had more names than there is room for, on average; then all is recorded as well."""
    config = {"dns.max_names": NAMES, "dns.max_stats": DNS_ROWS, "dns.max_in_flight": IN_FLIGHT,
              "dns.timeout_s": 300}
    with dns_world.running(tmp_path, config=config) as world:
        tracer = world.tracer
        bound, rows = bound_of(tracer)
        idle = resident(tracer.worker)
        forger = Forger(world)
        # A tenth of the addresses makes room for those that then get one name more than stays.
        led_to = [*range(NAMES, NAMES * 11 // 10, EACH), *[*range(0, NAMES, EACH)] * 4]
        for i, address in enumerate(led_to):
            forger.ask(f"host-{i:06}.of-a-zone.example.org", address)
        for i in range(IN_FLIGHT * 11 // 10):
            forger.ask(f"host-{i:06}.unanswered.example.org")
        forger.wait()
        status = tracer.status()
        gauges, counters = status["gauges"], status["counters"]
        full = resident(tracer.worker)
        tape = tmp_path / "tape"
        recording = start_recording(tracer, tape)
        wait_until(lambda: tape.stat().st_size > NAMES * 100, 20, "the state is on the tape")
        stop_recording(recording)
        peak = resident(tracer.worker, "VmHWM")
        [of_dns] = [row for what, row in rows.items() if what.startswith("DNS:")]
        print(f"idle {idle >> 10} KiB, full {full >> 10} KiB, recorded {peak >> 10} KiB, bound {bound >> 10} "
              f"KiB, of it DNS {of_dns >> 10} KiB, {gauges['names.addresses']} addresses, "
              f"{gauges['dns.stats']} rows, {gauges['dns.in_flight']} waiting")
        # All was really full, and what had to make room was counted.
        assert gauges["names.addresses"] == NAMES and counters["names.evicted"] > 0
        assert counters["names.dropped"] > 0 and counters["names.refused"] == 0
        # The row of those that had to make room is one more.
        assert gauges["dns.stats"] in (DNS_ROWS, DNS_ROWS + 1) and counters["dns.stats_evicted"] > 0
        assert gauges["dns.in_flight"] == IN_FLIGHT and counters["dns.evicted"] >= IN_FLIGHT // 10
        # What is left is for texts of names, each of an address's own, and for other conversations than this one.
        assert of_dns * 0.6 < full - idle < of_dns
        assert 0 < peak - full < rows["a recording, while there is one"] and peak < bound
        assert status["health"] == "good" and counters["dns.capture_lost"] == 0
        forger.close()
