# SPDX-License-Identifier: Apache-2.0
"""Compares what was published with what others know, and keeps the counts in a table."""
import dataclasses

from harness.lab import FORWARDED
from harness.scale import STALLS
from harness.sockets import key_of, total

BYTES = ("sent_bytes", "recv_bytes")
PACKETS = ("sent_packets", "recv_packets")
EXAMPLES = 5
HEADER_BYTES = {"ipv4": 28, "ipv6": 48}  # of IP and UDP


@dataclasses.dataclass
class Row:
    """One source's words about one kind of traffic."""
    source: str
    kind: str
    known: int = 0
    told: int = 0
    missing: int = 0
    twice: int = 0
    bytes_differ: int = 0
    packets_differ: object = 0  # None: the source knows none
    facts_wrong: int = 0


class Ledger:
    """Rows by source and kind, and the first differences of each."""
    COLUMNS = ("source", "kind", "known", "told", "missing", "twice", "bytes differ",
               "packets differ", "facts wrong")

    def __init__(self):
        self.rows = {}
        self.examples = []
        self.unread = {}  # (side, key): (bytes, datagrams) of a flow that came and were not read

    def row(self, source, kind):
        return self.rows.setdefault((source, kind), Row(source, kind))

    def wrong(self, row, column, *what):
        """One more difference."""
        setattr(row, column, getattr(row, column) + 1)
        if getattr(row, column) <= EXAMPLES:
            self.examples.append(f"{row.source}, {row.kind}: {column}: "
                                 + " ".join(map(str, what)))

    def pair(self, row, expected, connections, what):
        """As many told as known; what is beyond that was told twice, or without a cause."""
        row.known += expected
        row.told += min(expected, len(connections))
        for _ in range(expected - len(connections)):
            self.wrong(row, "missing", what)
        for connection in connections[expected:]:
            self.wrong(row, "twice", what, connection)

    def equal(self, row, column, expected, told, what):
        """expected may be a list of which one must be right."""
        allowed = expected if isinstance(expected, list) else [expected]
        if told not in allowed:
            self.wrong(row, column, what, "expected", expected, "told", told)

    def join(self, other):
        """Takes over another ledger's rows, none of which is here."""
        self.rows.update(other.rows)
        self.examples += other.examples

    def unread_datagrams(self, side):
        return sum(packets for (own, _), (_, packets) in self.unread.items() if own == side)

    def is_clean(self):
        """Whether there is no difference at all."""
        return not any(getattr(row, column) for row in self.rows.values() for column in
                       ("missing", "twice", "bytes_differ", "packets_differ", "facts_wrong"))

    def __str__(self):
        cells = [self.COLUMNS] + [
            tuple("-" if value is None else str(value) for value in dataclasses.astuple(row))
            for row in self.rows.values()]
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.COLUMNS))]
        lines = ["  ".join(cell.ljust(width) if i < 2 else cell.rjust(width)
                           for i, (cell, width) in enumerate(zip(line, widths)))
                 for line in cells]
        return "\n".join(lines + self.examples)


def overlap(flows):
    """Those of flows with the same ends that lived at the same time: one of them is too many."""
    found, before = [], 0
    for flow in sorted(flows, key=opened_ns):
        opened = opened_ns(flow)
        if opened < before:
            found.append(flow)
        before = max(before, opened + int(flow["duration_ns"]))
    return found


def summed(flows, names):
    return tuple(sum(flow["total"][name] for flow in flows) for name in names)


def opened_ns(connection):
    """0 where the kernel skipped the run that would have seen it."""
    return int(connection["opened_ns"] or 0)


class Books:
    """Everything that was told as closed in a lab's namespaces, by end."""

    def __init__(self, lab, kinds, events):
        self.kinds = kinds
        self.added = {}  # by id: what give_back() added to a total
        self.all = {"client": [], "server": []}
        self.by_key = {"client": {}, "server": {}}
        for side, namespace in (("client", lab.client), ("server", lab.server)):
            self.all[side] = [c for c in events.closed if namespace.is_ours(c)]
            for connection in sorted(self.all[side], key=opened_ns):
                key = (connection["protocol"], key_of(connection))
                self.by_key[side].setdefault(key, []).append(connection)

    def find(self, side, protocol, key):
        return self.by_key[side].get((protocol, key), [])

    def add(self, side, protocol, key, numbers):
        """Adds to the total of the last flow of these ends, in these books alone, and remembers that."""
        flows = self.by_key[side][protocol, key]
        flow, at = flows[-1], self.all[side].index(flows[-1])
        added = self.added.setdefault(flow["id"], {})
        for name, value in numbers.items():
            added[name] = added.get(name, 0) + value
        flows[-1] = self.all[side][at] = {**flow, "total": {
            name: value + numbers[name] if name in numbers else value
            for name, value in flow["total"].items()}}

    def of_process(self, kind, pid, began_ns, ended_ns):
        """A client's own: numbers of processes are given again, to others of its kind as well."""
        return [c for c in self.all["client"] if c["pid"] == pid
                and self.kind_of("client", key_of(c)) is kind
                and began_ns <= opened_ns(c) <= ended_ns]

    def kind_of(self, side, key):
        """The kind of traffic that a key belongs to, or None."""
        port = key[3] if side == "client" else key[1]
        for kind in self.kinds:
            if port in kind.ports or port - FORWARDED in kind.ports:
                return kind
        return None


