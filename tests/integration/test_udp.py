# SPDX-License-Identifier: Apache-2.0
"""UDP by every hook that this kernel has: whose flow it is, and each byte and datagram of it.

Witnesses are the program's own counts, a packet socket that captures what is sent, and the kernel's
counters of the namespace (/proc/net/snmp).
"""
import errno
import os
import socket
import struct
import time

import pytest

from harness.capture import Capture
from harness.netns import join
from harness.scale import program, scaled, wait_until
from harness.sockets import facts, own_facts, run_program
from harness.udp import (IPPROTO_UDPLITE, MSG_MORE, UDP_GRO, UDP_SEGMENT, is_udp, kernel_counts,
                         live, make, name, numbers, overflow, receive_many, send_many, wait_live)

LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1", "mapped": "::ffff:127.0.0.1"}
SIZES = [1, 0, 100, 1472, 1473, 9000, 65487, 7]


@pytest.fixture
def lane(netns):
    """A namespace whose counters stand at zero."""
    return netns("udp")


def sees_reading(tracer):
    """Whether datagrams are counted when they are read; else when they arrive."""
    return tracer.hook("udp") != "cgroup_skb"


def pair(namespace, address="127.0.0.1", port=7000, connected=True):
    """A server's socket and a client's that is connected to it."""
    server = make(namespace, address, port)
    client = make(namespace, address, 0, (address, port))
    if connected:
        server.connect(client.getsockname()[:2])
    return server, client


