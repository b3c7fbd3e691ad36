# SPDX-License-Identifier: Apache-2.0
"""Connects that fail, each with the errno that the application saw, and resets."""
import contextlib
import errno
import select
import socket

import pytest

from harness.netns import Netns, join
from harness.scale import SLOW
from harness.sockets import (close_with_reset, connect, connector, facts, incoming,
                             kernel_counter, listen, outgoing, own_facts, receive_end,
                             receive_exactly, sent_and_received)


@pytest.fixture(scope="module")
def routed():
    """A client whose only router has a reject route, a missing route, and one that drops."""
    client, router = Netns("client"), Netns("router")
    join(client, "10.77.0.1/24", router, "10.77.0.2/24")
    client.ip("route", "add", "default", "via", "10.77.0.2")
    router.sysctl("net.ipv4.ip_forward", 1)
    router.ip("route", "add", "unreachable", "10.80.0.0/16")
    router.ip("route", "add", "blackhole", "10.81.0.0/16")
    router.sysctl("net.ipv4.icmp_ratelimit", 0)
    client.sysctl("net.ipv4.tcp_syn_retries", 1)
    with contextlib.suppress(FileNotFoundError):  # since 6.5
        client.sysctl("net.ipv4.tcp_syn_linear_timeouts", 0)
    return client


def attempt(namespace, address, port, timeout=None):
    """Connects, which must fail; returns its errno and the local port that it had."""
    sock = connector(namespace, address)
    try:
        if timeout is not None:
            sock.settimeout(timeout)
        with pytest.raises(OSError) as caught:
            sock.connect((address, port))
        return caught.value.errno
    finally:
        sock.close()


def check_failed(connection, failure, namespace, address, port):
    assert connection["failure"] == failure
    assert connection["close_reason"] == "failed"
    assert connection["direction"] == "outgoing" and connection["netns"] == namespace.inode
    assert (connection["remote"]["ip"], connection["remote"]["port"]) == (address, port)
    assert connection["pid_source"] == "connect" and facts(connection) == own_facts()
    assert sent_and_received(connection) == (0, 0)
    assert connection["handshake_us"] is None
    assert int(connection["opened_ns"]) > 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_refused_connect(tracer, box, address):
    assert attempt(box, address, 6999) == errno.ECONNREFUSED
    connection, = tracer.events.wait_closed(
        lambda c: outgoing(box, 6999)(c) and c["remote"]["ip"] == address)
    check_failed(connection, "ECONNREFUSED", box, address, 6999)


def test_a_refused_connect_by_an_ipv4_mapped_address_is_ipv4(tracer, box):
    assert attempt(box, "::ffff:127.0.0.1", 6998) == errno.ECONNREFUSED
    connection, = tracer.events.wait_closed(outgoing(box, 6998))
    check_failed(connection, "ECONNREFUSED", box, "127.0.0.1", 6998)
    assert connection["family"] == "ipv4" and connection["local"]["ip"] == "127.0.0.1"


@pytest.mark.parametrize("address, code", [
    ("10.80.0.9", errno.EHOSTUNREACH), ("10.90.0.9", errno.ENETUNREACH)])
def test_an_unreachable_address(tracer, routed, address, code):
    assert attempt(routed, address, 80) == code
    connection, = tracer.events.wait_closed(
        lambda c: outgoing(routed, 80)(c) and c["remote"]["ip"] == address)
    check_failed(connection, errno.errorcode[code], routed, address, 80)


def test_a_connect_that_times_out(tracer, routed):
    before = kernel_counter(routed, "TcpRetransSegs")
    assert attempt(routed, "10.81.0.9", 81) == errno.ETIMEDOUT
    retransmits = kernel_counter(routed, "TcpRetransSegs") - before
    connection, = tracer.events.wait_closed(outgoing(routed, 81))
    check_failed(connection, "ETIMEDOUT", routed, "10.81.0.9", 81)
    assert connection["total"]["retransmits"] == retransmits == 1
    assert int(connection["duration_ns"]) > 2.5e9


