# SPDX-License-Identifier: Apache-2.0
"""Who else knows what went through a lab: a packet capture at either end, and the gateway's conntrack."""
import dataclasses
import re
import subprocess
import threading

from harness.scale import STALLS, program, wait_until
from harness.udp import kernel_counts

TH_RST = 4  # netinet/tcp.h


@dataclasses.dataclass
class Flow:
    """What a capture saw of one conversation; out is from the end where it stands."""
    protocol: str
    key: tuple  # local ip, port, remote ip, port
    role: str  # of this end: client, server; "-" of UDP
    packets: tuple  # out, in
    ip_bytes: tuple
    payload: tuple  # what was sent again is counted again
    acked: tuple = None  # payload of TCP that the receiver acknowledged
    out_synacks: int = 0
    in_syns: int = 0
    cut: tuple = None  # packets when the socket may have gone over into FIN_WAIT2 without an owner
    over: tuple = None  # packets when both FINs had been acknowledged, or before the first reset
    early: tuple = (0, 0)  # packets of somebody who had these ports before
    last: str = ""  # the last packets, as tests/programs/witness.c prints them

    @property
    def bytes(self):
        """What the sockets must have counted."""
        return self.acked if self.protocol == "tcp" else self.payload

    def counted_bytes(self):
        """The same of a TCP socket, one of these: what it was reset before may have overtaken acknowledgements."""
        sights = [sight.split(",") for sight in self.last.split()[1:]]
        if not STALLS or not any(int(flags, 16) & TH_RST for _, _, flags, *_ in sights):
            return [self.acked]
        sent = {int(ack) - 1 for _, way, _, _, ack, _ in sights if way == "in" and int(ack) > 0}
        return [(own, self.acked[1]) for own in sent | {self.acked[0]} if own <= self.acked[0]]

    def counted_packets(self):
        """What a TCP socket may have counted of its segments: one of these, exactly.

        A listener's SYN+ACK goes out before there is a socket, which then begins with one SYN. A socket
        that was closed first is replaced by a small one when only the peer's FIN is to come: that
        FIN and its answer are counted nowhere. It is not if somebody still has it open, which
        no packet shows. What comes when both FINs are acknowledged finds no socket either, but for
        one that is in use at that moment, and does not know yet, and a reset is a socket's own or that
        of none. A reset in SYN_SENT, to the ACK of somebody who had these ports before, is sent past
        it; a listener's host, where that one is in TIME_WAIT, answers the first SYN with such an ACK.
        """
        least, most = self.over or self.packets, self.packets
        if least != most:
            # Then even the last one may have met the small socket, and been sent again for that.
            least = (least[0], least[1] - 1)
        found = [(out, into) for out in range(least[0], most[0] + 1)
                 for into in range(least[1], most[1] + 1)]
        if self.cut:
            found.append(self.cut)
        if STALLS:
            # One that was overtaken by the last came to a socket that had been counted already.
            found += [(most[0] - out, most[1] - into) for out in range(2) for into in range(3)]
        out_uncounted, in_uncounted = self.early
        if self.role == "server":
            out_uncounted, in_uncounted = out_uncounted + self.out_synacks, in_uncounted + self.in_syns - 1
        return [(out - out_uncounted, into - in_uncounted) for out, into in found]