def keys(server, client):
    """The two keys of their flow: the server's, the client's."""
    return (*name(server), *name(client)), (*name(client), *name(server))


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "unconnected"])
@pytest.mark.parametrize("family", LOOPBACK)
def test_bytes_and_datagrams_each_way_are_exact(udp_tracer, lane, family, connected):
    server, client = pair(lane, LOOPBACK[family], connected=connected)
    with Capture(lane) as capture:
        for size in SIZES:
            client.send(b"q" * size)
            data, peer = server.recvfrom(65536)
            assert len(data) == size
            if connected:
                server.send(b"a" * (size // 2))
            else:
                server.sendto(b"a" * (size // 2), peer)
            assert len(client.recv(65536)) == size // 2
        captured = capture.stop()
    asked, answered = sum(SIZES), sum(size // 2 for size in SIZES)
    count = len(SIZES)
    at_server, at_client = keys(server, client)
    flows = wait_live(udp_tracer, lane, {
        at_client: (asked, count, answered, count), at_server: (answered, count, asked, count)})
    assert captured == {at_client: (asked, count), at_server: (answered, count)}
    counts = kernel_counts(lane)
    prefix = "Udp6" if family == "ipv6" else ""
    assert counts[prefix + "OutDatagrams"] == counts[prefix + "InDatagrams"] == 2 * count

    assert len(live(udp_tracer, lane)) == 2
    assert flows[at_client]["direction"] == "outgoing"
    assert flows[at_server]["direction"] == "incoming"
    for flow in flows.values():
        assert flow["family"] == ("ipv6" if family == "ipv6" else "ipv4")
        assert flow["state"] == "active" and flow["failure"] is None
        assert facts(flow) == own_facts() and flow["pid_source"] == "traffic"
        assert flow["handshake_us"] is None and flow["rtt_us"] is None
        assert flow["total"]["retransmits"] == 0
    client.close()
    server.close()
    closed = udp_tracer.events.wait_closed(is_udp(lane), 2)
    assert {c["id"] for c in closed} == {flow["id"] for flow in flows.values()}
    for flow in closed:
        assert flow["close_reason"] == "released" and flow["failure"] is None
        assert not flow["inferred"]
        assert numbers(flow)[:2] == ((asked, count) if flow["direction"] == "outgoing"
                                     else (answered, count))


def test_what_was_read_in_part_counts_in_full_and_what_was_peeked_at_counts_once(udp_tracer, lane):
    server, client = pair(lane)
    for payload in (b"a" * 1000, b"b" * 500, b"", b"c" * 300, b"d" * 200, b"e"):
        client.send(payload)
    for flags in (socket.MSG_PEEK, socket.MSG_PEEK | socket.MSG_TRUNC, 0):
        server.recv(10, flags)  # of 1000 bytes, ten
    assert len(server.recv(65536, socket.MSG_PEEK)) == 500
    assert server.recv_into(bytearray(1), 1, socket.MSG_TRUNC) == 500
    assert server.recv(100, socket.MSG_PEEK) == b"" == server.recv(100, socket.MSG_PEEK)
    assert server.recv(100) == b""
    data, _, flags, _ = server.recvmsg(20)
    assert len(data) == 20 and flags & socket.MSG_TRUNC
    assert server.recvmsg(0, 0, socket.MSG_PEEK)[0] == b""
    server.recvmsg(0)  # takes all the 200 away
    assert server.recv(1) == b"e"
    at_server, at_client = keys(server, client)
    wait_live(udp_tracer, lane, {at_server: (0, 0, 2001, 6), at_client: (2001, 6, 0, 0)})


def test_what_is_never_read_counts_only_where_arrival_is_seen(udp_tracer, lane):
    server, client = pair(lane)
    client.send(b"x" * 10)
    client.send(b"x" * 20)
    server.recv(100)
    read = (0, 0, 10, 1) if sees_reading(udp_tracer) else (0, 0, 30, 2)
    at_server, at_client = keys(server, client)
    wait_live(udp_tracer, lane, {at_server: read, at_client: (30, 2, 0, 0)})


def test_sendmmsg_and_recvmmsg_count_each_datagram(udp_tracer, lane):
    server, client = pair(lane)
    payloads = [bytes(size) for size in range(1, 101)]
    assert send_many(client, payloads) == list(range(1, 101))
    assert receive_many(server, [200] * 100) == list(range(1, 101))
    at_server, at_client = keys(server, client)
    wait_live(udp_tracer, lane, {at_server: (0, 0, 5050, 100), at_client: (5050, 100, 0, 0)})
    assert kernel_counts(lane)["OutDatagrams"] == 100


def test_pieces_under_one_cork_are_one_datagram(udp_tracer, lane):
    server, client = pair(lane)
    client.send(b"x" * 700, MSG_MORE)
    client.send(b"x" * 2000, MSG_MORE)
    client.send(b"x" * 30)
    assert len(server.recv(65536)) == 2730
    at_server, at_client = keys(server, client)
    wait_live(udp_tracer, lane, {at_server: (0, 0, 2730, 1), at_client: (2730, 1, 0, 0)})


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("receiver_takes", ["one by one", "coalesced"])
def test_offloaded_segments_are_counted_as_the_datagrams_that_they_are(udp_tracer, lane, family,
                                                                        receiver_takes):
    server, client = pair(lane, LOOPBACK[family])
    client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
    if receiver_takes == "coalesced":
        server.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    sizes = [10500, 1000, 999, 2000]  # 11, 1, 1 and 2 datagrams
    for size in sizes:
        client.send(b"x" * size)
    received, reads = 0, 0
    while received < sum(sizes):
        received += len(server.recv(65536))
        reads += 1
    # Linux 5.10 gives loopback's in pieces even to who would take them whole.
    assert reads in ({4, 15} if receiver_takes == "coalesced" else {15})
    at_server, at_client = keys(server, client)
    wait_live(udp_tracer, lane, {at_server: (0, 0, sum(sizes), 15),
                                 at_client: (sum(sizes), 15, 0, 0)})


def test_options_and_extension_headers_do_not_hide_the_ports(udp_tracer, lane):
    """IPv4 options; IPv6 hop-by-hop and destination options: payload alone is counted."""
    server, client = pair(lane, "127.0.0.1", connected=False)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1] * 12))  # NOPs
    client.send(b"x" * 100)
    assert len(server.recv(1000)) == 100
    server6, client6 = pair(lane, "::1", connected=False)
    padding = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # PadN (RFC 8200 4.2)
    client6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, padding)
    client6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, padding)
    with Capture(lane) as capture:
        client6.send(b"x" * 200)
        assert len(server6.recv(1000)) == 200
        captured = capture.stop()
    at_server, at_client = keys(server, client)
    at_server6, at_client6 = keys(server6, client6)
    assert captured == {at_client6: (200, 1)}
    wait_live(udp_tracer, lane, {
        at_server: (0, 0, 100, 1), at_client: (100, 1, 0, 0),
        at_server6: (0, 0, 200, 1), at_client6: (200, 1, 0, 0)})


@pytest.mark.parametrize("left, right", [("10.9.0.1", "10.9.0.2"), ("fd00:9::1", "fd00:9::2")],
                         ids=["ipv4", "ipv6"])