def give_back(ledger, books, captured, overflow):
    """Adds what the tracer said to be in no flow to the flows that a capture shows to be short of it.

    A processor that its hypervisor halts while it holds a flow's lock makes another give up waiting. overflow: (sent bytes, sent
    packets, received bytes, received packets), all of which must find a flow.
    """
    row = ledger.row("capture", "in no flow")
    row.known = row.told = overflow[1] + overflow[3]
    left = list(overflow)
    for side, flows in captured.items():
        for (protocol, key), seen in flows.items():
            if protocol != "udp" or not books.find(side, protocol, key):
                continue
            for way in (0, 1):
                told = books.find(side, protocol, key)
                size = seen[0].bytes[way] - summed(told, BYTES)[way]
                packets = seen[0].packets[way] - summed(told, PACKETS)[way]
                if 0 < packets <= left[2 * way + 1] and 0 <= size <= left[2 * way]:
                    books.add(side, protocol, key, {BYTES[way]: size, PACKETS[way]: packets})
                    left[2 * way] -= size
                    left[2 * way + 1] -= packets
    ledger.equal(row, "packets_differ", [(0, 0, 0, 0)], tuple(left), "left of what is in no flow")


def compare_captures(ledger, books, captured, counts_reads):
    """captured: {side: {(protocol, key): [Flow]}}; counts_reads: UDP's hook sees what is read."""
    for side, flows in captured.items():
        for (protocol, key), seen in flows.items():
            kind = books.kind_of(side, key)
            row = ledger.row("capture", kind.name if kind else "other")
            told = books.find(side, protocol, key)
            if protocol == "tcp":
                compare_tcp(ledger, row, side, seen, told)
            else:
                compare_udp(ledger, row, side, seen[0], told, counts_reads)
        for (protocol, key), told in books.by_key[side].items():
            if (protocol, key) not in flows:
                kind = books.kind_of(side, key)
                ledger.wrong(ledger.row("capture", kind.name if kind else "other"), "twice",
                             "nobody else saw it:", side, told[0])


def compare_tcp(ledger, row, side, seen, told):
    # A SYN that is refused never gets a socket at the server.
    seen = [flow for flow in seen if side == "client" or flow.out_synacks]
    ledger.pair(row, len(seen), told, (side, seen[0].key if seen else None))
    for flow, connection in zip(seen, told):
        what = (side, flow, connection)
        ledger.equal(row, "bytes_differ", flow.counted_bytes(), total(connection, *BYTES), what)
        ledger.equal(row, "packets_differ", flow.counted_packets(), total(connection, *PACKETS),
                     what)


def compare_udp(ledger, row, side, seen, told, counts_reads):
    """One pair of ends may have been several flows, one after the other.

    A capture cannot see whether a datagram that came was read before its socket was closed (iperf3
    leaves some). Those that were not are counted here, and compare_udp_counters() asks the kernel.
    """
    row.known += 1
    row.told += bool(told)
    if not told:
        ledger.wrong(row, "missing", side, seen)
        return
    for flow in overlap(told):
        ledger.wrong(row, "twice", side, flow)
    sizes, packets = summed(told, BYTES), summed(told, PACKETS)
    unread = seen.packets[1] - packets[1]
    if counts_reads and unread > 0 and sizes[1] <= seen.bytes[1]:
        ledger.unread[side, seen.key] = (seen.bytes[1] - sizes[1], unread)
        sizes, packets = (sizes[0], seen.bytes[1]), (packets[0], seen.packets[1])
    ledger.equal(row, "bytes_differ", seen.bytes, sizes, (side, seen))
    ledger.equal(row, "packets_differ", seen.packets, packets, (side, seen))


def compare_udp_counters(ledger, books, captured, counters, counts_reads):
    """Each namespace's own counters of UDP: what was sent, and what was read or came."""
    row = ledger.row("kernel's counters", "all UDP")
    row.bytes_differ = None
    for side, (sent, read) in counters.items():
        flows = [c for c in books.all[side] if c["protocol"] == "udp"]
        came = sum(seen[0].packets[1] for (protocol, _), seen in captured[side].items()
                   if protocol == "udp")
        row.known += 1
        row.told += bool(flows)
        ledger.equal(row, "packets_differ", (sent, read if counts_reads else came),
                     summed(flows, PACKETS), side)
        if counts_reads:
            ledger.equal(row, "packets_differ", came - read, ledger.unread_datagrams(side),
                         f"{side}: not read")


