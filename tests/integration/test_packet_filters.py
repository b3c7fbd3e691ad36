# SPDX-License-Identifier: Apache-2.0
"""The two filters of DNS packets take the same of what passes an interface, and say the same of it."""
import json
import os
import platform
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness.frames import (ACK, ARP, AUTHENTICATION, DATA, DESTINATION, FIN, FRAGMENT, HOP_BY_HOP, ICMP,
                            ICMP6, IPV4, IPV6, PUSH, QINQ, ROUTING, RST, SYN, TCP, UDP, VLAN, chain,
                            ethernet, extension, fragment_header, ipv4, ipv6, tag, tcp, udp)
from harness.netns import Netns, join
from harness.scale import SLOW, program, scaled

PORTS = "53,5353"
LAST = 60000  # the last frame of a test comes from this port


def v4(protocol, body, **more):
    return ethernet(IPV4, ipv4(protocol, body, **more))


def v6(following, body, **more):
    return ethernet(IPV6, ipv6(following, body, **more))


def v6_chain(kinds, port):
    return v6(*chain(kinds, UDP, udp(port, 53)))


LONG = bytes(1200)
# (what it is, the frame for a port of its own, whether it is to be taken)
CORPUS = [
    ("IPv4, UDP", lambda p: v4(UDP, udp(p, 53)), True),
    ("an answer", lambda p: v4(UDP, udp(53, p)), True),
    ("the other port", lambda p: v4(UDP, udp(p, 5353)), True),
    ("from the other port", lambda p: v4(UDP, udp(5353, p)), True),
    ("both ports", lambda p: v4(UDP, udp(53, 53, DATA + p.to_bytes(2, "big"))), True),
    ("no port of these", lambda p: v4(UDP, udp(p, 54)), False),
    ("53 with its bytes exchanged", lambda p: v4(UDP, udp(p, 0x3500)), False),
    ("port 0", lambda p: v4(UDP, udp(p, 0)), False),
    ("no payload", lambda p: v4(UDP, udp(p, 53, b"")), True),
    ("one byte", lambda p: v4(UDP, udp(p, 53, b"x")), True),
    ("a large one", lambda p: v4(UDP, udp(p, 53, LONG)), True),
    ("padded", lambda p: v4(UDP, udp(p, 53)) + bytes(30), True),
    ("padded behind UDP's length", lambda p: v4(UDP, udp(p, 53) + bytes(30)), True),
    ("UDP shorter than its header", lambda p: v4(UDP, udp(p, 53, length=7)), False),
    ("UDP of 8", lambda p: v4(UDP, udp(p, 53, length=8)), True),
    ("UDP of 0, which means all", lambda p: v4(UDP, udp(p, 53, length=0)), True),
    ("UDP longer than the packet", lambda p: v4(UDP, udp(p, 53, length=41)), False),
    ("UDP cut in the ports", lambda p: v4(UDP, udp(p, 53)[:3]), False),
    ("UDP cut behind the ports", lambda p: v4(UDP, udp(p, 53)[:4]), False),
    ("UDP cut before its end", lambda p: v4(UDP, udp(p, 53)[:7]), False),
    ("nothing behind IPv4", lambda p: v4(UDP, b""), False),
    ("ICMP", lambda p: v4(ICMP, udp(p, 53)), False),
    ("UDP-Lite", lambda p: v4(136, udp(p, 53)), False),
    ("IPv4 in IPv4", lambda p: v4(4, ipv4(UDP, udp(p, 53))), False),
    ("one option", lambda p: v4(UDP, udp(p, 53), options=b"\1\1\1\1"), True),
    ("all options that fit", lambda p: v4(UDP, udp(p, 53), options=bytes(40)), True),
    ("options and another port", lambda p: v4(UDP, udp(p, 54), options=bytes(40)), False),
    ("fewer words than a header has", lambda p: v4(UDP, udp(p, 53), words=4), False),
    ("options that say they are there", lambda p: v4(UDP, udp(p, 53, b""), words=15), False),
    ("the other version", lambda p: v4(UDP, udp(p, 53), version=6), False),
    ("no version", lambda p: v4(UDP, udp(p, 53), version=0), False),
    ("a length of 0, which means all", lambda p: v4(UDP, udp(p, 53), length=0), True),
    ("a length that ends in the header", lambda p: v4(UDP, udp(p, 53), length=19), False),
    ("a length that ends in UDP", lambda p: v4(UDP, udp(p, 53), length=26), False),
    ("a length beyond the frame", lambda p: v4(UDP, udp(p, 53), length=61), False),
    ("IPv4 cut in its header", lambda p: ethernet(IPV4, ipv4(UDP, udp(p, 53))[:19]), False),
    ("IPv4 cut before its protocol", lambda p: ethernet(IPV4, ipv4(UDP, udp(p, 53))[:9]), False),
    ("nothing behind Ethernet", lambda p: ethernet(IPV4, b""), False),
    ("not to be fragmented", lambda p: v4(UDP, udp(p, 53), fragment=0x4000), True),
    ("the first fragment", lambda p: v4(UDP, udp(p, 53, length=3000), fragment=0x2000), True),
    ("the first, whose datagram ends in it", lambda p: v4(UDP, udp(p, 53, length=20),
                                                         fragment=0x2000), True),
    ("a second fragment", lambda p: v4(UDP, udp(p, 53), fragment=0x2005), False),
    ("the last fragment", lambda p: v4(UDP, udp(p, 53), fragment=0x0005), False),
    ("the farthest fragment", lambda p: v4(TCP, tcp(p, 53, SYN), fragment=0x1FFF), False),
    ("a second fragment of ICMP", lambda p: v4(ICMP, udp(p, 53), fragment=5), False),
    ("the first fragment of TCP", lambda p: v4(TCP, tcp(p, 53, ACK, DATA), fragment=0x2000), True),
    ("SYN", lambda p: v4(TCP, tcp(p, 53, SYN)), True),
    ("SYN with options", lambda p: v4(TCP, tcp(p, 53, SYN, options=bytes(40))), True),
    ("SYN, ACK", lambda p: v4(TCP, tcp(53, p, SYN | ACK)), True),
    ("FIN", lambda p: v4(TCP, tcp(p, 53, FIN | ACK)), True),
    ("RST", lambda p: v4(TCP, tcp(p, 53, RST)), True),
    ("ACK alone", lambda p: v4(TCP, tcp(p, 53, ACK)), False),
    ("ACK alone, padded", lambda p: v4(TCP, tcp(p, 53, ACK)) + bytes(6), False),
    ("ACK alone, with options", lambda p: v4(TCP, tcp(p, 53, ACK, options=bytes(12))), False),
    ("no flags", lambda p: v4(TCP, tcp(p, 53, 0)), False),
    ("payload", lambda p: v4(TCP, tcp(p, 53, ACK | PUSH, DATA)), True),
    ("one byte of payload", lambda p: v4(TCP, tcp(53, p, ACK, b"x")), True),
    ("payload and FIN", lambda p: v4(TCP, tcp(p, 53, FIN | ACK, DATA)), True),
    ("payload behind options", lambda p: v4(TCP, tcp(p, 53, ACK, DATA, bytes(12))), True),
    ("payload, another port", lambda p: v4(TCP, tcp(p, 443, ACK, DATA)), False),
    ("TCP of too few words", lambda p: v4(TCP, tcp(p, 53, SYN, DATA, words=4)), False),
    ("TCP of more words than there are", lambda p: v4(TCP, tcp(p, 53, SYN, words=6)), False),
    ("TCP cut", lambda p: v4(TCP, tcp(p, 53, SYN)[:19]), False),
    ("TCP cut behind the ports", lambda p: v4(TCP, tcp(p, 53, SYN)[:4]), False),
    ("IPv6, UDP", lambda p: v6(UDP, udp(p, 53)), True),
    ("an answer over IPv6", lambda p: v6(UDP, udp(53, p)), True),
    ("IPv6, another port", lambda p: v6(UDP, udp(p, 54)), False),
    ("IPv6, TCP", lambda p: v6(TCP, tcp(p, 53, ACK, DATA)), True),
    ("IPv6, ACK alone", lambda p: v6(TCP, tcp(p, 53, ACK)), False),
    ("IPv6, SYN", lambda p: v6(TCP, tcp(p, 53, SYN)), True),
    ("ICMPv6", lambda p: v6(ICMP6, udp(p, 53)), False),
    ("IPv6 padded", lambda p: v6(UDP, udp(p, 53)) + bytes(20), True),
    ("IPv6 of length 0, which means all", lambda p: v6(UDP, udp(p, 53), length=0), True),
    ("IPv6 longer than the frame", lambda p: v6(UDP, udp(p, 53), length=41), False),
    ("IPv6 that ends in UDP", lambda p: v6(UDP, udp(p, 53), length=7), False),
    ("IPv6 of the other version", lambda p: v6(UDP, udp(p, 53), version=4), False),
    ("IPv6 cut in its header", lambda p: ethernet(IPV6, ipv6(UDP, udp(p, 53))[:39]), False),
    ("hop-by-hop options", lambda p: v6_chain([HOP_BY_HOP], p), True),
    ("destination options", lambda p: v6_chain([DESTINATION], p), True),
    ("a routing header", lambda p: v6_chain([ROUTING], p), True),
    ("three extensions", lambda p: v6_chain([HOP_BY_HOP, ROUTING, DESTINATION], p), True),
    ("eight extensions", lambda p: v6_chain([HOP_BY_HOP] + [DESTINATION] * 7, p), True),
    ("nine extensions", lambda p: v6_chain([HOP_BY_HOP] + [DESTINATION] * 8, p), False),
    ("eight, fragments among them", lambda p: v6_chain([HOP_BY_HOP, FRAGMENT] * 4, p), True),
    ("an extension of 464 bytes", lambda p: v6(DESTINATION, extension(UDP, udp(p, 53), 57)), True),
    ("an extension of 472 bytes, more than is copied", lambda p: v6(
        DESTINATION, extension(UDP, udp(p, 53), 58)), False),
    ("an extension that ends beyond the frame", lambda p: v6(
        DESTINATION, bytes((UDP, 200)) + bytes(6) + udp(p, 53)), False),
    ("an extension that ends beyond the packet", lambda p: v6(
        DESTINATION, extension(UDP, udp(p, 53)), length=8) + bytes(40), False),
    ("an extension that is cut", lambda p: v6(DESTINATION, bytes((UDP, 0))), False),
    ("an authentication header", lambda p: v6(AUTHENTICATION, extension(UDP, udp(p, 53))), False),
    ("no next header", lambda p: v6(59, udp(p, 53)), False),
    ("an extension before ICMPv6", lambda p: v6(DESTINATION, extension(ICMP6, udp(p, 53))), False),
    ("IPv6's first fragment", lambda p: v6(FRAGMENT, fragment_header(
        UDP, 1, udp(p, 53, length=3000))), True),
    ("a fragment that is all", lambda p: v6(FRAGMENT, fragment_header(UDP, 0, udp(p, 53))), True),
    ("IPv6's second fragment", lambda p: v6(FRAGMENT, fragment_header(UDP, 9, udp(p, 53))), False),
    ("IPv6's last fragment", lambda p: v6(FRAGMENT, fragment_header(TCP, 8, udp(p, 53))), False),
    ("a second fragment behind options", lambda p: v6(HOP_BY_HOP, extension(
        FRAGMENT, fragment_header(UDP, 8, udp(p, 53)))), False),
    ("a second fragment of ICMPv6", lambda p: v6(FRAGMENT, fragment_header(ICMP6, 8, udp(p, 53))),
     False),
    ("a second fragment of an extension", lambda p: v6(FRAGMENT, fragment_header(
        DESTINATION, 8, extension(UDP, udp(p, 53)))), False),
    ("ARP that looks like IPv4", lambda p: ethernet(ARP, ipv4(UDP, udp(p, 53))), False),
    ("a type that nobody knows", lambda p: ethernet(0x88B5, ipv4(UDP, udp(p, 53))), False),
    ("IPv6 that says it is IPv4", lambda p: ethernet(IPV4, ipv6(UDP, udp(p, 53))), False),
    ("IPv4 that says it is IPv6", lambda p: ethernet(IPV6, ipv4(UDP, udp(p, 53))), False),
]