def test_a_fragmented_datagram_is_one(udp_tracer, netns, left, right):
    first, second = netns("left"), netns("right")
    length = "/64" if ":" in left else "/24"
    device, _ = join(first, left + length, second, right + length)
    server = make(second, right, 7000)
    client = make(first, left, 0, (right, 7000))
    with Capture(first, device) as capture:
        for size in (60000, 1500, 10):
            client.send(b"x" * size)
            assert len(server.recvfrom(65536)[0]) == size
        captured = capture.stop()
    at_server, at_client = keys(server, client)
    # Of a piece of a fragmented datagram the header tells the whole length.
    assert captured == {at_client: (61510, 3)}
    wait_live(udp_tracer, first, {at_client: (61510, 3, 0, 0)})
    wait_live(udp_tracer, second, {at_server: (0, 0, 61510, 3)})


def test_a_lone_fragment_is_a_datagram(udp_tracer, netns):
    """RFC 6946: with a fragment header, and whole. Sent by a raw socket, whose flow is none."""
    first, second = netns("left"), netns("right")
    join(first, "fd00:9::1/64", second, "fd00:9::2/64")
    server = make(second, "fd00:9::2", 7000)
    with first.entered():
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    payload = b"x" * 50
    datagram = struct.pack("!HHHH", 5000, 7000, 8 + len(payload), 0) + payload
    pseudo = (socket.inet_pton(socket.AF_INET6, "fd00:9::1")
              + socket.inet_pton(socket.AF_INET6, "fd00:9::2")
              + struct.pack("!IHBB", len(datagram), 0, 0, 17))
    words = struct.unpack(f"!{len(pseudo + datagram) // 2}H", pseudo + datagram)
    checksum = sum(words)
    while checksum >> 16:
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
    datagram = datagram[:6] + struct.pack("!H", checksum ^ 0xFFFF) + datagram[8:]
    fragment = struct.pack("!BBHI", 17, 0, 0, 77) + datagram
    header = (struct.pack("!IHBB", 6 << 28, len(fragment), 44, 64)
              + socket.inet_pton(socket.AF_INET6, "fd00:9::1")
              + socket.inet_pton(socket.AF_INET6, "fd00:9::2"))
    raw.sendto(header + fragment, ("fd00:9::2", 0))
    assert server.recv(100) == payload
    wait_live(udp_tracer, second, {("fd00:9::2", 7000, "fd00:9::1", 5000): (0, 0, 50, 1)})
    assert not live(udp_tracer, first)


def wait_up(namespace, device):
    """What is sent before the kernel has noticed that a device is up goes nowhere."""
    wait_until(lambda: "state UP" in namespace.run("ip", "link", "show", "dev", device).stdout, 10,
               f"{device} is up")


def member(namespace, device, group, port):
    """A socket that has joined a multicast group at a device."""
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    with namespace.entered():
        made = socket.socket(family, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(device)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((group, port))
    if ":" in group:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                        socket.inet_pton(family, group) + struct.pack("i", index))
    else:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton(group) + bytes(4) + struct.pack("i", index))
    made.settimeout(30)
    return made


@pytest.mark.parametrize("group, left, right", [
    ("239.1.2.3", "10.9.0.1", "10.9.0.2"), ("ff05::77", "fd00:9::1", "fd00:9::2")],
    ids=["ipv4", "ipv6"])
def test_multicast_is_sent_once_and_received_by_each_member(udp_tracer, netns, group, left, right):
    """Two members beside the sender, who hear it by way of copies, and one elsewhere."""
    first, second = netns("left"), netns("right")
    length = "/64" if ":" in group else "/24"
    device, other = join(first, left + length, second, right + length)
    wait_up(first, device)
    wait_up(second, other)
    members = [member(first, device, group, 7100), member(first, device, group, 7100),
               member(second, other, group, 7100)]
    sender = make(first, left, 7200)
    with first.entered():
        index = socket.if_nametoindex(device)
    if ":" in group:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                          bytes(8) + struct.pack("i", index))
    for size in (10, 20):
        sender.sendto(b"m" * size, (group, 7100))
        for sock in members:
            assert len(sock.recv(100)) == size
    for namespace, count in ((first, 2), (second, 1)):
        received = [c for c in udp_tracer.snapshot()
                    if is_udp(namespace)(c) and c["direction"] == "incoming"]
        assert len({flow["id"] for flow in received}) == len(received) == count
        for flow in received:
            assert numbers(flow) == (0, 0, 30, 2)
            assert flow["local"] == {"ip": group, "port": 7100}
            assert (flow["remote"]["ip"], flow["remote"]["port"]) == (left, 7200)
    sent, = [c for c in udp_tracer.snapshot()
             if is_udp(first)(c) and c["direction"] == "outgoing"]
    assert numbers(sent) == (30, 2, 0, 0)
    assert (sent["local"]["ip"], sent["remote"]["ip"]) == (left, group)


