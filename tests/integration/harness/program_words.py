# SPDX-License-Identifier: Apache-2.0
"""Compares what was published with what the programs of harness/traffic.py say, and with ss."""
from harness.lab import SERVER
from harness.ledger import BYTES, PACKETS, overlap, summed
from harness.sockets import key_of, ss, total

IPERF_COOKIE_BYTES = 37  # begins each of its TCP streams
IPERF_HELLO_BYTES = 4  # begins each of its UDP streams, both ways


def one(ledger, row, connections, what):
    """The only connection of what is known, or None; counted either way."""
    ledger.pair(row, 1, connections, what)
    return connections[0] if connections else None


def compare_all(ledger, books):
    """Every kind of traffic with its own words."""
    words = {"nginx and curl": nginx, "dnsmasq and dnsperf": dns, "iperf3 TCP": iperf_tcp,
             "iperf3 UDP": iperf_udp, "nc TCP": pipe, "nc UDP": pipe_udp,
             "one socket, many peers": crowd}
    for kind in books.kinds:
        words[kind.name](ledger, books, kind)


def nginx(ledger, books, kind):
    """The access log, by connection. Of one and the same ends the first one is the first."""
    row = ledger.row("access log", kind.name)
    row.packets_differ = None
    by_ends = {}
    for (port, address, client_port, number), numbers in sorted(kind.logged().items()):
        by_ends.setdefault((port, address, client_port), []).append((number, numbers))
    for (port, address, client_port), logged in by_ends.items():
        server = SERVER[6 if ":" in address else 4]
        told = books.find("server", "tcp", (server, port, address, client_port))
        ledger.pair(row, len(logged), told, (address, client_port))
        for (_, (read, written)), connection in zip(logged, told):
            ledger.equal(row, "bytes_differ", (written, read), total(connection, *BYTES),
                         (address, client_port))


def dns(ledger, books, kind):
    """Each dnsperf's queries over UDP, and what dnsmasq answered altogether."""
    row = ledger.row("dnsperf", kind.name)
    row.bytes_differ = None
    for (pid, *times), (mode, queries) in kind.queries.items():
        flows = books.of_process(kind, pid, *times)
        row.known += 1
        row.told += bool(flows)
        if not flows:
            ledger.wrong(row, "missing", pid)
        elif mode == "udp":
            ledger.equal(row, "packets_differ", (queries, queries), summed(flows, PACKETS), pid)
    row = ledger.row("dnsmasq's statistics", kind.name)
    row.bytes_differ = None
    flows = [c for c in books.all["server"] if c["protocol"] == "udp"
             and c["local"]["port"] in kind.ports]
    row.known, row.told = 1, int(bool(flows))
    ledger.equal(row, "packets_differ", (kind.said, kind.said), summed(flows, PACKETS), "SIGUSR1")


def iperf_streams(report):
    """(local port, remote port, is it reversed, its words at the end) of each stream."""
    reverse = bool(report["start"]["test_start"]["reverse"])
    ports = {stream["socket"]: (stream["local_port"], stream["remote_port"])
             for stream in report["start"]["connected"]}
    for stream in report["end"]["streams"]:
        words = stream.get("udp") or stream["sender"]
        yield (*ports[words["socket"]], reverse, stream)


def find_client(books, protocol, local_port, remote_port):
    return [c for c in books.all["client"] if c["protocol"] == protocol
            and (c["local"]["port"], c["remote"]["port"]) == (local_port, remote_port)]


def iperf_tcp(ledger, books, kind):
    """What the sender says it wrote. At its end iperf3 throws away what it has not read yet."""
    row = ledger.row("iperf3 --json", kind.name)
    row.packets_differ = None
    for report in kind.reports:
        for local, remote, reverse, stream in iperf_streams(report):
            connection = one(ledger, row, find_client(books, "tcp", local, remote), stream)
            if not connection:
                continue
            sent, received = total(connection, *BYTES)
            if reverse:
                ledger.equal(row, "bytes_differ", IPERF_COOKIE_BYTES, sent, stream)
                ledger.equal(row, "bytes_differ", stream["sender"]["bytes"], received, stream)
            else:
                written = stream["sender"]["bytes"] + IPERF_COOKIE_BYTES
                # The server may reset what is still under way: how much arrived the capture knows.
                if connection["close_reason"] == "rst" and sent < written:
                    written = sent
                ledger.equal(row, "bytes_differ", (written, 0), (sent, received), stream)