# Of these the kernel shows what is received behind the outermost tag; what is sent with a tag is another test.
TAGGED = [
    ("a tag", lambda p: ethernet(VLAN, tag(IPV4, ipv4(UDP, udp(p, 53)))), True),
    ("a tag, IPv6", lambda p: ethernet(VLAN, tag(IPV6, ipv6(UDP, udp(p, 53)))), True),
    ("a tag, another port", lambda p: ethernet(VLAN, tag(IPV4, ipv4(UDP, udp(p, 54)))), False),
    ("a tag, a second fragment", lambda p: ethernet(VLAN, tag(IPV4, ipv4(
        UDP, udp(p, 53), fragment=9))), False),
    ("a tag, ARP", lambda p: ethernet(VLAN, tag(ARP, ipv4(UDP, udp(p, 53)))), False),
    ("a service tag", lambda p: ethernet(QINQ, tag(IPV4, ipv4(UDP, udp(p, 53)))), True),
    ("two tags", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV4, ipv4(UDP, udp(p, 53))))), True),
    ("two tags of one kind", lambda p: ethernet(VLAN, tag(VLAN, tag(IPV6, ipv6(
        TCP, tcp(p, 53, SYN))))), True),
    ("two tags, options", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV4, ipv4(
        UDP, udp(p, 53), options=bytes(8))))), True),
    ("two tags, an extension", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV6, ipv6(
        *chain([DESTINATION], UDP, udp(p, 53)))))), True),
    ("two tags, ACK alone", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV4, ipv4(
        TCP, tcp(p, 53, ACK))))), False),
    ("two tags, IPv4 that says it is IPv6", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV6, ipv4(
        UDP, udp(p, 53))))), False),
    ("three tags", lambda p: ethernet(QINQ, tag(VLAN, tag(VLAN, tag(IPV4, ipv4(
        UDP, udp(p, 53)))))), True),
    ("four tags", lambda p: ethernet(QINQ, tag(VLAN, tag(VLAN, tag(VLAN, tag(IPV4, ipv4(
        UDP, udp(p, 53))))))), False),
    ("two tags, cut in the second", lambda p: ethernet(QINQ, tag(VLAN, b"\0\x64\x08")), False),
    # The inner tag's first byte reads as that of IPv4, and of IPv6.
    ("a priority that reads as IPv4", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV4, ipv4(
        UDP, udp(p, 53)), network=1280, priority=2))), True),
    ("a priority that reads as IPv4, large", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV4, ipv4(
        UDP, udp(p, 53, bytes(2048))), network=1280, priority=2))), True),
    ("a priority that reads as IPv6", lambda p: ethernet(QINQ, tag(VLAN, tag(IPV6, ipv6(
        UDP, udp(p, 53)), network=10, priority=3))), True),
    ("IPv4 whose length reads as a type", lambda p: ethernet(QINQ, tag(IPV4, ipv4(
        UDP, udp(p, 53, bytes(2048 - 28))))), True),
]

