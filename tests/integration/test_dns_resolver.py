# SPDX-License-Identifier: Apache-2.0
"""A real resolver and real clients of it: what sockwarden counts is what the resolver counts of itself, and what
was resolved has its name on connections.

The clients are behind the host's namespace, which is the initial one to privd: each of their packets is seen
on two interfaces.
"""
import collections
import subprocess
import time

import pytest

from harness import dns_world
from harness.dns_clients import CONNECTOR, Books, Client, let_through
from harness.dns_world import SERVER, SERVER6
from harness.scale import scaled, wait_until
from harness.sockets import listen
from harness.unbound import ADDRESSES, ELSEWHERE, Unbound

TYPES = ["A", "AAAA", "CNAME", "TXT", "MX", "SRV", "NS", "SOA", "PTR"]
PORT = 8080


@pytest.fixture(scope="module", name="world")
def make_world(tmp_path_factory):
    with dns_world.running(tmp_path_factory.mktemp("dns"), resolver=Unbound,
                           config={"dns.types": [*TYPES, "CAA"], "dns.timeout_s": 10}) as world:
        let_through(world)
        world.clients = [Client(world, 1), Client(world, 2)]
        device = world.server.run("ip", "-o", "-4", "address", "show", "to", SERVER).stdout.split()[1]
        for address in sum(ADDRESSES.values(), []):
            world.server.ip("address", "add", f"{address}/{128 if ':' in address else 32}", "dev", device,
                            *(["nodad"] if ":" in address else []))
        for client in world.clients:
            for server in (SERVER, SERVER6):
                wait_until(lambda: "NXDOMAIN" in client.dig("warm.example.org", "TXT", server=server), 10,
                           "a client is answered")
        yield world
        assert not world.tracer.events.holes()


@pytest.fixture(name="books")
def open_books(world):
    """Those of this test; at its end every packet was one of two sights, and all answers were to questions."""
    before = world.counters()
    yield Books(world, TYPES)
    after = world.counters()
    gained = {name: after["dns." + name] - before["dns." + name]
              for name in ("retries", "unmatched", "timeouts", "capture_lost", "evicted", "cut")}
    assert not any(gained.values()), gained


def names_of(world, addresses):
    answer = world.tracer.query({"op": "names", "ips": list(addresses)})
    return {item["ip"]: item["names"] for item in answer["names"]}


def test_codes_types_and_names_are_counted_as_the_resolver_counts_them(world, books):
    queries = 0

    def dig(client, status, *arguments, server=SERVER):
        nonlocal queries
        queries += 1
        output = client.dig(*arguments, server=server)
        assert f"status: {status}," in output, output
    for client in world.clients:
        for _ in range(3):
            dig(client, "NOERROR", "www.example.org", "A")
        dig(client, "NOERROR", "www.example.org", "AAAA", server=SERVER6)
        dig(client, "NOERROR", "chain.example.org", "A")
        dig(client, "NOERROR", "chain.example.org", "AAAA", "+tcp")
        dig(client, "NOERROR", "chain.example.org", "CNAME")
        dig(client, "NOERROR", "six.example.org", "A")  # there are no such records
        dig(client, "NOERROR", "CaSeD.eXample.ORG", "A")
        for kind, name in (("TXT", "txt"), ("MX", ""), ("SRV", "_sip._udp"), ("CAA", ""), ("NS", ""),
                           ("SOA", "")):
            dig(client, "NOERROR", f"{name}.example.org".lstrip("."), kind)
        dig(client, "NXDOMAIN", "none.example.org", "A")
        dig(client, "NXDOMAIN", "none.example.org", "A", "+tcp")
        dig(client, "NXDOMAIN", "none.example.org", "AAAA", server=SERVER6)
        dig(client, "SERVFAIL", "www.broken.net", "A")
        dig(client, "SERVFAIL", "www.broken.net", "AAAA", "+tcp", server=SERVER6)
        dig(client, "REFUSED", "www.refused.net", "A")
        dig(client, "NOERROR", "two.example.org", "A", "+noedns")
        dig(client, "NOERROR", "two.example.org", "A", "+dnssec", "+bufsize=4096", "+cookie", "+nsid")
    kinds, names = books.check(queries)
    assert kinds["num.query.tcp"] == 6 and kinds["num.query.type.other"] == 2
    assert {name.rpartition(".")[2]: count for name, count in kinds.items() if ".rcode." in name} == {
        "NOERROR": queries - 12, "NXDOMAIN": 6, "SERVFAIL": 4, "REFUSED": 2}
    for client in world.clients:
        assert names[(client.ip, "www.example.org", "A", "NOERROR")] == 3
        assert names[(client.ip, "cased.example.org", "A", "NOERROR")] == 1
        assert names[(client.ip6, "www.broken.net", "AAAA", "SERVFAIL")] == 1
        assert names[(client.ip6, "none.example.org", "AAAA", "NXDOMAIN")] == 1