def test_broadcast_is_sent_once_and_received_by_each_listener(udp_tracer, netns):
    first, second = netns("left"), netns("right")
    device, other = join(first, "10.9.0.1/24", second, "10.9.0.2/24")
    wait_up(first, device)
    wait_up(second, other)
    listener = make(second, "0.0.0.0", 7300)
    own = make(first, "0.0.0.0", 7300)  # a sender's own host hears it too
    sender = make(first, "10.9.0.1", 7400)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.sendto(b"b" * 25, ("255.255.255.255", 7300))
    assert len(listener.recv(100)) == 25 == len(own.recv(100))
    wait_live(udp_tracer, second,
              {("255.255.255.255", 7300, "10.9.0.1", 7400): (0, 0, 25, 1)})
    wait_live(udp_tracer, first, {
        ("10.9.0.1", 7400, "255.255.255.255", 7300): (25, 1, 0, 0),
        ("255.255.255.255", 7300, "10.9.0.1", 7400): (0, 0, 25, 1)})
    assert len(live(udp_tracer, first)) == 2


def test_udp_lite_and_raw_sockets_are_not_taken_for_udp(udp_tracer, lane):
    with lane.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        try:
            lite = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM, IPPROTO_UDPLITE)
                    for _ in range(2)]
        except OSError as error:  # taken out of Linux 7.1
            assert error.errno == errno.EPROTONOSUPPORT
            lite = []
    server = make(lane, "127.0.0.1", 7000)
    if lite:
        lite[0].bind(("127.0.0.1", 7000))
        lite[1].connect(("127.0.0.1", 7000))
        lite[1].send(b"lite")
        assert lite[0].recv(10) == b"lite"
    # With a checksum of 0 there is none (RFC 768).
    raw.sendto(struct.pack("!HHHH", 5000, 7000, 12, 0) + b"data", ("127.0.0.1", 0))
    assert server.recv(10) == b"data"
    wait_live(udp_tracer, lane, {("127.0.0.1", 7000, "127.0.0.1", 5000): (0, 0, 4, 1)})
    assert len(live(udp_tracer, lane)) == 1
    for sock in lite + [raw]:
        sock.close()
    assert len(live(udp_tracer, lane)) == 1


def test_a_refused_datagram_was_sent_and_its_refusal_is_no_datagram(udp_tracer, lane):
    client = make(lane, None, peer=("127.0.0.1", 9))
    client.send(b"x" * 33)
    with pytest.raises(ConnectionRefusedError):
        client.recv(100)
    client.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR: the refusal comes with what was sent
    client.send(b"x" * 44)
    wait_until(lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or True, 1, "")
    data, _, flags, _ = client.recvmsg(100, 500, 0x2000)  # MSG_ERRQUEUE
    assert len(data) == 44 and flags & 0x2000
    key = (*name(client), "127.0.0.1", 9)
    wait_live(udp_tracer, lane, {key: (77, 2, 0, 0)})
    client.close()
    closed, = udp_tracer.events.wait_closed(is_udp(lane))
    assert numbers(closed) == (77, 2, 0, 0) and closed["failure"] is None
    assert closed["close_reason"] == "released"


