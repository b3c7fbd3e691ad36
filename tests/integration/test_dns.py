# SPDX-License-Identifier: Apache-2.0
"""DNS as a resolver of its own answers it: names on connections, statistics, and what is no answer."""
import collections
import socket
import struct
import subprocess

import pytest

from harness import dns_world
from harness.dns_world import HOST, NOBODY, SERVER, SERVER6, query
from harness.recordings import TOPICS, Lines, of_topic, replay, seq_of, start_recording, stop_recording
from harness.scale import scaled, wait_until
from harness.sockets import connect, listen


@pytest.fixture(scope="module", name="world", params=("ebpf", "classic"))
def make_world(tmp_path_factory, request):
    with dns_world.running(tmp_path_factory.mktemp("dns"),
                           privd_options=["--packet-filter", request.param]) as world:
        assert world.tracer.hook("dns") == {"ebpf": "socket filter",
                                            "classic": "classic socket filter"}[request.param]
        yield world


def names_of(world, *addresses):
    answer = world.tracer.query({"op": "names", "ips": list(addresses)})
    return [item["names"] for item in answer["names"]]


def test_an_address_and_connections_to_it_have_the_name_that_was_asked_for(world):
    world.dig("www.example.org")
    wait_until(lambda: "www.example.org" in names_of(world, SERVER)[0], 5, "the name")
    listener = listen(world.server, SERVER, 8080)
    client = connect(world.host, SERVER, 8080)
    [live] = [c for c in world.tracer.snapshot() if world.host.is_ours(c)
              and c["remote"]["port"] == 8080]
    assert live["remote"]["names"][0] == "www.example.org"
    client.close()
    listener.accept()[0].close()
    [closed] = world.tracer.events.wait_closed(
        lambda c: world.host.is_ours(c) and c["remote"]["port"] == 8080, 1, 5)
    assert "www.example.org" in closed["remote"]["names"]
    told = world.tracer.events.wait(lambda: [
        name for message in world.tracer.events.topic("names.v1") for name in message["names"]
        if name["ip"] == SERVER], 5, "names.v1")
    assert told[0]["names"] == ["www.example.org"] and told[0]["ttl_s"] == 300


def test_aliases_lead_to_the_name_that_was_asked_for(world):
    world.dig("far.example.org")
    wait_until(lambda: "far.example.org" in names_of(world, SERVER)[0], 5, "the name")
    world.dig("FAR.exAmple.ORG")
    world.dig("two.example.org")
    wait_until(lambda: names_of(world, "10.80.1.3")[0] == ["two.example.org"], 5, "both addresses")
    assert names_of(world, SERVER)[0].count("far.example.org") == 1
    world.dig("six.example.org", "AAAA")
    wait_until(lambda: names_of(world, SERVER6)[0] == ["six.example.org"], 5, "IPv6")


def test_codes_and_types_are_counted_as_the_resolver_gave_them(world):
    before = world.rows()

    def row(name, kind="A", protocol="udp"):
        rows = world.rows()
        return rows.get((SERVER, protocol, name, kind)), before.get((SERVER, protocol, name, kind))
    for _ in range(5):
        world.dig("codes.example.org", "A")
    for _ in range(3):
        world.dig("www.example.org", "AAAA")
    for _ in range(4):
        world.dig("+tcp", "www.example.org", "A")
    wait_until(lambda: (row("www.example.org", "A", "tcp")[0] or {"answers": 0})["answers"] == 4, 5,
               "all answers")
    refused, none = row("codes.example.org")
    assert none is None
    assert (refused["queries"], refused["answers"], refused["timeouts"]) == (5, 5, 0)
    assert refused["rcodes"] == {"NXDOMAIN": 5}
    assert refused["failure_latency_us"]["count"] == 5 and refused["latency_us"]["count"] == 0
    empty, _ = row("www.example.org", "AAAA")
    assert empty["rcodes"] == {"NOERROR": 3}
    tcp, _ = row("www.example.org", "A", "tcp")
    assert tcp["rcodes"] == {"NOERROR": 4} and tcp["latency_us"]["count"] == 4
    latency = tcp["latency_us"]
    assert sum(latency["buckets"]) + latency["zeroes"] == 4
    assert latency["min"] <= latency["sum"] / 4 <= latency["max"]
    assert tcp["client"] == HOST and tcp["server_port"] == 53


def answer_to(question, address, ttl=60):
    return (question[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + question[12:]
            + b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, ttl, 4) + socket.inet_aton(address))


def test_what_nobody_asked_for_names_nothing(world):
    """An answer to another question, to another id, and one out of the blue."""
    before = world.counters()
    with world.host.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((HOST, 0))
    # From port 53 only the resolver can send; a server of another namespace address can.
    world.server.run("ip", "address", "add", "10.80.1.53/24", "dev",
                     world.server.run("ip", "-o", "-4", "address", "show", "to", SERVER).stdout.split()[1])
    with world.server.entered():
        forger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    forger.bind(("10.80.1.53", 53))
    forger.settimeout(5)
    asked = query("mine.example.org", 1)
    client.sendto(asked, ("10.80.1.53", 53))
    _, peer = forger.recvfrom(512)
    forger.sendto(answer_to(query("yours.example.org", 1), "10.80.1.66"), peer)
    forger.sendto(answer_to(query("mine.example.org", 2), "10.80.1.67"), peer)
    wait_until(lambda: world.counters()["dns.unmatched"] == before["dns.unmatched"] + 2, 5,
               "two answers to nothing")
    assert names_of(world, "10.80.1.66", "10.80.1.67") == [[], []]
    forger.sendto(answer_to(asked, "10.80.1.68"), peer)
    wait_until(lambda: names_of(world, "10.80.1.68") == [["mine.example.org"]], 5, "the right one")
    forger.sendto(b"\1", peer)
    wait_until(lambda: world.counters()["dns.rejected_short"] == before["dns.rejected_short"] + 1, 5,
               "a byte")
    for sock in (client, forger):
        sock.close()