def iperf_udp(ledger, books, kind):
    """What the sender says it sent; what the receiver leaves unread is known from the capture."""
    row = ledger.row("iperf3 --json", kind.name)
    for report in kind.reports:
        for local, remote, reverse, stream in iperf_streams(report):
            connection = one(ledger, row, find_client(books, "udp", local, remote), stream)
            if not connection:
                continue
            way, (unread_bytes, unread) = 0, (0, 0)
            if reverse:
                way = 1
                unread_bytes, unread = ledger.unread.get(("client", key_of(connection)), (0, 0))
            said = stream["udp"]
            ledger.equal(row, "packets_differ", said["packets"] + 1,
                         total(connection, *PACKETS)[way] + unread, (local, stream))
            ledger.equal(row, "bytes_differ", said["bytes"] + IPERF_HELLO_BYTES,
                         total(connection, *BYTES)[way] + unread_bytes, (local, stream))


def pipe(ledger, books, kind):
    row = ledger.row("nc's files", kind.name)
    row.packets_differ = None
    for (pid, *times), numbers in kind.carried.items():
        connection = one(ledger, row, books.of_process(kind, pid, *times), pid)
        if connection:
            ledger.equal(row, "bytes_differ", numbers, total(connection, *BYTES), pid)


def pipe_udp(ledger, books, kind):
    row = ledger.row("nc's writes", kind.name)
    for (pid, *times), (sent, datagrams, received, answers) in kind.carried.items():
        compare_flows(ledger, row, books.of_process(kind, pid, *times),
                      ((sent, received), (datagrams, answers)), pid)


def compare_flows(ledger, row, flows, numbers, what):
    """One pair of ends that was silent for long is several flows, one after the other."""
    sizes, packets = numbers
    row.known += 1
    row.told += bool(flows)
    if not flows:
        ledger.wrong(row, "missing", what)
        return
    for flow in overlap(flows):
        ledger.wrong(row, "twice", what, flow)
    ledger.equal(row, "bytes_differ", sizes, summed(flows, BYTES), what)
    ledger.equal(row, "packets_differ", packets, summed(flows, PACKETS), what)


def crowd(ledger, books, kind):
    """Each end of each pair, by what it wrote and read."""
    row = ledger.row("both programs", kind.name)
    for side, (ip, port, peer_ip, peer_port, *numbers) in kind.said:
        key = (ip, int(port), peer_ip, int(peer_port))
        sent, datagrams, received, answers = map(int, numbers)
        compare_flows(ledger, row, books.find(side, "udp", key),
                      ((sent, received), (datagrams, answers)), (side, key))


def compare_ss(ledger, lab, kinds, snapshot):
    """Connections that stand still: `ss -tin` and a snapshot, one after the other."""
    for namespace, side in ((lab.client, "client"), (lab.server, "server")):
        live = {}
        for connection in snapshot:
            if namespace.is_ours(connection) and connection["protocol"] == "tcp":
                live.setdefault(key_of(connection), []).append(connection)
        for key, facts in ss(namespace).items():
            port = key[3] if side == "client" else key[1]
            names = [kind.name for kind in kinds if port in kind.ports]
            row = ledger.row("ss -tin", names[0] if names else "other")
            connection = one(ledger, row, live.get(key, []), (side, key))
            if not connection:
                continue
            # ss counts the SYN in what was acknowledged of who sent it.
            acked = int(facts["bytes_acked"]) - (side == "client")
            ledger.equal(row, "bytes_differ", (acked, int(facts["bytes_received"])),
                         total(connection, *BYTES), key)
            ledger.equal(row, "packets_differ", (int(facts["segs_out"]), int(facts["segs_in"])),
                         total(connection, *PACKETS), key)