FIELDS = ("kind", "version", "family", "protocol", "flags", "tcp_flags", "payload_bytes", "sequence",
          "interface", "source_port", "destination_port", "source", "destination", "payload")
OUTGOING, IS_FRAGMENT = 1, 2


class Capture:
    """capture_both in a namespace; its lines are read as they come."""

    def __init__(self, namespace, pages, *more):
        self.process = namespace.start(program("capture_both"), PORTS, str(pages), *more,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       # As in privd, what was loaded stays until the process ends.
                                       env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        assert self.process.stdout.readline() == "ready\n"
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout),
                                        daemon=True)
        self._reader.start()

    def end(self):
        """Everything that was taken: {filter: [packet]}, {filter: counts}; nothing was malformed in the rings."""
        self.process.stdin.close()
        self._reader.join(30 * SLOW)
        assert self.process.wait(5 * SLOW) == 0
        packets, counts = {"ebpf": [], "classic": []}, {}
        for line in map(json.loads, self.lines):
            if "filter" in line:
                packets[line["filter"]].append(line)
            elif "counts" in line:
                counts[line["counts"]] = line
            else:
                assert line == {"malformed_in_rings": 0}
        return packets, counts


@pytest.fixture(scope="module", name="wire")
def make_wire():
    """(the host's namespace, its device, the peer's namespace, its device)"""
    host, peer = Netns("filter-host"), Netns("filter-peer")
    devices = join(host, "10.81.7.1/24", peer, "10.81.7.2/24")
    for namespace, device in zip((host, peer), devices):
        namespace.run("ethtool", "-K", device, "gro", "off", "txvlan", "off", "rxvlan", "off",
                      check=False)
        namespace.ip("link", "set", device, "mtu", "9000")
    return host, devices[0], peer, devices[1]