class Capture:
    """tests/programs/witness at a device of a namespace."""

    def __init__(self, namespace, device):
        self.namespace = namespace
        self._process = namespace.start(program("witness"), device, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"
        self.packets = 0

    def stop(self):
        """{(protocol, key): [flows in the order of their beginning]}; nothing may have been lost."""
        output, _ = self._process.communicate("")
        *lines, end = output.splitlines()
        words = end.split()
        assert words[0] == "end" and words[3:] == ["dropped", "0", "fragments", "0"], end
        self.packets = int(words[2])
        flows = {}
        last = ""
        for line in reversed(lines):
            if line.startswith("last "):
                last = line
                continue
            flow = parse(line.split())
            if flow.protocol == "tcp":
                flow.last = last
            flows.setdefault((flow.protocol, flow.key), []).append(flow)
        return flows

    def close(self):
        self._process.kill()
        self._process.wait()


def parse(words):
    protocol, ip, port, peer_ip, peer_port, role, *numbers = words
    out_packets, out_ip, out_payload, in_packets, in_ip, in_payload = map(int, numbers[:6])
    flow = Flow(protocol, (ip, int(port), peer_ip, int(peer_port)), role,
                (out_packets, in_packets), (out_ip, in_ip), (out_payload, in_payload))
    if protocol == "tcp":
        out_acked, in_acked, flow.out_synacks, flow.in_syns = map(int, numbers[6:10])
        flow.acked = (out_acked, in_acked)
        flow.cut = None if numbers[10] == "-" else (int(numbers[10]), int(numbers[11]))
        flow.over = None if numbers[12] == "-" else (int(numbers[12]), int(numbers[13]))
        flow.early = (int(numbers[14]), int(numbers[15]))
    return flow


@dataclasses.dataclass
class Entry:
    """One of conntrack's; each tuple is (source ip, port, destination ip, port)."""
    protocol: str
    original: tuple
    reply: tuple
    packets: tuple  # original, reply
    ip_bytes: tuple
    strays: int = 0  # entries without an answer that were taken into this one

    @property
    def is_translated(self):
        return self.original != (*self.reply[2:], *self.reply[:2])

    def ends(self):
        """(side, its own end first) of both ends."""
        return (("client", self.original), ("server", self.reply))


def entry_of(line):
    """A line of conntrack(8), or None."""
    protocol = next((word for word in line.split() if word in ("tcp", "udp")), None)
    found = {key: re.findall(rf"\b{key}=(\S+)", line)
             for key in ("src", "dst", "sport", "dport", "packets", "bytes")}
    if not protocol or len(found["dport"]) != 2:
        return None
    tuples = [(found["src"][i], int(found["sport"][i]), found["dst"][i], int(found["dport"][i]))
              for i in range(2)]
    assert len(found["packets"]) == 2, f"nf_conntrack_acct is off: {line}"
    return Entry(protocol, *tuples, *(tuple(map(int, found[key])) for key in ("packets", "bytes")))


def join_strays(entries):
    """A SYN that meets the TIME_WAIT of somebody who had these ports before is answered with his ACK, which is
    invalid to conntrack, and reset. That is an entry of two packets without an answer; the SYN that follows
    makes the next one. Both are one conversation.
    """
    joined, waiting = [], {}
    for entry in entries:
        if entry.protocol == "tcp" and entry.packets[1] == 0:
            waiting.setdefault(entry.original, []).append(entry)
            continue
        for stray in waiting.pop(entry.original, []) if entry.protocol == "tcp" else []:
            entry.packets = (entry.packets[0] + stray.packets[0], entry.packets[1])
            entry.ip_bytes = (entry.ip_bytes[0] + stray.ip_bytes[0], entry.ip_bytes[1])
            entry.strays += 1
        joined.append(entry)
    return joined + [stray for strays in waiting.values() for stray in strays]


class Conntrack:
    """The gateway's entries: those that ended meanwhile, as -E tells them, and those that -L lists."""

    def __init__(self, namespace):
        self.namespace = namespace
        self._ended = []
        self._events = namespace.start("conntrack", "-E", "-e", "DESTROY", "-b", "16777216",
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # It says nothing when it listens; its socket can be seen.
        wait_until(lambda: f"conntrack/{self._events.pid}" in
                   namespace.run("ss", "-H", "-f", "netlink").stdout, 10, "conntrack listens")
        self._thread = threading.Thread(target=lambda: self._ended.extend(self._events.stdout))
        self._thread.start()

    def stop(self):
        """All entries; those of one and the same ends in the order of their time."""
        listed = []
        for family in ("ipv4", "ipv6"):
            listed += self.namespace.run("conntrack", "-L", "-f", family).stdout.splitlines()
        self._events.terminate()
        self._thread.join()
        errors = self._events.communicate()[1]
        assert "ENOBUFS" not in errors, errors
        return join_strays(entry for entry in map(entry_of, self._ended + listed) if entry)

    def close(self):
        self._events.kill()
        self._events.wait()


def udp_counters(namespace):
    """What the kernel counted in a namespace: (datagrams sent, datagrams read), of both families.

    None may have been thrown away for want of room: then the capture and the sockets must differ.
    """
    found = kernel_counts(namespace)
    for name in ("RcvbufErrors", "InErrors", "Udp6RcvbufErrors", "Udp6InErrors"):
        assert found[name] == 0, f"{name} is {found[name]}: receive queues were full"
    return tuple(found[name] + found["Udp6" + name] for name in ("OutDatagrams", "InDatagrams"))