def test_a_code_beyond_the_header_is_the_one_that_edns_tells(world):
    output = world.clients[0].dig("+edns=1", "+noednsneg", "edns.example.org")
    assert "status: BADVERS," in output

    def answered():
        return [row["rcodes"] for row in world.every_row()
                if row["domain"] == "edns.example.org" and row["answers"]]
    assert wait_until(answered, 5, "the row") == [{"BADVERS": 1}]


def test_what_was_cut_is_asked_for_again_over_tcp(world, books):
    """By dig itself; without EDNS 512 bytes hold 29 addresses, with it the text is too long."""
    [client, _] = world.clients
    truncated = world.counters()["dns.truncated"]
    assert client.dig("+noedns", "+short", "large.example.org").count("10.80.9.") == 40
    assert "tc" in client.dig("+ignore", "long.example.org", "TXT").split("flags:")[1].split(";")[0].split()
    assert client.dig("+short", "long.example.org", "TXT").count("x" * 250) == 6
    kinds, names = books.check(5)
    assert kinds["num.query.tcp"] == 2
    assert names == {(client.ip, "large.example.org", "A", "NOERROR"): 2,
                     (client.ip, "long.example.org", "TXT", "NOERROR"): 3}
    assert world.counters()["dns.truncated"] == truncated + 3
    assert {tuple(found) for found in names_of(world, ADDRESSES["large.example.org"]).values()} == {
        ("large.example.org",)}


def test_what_the_c_library_asks_for_is_counted_and_named(world, books):
    [client, other] = world.clients
    for _ in range(2):
        assert set(client.getaddrinfo("www.example.org")) == set(ADDRESSES["www.example.org"])
    assert set(other.getaddrinfo("chain.example.org")) == set(ADDRESSES["end.example.org"])
    _, names = books.check(6)
    assert names == {(client.ip, "www.example.org", "A", "NOERROR"): 2,
                     (client.ip, "www.example.org", "AAAA", "NOERROR"): 2,
                     (other.ip, "chain.example.org", "A", "NOERROR"): 1,
                     (other.ip, "chain.example.org", "AAAA", "NOERROR"): 1}


def test_every_query_of_a_connection_that_is_kept_open_counts(world, books):
    [client, _] = world.clients
    since = time.time_ns()
    asked = ["tcp.example.org", "tcp.example.org", "none.example.org", "www.broken.net", "chain.example.org"]
    output = client.kdig_keeping_open(*asked * 4)
    assert output.count("status: ") == 20
    kinds, names = books.check(20)
    assert kinds["num.query.tcp"] == 20
    assert names == {(client.ip, name, "A", code): count for name, code, count in (
        ("tcp.example.org", "NOERROR", 8), ("none.example.org", "NXDOMAIN", 4),
        ("www.broken.net", "SERVFAIL", 4), ("chain.example.org", "NOERROR", 4))}

    assert names_of(world, ADDRESSES["tcp.example.org"][:1]) == {
        ADDRESSES["tcp.example.org"][0]: ["tcp.example.org"]}

    def is_it(connection):
        return (client.namespace.is_ours(connection) and connection["protocol"] == "tcp"
                and connection["remote"]["port"] == 53
                and int(connection["opened_ns"] or connection["_ts_ns"]) > since)
    [connection] = world.closed(is_it)
    assert connection["remote"]["ip"] == SERVER and connection["total"]["recv_bytes"] > 20 * 50