def send(namespace, device, sent):
    """Sends frames as they are."""
    with namespace.entered():
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((device, 0))
    for frame in sent:
        out.send(frame)
    out.close()


def wait_for_last(capture):
    """Until both have seen the frame from LAST."""
    end = time.monotonic() + 10 * SLOW
    while sum(f'"source_port": {LAST},' in line for line in list(capture.lines)) < 2:
        if time.monotonic() > end:
            capture.process.kill()
            raise AssertionError("the last frame was not seen by both")
        time.sleep(0.02)


def take(wire, namespace, device, corpus, wrap=lambda frame: frame):
    """Sends a corpus there, each frame wrapped; returns what both took of it, by name, and their counts."""
    capture = Capture(wire[0], 512)
    by_port = {20000 + number: name for number, (name, _, _) in enumerate(corpus)}
    send(namespace, device, [wrap(make(20000 + number)) for number, (_, make, _) in enumerate(corpus)])
    send(namespace, device, [wrap(v4(UDP, udp(LAST, 53)))])
    wait_for_last(capture)
    packets, counts = capture.end()
    taken = {}
    for which, seen in packets.items():
        assert seen[-1]["source_port"] == LAST
        taken[which] = []
        for packet in seen:
            if packet["source_port"] == LAST:
                continue
            port = by_port.keys() & {packet["source_port"], packet["destination_port"]}
            if not port:
                assert packet["payload"].startswith(DATA.hex())
                port = {int(packet["payload"][-4:], 16)}
            taken[which].append((by_port[port.pop()], packet))
    return taken, counts