def test_a_cancelled_connect(tracer, routed):
    sock = connector(routed, "10.81.0.9")
    sock.setblocking(False)
    assert sock.connect_ex(("10.81.0.9", 82)) == errno.EINPROGRESS
    port = sock.getsockname()[1]
    sock.close()
    connection, = tracer.events.wait_closed(outgoing(routed, 82))
    check_failed(connection, "ECANCELED", routed, "10.81.0.9", 82)
    assert connection["local"]["port"] == port and connection["local"]["ip"] == "10.77.0.1"


def test_a_connect_without_a_free_port(tracer, netns):
    namespace = netns("ports")
    namespace.sysctl("net.ipv4.ip_local_port_range", "40000 40000")
    listener = listen(namespace, "127.0.0.1", 7100)
    first = connect(namespace, "127.0.0.1", 7100)
    assert attempt(namespace, "127.0.0.1", 7100) == errno.EADDRNOTAVAIL
    failed, = tracer.events.wait_closed(
        lambda c: outgoing(namespace, 7100)(c) and c["close_reason"] == "failed")
    assert failed["failure"] == "EADDRNOTAVAIL"
    first.close()
    listener.close()


def test_a_reset_connection(tracer, box):
    listener = listen(box, "127.0.0.1", 7001)
    client = connect(box, "127.0.0.1", 7001)
    server, _ = listener.accept()
    client.sendall(b"12345")
    receive_exactly(server, 5)
    close_with_reset(client)
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    server.close()
    listener.close()
    sender, = tracer.events.wait_closed(outgoing(box, 7001))
    receiver, = tracer.events.wait_closed(incoming(box, 7001))
    assert sent_and_received(sender) == (5, 0) and sent_and_received(receiver) == (0, 5)
    assert (sender["close_reason"], sender["failure"]) == ("rst", None)
    assert (receiver["close_reason"], receiver["failure"]) == ("rst", "ECONNRESET")


def test_a_half_closed_connection(tracer, box):
    listener = listen(box, "::1", 7002)
    client = connect(box, "::1", 7002)
    server, _ = listener.accept()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert receive_end(server) == 8

    # It lives on with one side shut, and the answer is counted.
    server.sendall(b"a" * 100000)
    receive_exactly(client, 100000)
    live = [c for c in tracer.snapshot() if outgoing(box, 7002)(c)]
    assert len(live) == 1 and live[0]["state"] == "active"
    assert sent_and_received(live[0]) == (8, 100000)
    assert not tracer.events.closed_where(outgoing(box, 7002))

    server.close()
    assert receive_end(client) == 0
    client.close()
    listener.close()
    one, = tracer.events.wait_closed(outgoing(box, 7002))
    other, = tracer.events.wait_closed(incoming(box, 7002))
    assert sent_and_received(one) == (8, 100000) and sent_and_received(other) == (100000, 8)
    assert one["close_reason"] == other["close_reason"] == "fin"
    assert one["failure"] is None and other["failure"] is None


def test_an_established_connection_that_times_out(tracer, netns):
    client_side, server_side = netns("left"), netns("right")
    left, _ = join(client_side, "10.78.0.1/24", server_side, "10.78.0.2/24")
    listener = listen(server_side, "10.78.0.2", 7003)
    client = connect(client_side, "10.78.0.2", 7003)
    server, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 700)
    server_side.ip("route", "add", "blackhole", "10.78.0.1/32")
    client.sendall(b"lost")
    ready, _, _ = select.select([client], [], [], 15 * SLOW)
    assert ready and client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT
    connection, = tracer.events.wait_closed(outgoing(client_side, 7003))
    assert (connection["close_reason"], connection["failure"]) == ("timeout", "ETIMEDOUT")
    assert connection["total"]["retransmits"] >= 1
    assert connection["total"]["sent_bytes"] == 0
    for sock in (client, server, listener):
        sock.close()