@pytest.mark.parametrize("mode", ["udp", "tcp"])
def test_not_one_of_many_is_lost_or_counted_twice(world, books, mode):
    asked = ["www.example.org A", "www.example.org AAAA", "none.example.org A", "chain.example.org A",
             "txt.example.org TXT", "two.example.org A", "www.refused.net A", "six.example.org AAAA"]
    before = world.counters()
    rounds = scaled(4000 if mode == "udp" else 1000, 100)
    made = world.clients[0].dnsperf(asked, rounds, "-m", mode, "-c", "8", "-q", "50")
    made += world.clients[1].dnsperf(asked, rounds // 2, "-m", mode, "-c", "2", "-q", "4")
    kinds, names = books.check(made)
    assert kinds.get("num.query.tcp", 0) == (made if mode == "tcp" else 0)
    assert set(names.values()) == {rounds, rounds // 2}
    after = world.counters()
    if mode == "udp":
        # Each packet was seen on the client's wire and on the server's, and counted once.
        assert after["dns.packets"] - before["dns.packets"] == 4 * made
        assert after["dns.duplicates"] - before["dns.duplicates"] == 2 * made


def test_a_connection_has_the_name_that_its_program_resolved(world, books):
    """Both families, over aliases, on live connections and on closed ones."""
    [client, _] = world.clients
    expected = {"www.example.org": ADDRESSES["www.example.org"],
                "two.example.org": ADDRESSES["two.example.org"],
                "six.example.org": ADDRESSES["six.example.org"],
                "chain.example.org": ADDRESSES["end.example.org"]}
    listener = listen(world.server, "::", PORT)  # of both families
    program = client.namespace.start(
        *client.with_own_etc("/usr/bin/python3", "-c", CONNECTOR, str(PORT), *expected),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    made = collections.defaultdict(set)
    while line := program.stdout.readline().strip():
        name, address = line.split()
        made[name].add(address)
    assert made == {name: set(addresses) for name, addresses in expected.items()}
    name_of = {address: name for name, addresses in expected.items() for address in addresses}

    def is_it(connection):
        return client.namespace.is_ours(connection) and connection["remote"]["port"] == PORT
    live = [c for c in world.tracer.snapshot() if is_it(c)]
    assert {c["remote"]["ip"]: c["remote"]["names"][0] for c in live} == name_of
    assert {c["family"] for c in live} == {"ipv4", "ipv6"}
    # At the other end the same connection's remote address is the client's, which nobody has resolved.
    assert not any(c["remote"]["names"] for c in world.tracer.snapshot()
                   if world.server.is_ours(c) and c["local"]["port"] == PORT and c["remote"]["port"])
    program.communicate("")
    assert program.returncode == 0
    closed = world.closed(is_it, len(name_of))
    assert {c["remote"]["ip"]: c["remote"]["names"][0] for c in closed} == name_of
    books.check(2 * len(expected))
    listener.close()


def test_a_port_that_is_no_dns_port_is_not_looked_at(world, books):
    [client, _] = world.clients
    before = world.counters()["dns.packets"]
    rows = world.every_row()
    assert "status: NOERROR," in client.dig("-p", str(ELSEWHERE), "elsewhere.example.org")
    assert "status: NOERROR," in client.dig("-p", str(ELSEWHERE), "+tcp", "elsewhere.example.org")
    client.dig("www.example.org")
    wait_until(lambda: world.counters()["dns.packets"] == before + 4, 5, "a query and its answer, twice seen")
    assert names_of(world, ADDRESSES["elsewhere.example.org"]) == {
        ADDRESSES["elsewhere.example.org"][0]: []}
    assert len(world.every_row()) == len(rows)
    assert world.resolver.replies()[(client.ip, "elsewhere.example.org", "A", "NOERROR")] == 2
