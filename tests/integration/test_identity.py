# SPDX-License-Identifier: Apache-2.0
"""Which connection it is, and which way round, where that is not what it usually is."""
import re
import socket

from harness.netns import Netns, join
from harness.scale import wait_until
from harness.sockets import (connect, connector, facts, incoming, listen, outgoing, own_facts,
                             receive_end, receive_exactly, sent_and_received)


def cookies(namespace, *condition):
    """{remote port, 0 for a listener: cookie} by `ss -e`; asking gives a socket its cookie."""
    text = namespace.run("ss", "-tanHe", *condition).stdout
    return {int(remote): int(cookie, 16) for remote, cookie in
            re.findall(r"^\S+\s+\d+\s+\d+\s+\S+\s+\S+:(\d+|\*)\s.*?\bsk:([0-9a-f]+)",
                       text.replace(":*", ":0"), re.MULTILINE)}


def test_accepted_connections_have_their_own_cookies(tracer, box):
    listener = listen(box, "127.0.0.1", 8300)
    own = cookies(box, "sport = :8300")[0]
    ends = []
    for _ in range(3):
        ends.append(connect(box, "127.0.0.1", 8300))
        ends.append(listener.accept()[0])
    witness = cookies(box, "sport = :8300")
    assert witness.pop(0) == own and own not in witness.values()
    for end in ends:
        end.close()
    listener.close()
    found = tracer.events.wait_closed(incoming(box, 8300), 3)
    ids = {c["remote"]["port"]: int(c["id"], 16) for c in found}
    if tracer.status()["kernel"]["hooks"]["facts"] == "table":
        assert ids == witness
    else:  # kernels before 5.12 tell programs no cookies: numbers of our own, each another
        assert ids.keys() == witness.keys() and len(set(ids.values())) == 3


def test_a_socket_that_connects_to_itself(tracer, box):
    """Its SYN crosses itself: TCP's simultaneous open (RFC 9293 3.5)."""
    sock = connect(box, "127.0.0.1", 8301, source=("127.0.0.1", 8301))
    sock.sendall(b"hello")
    receive_exactly(sock, 5)
    sock.shutdown(socket.SHUT_WR)
    assert receive_end(sock) == 0
    sock.close()
    connection, = tracer.events.wait_closed(outgoing(box, 8301))
    assert sent_and_received(connection) == (5, 5)
    assert connection["close_reason"] == "fin" and connection["failure"] is None
    assert connection["pid_source"] == "connect" and facts(connection) == own_facts()
    # It is open since connect(), and not since its own answer came.
    assert 0 <= connection["handshake_us"] <= int(connection["duration_ns"]) / 1000


def test_a_connect_older_than_the_tracer_tells_no_handshake_time(own_tracer):
    client, server = Netns("client"), Netns("server")
    join(client, "10.78.0.1/24", server, "10.78.0.2/24")
    client.ip("route", "add", "10.79.0.0/16", "via", "10.78.0.2")
    server.sysctl("net.ipv4.ip_forward", 1)
    server.ip("route", "add", "blackhole", "10.79.0.0/16")
    sock = connector(client, "10.79.0.1")
    sock.setblocking(False)
    assert sock.connect_ex(("10.79.0.1", 8302)) != 0
    tracer = own_tracer().start()
    server.ip("address", "add", "10.79.0.1/32", "dev", "lo")
    listener = listen(server, "10.79.0.1", 8302)
    wait_until(lambda: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01", 20,
               "a repeated SYN is answered")
    other, _ = listener.accept()
    sock.close()
    other.close()
    connection, = tracer.events.wait_closed(outgoing(client, 8302))
    assert connection["pid_source"] == "seed" and facts(connection) == own_facts()
    assert connection["handshake_us"] is None and connection["opened_ns"] is None