def check_equal(taken, counts, fragments):
    """Both say the same of the same packets, and date them alike."""
    ebpf, classic = ([(name, {field: packet[field] for field in FIELDS}) for name, packet in taken[which]]
                     for which in ("ebpf", "classic"))
    assert classic == ebpf
    for (_, one), (_, other) in zip(taken["ebpf"], taken["classic"]):
        assert abs(one["at_ns"] - other["at_ns"]) < 20_000_000 * SLOW
    for which in ("ebpf", "classic"):
        assert counts[which]["captured"] == len(taken[which]) + 1
        assert counts[which]["lost"] == 0
        assert counts[which]["fragments"] == fragments, which
    # What is malformed is told of DNS ports here, and of all there.
    assert 0 < counts["classic"]["malformed"] <= counts["ebpf"]["malformed"]


def fragments_of(corpus):
    return sum(" fragment" in name and not wanted and "ICMP" not in name and "extension" not in name
               for name, _, wanted in corpus)


def test_the_corpus_is_of_some_size():
    assert len(CORPUS) + len(TAGGED) >= 120
    assert len({name for name, _, _ in CORPUS + TAGGED}) == len(CORPUS) + len(TAGGED)


def test_of_what_is_received_both_take_the_same(wire):
    corpus = CORPUS + TAGGED
    taken, counts = take(wire, wire[2], wire[3], corpus)
    wanted = [name for name, _, wanted in corpus if wanted]
    for which in ("ebpf", "classic"):
        assert [name for name, _ in taken[which]] == wanted, which
    check_equal(taken, counts, fragments_of(corpus))
    assert not any(packet["flags"] & OUTGOING for _, packet in taken["classic"])
    assert {name for name, packet in taken["classic"] if packet["flags"] & IS_FRAGMENT} == {
        "the first fragment", "the first, whose datagram ends in it", "the first fragment of TCP",
        "IPv6's first fragment"}


def test_of_what_is_sent_both_take_the_same(wire):
    taken, counts = take(wire, wire[0], wire[1], CORPUS)
    wanted = [name for name, _, wanted in CORPUS if wanted]
    for which in ("ebpf", "classic"):
        assert [name for name, _ in taken[which]] == wanted, which
    check_equal(taken, counts, fragments_of(CORPUS))
    assert all(packet["flags"] & OUTGOING for _, packet in taken["classic"])


def test_loopback_is_seen_once(wire):
    taken, counts = take(wire, wire[0], "lo", CORPUS)
    wanted = [name for name, _, wanted in CORPUS if wanted]
    for which in ("ebpf", "classic"):
        assert [name for name, _ in taken[which]] == wanted, which
    check_equal(taken, counts, fragments_of(CORPUS))
    assert not any(packet["flags"] & OUTGOING for _, packet in taken["classic"])


