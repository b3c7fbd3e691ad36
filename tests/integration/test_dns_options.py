# SPDX-License-Identifier: Apache-2.0
"""DNS with other settings than the usual ones: no domains, other ports, resolvers on loopback, a short timeout."""
import socket
import time

import pytest

from harness import dns_world
from harness.dns_world import HOST, NOBODY, SERVER, Dnsmasq
from harness.scale import SLOW, wait_until
from harness.unbound import ADDRESSES, ELSEWHERE, Unbound

TIMEOUT_S = 3
LOOPBACK = ("127.0.0.1", "::1")
SILENCE = b"\0\1\1\0\0\1\0\0\0\0\0\0\7silence\7example\3org\0\0\1\0\1"  # a question for A


@pytest.fixture(scope="module", name="world")
def make_world(tmp_path_factory):
    ports = [53, ELSEWHERE]
    with dns_world.running(tmp_path_factory.mktemp("dns"), resolver=Unbound, config={
            "dns.domains": False, "dns.local": True, "dns.ports": ports, "dns.timeout_s": TIMEOUT_S,
            }, privd_options=["--dns-ports", ",".join(map(str, ports))]) as world:
        yield world


def row_of(world, **wanted):
    """The one row of these; None if there is none."""
    found = [row for row in world.every_row() if row | wanted == row]
    assert len(found) <= 1, found
    return found[0] if found else None


def names_of(world, address):
    return world.tracer.query({"op": "names", "ips": [address]})["names"][0]["names"]


def test_questions_of_one_connection_are_one_row_without_a_domain(world):
    world.host.run("kdig", "+tcp", "+keepopen", "+retry=0", f"@{SERVER}", "www.example.org",
                   "two.example.org", "tcp.example.org", "none.example.org", "www.broken.net")

    def answered():
        row = row_of(world, server=SERVER, protocol="tcp", type="A")
        return row if row and row["answers"] == 5 else None
    row = wait_until(answered, 5, "the row")
    assert row["domain"] is None and row["client"] == HOST and row["server_port"] == 53
    assert (row["queries"], row["retries"], row["timeouts"]) == (5, 0, 0)
    assert row["rcodes"] == {"NOERROR": 3, "NXDOMAIN": 1, "SERVFAIL": 1}
    assert row["latency_us"]["count"] == 3 and row["failure_latency_us"]["count"] == 2
    # Addresses have their names all the same.
    assert names_of(world, ADDRESSES["tcp.example.org"][0]) == ["tcp.example.org"]


def test_silence_is_a_timeout_at_its_time_and_no_more_than_a_second_later(world):
    world.host.ip("neighbour", "replace", NOBODY, "lladdr", "02:00:00:00:00:09", "dev", world.device,
                  "nud", "permanent")
    with world.host.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((HOST, 0))

    def timeouts():
        return (row_of(world, server=NOBODY) or {"timeouts": 0})["timeouts"]
    sent = []
    for count in range(1, 4):
        before = time.monotonic()
        client.sendto(SILENCE, (NOBODY, 53))
        wait_until(lambda count=count: timeouts() == count, TIMEOUT_S + 5, "the timeout")
        sent.append(time.monotonic() - before)
    print("timeouts were seen after", ", ".join(f"{seconds:.2f} s" for seconds in sent))
    # Asking takes some time too, on a slow machine more.
    assert all(TIMEOUT_S <= seconds <= TIMEOUT_S + 1 + 0.25 * SLOW for seconds in sent), sent
    row = row_of(world, server=NOBODY)
    assert (row["domain"], row["queries"], row["answers"], row["rcodes"]) == (None, 3, 0, {})
    client.close()


def test_a_configured_port_is_looked_at(world):
    world.dig("-p", str(ELSEWHERE), "elsewhere.example.org")
    row = wait_until(lambda: row_of(world, server_port=ELSEWHERE), 5, "the row")
    wait_until(lambda: names_of(world, ADDRESSES["elsewhere.example.org"][0]), 5, "the name")
    assert (row["server"], row["protocol"], row["queries"]) == (SERVER, "udp", 1)


def test_a_resolver_on_loopback_counts_each_packet_once(world):
    resolver = Dnsmasq(world.host, world.tracer.directory, LOOPBACK)
    try:
        def is_answered(address, *options):
            return "status: NOERROR" in world.host.run(
                "dig", "+tries=1", "+timeout=5", f"@{address}", "two.example.org", *options, check=False).stdout
        # Whether it is ready is asked for with what is not looked at.
        wait_until(lambda: is_answered(LOOPBACK[0], "TXT") and is_answered(LOOPBACK[1], "TXT"), 10, "dnsmasq")
        before = world.counters()
        for address in LOOPBACK:
            assert all(is_answered(address) for _ in range(5))
            assert is_answered(address, "+tcp")

        def gained(name):
            return world.counters()["dns." + name] - before["dns." + name]
        wait_until(lambda: gained("answers") >= 12, 5, "all answers")
        assert {name: gained(name) for name in ("queries", "answers", "retries", "unmatched", "messages")} == {
            "queries": 12, "answers": 12, "retries": 0, "unmatched": 0, "messages": 24}
        for address in LOOPBACK:
            for protocol, count in (("udp", 5), ("tcp", 1)):
                row = row_of(world, server=address, protocol=protocol)
                assert row["rcodes"] == {"NOERROR": count} and row["client"] == address
        assert names_of(world, "10.80.1.3") == ["two.example.org"]
    finally:
        resolver.close()


def test_a_resolver_on_loopback_gives_names_alone_unless_it_is_to_be_counted(tmp_path):
    with dns_world.running(tmp_path) as world:
        resolver = Dnsmasq(world.host, tmp_path, LOOPBACK)
        try:
            wait_until(lambda: "NOERROR" in world.host.run(
                "dig", "+tries=1", f"@{LOOPBACK[0]}", "two.example.org", check=False).stdout, 10, "dnsmasq")
            wait_until(lambda: names_of(world, "10.80.1.3") == ["two.example.org"], 5, "the name")
            world.dig("www.example.org")
            wait_until(lambda: row_of(world, domain="www.example.org"), 5, "a row of what is not local")
            assert world.counters()["dns.local"] >= 2
            assert not [row for row in world.every_row() if row["server"] in LOOPBACK]
        finally:
            resolver.close()