def test_a_thousand_peers_of_one_socket_are_told_apart(udp_tracer, lane):
    """One unconnected server, each client at an address and a port of its own."""
    count = scaled(1000, 200)
    server = make(lane, "0.0.0.0", 7500)
    server.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    expected = {}
    clients = []
    with Capture(lane) as capture:
        for index in range(count):
            client = make(lane, f"127.2.{index // 200}.{index % 200 + 1}", 0)
            client.sendto(b"q" * (index % 1400), ("127.0.0.1", 7500))
            data, peer = server.recvfrom(2000)
            assert peer == client.getsockname() and len(data) == index % 1400
            for _ in range(index % 3):
                server.sendto(b"a" * (index % 700), peer)
            answers = index % 3
            expected[(*name(client), "127.0.0.1", 7500)] = (index % 1400, 1, 0, 0)
            for _ in range(answers):
                assert len(client.recv(2000)) == index % 700
            at_client = (*name(client), "127.0.0.1", 7500)
            at_server = ("127.0.0.1", 7500, *name(client))
            expected[at_client] = (index % 1400, 1, answers * (index % 700), answers)
            expected[at_server] = (answers * (index % 700), answers, index % 1400, 1)
            clients.append(client)
        captured = capture.stop()
    flows = wait_live(udp_tracer, lane, expected)
    assert len(live(udp_tracer, lane)) == 2 * count == len(flows)
    assert captured == {key: values[:2] for key, values in expected.items() if values[1]}
    assert all(flow["direction"] == ("incoming" if key[1] == 7500 else "outgoing")
               for key, flow in flows.items())
    mark = udp_tracer.events.mark()
    server.close()
    udp_tracer.events.wait_count(is_udp(lane), count, 10, mark)
    for client in clients:
        client.close()
    udp_tracer.events.wait_count(is_udp(lane), 2 * count, 10, mark)
    closed = [c for c in udp_tracer.events.closed[mark:] if is_udp(lane)(c)]
    assert {c["close_reason"] for c in closed} == {"released"}
    assert {c["id"] for c in closed} == {flow["id"] for flow in flows.values()}


def test_one_socket_with_a_thousand_remote_ends_sends_to_each(udp_tracer, lane):
    """A QUIC-like client, and sockets of both families at one port."""
    count = scaled(1000, 200)
    server = make(lane, "0.0.0.0", 7600)
    client = make(lane, "127.0.0.1", 7700)
    expected = {}
    for index in range(count):
        address = f"127.3.{index // 200}.{index % 200 + 1}"
        for size in range(index % 3 + 1):
            client.sendto(b"x" * size, (address, 7600))
            assert len(server.recv(100)) == size
        sent = sum(range(index % 3 + 1))
        expected[("127.0.0.1", 7700, address, 7600)] = (sent, index % 3 + 1, 0, 0)
        expected[(address, 7600, "127.0.0.1", 7700)] = (0, 0, sent, index % 3 + 1)
    wait_live(udp_tracer, lane, expected)
    assert len(live(udp_tracer, lane)) == 2 * count