def compare_conntrack(ledger, books, entries, captured):
    """Both ends of each entry, its numbers, and the other side that its translation has.

    Entries of one and the same ends stand in the order of their time, as what was told of them does.
    """
    turns = {}
    for entry in entries:
        kind = books.kind_of("client", entry.original)
        row = ledger.row("conntrack -L", kind.name if kind else "other")
        told, seen = {}, {}
        for side, key in entry.ends():
            ends = (side, entry.protocol, key)
            turn = turns.get(ends, 0)
            # Of UDP one entry may be several flows, one after the other.
            which = slice(turn, turn + 1) if entry.protocol == "tcp" else slice(None)
            told[side] = books.find(*ends)[which]
            seen[side] = captured[side].get((entry.protocol, key), [])[which]
            turns[ends] = turn + 1
        if entry.protocol == "tcp" and seen["server"] and not seen["server"][0].out_synacks:
            del told["server"]  # refused: there never was a socket
        for side, connections in told.items():
            row.known += 1
            row.told += bool(connections)
            if not connections:
                ledger.wrong(row, "missing", side, entry)
        if seen["client"] and told["client"]:
            compare_entry(ledger, row, entry, seen["client"][0], told["client"])
        compare_nat(ledger, told, entry, kind)


def compare_entry(ledger, row, entry, seen, told):
    """Packets and IP bytes; what a TCP packet has besides its payload only the capture knows."""
    packets, sizes = summed(told, PACKETS), summed(told, BYTES)
    if entry.protocol == "udp":
        unread_bytes, unread = ledger.unread.get(("client", entry.original), (0, 0))
        packets, sizes = (packets[0], packets[1] + unread), (sizes[0], sizes[1] + unread_bytes)
        headers = tuple(count * HEADER_BYTES[told[0]["family"]] for count in packets)
    elif STALLS:
        # Only the capture knows what of it came in time, and of that what overtook others was invalid to conntrack.
        late = max(0, *(known - count for known, count in zip(seen.packets, entry.packets)))
        ledger.equal(row, "packets_differ", [0, 1, 2, 3], late, entry)
        return
    else:
        # What the socket did not count, as counted_packets() says.
        packets = tuple(known - own + count for known, own, count in zip(
            seen.packets, total(told[0], *PACKETS), packets))
        # Headers, and payload that was sent in vain: again, or before a reset.
        headers = tuple(whole - own for whole, own in zip(seen.ip_bytes, seen.acked))
    ip_bytes = tuple(size + header for size, header in zip(sizes, headers))
    if entry.strays:
        # What answered them was invalid to conntrack, and is not known by its size.
        packets, ip_bytes = (packets[0], entry.packets[1]), (ip_bytes[0], entry.ip_bytes[1])
    ledger.equal(row, "packets_differ", entry.packets, packets, entry)
    ledger.equal(row, "bytes_differ", entry.ip_bytes, ip_bytes, entry)


def end(address, port):
    return {"ip": address, "port": port}


def compare_nat(ledger, told, entry, kind):
    """Each end's `nat` is what the other end sees."""
    row = ledger.row("translated" if entry.is_translated else "not translated",
                     kind.name if kind else "other")
    row.bytes_differ = row.packets_differ = None
    other = {"client": entry.reply, "server": entry.original}
    for side, connections in told.items():
        expected = {"local": end(*other[side][2:]), "remote": end(*other[side][:2])}
        for connection in connections:
            row.known += 1
            right = connection["nat"] == (expected if entry.is_translated else None)
            row.told += right
            if not right:
                ledger.wrong(row, "facts_wrong", side, entry, connection["nat"])


def compare_processes(ledger, books, lab):
    """Names, pids and containers of both ends."""
    for side, connections in books.all.items():
        for connection in connections:
            kind = books.kind_of(side, key_of(connection))
            if not kind:
                continue
            row = ledger.row("processes", kind.name)
            row.bytes_differ = row.packets_differ = None
            row.known += 1
            processes = kind.clients if side == "client" else kind.servers
            name = kind.client_name if side == "client" else kind.server_name
            container = (lab.containers[kind.container][1]
                         if side == "client" and kind.container else None)
            right = (connection["comm"] == name and connection["container"] == container
                     and (connection["pid"] in processes or kind.server_forks and side == "server"))
            row.told += right
            if not right:
                ledger.wrong(row, "facts_wrong", side, connection)


def compare_deltas(ledger, books, events):
    """What was told of each connection while it lived and at its end adds up to its total."""
    sums = {}
    for connection in events.active + events.closed:
        own = sums.setdefault(connection["id"], {})
        for name, value in connection["delta"].items():
            own[name] = own.get(name, 0) + value
    for side, connections in books.all.items():
        for connection in connections:
            kind = books.kind_of(side, key_of(connection))
            row = ledger.row("deltas", kind.name if kind else "other")
            own, added = sums[connection["id"]], books.added.get(connection["id"], {})
            row.known += 1
            row.told += 1
            for column, names in (("bytes_differ", BYTES), ("packets_differ", PACKETS)):
                ledger.equal(row, column, tuple(connection["total"][n] for n in names),
                             tuple(own[n] + added.get(n, 0) for n in names), connection)