def kernel_version():
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", platform.release()).groups()))


def test_of_what_is_sent_with_its_tags_both_take_the_same(wire):
    """By a packet socket, since 6.1: before, the kernel takes the first tag for the network header."""
    corpus = [(name, make, wanted) for name, make, wanted in TAGGED if "cut" not in name]
    taken, _ = take(wire, wire[0], wire[1], corpus)
    names = [[name for name, _ in taken[which]] for which in ("ebpf", "classic")]
    assert names[0] == names[1]
    if kernel_version() >= (6, 1):
        # What is behind the tags counts, however many there are and whatever they say of it.
        assert names[0] == [name for name, _, wanted in corpus
                            if wanted or name in ("four tags", "two tags, IPv4 that says it is IPv6",
                                                  "a tag, ARP")]
    assert [packet["payload"] for _, packet in taken["ebpf"]] == [
        packet["payload"] for _, packet in taken["classic"]]


@pytest.mark.parametrize("tags", ((VLAN,), (QINQ,), (QINQ, VLAN)), ids=("vlan", "service", "both"))
def test_what_devices_untag_is_taken_on_each_of_them(wire, tags):
    """Devices that take off a tag each, above one that cannot do it for them."""
    host, device = wire[:2]
    above = device
    for number, kind in enumerate(tags):
        made = host.run("ip", "link", "add", "link", above, "name", f"tag{number}", "up", "type", "vlan",
                        "id", str(1280 + number), "protocol", "802.1ad" if kind == QINQ else "802.1Q",
                        check=False)
        if "Unknown device type" in made.stderr:
            pytest.skip("this kernel has no devices that add VLAN tags")
        assert made.returncode == 0, made.stderr
        above = f"tag{number}"
    # The longest headers that are looked at have no room for the tag that the kernel leaves among them.
    corpus = [frame for frame in CORPUS if frame[0] != "an extension of 464 bytes"]
    header = b"".join(struct.pack("!2H", kind, 1280 + number) for number, kind in enumerate(tags))
    try:
        taken, counts = take(wire, wire[2], wire[3], corpus,
                             lambda frame: frame[:12] + header + frame[12:])
    finally:
        host.ip("link", "del", "tag0")
    interfaces = {packet["interface"] for _, packet in taken["classic"]}
    assert len(interfaces) == 1 + len(tags)
    wanted = [name for name, _, wanted in corpus if wanted]
    for interface in interfaces:
        for which in ("ebpf", "classic"):
            assert [name for name, packet in taken[which] if packet["interface"] == interface] == wanted
    # The last frame passes all of them, too.
    assert counts["classic"]["captured"] == counts["ebpf"]["captured"] == (1 + len(tags)) * (1 + len(wanted))


def test_what_finds_no_room_is_counted(wire):
    """Nothing is read meanwhile: what was taken and what was lost is what was sent."""
    count = scaled(3000, 1000)
    capture = Capture(wire[0], 8, "hold")
    send(wire[2], wire[3], [v4(UDP, udp(20000 + number % 10000, 53, LONG)) for number in range(count)])
    packets, counts = capture.end()
    for which in ("ebpf", "classic"):
        assert counts[which]["lost"] > 0, which
        assert counts[which]["captured"] == count, which
        assert len(packets[which]) == count - counts[which]["lost"], which


def test_a_large_payload_is_cut_where_the_other_cuts_it(wire):
    sizes = (4095, 4096, 4097, 4500, 4581, 8000)
    corpus = [(str(size), lambda p, size=size: v4(UDP, udp(p, 53, os.urandom(size))), True)
              for size in sizes]
    corpus += [(f"{size} over TCP", lambda p, size=size: v6(TCP, tcp(p, 53, ACK, os.urandom(size))), True)
               for size in sizes]
    taken, _ = take(wire, wire[2], wire[3], corpus)
    for which in ("ebpf", "classic"):
        assert [(packet["payload_bytes"], len(packet["payload"]) // 2) for _, packet in taken[which]] == [
            (size, min(size, 4096)) for size in sizes] * 2
    assert [packet["payload"] for _, packet in taken["ebpf"]] == [
        packet["payload"] for _, packet in taken["classic"]]