def forked(play):
    """Runs play in a child that ends with it; returns its pid and waits for it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            play()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    return pid


def test_who_begins_a_flow_on_an_inherited_socket_has_it(udp_tracer, lane):
    servers = [make(lane, "127.0.0.1", port) for port in (7801, 7802)]
    client = make(lane, "127.0.0.1", 7800)
    client.sendto(b"parent", ("127.0.0.1", 7801))

    def play():
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write("heir")
        client.sendto(b"child", ("127.0.0.1", 7802))
        client.sendto(b"child", ("127.0.0.1", 7801))
        assert servers[1].recv(10) == b"child"
    child = forked(play)
    here, there = ("127.0.0.1", 7800), "127.0.0.1"
    flows = wait_live(udp_tracer, lane, {
        (*here, there, 7801): (11, 2, 0, 0), (*here, there, 7802): (5, 1, 0, 0),
        (there, 7802, *here): (0, 0, 5, 1)})
    assert facts(flows[(*here, there, 7801)]) == own_facts()
    assert (flows[(*here, there, 7802)]["pid"], flows[(*here, there, 7802)]["comm"]) == (child, "heir")
    # Who reads is seen where reading is; where arrival is, it is who has bound the socket.
    reader = flows[(there, 7802, *here)]
    assert (reader["pid"], reader["pid_source"]) == (
        (child, "traffic") if sees_reading(udp_tracer) else (os.getpid(), "listener"))


def test_sockets_that_are_older_than_the_tracer_have_their_owner(own_tracer, lane,
                                                                  shared_udp_tracer):
    server, client = pair(lane)
    idle = make(lane, "127.0.0.1", 7900)
    tracer = own_tracer(privd_options=shared_udp_tracer.privd_options).start()
    client.send(b"x" * 10)
    server.recv(100)
    client.sendto(b"x" * 5, ("127.0.0.1", 7900))
    idle.recv(100)
    at_server, at_client = keys(server, client)
    at_idle = ("127.0.0.1", 7900, *name(client))
    flows = wait_live(tracer, lane, {at_server: (0, 0, 10, 1), at_client: (10, 1, 0, 0),
                                     at_idle: (0, 0, 5, 1)})
    for key in (at_server, at_idle):
        if sees_reading(tracer):
            assert facts(flows[key]) == own_facts() and flows[key]["pid_source"] == "traffic"
        elif tracer.hook("facts") == "old":  # found only if somebody had asked for its cookie
            assert flows[key]["pid"] in (None, os.getpid())
        else:
            assert facts(flows[key]) == own_facts() and flows[key]["pid_source"] == "seed"


def test_io_uring_sends_and_receives_are_counted(udp_tracer, lane):
    count = scaled(100, 10)
    (words,) = run_program(lane, program("udp_uring"), str(count), "7950", "500")
    pid, port = map(int, words)
    udp_tracer.events.wait_closed(is_udp(lane), 2)
    closed = {c["direction"]: c for c in udp_tracer.events.closed if is_udp(lane)(c)}
    assert numbers(closed["outgoing"]) == (500 * count, count, 0, 0)
    assert numbers(closed["incoming"]) == (0, 0, 500 * count, count)
    assert closed["outgoing"]["local"]["port"] == port
    assert {c["comm"] for c in closed.values()} == {"udp_uring"}
    assert {c["pid"] for c in closed.values()} == {pid}


def test_spliced_bytes_are_counted(udp_tracer, lane):
    server, client = pair(lane)
    reading, writing = os.pipe()
    os.write(writing, b"x" * 1234)
    assert os.splice(reading, client.fileno(), 1234) == 1234
    assert len(server.recv(65536)) == 1234
    at_server, at_client = keys(server, client)
    wait_live(udp_tracer, lane, {at_server: (0, 0, 1234, 1), at_client: (1234, 1, 0, 0)})


def test_a_tunnel_of_the_kernel_has_no_flow_and_does_not_hide_the_flows_inside(udp_tracer, netns):
    first, second = netns("left"), netns("right")
    join(first, "10.9.0.1/24", second, "10.9.0.2/24")
    for namespace, own, other in ((first, 1, 2), (second, 2, 1)):
        namespace.ip("link", "add", "tunnel", "type", "vxlan", "id", "7", "dstport", "4789",
                     "remote", f"10.9.0.{other}", "local", f"10.9.0.{own}")
        namespace.ip("address", "add", f"10.99.0.{own}/24", "dev", "tunnel")
        namespace.ip("link", "set", "tunnel", "up")
    server = make(second, "10.99.0.2", 7000)
    client = make(first, "10.99.0.1", 0, ("10.99.0.2", 7000))
    for size in (10, 20, 30):
        client.send(b"x" * size)
        server.recv(100)
    at_server, at_client = keys(server, client)
    wait_live(udp_tracer, first, {at_client: (60, 3, 0, 0)})
    wait_live(udp_tracer, second, {at_server: (0, 0, 60, 3)})
    assert len(live(udp_tracer, first)) == 1 == len(live(udp_tracer, second))


def test_threads_and_processes_that_share_a_socket_lose_no_byte(udp_tracer, lane):
    """Both processors at one flow: everything is in it, or counted as not given to any."""
    count = scaled(20000, 1000)
    before = overflow(udp_tracer)
    sink = make(lane, "127.0.0.1", 7000)
    sink.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
    client = make(lane, None, peer=("127.0.0.1", 7000))

    def play():
        for _ in range(count):
            client.send(b"x" * 10)
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            play()
            os._exit(0)
        children.append(pid)
    received = 0
    while received < 3 * count:
        assert len(sink.recv(100)) == 10
        received += 1
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    time.sleep(0.1)
    at_server, at_client = keys(sink, client)
    flows = live(udp_tracer, lane)
    extra = [now - then for now, then in zip(overflow(udp_tracer), before)]
    got = [flow + more for flow, more in zip(numbers(flows[at_client]), extra)]
    assert got[:2] == [30 * count, 3 * count]
    got = [flow + more for flow, more in zip(numbers(flows[at_server]), extra)]
    assert got[2:] == [30 * count, 3 * count]
    print("to no flow:", extra)
    # A processor of a virtual machine may be stopped while it holds a flow's lock.
    assert extra[1] + extra[3] <= 6 * count // 100, "too much went to no flow"