def test_a_query_without_an_answer_is_a_timeout_a_second_after_its_time(world):
    with world.host.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((HOST, 0))
    # Its hardware address is known, and nobody has it.
    world.host.ip("neighbour", "replace", NOBODY, "lladdr", "02:00:00:00:00:09", "dev", world.device,
                  "nud", "permanent")
    client.sendto(query("silence.example.org", 7), (NOBODY, 53))
    client.sendto(query("silence.example.org", 7), (NOBODY, 53))

    def row():
        return world.rows().get((NOBODY, "udp", "silence.example.org", "A"))
    wait_until(lambda: (row() or {"timeouts": 0})["timeouts"] == 1, 3, "the timeout")
    assert (row()["queries"], row()["retries"], row()["answers"]) == (1, 1, 0)
    client.close()


def test_what_is_published_adds_up_to_what_is_asked_for(world):
    for _ in range(20):
        world.dig("www.example.org")

    def published():
        sums = collections.Counter()
        for message in world.tracer.events.topic("dns.v1"):
            for row in message["dns"]:
                key = (row["server"], row["protocol"], row["domain"], row["type"])
                sums[(*key, "queries")] += row["queries"]
                sums[(*key, "answers")] += row["answers"]
        return sums

    def looked_at():
        return collections.Counter({
            (*key, name): row[name] for key, row in world.rows().items()
            for name in ("queries", "answers")})
    wait_until(lambda: published() == looked_at(), 10, "dns.v1 has all", 0.5)
    assert not world.tracer.events.holes()


def test_nothing_is_lost_of_many(world):
    """dnsperf counts for itself."""
    count = scaled(20000, 2000)
    before = world.counters()
    with open(world.resolver.directory / "queries", "w", encoding="ascii") as file:
        file.write("www.example.org A\nnone.example.org A\ntwo.example.org A\n")
    output = world.host.run("dnsperf", "-s", SERVER, "-d", file.name, "-n", str(count // 3), "-c", "8",
                            "-q", "50").stdout
    made = int(output.split("Queries completed:")[1].split()[0])
    assert made == count // 3 * 3

    def gained():
        after = world.counters()
        return {name: after["dns." + name] - before["dns." + name]
                for name in ("queries", "retries", "answers", "unmatched", "capture_lost")}
    wait_until(lambda: gained()["answers"] >= made, 10, f"all answers: {gained()}", 0.2)
    assert gained() == {"queries": made, "retries": 0, "answers": made, "unmatched": 0,
                        "capture_lost": 0}


def test_a_replay_gives_the_bytes_that_were_published_of_names_and_statistics(world, tmp_path):
    """With names, rows and a query without an answer from before, and connections to what has a name."""
    lines = Lines(world.tracer, tmp_path / "lines")
    world.dig("www.example.org")
    listener = listen(world.server, SERVER, 8090)
    client = connect(world.host, SERVER, 8090)
    unanswered = world.host.start("dig", "+tries=1", "+timeout=1", f"@{NOBODY}", "before.example.org",
                                  stdout=subprocess.DEVNULL)
    tape = tmp_path / "tape"
    wait_until(lambda: world.tracer.status()["gauges"]["dns.in_flight"] > 0, 5, "a query without an answer")
    recording = start_recording(world.tracer, tape)
    for number in range(scaled(200, 20)):
        world.dig(f"none-{number}.example.org")
    world.dig("+tcp", "two.example.org")
    world.dig("alias.example.org")
    client.close()
    listener.accept()[0].close()
    world.tracer.events.wait_closed(
        lambda c: world.host.is_ours(c) and c["remote"]["port"] == 8090, 1, 5)
    rounds = len(world.tracer.events.topic("dns.v1"))

    def has_told_twice():
        world.dig("again.example.org")
        return len(world.tracer.events.topic("dns.v1")) >= rounds + 2
    wait_until(has_told_twice, 20, "two rounds")
    unanswered.wait()
    stop_recording(recording)
    replayed = replay(tape)
    assert replayed.returncode == 0, replayed.stderr
    for topic in TOPICS:
        told = of_topic(replayed.stdout.splitlines(keepends=True), topic)
        assert told, topic
        numbers = [seq_of(line) for line in told]
        wait_until(lambda: seq_of((lines.read(topic) or told)[-1]) >= numbers[-1], 10, topic)
        assert [line for line in lines.read(topic) if numbers[0] <= seq_of(line) <= numbers[-1]] == told
    lines.stop()
    assert b'"www.example.org"' in replayed.stdout
